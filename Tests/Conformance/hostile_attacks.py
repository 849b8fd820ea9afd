"""What a stranger can do to the whole server: bodies, listings, readers who do not read. For `tools/proof hostile`.

Each attack gets a running server, does its worst for some seconds, and returns the statuses that it was answered with. Attackers come from
127.0.0.1. Two are measured: a stranger to them, from 127.0.0.2, since what a server shares out by address it shares out between those two; and
their neighbour, from 127.0.0.1 too, as behind a proxy everybody is.

Who measures is a process of his own, and what attackers send is made before anybody measures: inside one interpreter, each large body being made
would stand in the way of those who only ask.
"""
import collections
import concurrent.futures
import functools
import gzip
import http.client
import json
import multiprocessing
import random
import socket
import threading
import time

from support import HOST, Connection

LARGE = "large"          # the project of many nodes
BODY = 10 << 20


def publish_body(data, key="k", **more):
    return json.dumps({"project_id": "attacked", "data_key": key, "data": data, **more}, separators=(",", ":")).encode()


def post(server, body, path="/api/v1/data/publish", headers=None, timeout=120):
    connection = Connection(server.http_port, timeout)
    try:
        return str(connection.call("POST", path, body, headers).status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def all_at_once(count, call):
    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        return collections.Counter(threads.map(call, range(count)))


def posts(server, bodies, **more):
    """Each body on a connection of its own, all at once."""
    return all_at_once(len(bodies), lambda place: post(server, bodies[place], **more))


class Attack:
    """`act(server, made)`, where `make()` is done once and before: bodies."""

    def __init__(self, make, act):
        self.make, self.act = functools.cache(make), act

    def prepare(self):
        self.make()

    def __call__(self, server):
        return self.act(server, self.make())


def sending(make, **more):
    """The attack of posting what `make` makes, all at once."""
    return Attack(make, lambda server, bodies: posts(server, bodies, **more))


def only(act):
    """An attack that needs no large bodies."""
    return Attack(lambda: None, lambda server, _: act(server))


def number_lists(key):
    head = publish_body([], key)
    return head[:-3] + b"[" + b",".join([b"1"] * ((BODY - len(head)) // 2 - 8)) + b"]}"


def bodies_of_numbers(count):
    return [number_lists("k")] * count


def bodies_that_drip(server):
    """200 senders of 1 MiB, as slowly as they may; the rest is not sent."""
    sockets = []
    for _ in range(200):
        connection = socket.create_connection((HOST, server.http_port))
        connection.sendall(b"POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n")
        sockets.append(connection)
    outcomes = collections.Counter()
    for _ in range(20):
        for connection in sockets:
            try:
                connection.sendall(b" " * 50_000)
            except OSError:
                outcomes["cut"] += 1
        time.sleep(0.2)
    for connection in sockets:
        connection.close()
    return outcomes


def csv_names():
    rows = "\n".join(["x" * 2_000_000] + ["1"] * 6_000)
    return [publish_body(rows, data_format="csv")] * 4


def csv_columns():
    table = ",".join(["a"] * 40_000) + "\n" + ",".join(["1"] * 40_000)
    return [publish_body(table, f"k{n}", data_format="csv") for n in range(4)]


def csv_commas():
    return [publish_body("," * (BODY - 200), data_format="csv")] * 4


def json_names():
    return [publish_body({"K" * 100_000: [{"a": 1}] * 1_000}, f"k{n}") for n in range(8)]


def equal_paths():
    def tree(depth):
        return {"a": tree(depth - 1), "a.a": tree(depth - 2)} if depth > 1 else 1
    return [publish_body(tree(22), f"k{n}") for n in range(4)]


def deep_nesting():
    bodies = [publish_body("a: " + "[" * depth + "]" * depth, data_format="yaml") for depth in (63, 64, 65, 5_000)]
    xml = "<a>" * 128 + "</a>" * 128
    bodies += [publish_body(xml, data_format="xml"), publish_body(xml, data_format="xml", vector=[1.0] * 384)]
    head = publish_body(0)[:-2]
    bodies += [head + b"[" * depth + b"]" * depth + b"}" for depth in (63, 64, 100_000)]
    bodies += [head + b'{"a":' * depth + b"1" + b"}" * depth + b"}" for depth in (64, 1_000_000)]
    return bodies


def xml_and_yaml():
    xml = "<r>" + "<x a='1' b='2'>t</x>" * 200_000 + "</r>"
    bombs = ['<!DOCTYPE r [<!ENTITY a "' + "x" * 1_000 + '"><!ENTITY b "' + "&a;" * 1_000 + '">]><r>' + "&b;" * 1_000 + "</r>", xml]
    anchors = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
    yaml = "".join(f"k{n}: {{a: 1, b: [1, 2]}}\n" for n in range(200_000))
    texts = [(text, "xml") for text in bombs] + [(anchors, "yaml"), (yaml, "yaml")]
    return [publish_body(text, f"k{n}", data_format=name) for n, (text, name) in enumerate(texts)]


def packed_bodies():
    body = gzip.compress(publish_body([]) + b" " * (100 << 20))
    # One that is refused for how much it grows, one that is within all limits.
    dense, generator = gzip.compress(number_lists("k")), random.Random(7)
    head = publish_body([])
    numbers = ",".join(str(generator.randrange(10)) for _ in range((BODY - len(head)) // 2 - 8)).encode()
    sound = gzip.compress(head[:-3] + b"[" + numbers + b"]}")
    return [body] * 10 + [dense] * 10 + [sound] * 20


def batches():
    items = [{"project_id": "attacked", "data_key": f"k{n}", "data": {"t": f"text {n} " + "word " * 150}} for n in range(9_000)]
    return [json.dumps(items).encode()] * 4


def imports():
    events = [{"event_id": str(n), "event_type": "t", "data": {"k": [[[[n] * 24]]]}} for n in range(40_000)]
    document = json.dumps({"project_id": "imported", "version": "1.0", "data": {"events": events}}).encode()
    deep = json.dumps({"project_id": "imported", "version": "1.0", "data": {"events": [{"event_id": "1", "event_type": "t", "data": 0}]}}).replace(
        '"data": 0', '"data": ' + "[" * 64 + "]" * 64).encode()
    assert len(document) < BODY
    return [document[:-100]] * 4 + [document] * 4 + [deep]


def past_queries(server):
    """A batch of 100 queries of a state that is gone."""
    body = json.dumps([{"project_id": LARGE, "query": f"library {n}", "as_of": 15_000} for n in range(100)]).encode()
    batches = posts(server, [body] * 2, path="/api/v1/batch/query")
    return batches + posts(server, [b'{"query":"library","as_of":15000}'] * 10, path=f"/api/v1/projects/{LARGE}/query")


def not_reading(server, paths, seconds=12):
    """Asks and does not read."""
    sockets = []
    for path in paths:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((HOST, server.http_port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        sockets.append(connection)
    time.sleep(seconds)
    statuses = collections.Counter()
    for connection in sockets:
        connection.settimeout(1)
        try:
            statuses[connection.recv(12)[9:12].decode() or "closed"] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1
        connection.close()
    return statuses


def gets(server, paths):
    def get(place):
        connection = Connection(server.http_port, 120)
        try:
            return str(connection.call("GET", paths[place]).status)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()
    return all_at_once(len(paths), get)


def large_history(server):
    """100 versions of 2 MB, all asked for at once."""
    text = "history " * 240_000
    statuses = collections.Counter(post(server, publish_body(f"{n} {text}", "history", data_format="text")) for n in range(30))
    path = "/api/v1/versions/projects/attacked/data/history/history?limit=100"
    return statuses + gets(server, [path] * 20) + not_reading(server, [path] * 20, 5)


def listings(server):
    paths = [f"/api/v1/projects/{LARGE}/data", f"/api/v1/projects/{LARGE}/events?count=1000", f"/api/v1/projects/{LARGE}/data?include_content=false"]
    return gets(server, paths * 8) + not_reading(server, paths * 20)


def exports(server):
    flags = "include_events=true&include_embeddings=true&include_agents=true"
    paths = [f"/api/v1/projects/{LARGE}/data?{flags}{more}" for more in ("", "&format=toon", "&format=xml")]
    return gets(server, paths * 4) + not_reading(server, paths * 20)


def registrations(server):
    def body(n):
        needs = [f"need {n} {m}" for m in range(20)]
        return json.dumps({"agent_id": f"agent{n}", "project_id": LARGE, "data_needs": needs, "last_seen_sequence": "0"}).encode()
    return posts(server, [body(n) for n in range(20)], path="/api/v1/agents/register")


def embeddings():
    return [json.dumps({"input": ["word " * 200 + str(n) for n in range(2_048)]}).encode()] * 8


def subscriber(server, command):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect((HOST, server.resp_port))
    connection.sendall(command)
    return connection


def resp(*words):
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def deaf_subscribers(server):
    """60 subscribers that never read, and an agent that is told 100 kB again and again."""
    server.register("attacked", "listener", ["everything"])
    sockets = [subscriber(server, resp("PSUBSCRIBE", "*")) for _ in range(60)]
    statuses = collections.Counter()
    end = time.monotonic() + 15
    n = 0
    while time.monotonic() < end:
        n += 1
        statuses[post(server, publish_body({"everything": f"{n} " + "everything " * 20_000}, "told"))] += 1
    for connection in sockets:
        connection.close()
    return statuses


def slow_patterns(server):
    """150 connections with 100 patterns each that match late, and channels of long names."""
    pattern = "*" + "a" * 50 + "*" + "a" * 50 + "*c"
    sockets, statuses = [], collections.Counter()
    for _ in range(150):
        try:
            sockets.append(subscriber(server, resp("PSUBSCRIBE", *[pattern + str(n) for n in range(100)])))
        except OSError as error:
            statuses[type(error).__name__] += 1
    body = {"agent_id": "long", "project_id": "attacked", "data_needs": ["everything"], "notification_channel": "a" * 1_000}
    statuses[post(server, json.dumps(body).encode(), path="/api/v1/agents/register")] += 1
    end = time.monotonic() + 10
    n = 0
    while time.monotonic() < end:
        n += 1
        statuses[post(server, publish_body({"everything": f"everything {n}"}, "told"))] += 1
    for connection in sockets:
        connection.close()
    return statuses


ATTACKS = {
    "20 bodies of 10 MiB of numbers": sending(lambda: bodies_of_numbers(20)),
    "100 bodies of 10 MiB of numbers": sending(lambda: bodies_of_numbers(100)),
    "200 bodies that drip": only(bodies_that_drip),
    "gzip of spaces and of numbers": sending(packed_bodies, headers={"Content-Encoding": "gzip"}),
    "csv: a name of 2 MB, 6,000 rows": sending(csv_names),
    "csv: 40,000 equal columns": sending(csv_columns),
    "csv: 10 MB of commas": sending(csv_commas),
    "json: a name of 100 kB, 1,000 rows": sending(json_names),
    "json: equal paths": sending(equal_paths),
    "deep nesting in each format": sending(deep_nesting),
    "xml and yaml: many elements, entities, anchors": sending(xml_and_yaml),
    "4 batches of 9,000 texts": sending(batches, path="/api/v1/batch/publish"),
    "imports of 40,000 events": sending(imports, path="/api/v1/projects/imported/import?overwrite=true"),
    "200 queries as of the past": only(past_queries),
    "history of 30 versions of 2 MB": only(large_history),
    "listings, read and not read": only(listings),
    "exports, read and not read": only(exports),
    "20 registrations from event 0": only(registrations),
    "8 requests for 2,048 embeddings": sending(embeddings, path="/api/v1/embeddings"),
    "60 subscribers that never read": only(deaf_subscribers),
    "15,000 patterns": only(slow_patterns),
}


def probe(port, source, pipe):
    """Asks a small question all the time, until the pipe says that it is enough; sends when each was asked, how long it took, and what failed."""
    asked, failures = [], collections.Counter()
    connection = Connection(port, 60, source=source)
    pipe.send("ready")
    while not pipe.poll(0.005):
        started = time.monotonic()
        try:
            status = connection.call("POST", "/api/v1/projects/probe/query", {"query": "who keeps the lighthouse"}).status
            if status != 200:
                failures[str(status)] += 1
        except (OSError, http.client.HTTPException) as error:
            failures[type(error).__name__] += 1
            connection.close()
            connection = Connection(port, 60, source=source)
        asked.append((started, time.monotonic() - started))
    connection.close()
    pipe.send((asked, failures))


class Prober:
    """A process that asks (`probe`)."""

    def __init__(self, server, source):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=probe, args=(server.http_port, source, theirs), daemon=True)
        self.process.start()
        self.asked, self.failures = [], collections.Counter()

    def wait_until_ready(self):
        self.pipe.recv()

    def stop(self):
        self.pipe.send("enough")
        self.asked, self.failures = self.pipe.recv() if self.pipe.poll(70) else ([], collections.Counter(silent=1))
        self.process.join(5)

    def p99(self):
        times = sorted(seconds for _, seconds in self.asked)
        return times[int(len(times) * 0.99)] if times else float("inf")


class MemoryWatch(threading.Thread):
    """The most that is resident beyond the store's map, looked at 20 times a second."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.stopped = server, 0, threading.Event()

    def run(self):
        while True:
            # Also at the end, or a short attack would not be seen.
            is_last = self.stopped.wait(0.05)
            try:
                self.peak = max(self.peak, self.server.beyond_the_store_kilobytes())
            except OSError:
                return
            if is_last:
                return


# Who is measured, and where he comes from.
PROBERS = {"others": "127.0.0.2", "a neighbour": HOST}


def watched(server, work):
    """(result of the work, seconds, peak in MB, the probers by name)"""
    probers, watch = {name: Prober(server, source) for name, source in PROBERS.items()}, MemoryWatch(server)
    for prober in probers.values():
        prober.wait_until_ready()
    watch.start()
    started = time.perf_counter()
    try:
        result = work()
    finally:
        seconds = time.perf_counter() - started
        for prober in probers.values():
            prober.stop()
        watch.stopped.set()
        watch.join(70)
    return result, seconds, watch.peak / 1024, probers
