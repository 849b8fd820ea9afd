"""kill -9 during deliveries, round after round, on one data directory: no message is lost, none comes twice under another id.

Agents and an endpoint at receivers of different manners are told of what threads publish. At a random moment the process is killed, also
while messages are on their way and their answers are not written down; it starts again on the same store. When all is delivered:

* each receiver has accepted a message of every publish that was acknowledged, or the store has it as a dead letter;
* each message has one id, whichever try and whichever process it came from, and each id is of one message;
* a receiver accepts messages for the first time in the order in which they were published.

How often one came again after it was accepted is printed: at least once is the promise.
"""
import argparse
import http.server
import json
import os
import random
import socket
import struct
import threading
import time

from support import Connection, Server, contex

PROJECT = "kill"
NEED = "the lion sleeps in the savanna tonight"
MANNERS = ["prompt", "slow", "failing", "resetting", "halving", "busy"]
THREADS = 3


class Failed(Exception):
    pass


class Counter:
    """A receiver that keeps what it got, in order, and whether it accepted it."""

    def __init__(self, port=0):
        self.lock, self.received, self.counts = threading.Lock(), [], {}
        counter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) < int(self.headers["Content-Length"]):
                    self.close_connection = True  # its sender was killed in the middle
                    return
                manner = self.path.strip("/")
                with counter.lock:
                    number = counter.counts[manner] = counter.counts.get(manner, 0) + 1
                if manner == "slow":
                    time.sleep(0.03)
                if manner == "resetting" and number % 4 == 0:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return self.connection.close()
                if manner == "halving" and number % 4 == 0:
                    self.close_connection = True
                    return self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Len")
                status = 503 if manner == "failing" and number % 3 == 0 else 429 if manner == "busy" and number % 3 == 0 else 200
                if status == 200:
                    # Before the answer: what the server has seen accepted must be here.
                    with counter.lock:
                        counter.received.append((manner, self.headers["webhook-id"], body))
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, manner):
        return f"http://127.0.0.1:{self.server.server_port}/{manner}"

    def of(self, manner):
        with self.lock:
            return [(identity, json.loads(body)) for kind, identity, body in self.received if kind == manner]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Publisher(threading.Thread):
    def __init__(self, port, number, stop):
        super().__init__(daemon=True)
        self.port, self.number, self.stop, self.acknowledged = port, number, stop, []

    def run(self):
        count = 0
        try:
            connection = Connection(self.port, timeout=30)
            while not self.stop.is_set():
                count += 1
                body = {"project_id": PROJECT, "data_key": f"k{self.number}-{count % 5}", "data": f"{NEED}: {time.monotonic_ns()}"}
                answer = connection.call("POST", "/api/v1/data/publish", body)
                if answer.status == 200:
                    self.acknowledged.append(int(answer.json["sequence"]))
        except (OSError, ValueError, Exception):  # the server was killed
            pass


def delivered(server):
    """Whether nothing waits any more."""
    for manner in MANNERS:
        delivery = server.call("GET", f"/api/v1/projects/{PROJECT}/agents/{manner}").json["delivery"]
        if delivery["pending"] or delivery["attempts"]:
            return False
    endpoints = server.call("GET", "/api/v1/webhooks/endpoints").json
    return all(server.call("GET", f"/api/v1/webhooks/endpoints/{one['endpoint_id']}").json["delivery"]["pending"] == 0 for one in endpoints)


def letters(server, manner):
    return {int(letter["sequence"]) for letter in server.call("GET", f"/api/v1/projects/{PROJECT}/agents/{manner}/dead-letters").json["dead_letters"]
            if letter["kind"] == "update"}


def verify(server, counter, acknowledged):
    again = 0
    for manner in MANNERS + ["endpoint"]:
        found = counter.of(manner)
        if manner == "endpoint":
            messages = [(identity, int(body["data"]["sequence"])) for identity, body in found if body["event_type"] == "data.published"]
            dead = set()
        else:
            messages = [(identity, int(body["sequence"])) for identity, body in found if body["type"] == "data_update"]
            dead = letters(server, manner)
        have = {sequence for _, sequence in messages}
        lost = acknowledged - have - dead
        if lost:
            raise Failed(f"{manner}: {len(lost)} messages are lost, the first is {min(lost)}")
        if len({identity for identity, _ in messages}) != len(have) or len(set(messages)) != len(have):
            raise Failed(f"{manner}: {len(have)} messages came under {len({identity for identity, _ in messages})} ids")
        first, order = set(), []
        for _, sequence in messages:
            if sequence not in first:
                first.add(sequence)
                order.append(sequence)
        if order != sorted(order):
            raise Failed(f"{manner}: messages came out of order")
        again += len(messages) - len(have)
    return again


def run(counter, rounds, seed):
    chance = random.Random(seed)
    settings = {"CONTEX_WEBHOOK_WAITS": "0.05,0.1,0.2", "CONTEX_WEBHOOK_MAX_RETRIES": "30", "CONTEX_WEBHOOK_TIMEOUT": "2"}
    acknowledged = set()
    server = Server(environment=settings)
    try:
        server.start()
        for manner in MANNERS:
            # Everything matches: whether a need does is not what is proven here.
            server.register(PROJECT, manner, [NEED], min_similarity=0, notification_method="webhook", webhook_url=counter.url(manner),
                            webhook_secret="s")
        made = server.call("POST", "/api/v1/webhooks/endpoints",
                           {"name": "all", "url": counter.url("endpoint"), "events": ["data.published"], "max_retries": 5})
        assert made.status == 201, made
        for number in range(rounds):
            stop = threading.Event()
            publishers = [Publisher(server.http_port, index, stop) for index in range(THREADS)]
            for publisher in publishers:
                publisher.start()
            time.sleep(chance.uniform(0.3, 2.5))
            server.kill()
            stop.set()
            for publisher in publishers:
                publisher.join(40)
                acknowledged |= set(publisher.acknowledged)
            if chance.random() < 0.3:  # also while it starts, with deliveries going out
                server.launch()
                time.sleep(chance.uniform(0.05, 1.5))
                server.kill()
            check = contex("check", "--data-dir", server.data_dir)
            if check.returncode != 0:
                raise Failed(f"round {number}: contex check: {check.stdout}{check.stderr}")
            server.start()
        end = time.monotonic() + 120
        while not delivered(server):
            if time.monotonic() > end:
                raise Failed(f"messages still wait after two minutes\n{server.log_tail()}")
            time.sleep(0.2)
        again = verify(server, counter, acknowledged)
        return (f"webhooks: {rounds} kills, {len(acknowledged)} publishes acknowledged, {len(counter.received)} messages accepted by "
                f"{len(MANNERS) + 1} receivers, {again} of them a second time under their id, none lost")
    except BaseException:
        print(f"seed {seed}")
        raise
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    counter = Counter()
    print(run(counter, arguments.rounds, arguments.seed))
    counter.close()


if __name__ == "__main__":
    main()
