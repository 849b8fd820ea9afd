"""Tenants: isolation and quotas over real sockets, and a server that is killed while it counts."""
import asyncio
import json
import subprocess

from contex import ContexAsyncClient

from conftest import ROOT_KEY
from support import BINARY, Server

ROOT = {"X-API-Key": ROOT_KEY}
SETTINGS = {
    "AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": ROOT_KEY, "MULTI_TENANT_ENABLED": "true", "RATE_LIMIT_ENABLED": "false",
}


def tenant_server(**settings):
    return Server(environment={**SETTINGS, **settings})


def make(server, tenant, plan="pro", **quotas):
    """A tenant, and the headers of its administrator."""
    answer = server.call("POST", "/api/v1/tenants", {"tenant_id": tenant, "name": tenant, "plan": plan, "quotas": quotas}, headers=ROOT)
    assert answer.status == 201, answer.json
    acting = {**ROOT, "X-Tenant-ID": tenant}
    key = server.call("POST", "/api/v1/auth/keys?name=admin", headers=acting).json
    assert server.call("POST", f"/api/v1/auth/roles?key_id={key['key_id']}&role=admin", [], headers=acting).status == 200
    return {"X-API-Key": key["key"]}


def publish(server, headers, project, key, text):
    return server.call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": key, "data": text}, headers=headers)


def usage(server, tenant):
    return server.call("GET", f"/api/v1/tenants/{tenant}/usage", headers=ROOT).json["usage"]


def test_two_tenants_with_one_name_for_everything():
    with tenant_server() as server:
        acme, beta = make(server, "acme"), make(server, "beta")
        for headers, word in ((acme, "zebra"), (beta, "lion")):
            assert publish(server, headers, "app", "doc", f"a {word}").status == 200
        for headers, own, foreign in ((acme, "zebra", "lion"), (beta, "lion", "zebra")):
            listed = json.dumps(server.call("GET", "/api/v1/projects/app/data", headers=headers).json)
            assert own in listed and foreign not in listed
            asked = {"query": "lion zebra", "threshold": 0.0, "response_format": "json"}
            found = json.dumps(server.call("POST", "/api/v1/projects/app/query", asked, headers=headers).json)
            assert own in found and f"a {foreign}" not in found
        refused = server.call("GET", "/api/v1/projects/app/data", headers={**acme, "X-Tenant-ID": "beta"})
        assert refused.status == 403 and refused.headers["X-Contex-Error"] == "tenant_foreign"
        assert server.call("GET", "/t/beta/api/v1/projects/app/data", headers=acme).status == 403
        assert "lion" in json.dumps(server.call("GET", "/t/beta/api/v1/projects/app/data", headers=ROOT).json)


def test_the_unmodified_client_works_with_a_tenants_key():
    async def run(server, key):
        async with ContexAsyncClient(url=server.url, api_key=key) as client:
            await client.publish("p", "k", {"animal": "lion"})
            assert (await client.query("p", "lion")).matches
            assert len(await client.list_api_keys()) == 1

    with tenant_server() as server:
        asyncio.run(run(server, make(server, "acme")["X-API-Key"]))


def test_quotas_refuse_writes_and_nothing_else():
    with tenant_server() as server:
        acme = make(server, "acme", plan="free", max_events_per_month=5, max_projects=5, max_requests_per_minute=1000, max_api_keys=5)
        statuses = [publish(server, acme, "p", f"k{number}", f"text {number}") for number in range(7)]
        assert [answer.status for answer in statuses] == [200] * 5 + [429] * 2
        assert statuses[3].headers["X-Quota-Warning"].startswith("events;used=4;limit=5;percent=80")
        body = statuses[5].json
        assert (body["error_code"], body["resource"], body["used"], body["limit"]) == ("QUOTA_EXCEEDED", "events", 5, 5)
        assert body["detail"] == "Quota exceeded: events (6/5)" and body["reset"]
        assert int(statuses[5].headers["Retry-After"]) > 0
        assert server.call("GET", "/api/v1/projects/p/data", headers=acme).status == 200
        assert publish(server, acme, "q", "k", "text").status == 429
        for name in "abcd":
            assert server.call("POST", f"/api/v1/auth/keys?name={name}", headers=acme).status == 200
        assert server.call("POST", "/api/v1/auth/keys?name=sixth", headers=acme).json["resource"] == "api_keys"
        assert server.call("DELETE", "/api/v1/projects/p/data/k0", headers=acme).status == 200
        assert server.call("POST", "/api/v1/tenants/acme/reset-monthly-usage", headers=ROOT).status == 204
        assert publish(server, acme, "p", "k9", "text").status == 200


def test_a_kill_loses_no_count_and_makes_none():
    with tenant_server() as server:
        acme = make(server, "acme")
        for number in range(40):
            assert publish(server, acme, "p", f"k{number}", f"text {number}").status == 200
        before = usage(server, "acme")
        server.kill()
        server.start()
        after = usage(server, "acme")
        assert after == before and after["events_this_month"] == 40
        server.stop()
        checked = subprocess.run([BINARY, "check", "--data-dir", server.data_dir], capture_output=True, text=True, timeout=120)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        server.start()


def test_the_command_line():
    def contex(server, *arguments):
        return subprocess.run(
            [BINARY, "tenants", *arguments, "--server", server.url, "--api-key", ROOT_KEY], capture_output=True, text=True, timeout=60)

    with tenant_server() as server:
        made = contex(server, "create", "acme", "--plan", "starter", "--quota", "max_projects=7")
        assert made.returncode == 0 and "starter" in made.stdout
        assert "acme" in contex(server, "list").stdout
        shown = json.loads(contex(server, "show", "acme", "--json").stdout)
        assert shown["quotas"]["max_projects"] == 7
        assert contex(server, "update", "acme", "--deactivate").returncode == 0
        assert "storage, MB" in contex(server, "usage", "acme").stdout
        assert contex(server, "show", "nobody").returncode == 3
        assert contex(server, "remove", "acme").returncode == 0
        assert contex(server, "show", "acme").returncode == 3


def test_one_tenant_answers_that_it_is_one(guarded):
    refused = guarded.call("GET", "/api/v1/tenants", headers=ROOT)
    assert refused.status == 409 and refused.headers["X-Contex-Error"] == "tenancy_off"
    assert guarded.call("GET", "/t/acme/api/v1/projects", headers=ROOT).status == 404
