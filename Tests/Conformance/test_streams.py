"""Following with clients that are not ours: curl for event streams, `websockets`, plain HTTP for long poll. Connections break at random
places and the server is killed: nothing is missed, nothing comes twice, nothing out of order. CONTEX_STREAM_ROUNDS sets how many rounds."""
import json
import os
import random
import subprocess
import threading
import time

import pytest
import websockets.exceptions
import websockets.sync.client

from support import HOST, Server

NEED = "release notes of the payment service"
TEXT = "release notes of the payment service, version {}"


def seed():
    value = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {value}")
    return value


def wait_for(what, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class EventSource:
    """curl -N, and what it prints as events."""

    def __init__(self, url, last=None):
        headers = ["-H", f"Last-Event-ID: {last}"] if last else []
        self.process = subprocess.Popen(["curl", "-sN", *headers, url], stdout=subprocess.PIPE)

    def __iter__(self):
        event = {}
        for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            if line == "":
                if event:
                    yield event
                event = {}
            elif line.startswith(":"):
                event["comment"] = True
            else:
                name, value = line.split(": ", 1)
                event[name] = value

    def close(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


def socket(server):
    return websockets.sync.client.connect(
        f"ws://{HOST}:{server.http_port}/api/v1/ws", subprotocols=["contex.v1"], open_timeout=5, close_timeout=0.1, max_size=None, proxy=None)


def register(server, project, agent, **more):
    server.register(project, agent, [NEED], **more)


# One connection each: hears up to `count` items after `cursor`, then breaks. Yields (cursor, item) as they arrive.

def by_stream(server, target, cursor, count):
    source = EventSource(f"{server.url}/api/v1/{target}/stream?cursor={cursor}")
    try:
        for event in source:
            assert event.get("event") != "refused", event
            if "data" in event:
                yield event["id"], json.loads(event["data"])
                count -= 1
            if count <= 0:
                return
    finally:
        source.close()


def by_socket(server, target, cursor, count):
    kind, name = target.split("/")[-2:]
    request = {"type": "subscribe", "id": "s", "cursor": cursor}
    request.update({"project_id": name} if kind == "projects" else {"agent_id": name})
    with socket(server) as connection:
        try:
            connection.send(json.dumps(request))
            assert json.loads(connection.recv(5)) == {"type": "subscribed", "id": "s", "cursor": cursor}
            while count > 0:
                message = json.loads(connection.recv(5))
                assert message["type"] == "update", message
                yield message["cursor"], message["update"]
                count -= 1
        finally:
            # No close frame: the line is cut.
            connection.socket.shutdown(2)


def by_poll(server, target, cursor, count):
    while count > 0:
        answer = server.call("GET", f"/api/v1/{target}/updates?cursor={cursor}&timeout=2&limit={min(count, 7)}", timeout=10)
        assert answer.status == 200, answer
        body = answer.json
        if not body["updates"]:
            return
        if random.random() < 0.2:
            return  # it is lost on its way: the cursor stays
        for update in body["updates"]:
            yield update["cursor"], update
        cursor = body["cursor"]
        count -= len(body["updates"])


def test_nothing_is_missed_and_nothing_comes_twice():
    rounds = int(os.environ.get("CONTEX_STREAM_ROUNDS") or 40)
    kills = max(2, rounds // 10)
    choice = random.Random(seed())
    ways = [("poll", by_poll, "agents/poll"), ("stream", by_stream, "agents/stream"), ("socket", by_socket, "agents/socket"),
            ("log stream", by_stream, "projects/app"), ("log socket", by_socket, "projects/app")]
    with Server() as server:
        for agent in ("poll", "stream", "socket", "truth"):
            register(server, "app", agent)
        published, stop, is_up = [], threading.Event(), threading.Event()
        is_up.set()

        def publish():
            number = 0
            while not stop.is_set():
                is_up.wait(30)
                number += 1
                try:
                    key = f"k{number % 50}"
                    if number % 9 == 0:
                        server.call("DELETE", f"/api/v1/projects/app/data/{key}", timeout=5)
                    else:
                        published.append(int(server.publish("app", key, TEXT.format(number))["sequence"]))
                except (OSError, AssertionError, Exception) as error:  # the server was killed under it
                    if stop.is_set() or isinstance(error, AssertionError):
                        raise
                time.sleep(0.004)

        heard = {name: [] for name, _, _ in ways}
        cursors = {name: "0-0" for name, _, _ in ways}
        done = {name: 0 for name, _, _ in ways}
        failures = []

        def hear(name, way, target, count):
            try:
                for cursor, item in way(server, target, cursors[name], count):
                    heard[name].append(int(item["sequence"]))
                    assert cursor == f"0-{item['sequence']}" and item.get("cursor", cursor) == cursor
                    cursors[name] = cursor
            except (OSError, TimeoutError, websockets.exceptions.WebSocketException):
                pass  # cut, or killed

        def follow(name, way, target, own):
            try:
                while done[name] < rounds:
                    is_up.wait(30)
                    hear(name, way, target, own.randint(1, 12))
                    done[name] += 1
            except BaseException as error:  # noqa: B902
                failures.append((name, repr(error)))

        writer = threading.Thread(target=publish)
        writer.start()
        followers = [threading.Thread(target=follow, args=(*way, random.Random(choice.random()))) for way in ways]
        for follower in followers:
            follower.start()
        killed = 0
        while any(follower.is_alive() for follower in followers):
            time.sleep(choice.uniform(0.05, 0.5))
            if killed < kills and min(done.values()) * kills > killed * rounds:
                is_up.clear()
                server.kill()
                server.start()
                is_up.set()
                killed += 1
        stop.set()
        writer.join()
        assert failures == []
        assert killed == kills
        # What is left.
        truth = {"log": [int(event["sequence"]) for event in server.events("app")]}
        truth["agent"], cursor = [], ""
        while True:
            page = server.call("GET", f"/api/v1/agents/truth/inbox?limit=1000&cursor={cursor or '0-0'}").json
            truth["agent"] += [int(entry["sequence"]) for entry in page["entries"]]
            cursor = page["cursor"]
            if not page["has_more"]:
                break
        for name, way, target in ways:
            wanted = truth["log" if "log" in name else "agent"]
            for _ in range(50):
                if heard[name] == wanted:
                    break
                hear(name, way, target, len(wanted) - len(heard[name]))
            assert heard[name] == wanted, (name, len(heard[name]), len(wanted))
        assert set(published) <= set(truth["log"]) and truth["log"] == list(range(1, len(truth["log"]) + 1))
        assert len(truth["agent"]) > rounds
        print(f"{rounds} rounds, {killed} kills, {len(truth['log'])} events, {len(truth['agent'])} of the agent")
        assert server.stop() == 0


def test_a_stream_says_that_it_is_there_and_ends_with_the_server(fresh):
    register(fresh, "app", "a")
    source = EventSource(f"{fresh.url}/api/v1/agents/a/stream")
    events = iter(source)
    first = next(events)
    assert first == {"retry": "2000", "id": "0-0"}
    started = time.monotonic()
    assert "comment" in next(events)
    assert 13 < time.monotonic() - started < 18
    with socket(fresh) as connection:
        connection.send(json.dumps({"type": "subscribe", "id": "log", "project_id": "app"}))
        assert json.loads(connection.recv(5))["type"] == "subscribed"
        assert connection.ping().wait(5)
        started = time.monotonic()
        assert fresh.stop() == 0
        assert time.monotonic() - started < 10
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            connection.recv(5)
        assert closed.value.rcvd.code == 1001
    assert list(events) == []
    source.close()


def test_keys_and_whose_publish_it_was(guarded, project):
    def key(name, role):
        created = guarded.call("POST", f"/api/v1/auth/keys?name={name}", headers={"X-API-Key": guarded.root_key}).json
        answer = guarded.call("POST", f"/api/v1/auth/roles?key_id={created['key_id']}&role={role}", [], headers={"X-API-Key": guarded.root_key})
        assert answer.status == 200, answer
        return created["key"], created["key_id"]

    own, own_id = key("own", "admin")
    other, other_id = key("other", "publisher")

    def call(method, path, body, with_key):
        answer = guarded.call(method, f"/api/v1{path}", body, headers={"X-API-Key": with_key})
        assert answer.status == 200, answer
        return answer.json

    call("POST", "/agents/register", {"agent_id": "a", "project_id": project, "data_needs": [NEED]}, own)
    for number, with_key in enumerate([own, other, own]):
        call("POST", "/data/publish", {"project_id": project, "data_key": f"k{number}", "data": TEXT.format(number)}, with_key)
    path = f"/projects/{project}/agents/a/updates"
    updates = call("GET", path, None, own)["updates"]
    assert [(update["own"], update["published_by"]["key_id"]) for update in updates] == [(True, own_id), (False, other_id), (True, own_id)]
    foreign = call("GET", f"{path}?suppress_own=true", None, own)
    assert [update["sequence"] for update in foreign["updates"]] == ["2"] and foreign["cursor"] == "0-3"
    # A publisher reads the log, and is no agent.
    assert guarded.call("GET", f"/api/v1{path}", headers={"X-API-Key": other}).status == 403
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        socket(guarded)
    assert refused.value.response.status_code == 401
    with websockets.sync.client.connect(f"ws://{HOST}:{guarded.http_port}/api/v1/ws", subprotocols=["contex.v1"],
                                        additional_headers={"X-API-Key": other}, proxy=None) as connection:
        assert connection.subprotocol == "contex.v1"
        connection.send(json.dumps({"type": "subscribe", "id": "a", "agent_id": "a", "project_id": project}))
        assert json.loads(connection.recv(5))["code"] == "permission_missing"
        connection.send(json.dumps({"type": "subscribe", "id": "log", "project_id": project, "cursor": "0-2"}))
        assert json.loads(connection.recv(5))["type"] == "subscribed"
        update = json.loads(connection.recv(5))
        assert update["update"]["published_by"]["key_id"] == own_id and update["cursor"] == "0-3"
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        websockets.sync.client.connect(f"ws://{HOST}:{guarded.http_port}/api/v1/ws", additional_headers={"X-API-Key": own}, proxy=None)
    assert refused.value.response.status_code == 426


def test_who_waits_hears_at_once(server, project):
    """From the answer to a publish until three followers have it."""
    register(server, project, "a")
    times = []
    url = f"{server.url}/api/v1/projects/{project}/agents/a/stream"
    source = EventSource(url)
    events = iter(source)
    next(events)
    with socket(server) as connection:
        connection.send(json.dumps({"type": "subscribe", "id": "a", "agent_id": "a", "project_id": project}))
        connection.recv(5)
        for number in range(20):
            server.publish(project, f"k{number}", TEXT.format(number))
            started = time.monotonic()
            assert json.loads(connection.recv(5))["update"]["data_key"] == f"k{number}"
            assert json.loads(next(events)["data"])["data_key"] == f"k{number}"
            times.append(time.monotonic() - started)
    source.close()
    assert sorted(times)[len(times) // 2] < 1, times
