"""Agents on the Redis protocol, through the `redis` package: initial context, missed events and updates as http-api.md 13.1 has them."""
import asyncio
import json
import time

import pytest
import redis
import redis.asyncio
import toon_format

from support import HOST, unique

NEED = "backend: Python FastAPI | db: PostgreSQL"
OFF_TOPIC = "the price of fish in Lisbon"
TECH = {"backend": "Python FastAPI", "db": "PostgreSQL"}
SECONDS = 10


class SyncSubscriber:
    def __init__(self, port, protocol, **more):
        self.client = redis.Redis(HOST, port, protocol=protocol, socket_timeout=SECONDS, **more)
        self.channel = self.client.pubsub()

    def subscribe(self, *names):
        self.channel.subscribe(*names)
        return [self.next()["data"] for _ in names]

    def subscribe_pattern(self, pattern):
        self.channel.psubscribe(pattern)
        return self.next()["data"]

    def next(self, seconds=SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if message := self.channel.get_message(timeout=0.5):
                return message
        raise AssertionError(f"no message within {seconds} s")

    def silent(self, seconds=0.5):
        message = self.channel.get_message(timeout=seconds)
        assert message is None, message

    def close(self):
        self.channel.close()
        self.client.close()


class AsyncSubscriber:
    """The same through redis.asyncio, driven by a loop of its own."""

    def __init__(self, port, protocol, **more):
        self.loop = asyncio.new_event_loop()
        self.client = redis.asyncio.Redis(host=HOST, port=port, protocol=protocol, **more)
        self.channel = self.client.pubsub()

    def subscribe(self, *names):
        self.loop.run_until_complete(self.channel.subscribe(*names))
        return [self.next()["data"] for _ in names]

    def next(self, seconds=SECONDS):
        async def wait():
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if message := await self.channel.get_message(timeout=0.5):
                    return message
            raise AssertionError(f"no message within {seconds} s")
        return self.loop.run_until_complete(wait())

    def silent(self, seconds=0.5):
        message = self.loop.run_until_complete(self.channel.get_message(timeout=seconds))
        assert message is None, message

    def close(self):
        self.loop.run_until_complete(self.channel.aclose())
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()


def payload(message, channel):
    assert message["type"] == "message", message
    assert message["channel"] == channel.encode()
    return message["data"].decode()


def exact(text, expected):
    """The payload is this JSON with the original's separators and key order, byte for byte."""
    assert text == json.dumps(expected)


def check_initial(found, agent, form="json"):
    assert list(found) == ["type", "agent_id", "format", "context"]
    assert (found["type"], found["agent_id"], found["format"]) == ("initial_context", agent, form)
    assert list(found["context"]) == [NEED, OFF_TOPIC]
    assert found["context"][OFF_TOPIC] == []
    match = found["context"][NEED][0]
    assert list(match) == ["data_key", "similarity", "data", "description", "token_count", "preview"]
    assert match["data_key"] == "tech.root" and match["data"] == TECH
    assert match["description"] == "root | " + NEED
    assert 0.5 <= match["similarity"] <= 1
    assert match["token_count"] is None and match["preview"] is None


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("kind", [SyncSubscriber, AsyncSubscriber])
def test_agent_hears_context_missed_events_and_updates(server, project, kind, protocol):
    agent = unique("agent")
    channel = f"agent:{agent}:updates"
    server.publish(project, "seen", {"old": "news"})
    server.publish(project, "tech", TECH, data_format="json")
    server.publish(project, "style", {"indent": "four spaces"}, event_type="style_changed")
    subscriber = kind(server.resp_port, protocol)
    try:
        assert subscriber.subscribe(channel) == [1]
        answer = server.register(project, agent, [NEED, OFF_TOPIC], last_seen_sequence="1")
        assert answer == {
            "status": "registered", "agent_id": agent, "project_id": project, "caught_up_events": 2, "current_sequence": "3",
            "matched_needs": {NEED: answer["matched_needs"][NEED], OFF_TOPIC: 0}, "notification_channel": channel}
        assert answer["matched_needs"][NEED] >= 1

        text = payload(subscriber.next(), channel)
        check_initial(json.loads(text), agent)
        exact(text, json.loads(text))
        exact(payload(subscriber.next(), channel),
              {"type": "event", "sequence": "2", "event_type": "tech_updated", "data": {"tech": TECH}})
        exact(payload(subscriber.next(), channel),
              {"type": "event", "sequence": "3", "event_type": "style_changed", "data": {"style": {"indent": "four spaces"}}})

        changed = {**TECH, "cache": "Redis"}
        server.publish(project, "tech", changed, data_format="json")
        exact(payload(subscriber.next(), channel),
              {"type": "data_update", "sequence": "4", "data_key": "tech", "format": "json", "data": changed})

        server.publish(project, "screws", {"thread": "M4", "length": "20 millimetres"}, data_format="json")  # matches no need of this agent
        subscriber.silent()
        server.call("DELETE", f"/api/v1/agents/{agent}")
        server.publish(project, "tech", TECH, data_format="json")
        subscriber.silent()
    finally:
        subscriber.close()


def test_toon_agent(server, project):
    agent = unique("agent")
    channel = f"agent:{agent}:updates"
    server.publish(project, "tech", TECH)
    subscriber = SyncSubscriber(server.resp_port, 3)
    try:
        subscriber.subscribe(channel)
        server.register(project, agent, [NEED, OFF_TOPIC], response_format="toon")
        check_initial(toon_format.decode(payload(subscriber.next(), channel)), agent, "toon")
        exact(payload(subscriber.next(), channel),  # missed events are JSON whatever the agent's format
              {"type": "event", "sequence": "1", "event_type": "tech_updated", "data": {"tech": TECH}})
        server.publish(project, "tech", {**TECH, "cache": "Redis"}, data_format="json")
        update = toon_format.decode(payload(subscriber.next(), channel))
        assert list(update) == ["type", "sequence", "data_key", "format", "data"]
        assert (update["type"], update["sequence"], update["data_key"]) == ("data_update", "2", "tech")
        assert update["data"] == {**TECH, "cache": "Redis"}
    finally:
        subscriber.close()


def test_need_matched_for_the_first_time(server, project):
    """The original looks only at what matched at registration; a standing need hears of data that comes later."""
    agent = unique("agent")
    channel = f"agent:{agent}:updates"
    subscriber = SyncSubscriber(server.resp_port, 2)
    try:
        subscriber.subscribe(channel)
        answer = server.register(project, agent, [NEED])
        assert (answer["matched_needs"], answer["current_sequence"], answer["caught_up_events"]) == ({NEED: 0}, "0", 0)
        exact(payload(subscriber.next(), channel),
              {"type": "initial_context", "agent_id": agent, "format": "json", "context": {NEED: []}})
        server.publish(project, "tech", TECH, data_format="json")
        exact(payload(subscriber.next(), channel),
              {"type": "data_update", "sequence": "1", "data_key": "tech", "format": "json", "data": TECH})
    finally:
        subscriber.close()


def test_many_missed_events_come_in_order_and_at_most_a_hundred(server, project):
    agent = unique("agent")
    channel = f"agent:{agent}:updates"
    batch = [{"project_id": project, "data_key": f"key-{n}", "data": {"n": n}} for n in range(120)]
    assert server.call("POST", "/api/v1/batch/publish", batch).json["successful"] == 120
    subscriber = SyncSubscriber(server.resp_port, 3)
    try:
        subscriber.subscribe(channel)
        answer = server.register(project, agent, [], last_seen_sequence=None)
        assert (answer["caught_up_events"], answer["current_sequence"]) == (100, "120")
        exact(payload(subscriber.next(), channel), {"type": "initial_context", "agent_id": agent, "format": "json", "context": {}})
        sequences = [json.loads(payload(subscriber.next(), channel))["sequence"] for _ in range(100)]
        assert sequences == [str(n) for n in range(1, 101)]
        subscriber.silent()
    finally:
        subscriber.close()


def test_channel_of_ones_own_and_patterns(server, project):
    agent = unique("agent")
    channel = f"news-{agent}"
    subscriber = SyncSubscriber(server.resp_port, 3)
    try:
        assert subscriber.subscribe_pattern(f"*-{agent}") == 1
        assert server.register(project, agent, [], notification_channel=channel)["notification_channel"] == channel
        message = subscriber.next()
        assert (message["type"], message["pattern"], message["channel"]) == ("pmessage", f"*-{agent}".encode(), channel.encode())
        assert json.loads(message["data"])["type"] == "initial_context"
    finally:
        subscriber.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_plain_commands(server, protocol):
    client = redis.Redis(HOST, server.resp_port, protocol=protocol, socket_timeout=SECONDS)
    assert client.ping() is True
    assert client.echo("hello") == b"hello"
    with pytest.raises(redis.ResponseError):
        client.publish("agent:somebody:updates", "forged")
    with pytest.raises(redis.ResponseError):
        client.get("key")
    assert client.ping() is True
    client.close()


def test_authentication(guarded):
    for protocol in (2, 3):
        with pytest.raises((redis.AuthenticationError, redis.ResponseError)):
            SyncSubscriber(guarded.resp_port, protocol).subscribe("agent:somebody:updates")
        with pytest.raises((redis.AuthenticationError, redis.ResponseError)):
            SyncSubscriber(guarded.resp_port, protocol, password="wrong").subscribe("agent:somebody:updates")
        subscriber = SyncSubscriber(guarded.resp_port, protocol, password=guarded.root_key)
        assert subscriber.subscribe("agent:somebody:updates") == [1]
        subscriber.close()
