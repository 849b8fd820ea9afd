"""Keys that end, are bound to addresses, and are rotated: over every door, on connections that are open."""
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import pytest
import redis

from conftest import ROOT_KEY
from support import BINARY, CHECKOUT, HOST, Connection

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

import contex_wire  # noqa: E402

ROOT = {"X-API-Key": ROOT_KEY}


def make(server, query=""):
    answer = server.call("POST", f"/api/v1/auth/keys?name=robot{query}", headers=ROOT)
    assert answer.status == 200, answer
    return answer.json["key_id"], answer.json["key"]


def listed(server, key_id):
    return next(key for key in server.call("GET", "/api/v1/auth/keys", headers=ROOT).json if key["key_id"] == key_id)


def change(server, key_id, **members):
    return server.call("PATCH", f"/api/v1/auth/keys/{key_id}", members, headers=ROOT)


def ask(server, key, source=None):
    connection = Connection(server.http_port, headers={"X-API-Key": key}, source=source)
    answer = connection.call("GET", "/api/v1/agents")
    connection.close()
    return answer


def test_a_key_ends_on_open_connections_too(guarded):
    key_id, key = make(guarded, "&expires_in_days=1&description=a%20guest")
    assert listed(guarded, key_id)["description"] == "a guest" and "last_used_at" not in listed(guarded, key_id)
    wire = contex_wire.SyncClient(HOST, guarded.wire_port, api_key=key, attempts=1)
    assert wire.ping() < 5
    subscriber = redis.Redis(HOST, guarded.resp_port, password=key)
    assert subscriber.ping() is True and ask(guarded, key).status == 200
    assert listed(guarded, key_id)["last_used_at"] and listed(guarded, key_id)["expires_at"]
    soon = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()
    assert change(guarded, key_id, expires_at=soon).status == 200
    deadline = time.monotonic() + 15
    while ask(guarded, key).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    refused = ask(guarded, key)
    assert (refused.status, refused.headers["X-Contex-Error"]) == (401, "key_expired")
    with pytest.raises(Exception):
        for _ in range(100):
            wire.query(contex_wire.Query("p", text="a"))
            time.sleep(0.05)
    with pytest.raises(redis.exceptions.RedisError):
        for _ in range(100):
            redis.Redis(HOST, guarded.resp_port, password=key).ping()
    # It can be given time again.
    assert change(guarded, key_id, expires_at=None).status == 200 and ask(guarded, key).status == 200


def test_a_key_is_valid_from_its_addresses(guarded):
    key_id, key = make(guarded, "&allowed_addresses=127.0.0.2,10.0.0.0/8")
    assert listed(guarded, key_id)["allowed_addresses"] == ["127.0.0.2/32", "10.0.0.0/8"]
    assert ask(guarded, key, source="127.0.0.2").status == 200
    refused = ask(guarded, key)
    assert (refused.status, refused.headers["X-Contex-Error"]) == (403, "address_refused")
    assert change(guarded, key_id, allowed_addresses=[]).status == 200 and ask(guarded, key).status == 200


def test_rotation_leaves_no_moment_without_a_key(guarded):
    key_id, key = make(guarded)
    rotated = guarded.call("POST", f"/api/v1/auth/keys/{key_id}/rotate", {"overlap_seconds": 60}, headers=ROOT).json
    assert rotated["key_id"] == key_id and rotated["key"] != key and rotated["former_valid_until"]
    assert ask(guarded, key).status == 200 and ask(guarded, rotated["key"]).status == 200
    again = guarded.call("POST", f"/api/v1/auth/keys/{key_id}/rotate", {"overlap_seconds": 0}, headers=ROOT).json
    assert [ask(guarded, text).status for text in (key, rotated["key"], again["key"])] == [401, 401, 200]
    address = ("--server", guarded.url, "--api-key", ROOT_KEY)
    made = subprocess.run([BINARY, "keys", "create", "cli", "--role", "publisher", "--project", "p", *address], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0 and ask(guarded, made.stdout.strip()).status == 403
    other = made.stderr.split()[1].rstrip(":")
    turned = subprocess.run([BINARY, "keys", "rotate", other, *address], capture_output=True, text=True, timeout=60)
    assert turned.returncode == 0 and ask(guarded, turned.stdout.strip()).status == 403
    refused = subprocess.run([BINARY, "keys", "create", "cli", "--role", "emperor", *address], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and refused.stdout == ""


def test_bad_terms_change_nothing(guarded):
    key_id, key = make(guarded)
    before = listed(guarded, key_id)
    for members in [
        {"expires_at": "yesterday"}, {"expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": 7}, {"allowed_addresses": ["10.0.0.1/8"]},
        {"allowed_addresses": ["everywhere"]}, {"allowed_addresses": ["10.0.0.0/33"]}, {"allowed_addresses": "10.0.0.0/8"},
        {"allowed_addresses": ["10.0.0.0/8"] * 65}, {"description": "x" * 1001}, {"description": 7},
    ]:
        assert change(guarded, key_id, **members).status == 422, members
    for query in ["&expires_in_days=0", "&expires_in_days=4000", "&allowed_addresses=nowhere", "&expires_in_days=soon"]:
        assert guarded.call("POST", "/api/v1/auth/keys?name=x" + query, headers=ROOT).status == 422, query
    for body in [{"overlap_seconds": -1}, {"overlap_seconds": 10**9}, {"overlap_seconds": "long"}]:
        assert guarded.call("POST", f"/api/v1/auth/keys/{key_id}/rotate", body, headers=ROOT).status == 422, body
    assert change(guarded, "0123456789abcdef", description="x").status == 404
    # The last administrator cannot be made one that ends.
    roots = [k["key_id"] for k in guarded.call("GET", "/api/v1/auth/keys", headers=ROOT).json if k["name"] == "root"]
    ended = change(guarded, roots[0], expires_at="2099-01-01T00:00:00Z")
    assert (ended.status, ended.headers["X-Contex-Error"]) == (409, "last_administrator")
    assert listed(guarded, key_id) == before and ask(guarded, key).status == 200
