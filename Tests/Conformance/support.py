"""The real binary as a child process, and plain HTTP to it. Standard library only, so that the proofs need no environment."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CONTEX_BINARY") or str(CHECKOUT / ".build/release/contex")
MODEL = os.environ.get("CONTEX_MODEL_DIR") or str(CHECKOUT / ".models/all-MiniLM-L6-v2")
DATA = pathlib.Path(os.environ.get("CONTEX_TEST_DATA") or CHECKOUT.parent / "shared/data")
HOST = "127.0.0.1"
# The original's setting names are read by Contex too, so what the caller's shell has set must not reach the server under test.
SETTINGS = ("CONTEX_", "SIMILARITY_", "MAX_", "AUTH_", "BOOTSTRAP_", "HYBRID_", "KEYWORD_", "VECTOR_", "CORS_", "WEBHOOK", "RATE_", "AUDIT_", "OTEL_",
            "SERVICE_")


# For whoever measures the search: asked again, a query would be answered from memory.
NO_ANSWERS = {"CONTEX_ANSWER_CACHE_BYTES": "0"}


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class Connection:
    """One keep-alive connection. Not shared between threads."""

    def __init__(self, port, timeout=60, headers=None, source=None):
        """`source` is the address that the server sees: any of 127.0.0.0/8."""
        self.raw = http.client.HTTPConnection(HOST, port, timeout=timeout, source_address=(source, 0) if source else None)
        self.headers = headers or {}

    def call(self, method, path, body=None, headers=None):
        """`body` is sent as it is when it is bytes, else as JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self.raw.request(method, path, content, {**sent, **self.headers, **(headers or {})})
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the whole body was sent; the answer may be there all the same
        response = self.raw.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self):
        self.raw.close()


class ServerFailed(Exception):
    pass


class Server:
    """`contex serve` on free loopback ports. Start, stop, kill and start again on the same data directory and ports."""

    def __init__(self, data_dir=None, environment=None, flags=()):
        self.own_folder = data_dir is None
        self.data_dir = data_dir or os.path.join(tempfile.mkdtemp(prefix="contex-conformance-"), "data")
        self.environment, self.flags = environment or {}, list(flags)
        self.http_port, self.resp_port, self.wire_port = free_port(), free_port(), free_port()
        self.url = f"http://{HOST}:{self.http_port}"
        self.log_path = self.data_dir.rstrip("/") + ".log"
        self.process = None

    def command(self):
        return [BINARY, "serve", "--data-dir", self.data_dir, "--http-port", str(self.http_port),
                "--resp-port", str(self.resp_port), "--wire-port", str(self.wire_port), "--model-dir", MODEL, *self.flags]

    def launch(self):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**inherited, **self.environment})

    def wait_until_healthy(self, seconds=60, pause=0.01):
        """The seconds that it took. The process may still be loading when the port opens, so the answer itself is waited for."""
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            if self.process.poll() is not None:
                raise ServerFailed(f"the server ended with exit code {self.process.returncode}:\n{self.log_tail()}")
            try:
                if self.call("GET", "/health").status == 200:
                    return time.perf_counter() - started
            except OSError:
                pass
            time.sleep(pause)
        raise ServerFailed(f"no answer to GET /health within {seconds} s:\n{self.log_tail()}")

    def start(self):
        self.launch()
        self.wait_until_healthy()
        return self

    def stop(self, seconds=35):
        """SIGTERM, as an operator does it. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            try:
                self.stop(10)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.own_folder:
            shutil.rmtree(os.path.dirname(self.data_dir), ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-30:])

    def resident_kilobytes(self):
        """Of /proc/PID/status: VmRSS and its parts, VmHWM."""
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon", "RssFile", "VmHWM")}

    def beyond_the_store_kilobytes(self):
        """What is resident without the pages of the store's map, which the system takes back whenever it likes."""
        total = store = 0
        is_store = False
        with open(f"/proc/{self.process.pid}/smaps") as maps:
            for line in maps:
                if line.startswith("Rss:"):
                    size = int(line.split()[1])
                    total += size
                    store += size if is_store else 0
                elif "-" in line.split(" ", 1)[0]:
                    is_store = line.rstrip().endswith("/data.mdb")
        return total - store

    def call(self, method, path, body=None, headers=None, timeout=60):
        connection = Connection(self.http_port, timeout)
        try:
            return connection.call(method, path, body, headers)
        finally:
            connection.close()

    def processor_seconds(self):
        """Of the process so far; the kernel counts hundredths."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # The few requests that most tests begin with.

    def publish(self, project, key, data, **more):
        answer = self.call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": key, "data": data, **more})
        assert answer.status == 200, answer
        return answer.json

    def publish_texts(self, project, texts, batch):
        """As text-0, text-1, ..."""
        for start in range(0, len(texts), batch):
            answer = self.call("POST", "/api/v1/batch/publish", [
                {"project_id": project, "data_key": f"text-{number}", "data": texts[number], "data_format": "text"}
                for number in range(start, min(start + batch, len(texts)))], timeout=600)
            assert answer.status == 200 and answer.json["failed"] == 0, answer

    def register(self, project, agent, needs, **more):
        body = {"agent_id": agent, "project_id": project, "data_needs": needs, "response_format": "json", **more}
        answer = self.call("POST", "/api/v1/agents/register", body)
        assert answer.status == 200, answer
        return answer.json

    def query(self, project, text, **more):
        answer = self.call("POST", f"/api/v1/projects/{project}/query", {"query": text, "response_format": "json", **more})
        assert answer.status == 200, answer
        return answer.json

    def events(self, project, since=0, count=1000):
        """Every event after `since`, page by page."""
        events = []
        while True:
            answer = self.call("GET", f"/api/v1/projects/{project}/events?since={since}&count={count}")
            assert answer.status == 200, answer
            page = answer.json["events"]
            events += page
            if len(page) < count:
                return events
            since = int(page[-1]["sequence"])


def watched(environment=None, data_dir=None, flags=()):
    """A server with the port of operators, which asks for no key."""
    server = Server(data_dir, environment, flags)
    server.metrics_port = free_port()
    server.flags += ["--metrics-port", str(server.metrics_port)]
    return server


def contex(*arguments, timeout=600):
    """Runs the command line tool. The answer has returncode, stdout and stderr."""
    return subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
