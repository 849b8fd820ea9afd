"""Rate limits and the audit trail: the unmodified client, all doors, and a server that is killed while it writes."""
import asyncio
import http.client
import json
import os
import random
import subprocess
import sys
import threading

import pytest
from contex import ContexAsyncClient
from contex.exceptions import RateLimitError

from conftest import ROOT_KEY
from support import BINARY, CHECKOUT, HOST, Connection, Server, unique

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

import contex_wire  # noqa: E402

ROOT = {"X-API-Key": ROOT_KEY}


def guarded_server(**settings):
    return Server(environment={"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": ROOT_KEY, **settings})


def publish(server, project, key, headers=ROOT, text="some text"):
    return server.call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": key, "data": text}, headers=headers)


def records(server, **query):
    path = "/api/v1/audit/events?limit=1000" + "".join(f"&{name}={value}" for name, value in query.items())
    return server.call("GET", path, headers=ROOT).json["events"]


def contex(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)


def test_the_client_is_told_where_it_stands_and_when_it_may_come_again():
    async def run(server):
        async with ContexAsyncClient(url=server.url, api_key=ROOT_KEY) as client:
            status = await client.rate_limit_status()
            assert (status.limit, status.remaining) == (200, 200) and status.reset_at
            for number in range(3):
                await client.publish("p", f"k{number}", {"a": number})
            with pytest.raises(RateLimitError) as refused:
                await client.publish("p", "k9", {"a": 9})
            assert 1 <= refused.value.retry_after <= 20
            # Another project has room, and so have questions.
            await client.publish("q", "k", {"a": 1})
            assert (await client.query("p", "a")).matches is not None
            assert (await client.rate_limit_status()).remaining == 200

    with guarded_server(CONTEX_RATE_LIMIT_PUBLISH="3") as server:
        asyncio.run(run(server))
        answer = publish(server, "p", "k9")
        assert answer.status == 429 and answer.headers["X-Contex-Error"] == "rate_limited"
        assert set(answer.json) == {"error", "message", "limit", "reset", "detail", "policy"} and answer.json["limit"] == 3
        assert answer.headers["X-RateLimit-Remaining"] == "0" and answer.headers["RateLimit-Policy"] == '"publish";q=3;w=60'
        counted = server.call("POST", "/api/v1/projects/p/query", {"query": "a"}, headers=ROOT)
        assert counted.headers["X-RateLimit-Limit"] == "200" and counted.headers["RateLimit"].startswith('"query";r=19')
        # Nothing of what was refused is there.
        assert [node["data_key"] for node in server.call("GET", "/api/v1/projects/p/data", headers=ROOT).json].count("k9") == 0


def test_a_limit_is_one_for_all_doors_and_is_set_at_run_time():
    with guarded_server(CONTEX_RATE_LIMIT_PUBLISH="2") as server:
        with contex_wire.SyncClient(HOST, server.wire_port, api_key=ROOT_KEY) as wire:
            wire.publish(contex_wire.Publish("p", "a", text="some text"))
            assert publish(server, "p", "b").status == 200
            with pytest.raises(contex_wire.ContexError) as refused:
                wire.publish(contex_wire.Publish("p", "c", text="some text"))
            assert (refused.value.code, refused.value.category) == ("rate_limited", 8)
            address = ("--server", server.url, "--api-key", ROOT_KEY)
            assert contex("limits", "set", "publish", "unlimited", "--project", "p", *address).returncode == 0
            for number in range(10):
                wire.publish(contex_wire.Publish("p", f"n{number}", text="some text"))
            assert contex("limits", "unset", "publish", "--project", "p", *address).returncode == 0
            assert contex("limits", "unset", "publish", "--project", "p", *address).returncode == 3
            assert publish(server, "p", "b").status == 429
        rules = server.call("PUT", "/api/v1/admin/rate-limits/rules", {"subject": "project", "id": "p", "class": "query", "limit": 1}, headers=ROOT)
        assert rules.status == 200
        server.stop()
        server.start()
        assert server.call("POST", "/api/v1/projects/p/query", {"query": "a"}, headers=ROOT).status == 200
        assert server.call("POST", "/api/v1/projects/p/query", {"query": "a"}, headers=ROOT).status == 429
        assert {r["method"] for r in records(server, event_type="data.published")} == {"WIRE", "POST"}
        assert {r["details"].get("class") for r in records(server, event_type="rate_limit.changed", resource_type="rate_limit", project_id="p",
                                                          resource_id="project:p")} == {"publish", "query"}


BAD_RULES = [
    {}, {"subject": "project", "class": "query", "limit": 1}, {"subject": "tenant", "id": "p", "class": "query", "limit": 1},
    {"subject": "planet", "id": "p", "class": "query", "limit": 1}, {"subject": "project", "id": "p", "class": "queries", "limit": 1},
    {"subject": "project", "id": "p", "class": "query", "limit": -1}, {"subject": "project", "id": "p", "class": "query", "limit": 1_000_001},
    {"subject": "project", "id": "p", "class": "query", "limit": "many"}, {"subject": "project", "id": "", "class": "query", "limit": 1},
    {"subject": "project", "id": "x" * 256, "class": "query", "limit": 1}, {"subject": "project", "id": "p", "class": "query", "limit": 1.5},
    {"subject": "project", "id": "p", "class": "query", "limit": 10**30}, {"subject": "project", "id": "p", "class": "query"},
]


def test_bad_rules_change_nothing(guarded):
    for rule in BAD_RULES:
        answer = guarded.call("PUT", "/api/v1/admin/rate-limits/rules", rule, headers=ROOT)
        assert answer.status == 422, (rule, answer)
    unknown = {"subject": "key", "id": "0123456789abcdef", "class": "query", "limit": 1}
    assert guarded.call("PUT", "/api/v1/admin/rate-limits/rules", unknown, headers=ROOT).status == 404
    assert guarded.call("GET", "/api/v1/admin/rate-limits/rules", headers=ROOT).json["rules"] == []
    for query in ["start_time=yesterday", "end_time=7", "limit=0", "limit=1001", "offset=-1", "before=0", "resource_type=data", "days=0"]:
        path = "/api/v1/audit/export?" if query.startswith("days") else "/api/v1/audit/events?"
        assert guarded.call("GET", path + query, headers=ROOT).status == 422, query
    assert guarded.call("GET", "/api/v1/audit/events?event_type=data.eaten", headers=ROOT).status == 400
    for name in ["nothing", "00000001-0000-8000-8000-ffffffffffff", "%20", "00000002-0000-8000-8000-000000000001"]:
        assert guarded.call("GET", f"/api/v1/audit/events/{name}", headers=ROOT).status == 404, name


def test_every_change_of_a_killed_server_is_in_the_trail(tmp_path):
    """What the log has the trail has, and nothing else, whatever is killed when."""
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    checkpoints = str(tmp_path / "checkpoints.jsonl")
    with guarded_server(CONTEX_RATE_LIMIT_PUBLISH="unlimited", CONTEX_JOURNAL="keep:7d", CONTEX_AUDIT_CHECKPOINTS=checkpoints) as server:
        acknowledged = []
        for _ in range(6):
            stop = threading.Event()

            def work(worker):
                connection = Connection(server.http_port, headers=ROOT)
                try:
                    while not stop.is_set():
                        request = unique("r")
                        body = {"project_id": "p", "data_key": f"k{worker}-{chance.randrange(50)}", "data": unique("text")}
                        answer = connection.call("POST", "/api/v1/data/publish", body, headers={"X-Request-ID": request})
                        if answer.status == 200:
                            acknowledged.append((request, answer.json["sequence"]))
                except (OSError, http.client.HTTPException):
                    pass

            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            threading.Event().wait(0.2 + chance.random())
            server.kill()
            stop.set()
            for thread in threads:
                thread.join()
            server.start()
        events = server.call("GET", "/api/v1/projects/p/events?count=100000", headers=ROOT).json["events"]
        noted, before = {}, None
        while True:
            path = "/api/v1/audit/events?limit=1000&project_id=p" + (f"&before={before}" if before else "")
            page = server.call("GET", path, headers=ROOT).json
            for record in page["events"]:
                if record["event_type"] in ("data.published", "data.updated") and record["result"] == "success":
                    assert record["details"]["sequence"] not in noted
                    noted[record["details"]["sequence"]] = record["request_id"]
            before = page["next_before"]
            if before is None:
                break
        assert set(noted) == {event["sequence"] for event in events}
        assert len(acknowledged) > 20
        for request, sequence in acknowledged:
            assert noted[sequence] == request
        verified = contex("audit", "verify", "--data-dir", server.data_dir, "--json")
        assert verified.returncode == 0 and json.loads(verified.stdout)["status"] == "intact"
        server.stop()
        assert contex("check", "--data-dir", server.data_dir).returncode == 0
        # What was signed on the way holds, and what was not so is found.
        signed = contex("audit", "verify", "--data-dir", server.data_dir, "--checkpoints", checkpoints, "--json")
        assert signed.returncode == 0 and json.loads(signed.stdout)["checkpoints"] >= 1, signed
        with open(checkpoints) as lines:
            last = json.loads(lines.readlines()[-1])
        assert last["sequence"] == str(json.loads(signed.stdout)["last"])
        key = ("--public-key", last["key"])
        assert contex("audit", "verify", "--data-dir", server.data_dir, "--checkpoints", checkpoints, *key).returncode == 0
        for changed in [{**last, "sequence": str(int(last["sequence"]) + 1)}, {**last, "link": "0" * 64}, {**last, "signature": "0" * 128}, {}]:
            with open(tmp_path / "changed.jsonl", "w") as file:
                file.write(json.dumps(changed) + "\n")
            assert contex("audit", "verify", "--data-dir", server.data_dir, "--checkpoints", str(tmp_path / "changed.jsonl")).returncode == 1
        other = ("--public-key", "0" * 64)
        assert contex("audit", "verify", "--data-dir", server.data_dir, "--checkpoints", checkpoints, *other).returncode == 1
        cut = ("--number", str(int(last["sequence"]) + 5), "--link", last["link"])
        assert contex("audit", "verify", "--data-dir", server.data_dir, *cut).returncode == 1


def test_no_secret_is_in_the_trail_and_lines_are_lines():
    with guarded_server() as server:
        marked = "MARKED-SECRET-0123456789"
        made = server.call("POST", "/api/v1/auth/keys?name=robot", headers=ROOT).json
        publish(server, "p", "k", text=marked)
        publish(server, "p", "k", headers={"X-API-Key": marked})
        server.call("GET", f"/api/v1/agents?token={marked}", headers={"X-API-Key": made["key"], "Authorization": "Bearer " + marked})
        server.call("POST", "/api/v1/data/publish", ("{" + marked).encode(), headers={**ROOT, "User-Agent": "line\tbreak|pipe=equals"})
        server.stop()
        server.start()
        lines = server.call("GET", "/api/v1/audit/export?format=ndjson", headers=ROOT).body.decode()
        common = server.call("GET", "/api/v1/audit/export?format=cef", headers=ROOT).body.decode()
        whole = server.call("GET", "/api/v1/audit/export", headers=ROOT).body.decode()
        with open(server.log_path) as log:
            everything = lines + common + whole + log.read()
        for secret in (marked, made["key"], ROOT_KEY):
            assert secret not in everything
        parsed = [json.loads(line) for line in lines.splitlines()]
        assert len(parsed) == len(common.splitlines()) == json.loads(whole)["total_events"]
        assert {"auth.api_key.created", "data.published", "auth.login.failure"} <= {record["event_type"] for record in parsed}
        assert all(line.startswith("CEF:0|Contex|contex|") and line.count("|") >= 7 for line in common.splitlines())
        # The server made its first key by itself, and says so.
        first = parsed[-1]
        assert (first["sequence"], first["actor_type"], first["event_type"]) == (1, "system", "auth.api_key.created")
