"""Agents told by webhook (http-api.md 13.2): bodies, headers, signature, retries. The receiver is on loopback, which a server that is
itself bound to loopback may call."""
import hashlib
import hmac
import http.server
import json
import queue
import threading

import pytest

from support import unique

NEED = "backend: Python FastAPI | db: PostgreSQL"
TECH = {"backend": "Python FastAPI", "db": "PostgreSQL"}
SECRET = "webhook secret of the test"


class Receiver:
    """Keeps what it gets; answers with the next of `statuses`, then 200."""

    def __init__(self):
        self.received, self.statuses = queue.Queue(), []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.received.put((self.path, self.headers, body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, seconds=15):
        return self.received.get(timeout=seconds)

    def silent(self, seconds):
        with pytest.raises(queue.Empty):
            self.received.get(timeout=seconds)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def check(message, kind, expected, secret=SECRET):
    path, headers, body = message
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("Contex-Webhook/")
    assert headers["X-Contex-Event"] == kind
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest() if secret else None
    assert headers["X-Contex-Signature"] == signature
    found = json.loads(body)
    assert list(found) == list(expected)
    assert found == expected


def test_context_missed_events_and_updates(server, project, receiver):
    agent = unique("agent")
    server.publish(project, "tech", TECH)
    answer = server.register(project, agent, [NEED], notification_method="webhook", webhook_url=receiver.url, webhook_secret=SECRET)
    assert answer["notification_channel"] == f"agent:{agent}:updates"
    first = receiver.next()
    context = json.loads(first[2])["context"]
    assert context[NEED][0]["data_key"] == "tech.root" and context[NEED][0]["data"] == TECH
    check(first, "initial_context", {"type": "initial_context", "agent_id": agent, "context": context})
    check(receiver.next(), "event",
          {"type": "event", "agent_id": agent, "sequence": "1", "event_type": "tech_updated", "data": {"tech": TECH}})
    changed = {**TECH, "cache": "Redis"}
    server.publish(project, "tech", changed)
    check(receiver.next(), "data_update",
          {"type": "data_update", "agent_id": agent, "sequence": "2", "data_key": "tech", "data": changed})
    shown = server.call("GET", f"/api/v1/agents/{agent}")
    assert SECRET.encode() not in shown.body and shown.json["notification_method"] == "webhook"


def test_without_a_secret_there_is_no_signature(server, project, receiver):
    agent = unique("agent")
    server.register(project, agent, [], notification_method="webhook", webhook_url=receiver.url)
    check(receiver.next(), "initial_context", {"type": "initial_context", "agent_id": agent, "context": {}}, secret=None)


def test_server_errors_are_tried_three_times(server, project, receiver):
    agent = unique("agent")
    receiver.statuses += [500, 503]
    server.register(project, agent, [], notification_method="webhook", webhook_url=receiver.url, webhook_secret=SECRET)
    bodies = {receiver.next()[2] for _ in range(3)}
    assert len(bodies) == 1
    receiver.silent(2)


def test_client_errors_are_not_tried_again(server, project, receiver):
    agent = unique("agent")
    receiver.statuses += [410]
    server.register(project, agent, [], notification_method="webhook", webhook_url=receiver.url, webhook_secret=SECRET)
    receiver.next()
    receiver.silent(3)


def test_a_dead_receiver_fails_neither_registration_nor_publish(server, project):
    agent = unique("agent")
    server.publish(project, "tech", TECH)
    server.register(project, agent, [NEED], notification_method="webhook", webhook_url="http://127.0.0.1:9/", webhook_secret=SECRET)
    assert server.publish(project, "tech", {**TECH, "cache": "Redis"})["sequence"] == "2"
