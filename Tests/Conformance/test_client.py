"""The unmodified PyPI client of the original, sync and async, against the real server."""
import asyncio
import json

import pytest
from contex import ContexAsyncClient, ContexClient
from contex.exceptions import AuthenticationError, NotFoundError, ValidationError

from support import unique

TECH = {"backend": "Python FastAPI", "db": "PostgreSQL", "cache": "Redis"}
TECH_TEXT = "backend: Python FastAPI | db: PostgreSQL | cache: Redis"
STYLE = {"indent": "four spaces", "quotes": "double", "naming": "snake case"}


def check_match(match):
    assert match.data_key == "tech.root"
    assert match.data == TECH
    assert 0.5 <= match.similarity <= 1
    assert match.description == "root | " + TECH_TEXT
    assert match.token_count > 0
    assert match.preview == json.dumps(TECH, indent=2)


def test_sync_client(server, project):
    client, agent = ContexClient(url=server.url), unique("agent")
    assert client.health()["status"] == "healthy"

    published = client.publish(project_id=project, data_key="tech", data=TECH)
    assert published == {"status": "published", "project_id": project, "data_key": "tech", "sequence": "1"}
    assert client.publish(project, "style", STYLE, metadata={"source": "test"})["sequence"] == "2"

    registered = client.register_agent(agent, project, [TECH_TEXT, "the price of fish in Lisbon"])
    assert registered.status == "registered"
    assert (registered.agent_id, registered.project_id) == (agent, project)
    assert (registered.caught_up_events, registered.current_sequence) == (2, "2")
    assert registered.matched_needs[TECH_TEXT] >= 1
    assert registered.matched_needs["the price of fish in Lisbon"] == 0
    assert registered.notification_channel == f"agent:{agent}:updates"

    answer = client.query(project, TECH_TEXT)
    assert answer.query == TECH_TEXT
    assert answer.total_matches == len(answer.matches) >= 1
    check_match(answer.matches[0])
    assert [m.similarity for m in answer.matches] == sorted((m.similarity for m in answer.matches), reverse=True)
    assert len(client.query(project, TECH_TEXT, max_results=1).matches) == 1
    nothing = client.query(unique("nowhere"), "anything")
    assert (nothing.matches, nothing.total_matches) == ([], 0)

    key = client.create_api_key("sync")
    assert key.name == "sync" and key.key.startswith("ck_") and len(key.key) == 46 and key.created_at

    assert client.unregister_agent(agent) == {"status": "unregistered", "agent_id": agent}
    assert client.unregister_agent(agent) == {"status": "unregistered", "agent_id": agent}


def test_async_client(server, project):
    async def run():
        agent = unique("agent")
        async with ContexAsyncClient(url=server.url + "/", timeout=30) as client:
            health = await client.health()
            assert health["status"] == "healthy" and health["service"] == "contex" and health["version"]
            detailed = await client.health_detailed()
            assert detailed["status"] in ("healthy", "degraded")
            assert {"status", "timestamp", "uptime_seconds", "version", "components"} <= set(detailed)
            assert detailed["components"] and all({"status", "timestamp"} <= set(c) for c in detailed["components"].values())
            ready = await client.ready()
            assert ready["ready"] is True and ready["timestamp"] and ready["checks"]

            sequences = [(await client.publish(project, f"key-{n}", {"number": n, **TECH}))["sequence"] for n in range(5)]
            assert sequences == ["1", "2", "3", "4", "5"]
            # Concurrent publishes to one project: the original answers 500 to some of them.
            answers = await asyncio.gather(*(client.publish(project, f"together-{n}", [n, {"item": n}]) for n in range(20)))
            assert sorted(int(a["sequence"]) for a in answers) == list(range(6, 26))

            registered = await client.register_agent(agent, project, ["number"], last_seen_sequence="20")
            assert (registered.caught_up_events, registered.current_sequence) == (5, "25")

            status = await client.get_agent_status(agent)
            assert status["status"] == "registered" and status["agent_id"] == agent and status["project_id"] == project
            assert status["needs"] == ["number"] and status["notification_method"] == "redis"
            assert status["channel"] == f"agent:{agent}:updates" and status["response_format"] == "json"
            listed = server.call("GET", "/api/v1/agents").json
            assert agent in listed["agents"] and listed["count"] == len(listed["agents"])

            answer = await client.query(project, TECH_TEXT, max_results=100)
            assert answer.total_matches == len(answer.matches) >= 5

            assert (await client.unregister_agent(agent))["status"] == "unregistered"
            with pytest.raises(NotFoundError):
                await client.get_agent_status(agent)

    asyncio.run(run())


@pytest.mark.parametrize("data", [
    None, True, 42, 1.5, "one sentence", "", [], {}, [1, "two", None], {"nested": {"deep": [1, {"x": "y"}]}, "flat": 1},
    {"unicode": "naïve café 日本語 🎉", "quote": "\"\\\n\t"},
])
def test_any_data_is_kept_as_published(server, project, data):
    ContexClient(url=server.url).publish(project, "key", data)
    events = server.events(project)
    assert len(events) == 1
    assert events[0].pop("timestamp").endswith("+00:00")
    assert int(events[0].pop("position")) >= 1
    assert events[0] == {"sequence": "1", "event_type": "key_updated", "data": {"key": data}}


def test_api_keys(guarded):
    async def run():
        async with ContexAsyncClient(url=guarded.url, api_key=guarded.root_key) as admin:
            created = await admin.create_api_key("robot")
            assert created.name == "robot" and len(created.key) == 46 and created.key.startswith("ck_")
            listed = await admin.list_api_keys()
            mine = [k for k in listed if k["key_id"] == created.key_id]
            assert len(mine) == 1 and mine[0]["prefix"] == created.key[:7] and mine[0]["name"] == "robot"
            assert all(created.key not in json.dumps(k) for k in listed)

            async with ContexAsyncClient(url=guarded.url, api_key=created.key) as robot:
                assert (await robot.query("guarded", "anything")).matches == []  # no role yet: readonly
                with pytest.raises(AuthenticationError, match="Insufficient permissions"):
                    await robot.publish("guarded", "key", {"a": 1})
                with pytest.raises(AuthenticationError, match="Insufficient permissions"):
                    await robot.create_api_key("another")
                role = guarded.call("POST", f"/api/v1/auth/roles?key_id={created.key_id}&role=publisher", ["guarded"],
                                    {"X-API-Key": guarded.root_key})
                assert (role.status, role.json) == (200, {"key_id": created.key_id, "role": "publisher", "projects": ["guarded"]})
                assert (await robot.publish("guarded", "key", {"a": 1}))["sequence"] == "1"
                with pytest.raises(AuthenticationError, match="Insufficient permissions"):
                    await robot.publish("foreign", "key", {"a": 1})

                assert await admin.revoke_api_key(created.key_id) == {"status": "revoked", "key_id": created.key_id}
                with pytest.raises(AuthenticationError, match="Invalid or missing API key"):
                    await robot.publish("guarded", "key", {"a": 2})
            with pytest.raises(NotFoundError):
                await admin.revoke_api_key(created.key_id)

    asyncio.run(run())


def test_error_classes(server, guarded, project):
    async def run():
        for wrong in (None, "ck_" + "x" * 43, "nonsense"):
            async with ContexAsyncClient(url=guarded.url, api_key=wrong) as client:
                with pytest.raises(AuthenticationError, match="Invalid or missing API key"):
                    await client.publish(project, "key", {})
                assert (await client.health())["status"] == "healthy"
        async with ContexAsyncClient(url=server.url) as client:
            with pytest.raises(NotFoundError):
                await client.get_agent_status(unique("nobody"))
            with pytest.raises(NotFoundError):
                await client.revoke_api_key("0123456789abcdef")
            with pytest.raises(ValidationError, match="project_id"):
                await client.publish("p" * 256, "key", {})

    asyncio.run(run())
