"""Agents told by webhook (http-api.md 13.2): bodies, headers, signature, retries. The receiver is on loopback, which a server that is
itself bound to loopback may call."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import queue
import threading
import time

import pytest
import standardwebhooks

from proof_webhooks import Counter, run
from support import Server, unique

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
                if len(body) < int(self.headers["Content-Length"]):
                    self.close_connection = True  # its sender was killed in the middle
                    return
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


def test_server_errors_are_tried_three_times(project, receiver):
    with Server(environment={"CONTEX_WEBHOOK_WAITS": "0.2,0.4"}) as server:
        agent = unique("agent")
        receiver.statuses += [500, 503, 500]
        server.register(project, agent, [], notification_method="webhook", webhook_url=receiver.url, webhook_secret=SECRET)
        tries = [receiver.next() for _ in range(3)]
        assert len({body for _, _, body in tries}) == 1
        assert len({headers["webhook-id"] for _, headers, _ in tries}) == 1
        receiver.silent(2)
        path = f"/api/v1/projects/{project}/agents/{agent}"
        letters = server.call("GET", path + "/dead-letters").json
        assert letters["total"] == 1
        letter = letters["dead_letters"][0]
        assert (letter["kind"], letter["attempts"], letter["status_code"]) == ("initial_context", 3, 500)
        assert letter["id"] == tries[0][1]["webhook-id"]
        # Sent again it has its old id, and is no dead letter any more.
        assert server.call("POST", path + "/dead-letters/replay", {}).json == {"status": "replaying", "count": 1}
        again = receiver.next()
        assert again[1]["webhook-id"] == letter["id"] and json.loads(again[2])["type"] == "initial_context"
        wait_until(lambda: server.call("GET", path + "/dead-letters").json["total"] == 0)
        delivery = server.call("GET", path).json["delivery"]
        assert (delivery["delivered"], delivery["given_up"], delivery["state"]) == (1, 1, "active")


def wait_until(holds, seconds=15):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def test_a_receiver_that_is_gone_is_told_nothing_more(server, project, receiver):
    agent = unique("agent")
    receiver.statuses += [410]
    register = dict(notification_method="webhook", webhook_url=receiver.url, webhook_secret=SECRET)
    server.register(project, agent, [NEED], **register)
    receiver.next()
    path = f"/api/v1/projects/{project}/agents/{agent}"
    wait_until(lambda: server.call("GET", path).json["delivery"]["state"] == "disabled")
    server.publish(project, "tech", TECH)
    receiver.silent(1)
    server.register(project, agent, [NEED], **register)
    assert json.loads(receiver.next()[2])["context"][NEED][0]["data_key"] == "tech.root"


def test_a_dead_receiver_fails_neither_registration_nor_publish(server, project):
    agent = unique("agent")
    server.publish(project, "tech", TECH)
    server.register(project, agent, [NEED], notification_method="webhook", webhook_url="http://127.0.0.1:9/", webhook_secret=SECRET)
    assert server.publish(project, "tech", {**TECH, "cache": "Redis"})["sequence"] == "2"


def test_the_reference_library_verifies(server, project, receiver):
    """Standard Webhooks: a secret of its form, and any other text by its bytes; an endpoint's while it is changed."""
    for secret, key in ((SECRET, "whsec_" + base64.b64encode(SECRET.encode()).decode()), ("whsec_" + base64.b64encode(b"k" * 32).decode(),) * 2):
        server.register(project, unique("agent"), [], notification_method="webhook", webhook_url=receiver.url, webhook_secret=secret)
        _, headers, body = receiver.next()
        assert standardwebhooks.Webhook(key).verify(body, dict(headers)) == json.loads(body)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(key).verify(body + b" ", dict(headers))
    made = server.call("POST", "/api/v1/webhooks/endpoints", {"name": "verified", "url": receiver.url, "project_ids": [project]})
    assert made.status == 201
    path = f"/api/v1/webhooks/endpoints/{made.json['endpoint_id']}"
    rotated = server.call("POST", path + "/rotate-secret").json
    assert rotated["secret"] != made.json["secret"]
    test = server.call("POST", path + "/test", {"data": {"hello": "there"}}).json
    _, headers, body = receiver.next()
    for key in (made.json["signing_secret"], rotated["signing_secret"]):
        assert standardwebhooks.Webhook(key).verify(body, dict(headers)) == json.loads(body)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + base64.b64encode(b"another").decode()).verify(body, dict(headers))
    told = json.loads(body)
    assert list(told) == ["data", "event_id", "event_type", "project_id", "source", "tenant_id", "timestamp", "version"]
    assert (told["event_id"], told["event_type"], told["data"]) == (test["event_id"], "system.health.changed", {"hello": "there"})
    assert headers["X-Contex-Signature"] == hmac.new(rotated["secret"].encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Contex-Delivery-ID"] == headers["webhook-id"] and headers["X-Contex-Timestamp"] == told["timestamp"]
    assert server.call("DELETE", path).status == 204


def test_an_endpoint_is_told_of_what_happens(server, project, receiver):
    made = server.call(
        "POST", "/api/v1/webhooks/endpoints",
        {"name": "all", "url": receiver.url, "project_ids": [project], "events": ["data.published", "agent.registered", "agent.unregistered"]}).json
    path = f"/api/v1/webhooks/endpoints/{made['endpoint_id']}"
    server.publish(project, "tech", TECH)
    agent = unique("agent")
    server.register(project, agent, [NEED])
    server.call("DELETE", f"/api/v1/agents/{agent}")
    server.publish(unique("another"), "tech", TECH)
    told = [json.loads(receiver.next()[2]) for _ in range(3)]
    assert [(event["event_type"], event["project_id"], event["data"]) for event in told] == [
        ("data.published", project, {"data_format": "json", "data_key": "tech", "project_id": project, "sequence": "1"}),
        ("agent.registered", project, {"agent_id": agent, "data_needs": [NEED], "matched_needs_count": 1, "project_id": project}),
        ("agent.unregistered", project, {"agent_id": agent, "project_id": project})]
    receiver.silent(1)
    wait_until(lambda: len(server.call("GET", path + "/deliveries").json) == 3)
    tries = server.call("GET", path + "/deliveries").json
    assert [entry["event_id"] for entry in tries] == [event["event_id"] for event in reversed(told)]
    assert all(entry["status"] == "success" and entry["status_code"] == 200 and entry["attempt"] == 1 for entry in tries)
    server.call("DELETE", path)


def test_nothing_is_lost_when_the_server_is_killed():
    """A few rounds; `tools/proof webhooks` runs more."""
    counter = Counter()
    try:
        print(run(counter, rounds=3, seed=int.from_bytes(os.urandom(4), "big")))
    finally:
        counter.close()
