"""The load tools against a real server, and that waiting is not hidden."""
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest

from support import CHECKOUT, HOST, Server, free_port

LOAD = CHECKOUT / "tools/load"


def run(*arguments):
    return subprocess.run([sys.executable, str(LOAD / "open-loop"), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_a_real_server():
    with Server() as server:
        server.publish("load-0", "first", {"a": "b"})
        done = run("--url", server.url, "--rate", 15, "--seconds", 4, "--listeners", 3, "--mix", "query=60,publish=35,register=5", "--documents", 3, "--json")
        told = json.loads(done.stdout)
        kinds = told["kinds"]
        assert set(kinds) == {"query", "publish", "register", "update"} and done.returncode in (0, 1), done
        assert not any(one["failed"] for one in kinds.values()), kinds
        assert sum(kinds[kind]["answered"] for kind in ("query", "publish", "register")) == told["sent"] > 30
        # Each listener hears of every publish of its project, once.
        assert kinds["update"]["answered"] == kinds["publish"]["answered"]
        for one in kinds.values():
            assert 0 < one["p50"] <= one["p95"] <= one["p99"] <= one["max"] < 60
        again = json.loads(run("--url", server.url, "--rate", 15, "--seconds", 4, "--listeners", 0, "--json").stdout)
        assert "update" not in again["kinds"]


def test_waiting_counts():
    """A server that takes 50 ms, one request after another, asked 40 times a second: the queue grows, and the times say so."""
    class Slow(http.server.BaseHTTPRequestHandler):
        protocol_version, lock = "HTTP/1.1", threading.Lock()

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with self.lock:
                time.sleep(0.05)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass
    slow = http.server.ThreadingHTTPServer((HOST, 0), Slow)
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    try:
        done = run("--url", f"http://{HOST}:{slow.server_port}", "--rate", 40, "--seconds", 3, "--listeners", 0, "--mix", "query=1", "--json")
        query = json.loads(done.stdout)["kinds"]["query"]
        # 120 of them need 6 s and get 3: the last wait for about 3 s.
        assert done.returncode == 1 and not query["held"] and query["p95"] > 1.5 and query["p50"] > 0.5, query
        found = run("--url", f"http://{HOST}:{slow.server_port}", "--rate", 40, "--seconds", 1, "--listeners", 0, "--mix", "query=1", "--find")
        assert found.returncode == 1 and "none" in found.stdout and "NOT HELD" in found.stderr
    finally:
        slow.shutdown()
        slow.server_close()


def test_wrong_usage():
    assert run("--url", f"http://{HOST}:{free_port()}", "--seconds", 1).returncode == 2
    assert run("--mix", "dance=1").returncode == 2 and run("--rate", 0).returncode == 2


@pytest.mark.skipif(shutil.which("locust") is None, reason="locust is not there (pip install locust==2.47.0)")
def test_locust(tmp_path):
    with Server() as server:
        done = subprocess.run(["locust", "-f", str(LOAD / "locustfile.py"), "--headless", "--users", "10", "--spawn-rate", "10", "--run-time", "6s",
                               "--host", server.url, "--json"], capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2_000:]
        figures = {one["name"]: one for one in json.loads(done.stdout)}
        assert {"query", "publish", "register", "inbox, waiting up to 2 s"} <= set(figures)
        assert all(one["num_failures"] == 0 for one in figures.values()), figures
