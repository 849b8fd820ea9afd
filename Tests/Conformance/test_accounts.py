"""Service accounts: keys and tokens at every door, with PyJWT as the other side; permissions and why."""
import json
import sys
import time

import jwt
import pytest
import redis

from conftest import ROOT_KEY
from support import CHECKOUT, HOST, Server, contex, unique

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

import contex_wire  # noqa: E402

ROOT = {"X-API-Key": ROOT_KEY}
ACCOUNTS = "/api/v1/service-accounts"
SECRET = "0123456789abcdef0123456789abcdef"


def make(server, **members):
    answer = server.call("POST", ACCOUNTS, {"name": "program", **members}, headers=ROOT)
    assert answer.status == 201, answer
    return answer.json["account"], answer.json["key"]


def token(server, key, **members):
    answer = server.call("POST", f"{ACCOUNTS}/token", {"key": key, **members})
    assert answer.status == 200, answer
    assert answer.json["token_type"] == "Bearer"
    return answer.json["access_token"]


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def publish(server, project, headers, key="k"):
    return server.call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": key, "data": {"a": 1}}, headers=headers)


def change(server, account, **members):
    return server.call("PATCH", f"{ACCOUNTS}/{account['account_id']}", members, headers=ROOT)


def test_the_routes_in_the_originals_shapes(guarded):
    account, key = make(guarded, description="of tests", account_type="ci_cd", role="publisher", allowed_projects=["app"], scopes=[])
    assert account["account_id"].startswith("sa_") and len(account["account_id"]) == 19 and key.startswith("sak_")
    assert set(account) >= {"account_id", "name", "description", "account_type", "tenant_id", "role", "allowed_projects", "scopes", "keys",
                            "created_at", "updated_at", "is_active", "last_active", "total_requests"}
    assert [k["description"] for k in account["keys"]] == ["Initial key"] and key not in json.dumps(account)
    listed = guarded.call("GET", f"{ACCOUNTS}?account_type=ci_cd&is_active=true", headers=ROOT).json
    assert account["account_id"] in [a["account_id"] for a in listed]
    made = guarded.call("POST", f"{ACCOUNTS}/{account['account_id']}/keys", {"expires_in_days": 1}, headers=ROOT)
    assert made.status == 201 and made.json["key_info"]["expires_at"]
    second = token(guarded, made.json["key"])
    assert publish(guarded, "app", bearer(second)).status == 200
    gone = guarded.call("DELETE", f"{ACCOUNTS}/{account['account_id']}/keys/{made.json['key_info']['key_id']}", headers=ROOT)
    assert gone.status == 204 and publish(guarded, "app", bearer(second)).status == 401
    assert change(guarded, account, name="other").json["name"] == "other"
    for method, path in (("GET", "sa_0000000000000000"), ("DELETE", "nothing")):
        missing = guarded.call(method, f"{ACCOUNTS}/{path}", headers=ROOT)
        assert missing.status == 404 and missing.json["detail"] == f"Service account '{path}' not found"
    for wrong in ({"name": ""}, {"name": "x" * 129}, {"account_type": "robot"}, {"scopes": ["x"]}, {"name": "x", "allowed_projects": ["\0"]}):
        assert guarded.call("POST", ACCOUNTS, {"name": "n", **wrong}, headers=ROOT).status == 422, wrong
    assert guarded.call("POST", ACCOUNTS, {"name": "n", "role": "nobody"}, headers=ROOT).status == 400
    assert guarded.call("POST", f"{ACCOUNTS}/token", {"key": key, "expires_in": 59}).status == 422
    refused = guarded.call("POST", f"{ACCOUNTS}/token", {"key": "sak_wrong"})
    assert refused.status == 401 and refused.json["detail"] == "Invalid or expired service account key"
    assert guarded.call("DELETE", f"{ACCOUNTS}/{account['account_id']}", headers=ROOT).status == 204
    assert publish(guarded, "app", bearer(key)).status == 401


def test_pyjwt_verifies_what_the_server_signs(guarded):
    account, key = make(guarded, role="consumer", allowed_projects=["app"])
    text = token(guarded, key, expires_in=600)
    keys = guarded.call("GET", "/.well-known/jwks.json").json
    assert keys["keys"] and all(set(k) == {"kty", "crv", "x", "kid", "use", "alg"} for k in keys["keys"])
    known = {k.key_id: k for k in jwt.PyJWKSet.from_dict(keys).keys}
    header = jwt.get_unverified_header(text)
    claims = jwt.decode(text, known[header["kid"]].key, algorithms=["EdDSA"], issuer="contex")
    assert (claims["sub"], claims["role"], claims["projects"]) == (account["account_id"], "consumer", ["app"])
    assert claims["exp"] - claims["iat"] == 600
    valid = guarded.call("POST", f"{ACCOUNTS}/token/validate?token={text}", headers=ROOT)
    assert valid.status == 200 and valid.json["valid"] is True and valid.json["claims"]["sub"] == account["account_id"]
    for wrong in (text[:-4] + "AAAA", jwt.encode(claims, SECRET, algorithm="HS256"), jwt.encode(claims, None, algorithm="none"),
                  jwt.encode(claims, known[header["kid"]].key.public_bytes_raw(), algorithm="HS256", headers={"kid": header["kid"]})):
        answer = guarded.call("POST", f"{ACCOUNTS}/token/validate?token={wrong}", headers=ROOT)
        assert (answer.status, answer.json["detail"]) == (401, "Invalid or expired token")
        assert publish(guarded, "app", bearer(wrong)).status == 401
    # Another key signs from now on; what the one before has signed is still good.
    rotated = guarded.call("POST", f"{ACCOUNTS}/signing-keys/rotate", headers=ROOT)
    assert rotated.status == 200 and rotated.json["kid"] != header["kid"]
    assert guarded.call("POST", f"{ACCOUNTS}/token/validate?token={text}", headers=ROOT).status == 200
    assert jwt.get_unverified_header(token(guarded, key))["kid"] == rotated.json["kid"]


def test_a_secret_signs_as_the_original_does():
    environment = {"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": ROOT_KEY, "SERVICE_ACCOUNT_JWT_SECRET": SECRET}
    with Server(environment=environment) as server:
        account, key = make(server, role="publisher")
        claims = jwt.decode(token(server, key), SECRET, algorithms=["HS256"], issuer="contex")
        assert claims["sub"] == account["account_id"]
        assert server.call("GET", "/.well-known/jwks.json").json == {"keys": []}
        assert server.call("POST", f"{ACCOUNTS}/signing-keys/rotate", headers=ROOT).status == 409
        now = int(time.time())

        def signed(secret=SECRET, **members):
            minted = {"sub": account["account_id"], "iss": "contex", "iat": now, "exp": now + 60, **members}
            return bearer(jwt.encode({k: v for k, v in minted.items() if v is not None}, secret, algorithm="HS256"))

        # Whoever has the secret makes tokens.
        assert publish(server, "p", signed()).status == 200
        refused = [signed(secret="x" * 32), signed(iss="other"), signed(exp=None), signed(iat=None), signed(sub=None), signed(exp=now - 60),
                   signed(exp=now + 90_000), signed(nbf=now + 60), signed(aud="other"), signed(sub="sa_0000000000000000"), signed(gen=1),
                   signed(key_id="0000000000000000"), signed(iat=now + 60, exp=now + 120)]
        for headers in refused:
            answer = publish(server, "p", headers)
            assert answer.status in (401, 429), (answer, headers)
        # A good one passes from an address that has been slowed down.
        assert publish(server, "p", signed()).status == 200


def test_it_ends_at_once_on_open_connections(guarded):
    account, key = make(guarded, role="admin")
    text = token(guarded, key)
    project = unique("p")
    assert publish(guarded, project, bearer(text)).status == 200
    wires = [contex_wire.SyncClient(HOST, guarded.wire_port, api_key=credential, attempts=1) for credential in (key, text)]
    subscribers = [redis.Redis(HOST, guarded.resp_port, password=credential) for credential in (key, text)]
    for wire, subscriber in zip(wires, subscribers):
        assert wire.ping() < 5 and subscriber.ping() is True
    accepts = {"Accept": "application/json, text/event-stream"}
    answer = guarded.call("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers={**bearer(text), **accepts})
    assert answer.status != 401, answer
    assert change(guarded, account, is_active=False).status == 200
    for credential in (key, text):
        refused = publish(guarded, project, bearer(credential))
        assert (refused.status, refused.headers["X-Contex-Error"]) == (401, "account_inactive")
    for wire, subscriber in zip(wires, subscribers):
        with pytest.raises(Exception):
            for _ in range(100):
                wire.query(contex_wire.Query(project, text="a"))
                time.sleep(0.05)
        with pytest.raises(redis.exceptions.RedisError):
            subscriber.ping()
    assert change(guarded, account, is_active=True).status == 200
    assert publish(guarded, project, bearer(key)).status == 200
    assert publish(guarded, project, bearer(text)).headers["X-Contex-Error"] == "token_invalid"


def test_roles_permissions_and_why(guarded):
    role = unique("deployer")
    body = {"name": role, "inherits": ["readonly"], "permissions": ["project:app:data:publish", "!project:app:data:publish;keys=secret/"]}
    assert guarded.call("POST", "/api/v1/auth/custom-roles", body, headers=ROOT).status == 201
    assert guarded.call("POST", "/api/v1/auth/custom-roles", body, headers=ROOT).status == 409
    shown = guarded.call("GET", f"/api/v1/auth/custom-roles/{role}", headers=ROOT).json
    assert "project:*:data:read" in shown["effective_permissions"] and shown["inherits"] == ["readonly"]
    circle = guarded.call("PATCH", f"/api/v1/auth/custom-roles/{role}", {"inherits": [role]}, headers=ROOT)
    assert circle.status == 422 and "circle" in circle.body.decode()
    wrong = guarded.call("PATCH", f"/api/v1/auth/custom-roles/{role}", {"permissions": ["project:" + "a" * 10_000 + ":data:read"]}, headers=ROOT)
    assert wrong.status == 422
    made = guarded.call("POST", "/api/v1/auth/keys?name=robot", headers=ROOT).json
    mine = {"X-API-Key": made["key"]}
    given = guarded.call("POST", f"/api/v1/auth/roles?key_id={made['key_id']}&role={role}", headers=ROOT)
    assert given.status == 200 and given.json["role"] == role
    assert guarded.call("GET", f"/api/v1/auth/roles/{made['key_id']}", headers=ROOT).json["role"] == role
    assert publish(guarded, "app", mine).status == 200 and publish(guarded, "app", mine, "secret/x").status == 403
    assert publish(guarded, "other", mine).status == 403
    assert guarded.call("DELETE", f"/api/v1/auth/custom-roles/{role}", headers=ROOT).status == 409
    explained = guarded.call(
        "POST", "/api/v1/auth/permissions/explain", {"permission": "data:publish", "project_id": "app", "data_key": "secret/x"}, headers=mine).json
    assert (explained["allowed"], explained["reason"]) == (False, "denied_by_role")
    assert [r["effect"] for r in explained["role_rules"]] == ["allow", "deny"] and explained["role_rules"][1]["applies"] is True
    limited = guarded.call("PUT", f"/api/v1/auth/keys/{made['key_id']}/permissions", {"permissions": ["project:other:*:*"]}, headers=ROOT)
    assert limited.status == 200
    assert publish(guarded, "app", mine).status == 403
    keys = {k["key_id"]: k for k in guarded.call("GET", "/api/v1/auth/keys", headers=ROOT).json}
    assert keys[made["key_id"]]["scopes"] == ["project:other:*:*"]
    guarded.call("PUT", f"/api/v1/auth/keys/{made['key_id']}/permissions", {"permissions": []}, headers=ROOT)
    assert publish(guarded, "app", mine).status == 200


def test_the_command_line(guarded):
    server = ["--server", f"http://{HOST}:{guarded.http_port}"]
    root = [*server, "--api-key", ROOT_KEY]
    made = contex("accounts", "create", "from the shell", "--role", "publisher", *root)
    assert made.returncode == 0, made.stderr
    key, account = made.stdout.strip(), made.stderr.split("made: ")[1].split()[0]
    text = contex("accounts", "token", *server, "--api-key", key)
    assert text.returncode == 0 and text.stdout.count(".") == 2
    assert account in contex("accounts", "list", *root).stdout
    assert contex("accounts", "switch", account, "off", *root).returncode == 0
    assert contex("accounts", "token", *server, "--api-key", key).returncode == 5
    assert contex("accounts", "rotate-signing-key", *root).returncode == 0
    assert contex("accounts", "delete", account, *root).returncode == 0
    role = unique("shell")
    assert contex("roles", "set", role, "project:a:data:read", *root).returncode == 0
    assert role in contex("roles", "list", *root).stdout
    assert contex("roles", "explain", "data:publish", "--project", "a", *root).stdout.startswith("allowed")
    assert contex("roles", "delete", role, *root).returncode == 0
