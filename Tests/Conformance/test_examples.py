"""The three agents of tools/examples, each a process: killed and started again at random, as is the server; and with a model behind an endpoint."""
import contextlib
import http.server
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

from support import CHECKOUT, Server

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

from contex_client import Contex, NotFoundError  # noqa: E402

EXAMPLES = CHECKOUT / "tools/examples"
REQUESTS = 60


class Agents:
    """Processes of the examples, by name."""

    def __init__(self, server, tmp_path, arguments=(), **environment):
        self.environment = {**os.environ, "CONTEX_URL": server.url, "PYTHONPATH": str(CHECKOUT / "tools/sdk/python/src"), **environment}
        self.arguments, self.log = [*map(str, arguments), "--watch"], tmp_path / "agents.log"
        self.processes = {}

    def start(self, name):
        command = [sys.executable, str(EXAMPLES / name / f"{name}.py"), *(self.arguments if name == "publisher" else [])]
        with open(self.log, "ab") as log:
            self.processes[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def __enter__(self):
        for name in ("planner", "reviewer", "publisher"):
            self.start(name)
        return self

    def __exit__(self, *_):
        for name in self.processes:
            self.kill(name)

    def until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()[-3_000:]
            time.sleep(0.1)


def data_of(team, key):
    with contextlib.suppress(NotFoundError):
        return team.get(key).data


def test_agents_that_are_killed_lose_nothing(tmp_path):
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    choice = random.Random(seed)
    folder = tmp_path / "documents"
    for name, text in {"rules/deploys": "# Deploys\n\nDeploys are frozen on Fridays.\n", "rules/tests": "# Tests\n\nA plan names the tests that prove it.\n",
                       **{f"requests/{n}": f"# Export report number {n}\n" for n in range(REQUESTS)}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(text)
    with Server() as server, Agents(server, tmp_path, [folder]) as agents, Contex(server.url, attempts=8) as contex:
        kills = {"planner": 0, "reviewer": 0, "publisher": 0, "server": 0}
        wanted, team = {"planner": 4, "reviewer": 4, "publisher": 2, "server": 2}, contex.project("team")
        while left := [name for name in kills if kills[name] < wanted[name]]:
            time.sleep(choice.uniform(0.05, 0.4))
            name = choice.choice(left)
            kills[name] += 1
            if name == "server":
                server.kill()
                server.start()
            else:
                agents.kill(name)
                agents.start(name)

        def keys():
            return {node.data_key.removesuffix(".root") for node in team.nodes()}
        agents.until(lambda: {f"{kind}/{n}" for kind in ("requests", "plans", "reviews") for n in range(REQUESTS)} <= keys(), 120)
        assert len(keys()) == 3 * REQUESTS + 4
        for n in range(REQUESTS):
            made = team.get(f"reviews/{n}").data
            assert made["of"] == f"plans/{n}" and f"report number {n};" in made["review"] and "frozen on Fridays" in made["review"]
        # Nothing was done twice.
        log_keys = [event.data_key for event in team.events()]
        assert len(log_keys) == len(set(log_keys)) == 3 * REQUESTS + 4


class Endpoint:
    """A real HTTP server with the shape of chat completions, whose model turns the material round; the first request it refuses."""

    def __init__(self):
        self.asked = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append((self.path, self.headers["Authorization"], body))
                said = body["messages"][1]["content"].split("\n")[1][::-1]
                answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": said + "\n"}}]}).encode()
                self.send_response(503 if len(endpoint.asked) == 1 else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_documents_change_and_a_model_is_asked_once(tmp_path):
    endpoint = Endpoint()
    settings = {"MODEL_URL": f"http://127.0.0.1:{endpoint.server.server_port}/v1", "MODEL_NAME": "mirror", "MODEL_KEY": "of the test"}
    folder = tmp_path / "documents"
    shutil.copytree(EXAMPLES / "publisher/documents", folder)
    try:
        with Server() as server, Agents(server, tmp_path, [folder], **settings) as agents, Contex(server.url) as contex:
            team = contex.project("team")
            agents.until(lambda: data_of(team, "reviews/export") and data_of(team, "reviews/search"))
            assert team.get("plans/export").data["plan"] == "Export reports as CSV"[::-1]
            assert team.get("reviews/export").data["review"] == "Export reports as CSV"
            path, key, body = endpoint.asked[-1]
            assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer of the test", "mirror")
            assert any("frozen on Fridays" in body["messages"][1]["content"] for _, _, body in endpoint.asked), "the rules are asked for"
            # Another text is another plan and review; what is the same is not thought about again, also after a restart.
            before = len(endpoint.asked)
            (folder / "requests/export.md").write_text("# Export reports as Parquet\n")
            agents.until(lambda: (data_of(team, "reviews/export") or {}).get("review") == "Export reports as Parquet")
            for name in ("planner", "reviewer", "publisher"):
                agents.kill(name)
                agents.start(name)
            (folder / "requests/export.md").unlink()
            agents.until(lambda: data_of(team, "requests/export") is None)
            assert len(endpoint.asked) == before + 2
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()


def test_the_commands_of_the_readme_are_files():
    text = (EXAMPLES / "README.md").read_text()
    for name in ("planner", "reviewer", "publisher"):
        assert f"python tools/examples/{name}/{name}.py" in text and (EXAMPLES / name / "README.md").is_file()
