"""Every alert that is shipped, and what has a runbook and no alert, caused on a real server and ended by what the runbook says.
`tools/proof drills` runs them all, the suite the short ones.

A drill may do two things that a machine does not do by itself: it puts the data folder on a small file system in memory (mount, as root), and it lets
one thread of the server stand still, as if it waited for a disk that does not answer (ptrace).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from alarms import RUNBOOKS, Failed, Watch, runbook, shipped
from proof_webhooks import Counter
from support import CHECKOUT, HOST, Connection, ServerFailed, contex, free_port, watched

DRILLS = {}
KEY = "the-key-of-the-operator-in-a-drill"
ROOT = {"X-API-Key": KEY}
MEBIBYTE = 1 << 20


class Drill:
    def __init__(self, function, alerts, is_short, needs, book):
        self.name, self.function, self.alerts, self.is_short, self.needs, self.book = function.__name__, function, alerts, is_short, needs, book

    def missing(self):
        """What this machine would have to have for it."""
        has = {"prometheus": lambda: shutil.which("prometheus"), "openssl": lambda: shutil.which("openssl"), "mount": may_mount}
        return [name for name in (*(["prometheus"] if self.alerts else []), *self.needs) if not has[name]()]

    def run(self):
        with Room(self.alerts, self.book) as room:
            self.function(room)
            if room.fired != set(self.alerts) or room.quiet != set(self.alerts):
                raise Failed(f"{self.name}: of {self.alerts} fired {room.fired}, ended {room.quiet}")
        return room


def may_mount():
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True).returncode != 0:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def drill(*alerts, is_short=False, needs=(), book=None):
    """`book` is the runbook of a drill that is of no one alert."""
    def register(function):
        DRILLS[function.__name__] = Drill(function, alerts, is_short, needs, book)
        return function
    return register


class Room:
    """What a drill works with, and what is left of it: how long each alert took to fire and to end."""

    def __init__(self, alerts, book=None):
        books = {alert: runbook(alert) for alert in alerts} | ({book: RUNBOOKS / book} if book else {})
        self.books = {name: re.sub(r"\s+", " ", path.read_text()) for name, path in books.items()}
        self.fired, self.quiet, self.report, self.stack, self.watch = set(), set(), [], contextlib.ExitStack(), None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="contex-drill-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def serve(self, environment=None, folder=None, server=None):
        """A server, and a Prometheus that finds nothing to say of it yet."""
        server = server or watched(environment, str((folder or self.folder) / "data"))
        server.own_folder = False
        self.stack.callback(server.close)
        server.start()
        self.watch = self.stack.enter_context(Watch(server.metrics_port))
        # A first scrape that took too long on a busy machine is over by then.
        self.watch.until(lambda: not set(self.watch.alerts()) & set(self.books), 30, "an alert fires before anything was done")
        return server

    def small_disk(self, megabytes):
        folder = self.folder / "disk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
        self.stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)
        return folder

    def fires(self, alert, seconds=60):
        self.report.append((alert, "fires", self.watch.fires(alert, seconds)))
        self.fired.add(alert)

    def silent(self, alert, seconds=60):
        self.report.append((alert, "ends", self.watch.silent(alert, seconds)))
        self.quiet.add(alert)

    def step(self, words):
        """What is done now stands so in the runbook of one of the alerts."""
        if not any(words in book for book in self.books.values()):
            raise Failed(f"the runbooks do not say: {words}")

    def doctor(self, server, words, key=None):
        """What `contex doctor` says has these words in it, and the runbook or the advice is told."""
        told = contex("doctor", "--server", server.url, *(["--api-key", key] if key else []))
        if words not in told.stdout:
            raise Failed(f"the doctor does not say {words!r}: {told.stdout}{told.stderr}")


class Crowd:
    """Threads that do something again and again, each from an address of its own, until they are told to stop."""

    def __init__(self, count, work):
        self.stopped, self.failures = threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(number, work), daemon=True) for number in range(count)]

    def run(self, number, work):
        while not self.stopped.is_set():
            try:
                work(number)
            except OSError:
                time.sleep(0.05)
            except Exception as error:  # a thread has nobody to tell but us
                self.failures.append(error)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)
        if self.failures:
            raise Failed(repr(self.failures[0]))


def address(number):
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


class Standstill:
    """One thread of a process stands still; the others go on."""
    SEIZE, INTERRUPT, DETACH, ALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, thread):
        self.thread, self.library = thread, ctypes.CDLL(None, use_errno=True)

    def call(self, request):
        if self.library.ptrace(ctypes.c_long(request), ctypes.c_long(self.thread), None, None) != 0:
            raise Failed(f"ptrace is refused here: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.call(self.SEIZE)
        self.call(self.INTERRUPT)
        os.waitpid(self.thread, self.ALL)
        return self

    def let_go(self):
        if self.thread:
            with contextlib.suppress(Failed):
                self.call(self.DETACH)
            self.thread = None

    def __exit__(self, *_):
        self.let_go()


def threads(server, name):
    """Of every thread what /proc says of it, by its number."""
    folder = pathlib.Path(f"/proc/{server.process.pid}/task")
    return {int(task.name): (task / name).read_text() for task in folder.iterdir()}


# Processes and requests


@drill("ContexDown", is_short=True)
def gone(room):
    server = room.serve()
    server.publish("shop", "k", {"a": "b"})
    server.kill()
    room.fires("ContexDown")
    room.step("the process is gone or hangs")
    if contex("doctor", "--server", server.url).returncode != 6:
        raise Failed("the doctor reaches a server that is not there")
    room.step("Start it anew")
    server.start()
    if server.call("GET", "/api/v1/projects/shop/data/k").status != 200:
        raise Failed("what was acknowledged is on the disk")
    room.silent("ContexDown")


@drill("ContexRestarts")
def again_and_again(room):
    server = room.serve()
    for _ in range(4):
        server.kill()
        server.start()
        room.watch.until(lambda: room.watch.value("time() - process_start_time_seconds") is not None, 10, "the new process is not seen")
        time.sleep(1)
    room.fires("ContexRestarts")
    room.step("If it ends again at once, its last line says why")
    if '"started"' not in server.log_tail():
        raise Failed(server.log_tail())
    room.silent("ContexRestarts")  # it is left to run


@drill("ContexFaults", is_short=True)
def a_fault_of_its_own(room):
    """We know of no request that makes one: such a fault is mended when it is known. So what the server tells is handed on with the one sample that
    would be there. What the drill shows is that a single fault, the first since the start, is heard."""
    import http.server

    class HandedOn(http.server.BaseHTTPRequestHandler):
        told = b""

        def do_GET(self):
            body = Connection(server.metrics_port).call("GET", "/metrics").body + HandedOn.told
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = room.stack.enter_context(watched())
    between = http.server.ThreadingHTTPServer((HOST, 0), HandedOn)
    threading.Thread(target=between.serve_forever, daemon=True).start()
    room.stack.callback(between.shutdown)
    room.watch = room.stack.enter_context(Watch(between.server_port))
    HandedOn.told = b'contex_errors_total{code="internal_error"} 1\n'
    room.fires("ContexFaults")
    room.step("`internal_error` a fault: send the log's lines to who builds it")
    room.silent("ContexFaults")  # there was one, and no more


# The disk


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))


def asked_all_the_time(server):
    """Half reads, half writes; what is refused is part of the drill."""
    def work(number):
        connection = Connection(server.http_port)
        connection.call("POST", "/api/v1/data/publish", {"project_id": "shop", "data_key": f"k{number}", "data": {"now": time.monotonic_ns()}})
        connection.call("POST", "/api/v1/projects/shop/query", {"query": "now"})
        connection.close()
        time.sleep(0.05)
    return Crowd(2, work)


def full_disk(room, alerts, seconds):
    folder = room.small_disk(96)
    server = room.serve(folder=folder)
    server.publish("shop", "before", {"a": "b"})
    with asked_all_the_time(server):
        fill(folder)
        for alert in alerts:
            room.fires(alert)
        if server.call("GET", "/api/v1/projects/shop/data/before").status != 200:
            raise Failed("reads go on")
        if "ContexReadOnly" in alerts:
            room.doctor(server, "writes are refused and reads go on")
        room.step("Make room")
        (folder / "filler").unlink()
        for alert in alerts:
            room.silent(alert, seconds)
    server.publish("shop", "after", {"a": "b"})


@drill("ContexReadOnly", "ContexCommitsFail", "ContexDiskLow", "ContexErrorsFast", is_short=True, needs=["mount"])
def disk_full(room):
    full_disk(room, ["ContexReadOnly", "ContexCommitsFail", "ContexDiskLow", "ContexErrorsFast"], 60)


@drill("ContexErrorsSlow", needs=["mount"])
def errors_for_long(room):
    room.step("`storage_full` the disk")
    room.books["ContexErrorsSlow"] += " Make room"  # of disk-full, where that step leads
    full_disk(room, ["ContexErrorsSlow"], 120)


@drill("ContexStoreGrows", needs=["mount"])
def store_grows(room):
    folder = room.small_disk(192)
    server = room.serve(folder=folder)
    count = [0]

    def work(_):
        count[0] += 1
        server.publish("shop", f"k{count[0]}", {"text": f"{count[0]} " + "words of a text " * 1_200}, vector=[1.0] + [0.0] * 383)
        time.sleep(0.1)
    with Crowd(1, work):
        room.fires("ContexStoreGrows", 120)
        room.step("there is more in it")
        told = json.loads(contex("stats", "--data-dir", server.data_dir, "--json").stdout)
        if told["nodes"] < 100:
            raise Failed(f"the folder's figures do not say what it is: {told}")
        room.step("a larger disk")
        subprocess.run(["mount", "-o", "remount,size=16g", str(folder)], check=True)
        room.silent("ContexStoreGrows")


@drill("ContexStoreDamaged", is_short=True)
def store_damaged(room):
    server = room.serve()
    text = "the words that somebody will write over " * 600
    server.publish("shop", "hurt", text, data_format="text")
    server.publish("shop", "well", {"a": "b"})
    backups = str(room.folder / "backups")
    if (made := contex("backup", "--data-dir", server.data_dir, "--to", backups)).returncode != 0:
        raise Failed(made.stderr)
    store = pathlib.Path(server.data_dir, "store", "data.mdb")
    content = store.read_bytes()
    found = [match.start() for match in re.finditer(rb"write over the words", content)]
    if not found:
        raise Failed("the document is not in the file as it was published")
    with open(store, "r+b") as file:
        for offset in found:
            file.seek(offset)
            file.write(b"W")
    answer = server.call("GET", "/api/v1/projects/shop/data/hurt")
    if answer.status != 500:
        raise Failed(f"damage is answered: {answer}")
    room.fires("ContexStoreDamaged")  # one request was enough
    room.doctor(server, "fail their seal")
    room.step("copy the whole data folder")
    server.stop()
    copy = str(room.folder / "copy")
    shutil.copytree(server.data_dir, copy)
    room.step("reads every page, every seal and every index")
    if contex("check", "--data-dir", copy).returncode == 0:
        raise Failed("the check finds nothing")
    room.step("the newest good backup into a new folder")
    restored = str(room.folder / "restored")
    for command in (["verify", "--from", backups], ["--from", backups, "--data-dir", restored]):
        done = contex(*(["backup"] if command[0] == "verify" else ["restore"]), *command)
        if done.returncode != 0:
            raise Failed(done.stdout + done.stderr)
    room.step("The pepper (`DATA/pepper`) must come along")
    shutil.copy(os.path.join(server.data_dir, "pepper"), restored)
    room.step("**Serve** the new folder")
    server.data_dir = restored
    server.start()
    if server.call("GET", "/api/v1/projects/shop/data/hurt").json["data"] != text:
        raise Failed("the document is not what it was")
    room.silent("ContexStoreDamaged")


@drill("ContexSnapshotHeld")
def snapshot_held(room):
    """A read that does not end: a thread that stands still in the middle of a search."""
    server = room.serve({"CONTEX_ANSWER_CACHE_BYTES": "0"})
    for start in range(0, 3_000, 500):
        server.call("POST", "/api/v1/batch/publish", [
            {"project_id": "shop", "data_key": f"k{n}", "data": {"text": f"word{n % 97} " * 30}, "vector": [1.0, n / 3_000] + [0.0] * 382}
            for n in range(start, start + 500)])

    def work(number):
        connection = Connection(server.http_port, timeout=2)
        connection.call("POST", "/api/v1/projects/shop/query", {"query": " ".join(f"word{n}" for n in range(97)), "mode": "keyword", "top_k": 50})
        connection.close()
    still = None
    with Crowd(2, work):
        deadline = time.monotonic() + 60
        while still is None:
            if time.monotonic() > deadline:
                raise Failed("no thread was met in the middle of a read")
            for thread, state in threads(server, "stat").items():
                if state.rsplit(")", 1)[1].split()[0] != "R":
                    continue
                trial = Standstill(thread).__enter__()
                time.sleep(1.2)
                held = [float(line.split()[1]) for line in metrics(server) if line.startswith("contex_snapshot_oldest_seconds ")]
                if held and held[0] > 1:
                    still = trial
                    break
                trial.let_go()
    room.stack.callback(still.let_go)
    room.fires("ContexSnapshotHeld")
    room.step("start the server anew")
    server.process.kill()
    os.waitpid(still.thread, Standstill.ALL)
    still.thread = None
    server.process.wait()
    server.start()
    room.silent("ContexSnapshotHeld")


def metrics(server):
    """The lines, or none when there is no answer in time."""
    try:
        connection = Connection(server.metrics_port, timeout=1)
        return connection.call("GET", "/metrics").body.decode().splitlines()
    except OSError:
        return []


# Load


@drill("ContexQueriesSlow", "ContexEmbeddingBehind")
def more_is_asked_than_embedded(room):
    server = room.serve()
    server.publish("shop", "k", {"a": "b"})
    words = [f"{a}{b}" for a in ("over", "under", "out", "back", "fore") for b in ("look", "come", "run", "play", "ground", "stand", "take", "word")]

    def work(number):
        connection = Connection(server.http_port, timeout=60, source=address(number))
        text = " ".join(words[(number * 7 + place * (1 + time.monotonic_ns() % 31)) % len(words)] for place in range(200))
        connection.call("POST", "/api/v1/projects/shop/query", {"query": text, "top_k": 1})
        connection.close()
    with Crowd(160, work):
        room.fires("ContexEmbeddingBehind", 90)
        room.doctor(server, "wait for the embedding model")
        room.fires("ContexQueriesSlow", 90)
        stages = {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in metrics(server) if line.startswith("contex_query_stage_seconds_sum")}
        if stages and max(stages, key=stages.get) != "embed":
            raise Failed(f"the stages do not say where the time goes: {stages}")
        room.step("more processors; `CONTEX_EMBEDDING_CACHE_BYTES`")
    for alert in ("ContexEmbeddingBehind", "ContexQueriesSlow"):
        room.silent(alert)


@drill(is_short=True, book="runaway.md")
def runaway(room):
    server = room.stack.enter_context(watched({"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": KEY, "CONTEX_SLOW_MS": "1",
                                               "CONTEX_RATE_LIMIT_QUERY": "unlimited"}))
    keys = {}
    for name in ("noisy", "quiet"):
        made = server.call("POST", f"/api/v1/auth/keys?name={name}", headers=ROOT).json
        server.call("POST", f"/api/v1/auth/roles?key_id={made['key_id']}&role=consumer", headers=ROOT)
        keys[name] = made
    answers = []

    def ask(name, text):
        connection = Connection(server.http_port, timeout=60)
        answer = connection.call("POST", f"/api/v1/projects/{name}/query", {"query": text}, {"X-API-Key": keys[name]["key"]})
        connection.close()
        return answer.status
    as_operator = ["--server", server.url, "--api-key", KEY]
    with Crowd(3, lambda number: answers.append(ask("noisy", f"{number} {time.monotonic_ns()} " + "and again " * 60))):
        ask("quiet", "now and then")
        time.sleep(3)
        room.step("two looks at `/metrics`")
        told = {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in metrics(server) if line.startswith("contex_queries_total")}
        if max(told, key=told.get) != "noisy":
            raise Failed(f"the project is not the one that is asked most: {told}")
        room.step("The log's lines of slow operations have `project` and `key`")
        lines = [json.loads(line) for line in pathlib.Path(server.log_path).read_text().splitlines() if '"slow operation"' in line]
        if {line["key"] for line in lines if line.get("project") == "noisy"} != {keys["noisy"]["key_id"]}:
            raise Failed(f"the log does not say whose key it is: {lines[:2]}")
        if keys["noisy"]["key_id"] not in contex("keys", "list", *as_operator).stdout:
            raise Failed("the key is in no list")
        room.step("contex limits set query 60 --key KEY")
        if (done := contex("limits", "set", "query", "60", "--key", keys["noisy"]["key_id"], *as_operator)).returncode != 0:
            raise Failed(done.stderr)
        deadline = time.monotonic() + 120
        while 429 not in answers[-3:]:  # what it may have at once is used up first
            time.sleep(0.1)
            if time.monotonic() > deadline:
                raise Failed("it is not held")
        if ask("quiet", "another") != 200:
            raise Failed("others are held too")
        if not any(line.startswith('contex_rate_limit_exceeded_total{endpoint="query"}') for line in metrics(server)):
            raise Failed("the refusals are not counted")
    room.step("contex limits unset query --key KEY")
    if contex("limits", "unset", "query", "--key", keys["noisy"]["key_id"], *as_operator).returncode != 0 or ask("noisy", "once more") != 200:
        raise Failed("it is held for ever")


@drill("ContexPublishesSlow")
def large_documents(room):
    server = room.serve()
    text = " ".join(f"word{number}" for number in range(4_000))

    def work(number):
        server.publish("shop", f"k{number}", {"text": text, "now": time.monotonic_ns(), "parts": [f"{time.monotonic_ns()} {text[:900]}"] * 8})
    with Crowd(2, work):
        room.fires("ContexPublishesSlow", 120)
    room.step("smaller documents")
    with Crowd(1, lambda number: (server.publish("shop", "small", {"now": time.monotonic_ns() % 7}), time.sleep(0.05))):
        room.silent("ContexPublishesSlow")


@drill("ContexWriterBehind")
def writer_behind(room):
    """The writer waits for a disk that does not answer."""
    server = room.serve()

    def written():
        return {thread: int(re.search(r"wchar: (\d+)", text)[1]) for thread, text in threads(server, "io").items()}
    before = written()
    for number in range(30):
        server.publish("shop", f"k{number}", {"a": str(number)}, vector=[1.0] + [0.0] * 383)
    after = written()
    writer = max(after, key=lambda thread: after[thread] - before.get(thread, 0))

    def publish(number):
        """Batches of a hundred documents, each a command; none can be answered before the disk is."""
        connection = Connection(server.http_port, timeout=120, source=address(number))
        answer = connection.call("POST", "/api/v1/batch/publish", [
            {"project_id": "shop", "data_key": f"w{number}-{place}", "data": {"a": str(place)}, "vector": [1.0] + [0.0] * 383} for place in range(100)])
        connection.close()
        if answer.status != 200 or answer.json["failed"]:
            raise Failed(repr(answer))
        crowd.stopped.wait(120)
    with Standstill(writer) as still:
        crowd = Crowd(16, publish)
        with crowd:
            room.fires("ContexWriterBehind")
            room.doctor(server, "commands wait for the writer")
            room.step("another disk; nobody else who writes to it")
            still.let_go()  # the disk answers again
            room.silent("ContexWriterBehind")


@drill("ContexMemoryFull")
def memory_full(room):
    server = room.serve({"CONTEX_MAX_INFLIGHT_BYTES": str(24 * MEBIBYTE)})
    head = (f"POST /api/v1/data/publish HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {8 * MEBIBYTE}\r\n\r\n").encode()
    held = []
    for number in range(12):
        sender = socket.create_connection((HOST, server.http_port), 10, source_address=(address(number), 0))
        sender.setblocking(False)
        sender.send(head)
        held.append(sender)
    stopped = threading.Event()

    def dribble():
        """Large bodies that come slowly."""
        left = {sender: 0 for sender in held}
        while not stopped.is_set():
            for sender in left:
                with contextlib.suppress(OSError):
                    if left[sender] < 7 * MEBIBYTE:
                        left[sender] += sender.send(b"x" * (256 << 10))
                    else:
                        left[sender] += sender.send(b"x")
            time.sleep(0.05)
    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    try:
        room.fires("ContexMemoryFull")
        room.doctor(server, "wait for memory that others hold")
        server.publish("shop", "small", {"a": "b"})
        room.step("small requests have a budget of their own")
        room.step("Find who sends them")
    finally:
        stopped.set()
        thread.join()
        for sender in held:
            sender.close()
    room.silent("ContexMemoryFull")


@drill("ContexDescriptors", is_short=True)
def descriptors(room):
    server = room.serve()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (256, 1_024))
    held = [socket.create_connection((HOST, server.http_port), 10, source_address=(address(number), 0)) for number in range(200)]
    room.fires("ContexDescriptors")
    room.doctor(server, "file descriptors are open")
    told = [float(line.split()[1]) for line in metrics(server) if line.startswith("contex_http_connections ")]
    if told[0] < 200:
        raise Failed(f"the connections are not told: {told}")
    room.step("raise that (`LimitNOFILE=` of systemd)")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (1_024, 1_024))
    room.silent("ContexDescriptors")
    for connection in held:
        connection.close()


# Keys, certificates, webhooks


@drill("ContexKeysGuessed")
def keys_guessed(room):
    server = room.serve({"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": KEY})
    number = [0]

    def work(_):
        number[0] += 1
        connection = Connection(server.http_port, source=address(number[0] // 8))
        connection.call("GET", "/api/v1/projects", headers={"X-API-Key": f"ck_{number[0]:048d}"})
        connection.close()
        time.sleep(0.1)
    with Crowd(1, work):
        room.fires("ContexKeysGuessed")
        room.step("The log has `login failed` with the address")
        lines = [json.loads(line) for line in pathlib.Path(server.log_path).read_text().splitlines() if '"login failed"' in line]
        if not any(address(1) in json.dumps(line) for line in lines):
            raise Failed(f"the log does not name the addresses: {lines[:2]}")
        if server.call("GET", "/api/v1/projects", headers=ROOT).status != 200:
            raise Failed("a valid key still passes")
        room.step("block an address in front of the server")
    room.silent("ContexKeysGuessed")


@drill("ContexCertificateEnds", "ContexCertificateStale", needs=["openssl"])
def certificate(room):
    def make(name, days):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(room.folder / f"{name}.key"),
                        "-out", str(room.folder / f"{name}.pem")], check=True, capture_output=True)
    make("server", 10)
    from proof_tls import Secure
    server = Secure(str(room.folder / "data"), {
        "CONTEX_TLS_CERT": str(room.folder / "server.pem"), "CONTEX_TLS_KEY": str(room.folder / "server.key"), "CONTEX_TLS_DOORS": "http",
        "CONTEX_TLS_RELOAD_SECONDS": "1", "CONTEX_METRICS_PORT": str(port := free_port())})
    server.metrics_port, server.context = port, trusting(room.folder / "server.pem")
    room.serve(server=server)
    written_over = room.folder / "server.pem"
    written_over.write_text("no certificate at all\n")
    room.fires("ContexCertificateStale")
    room.fires("ContexCertificateEnds", 120)
    if "the certificate on the disk is not taken" not in server.log_tail():
        raise Failed(server.log_tail())
    make("new", 90)
    room.step("contex doctor --tls-cert new.pem --tls-key new.key")
    looked = contex("doctor", "--tls-cert", str(room.folder / "new.pem"), "--tls-key", str(room.folder / "new.key"))
    if looked.returncode != 0:
        raise Failed(looked.stdout + looked.stderr)
    room.step('mv new.key "$CONTEX_TLS_KEY" && mv new.pem "$CONTEX_TLS_CERT"')
    server.context = trusting(room.folder / "new.pem")
    (room.folder / "new.key").rename(room.folder / "server.key")
    (room.folder / "new.pem").rename(written_over)
    for alert in ("ContexCertificateStale", "ContexCertificateEnds"):
        room.silent(alert)
    if server.call("GET", "/health").status != 200:
        raise Failed("the new certificate is not used")


def trusting(path):
    import ssl
    return ssl.create_default_context(cafile=str(path))


@drill("ContexWebhooksFail", "ContexWebhooksHeld")
def webhooks_fail(room):
    server = room.serve({"CONTEX_WEBHOOK_WAITS": "0.05", "CONTEX_WEBHOOK_ALLOW": "127.0.0.0/8"})
    port = free_port()  # nobody listens there yet
    made = server.call("POST", "/api/v1/webhooks/endpoints",
                       {"name": "drill", "url": f"http://{HOST}:{port}/prompt", "events": ["data.published"], "max_retries": 1})
    if made.status != 201:
        raise Failed(repr(made))
    endpoint = made.json["endpoint_id"]
    for number in range(8):
        server.publish("shop", f"k{number}", {"a": str(number)})
        time.sleep(0.2)
    room.fires("ContexWebhooksFail")
    room.fires("ContexWebhooksHeld", 90)
    room.doctor(server, "are not called for a while")
    room.step("the last tries with status and answer")
    if server.call("GET", f"/api/v1/webhooks/endpoints/{endpoint}/deliveries").status != 200:
        raise Failed("no deliveries")
    counter = Counter(port)
    room.stack.callback(counter.close)
    room.step("POST /api/v1/webhooks/endpoints/E/test")
    for _ in range(3):
        server.call("POST", f"/api/v1/webhooks/endpoints/{endpoint}/test")
        time.sleep(0.3)
    room.silent("ContexWebhooksHeld", 90)
    room.step("contex webhook replay --endpoint E")
    sent = contex("webhook", "replay", "--server", server.url, "--endpoint", endpoint)
    if sent.returncode != 0:
        raise Failed(sent.stdout + sent.stderr)
    room.watch.until(lambda: len({body["data"]["data_key"] for _, body in counter.of("prompt") if body.get("event_type") == "data.published"}) == 8,
                     60, "what was given up does not come")
    room.silent("ContexWebhooksFail", 120)


def main():
    import argparse
    parser = argparse.ArgumentParser(prog="tools/proof drills", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help=f"of these: {', '.join(DRILLS)}; all when none is named")
    parser.add_argument("--list", action="store_true", help="which drill is of which alert, and the runbook")
    arguments = parser.parse_args()
    if arguments.list:
        for one in DRILLS.values():
            for alert in one.alerts or ["-"]:
                print(f"{one.name:30} {alert:24} {(RUNBOOKS / one.book if one.book else runbook(alert)).relative_to(CHECKOUT)}")
        return 0
    failed = []
    print("| drill | alert | fires after, s | ends after, s |\n|---|---|---|---|")
    for name in arguments.names or DRILLS:
        one = DRILLS[name]
        if missing := one.missing():
            failed.append(name)
            print(f"| {name} | not run: this machine has no {', '.join(missing)} | | |", flush=True)
            continue
        try:
            room = one.run()
        except (Failed, ServerFailed, OSError, AssertionError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"| {name} | FAILED: {error} | | |", flush=True)
            continue
        if not one.alerts:
            print(f"| {name} | none; {one.book} leads out of it | | |", flush=True)
        for alert in one.alerts:
            times = {kind: seconds for told, kind, seconds in room.report if told == alert}
            print(f"| {name} | {alert} | {times['fires']:.1f} | {times['ends']:.1f} |", flush=True)
    left = set(shipped()) - {alert for one in DRILLS.values() for alert in one.alerts}
    names = arguments.names or list(DRILLS)
    print(f"\n{len(names) - len(failed)} drills of {len(names)}; alerts without one: {', '.join(sorted(left)) or 'none'}. An hour passed in a minute.")
    return 1 if failed or left else 0
