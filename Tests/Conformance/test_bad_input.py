"""Bad input: FastAPI's status and body exactly, nothing stored, server up. One table; http-api.md sections 1 to 7 and its defect
list (section 14) say what is right. `SAME` in an expected body stands for the request body as it was sent."""
import gzip
import json
import socket
import zlib
from urllib.parse import quote

import pytest

from support import HOST, unique

SAME = object()
PUBLISH, BATCH, REGISTER = "/api/v1/data/publish", "/api/v1/batch/publish", "/api/v1/agents/register"
QUERY, EVENTS, DATA, IMPORT = (f"/api/v1/projects/PROJECT/{name}" for name in ("query", "events", "data", "import"))
FORMATS = "'json', 'yaml', 'toml', 'csv', 'xml', 'markdown', 'toon' or 'text'"


def detail(*errors):
    return {"detail": list(errors)}


def error(kind, loc, message, given, **context):
    return {"type": kind, "loc": loc, "msg": message, "input": given, **({"ctx": context} if context else {})}


def missing(loc, given=SAME):
    return error("missing", loc, "Field required", given)


def no_string(loc, given):
    return error("string_type", loc, "Input should be a valid string", given)


def no_json(offset, message):
    return detail(error("json_invalid", ["body", offset], "JSON decode error", {}, error=message))


def too_large(loc, given, limit):
    return error("less_than_equal", loc, f"Input should be less than or equal to {limit}", given, le=limit)


def too_small(loc, given, limit):
    return error("greater_than_equal", loc, f"Input should be greater than or equal to {limit}", given, ge=limit)


def no_integer(loc, given):
    return error("int_parsing", loc, "Input should be a valid integer, unable to parse string as an integer", given)


UNPARSED = {"detail": "There was an error parsing the body"}
NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"

# name: method, path, body (bytes as they are, else JSON), status, exact body
EXACT = {
    # JSON that is none: offset and message are those of Python's parser.
    "value missing": ("POST", PUBLISH, b'{"project_id": ', 422, no_json(15, "Expecting value")),
    "name missing": ("POST", PUBLISH, b"{", 422, no_json(1, "Expecting property name enclosed in double quotes")),
    "comma missing": ("POST", PUBLISH, b'{"project_id": "p" "data_key": "k"}', 422, no_json(19, "Expecting ',' delimiter")),
    "colon missing": ("POST", PUBLISH, b'{"project_id" "p"}', 422, no_json(14, "Expecting ':' delimiter")),
    "no JSON at all": ("POST", PUBLISH, b"hello", 422, no_json(0, "Expecting value")),
    "more after the value": ("POST", PUBLISH, b'{"project_id": "p"} x', 422, no_json(20, "Extra data")),
    "string without end": ("POST", PUBLISH, b'{"project_id": "p', 422, no_json(15, "Unterminated string starting at")),
    "bad escape": ("POST", PUBLISH, b'{"project_id": "\\q"}', 422, no_json(16, "Invalid \\escape")),
    "control character": ("POST", PUBLISH, b'{"project_id": "\x01"}', 422, no_json(16, "Invalid control character at")),
    "query: broken JSON": ("POST", QUERY, b"{,}", 422, no_json(1, "Expecting property name enclosed in double quotes")),
    "nesting of 10,000": ("POST", PUBLISH, b'{"project_id":"PROJECT","data_key":"k","data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
                          400, UNPARSED),
    "invalid UTF-8": ("POST", PUBLISH, b'{"project_id":"PROJECT","data_key":"k\xff","data":1}', 400, UNPARSED),
    # Publish
    "empty body": ("POST", PUBLISH, b"", 422, detail(missing(["body"], None))),
    "nothing given": ("POST", PUBLISH, {}, 422, detail(*(missing(["body", f]) for f in ("project_id", "data_key", "data")))),
    "data missing": ("POST", PUBLISH, {"project_id": "PROJECT", "data_key": "k"}, 422, detail(missing(["body", "data"]))),
    "array for an object": ("POST", PUBLISH, [], 422, detail(error("model_attributes_type", ["body"], NO_OBJECT, []))),
    "string for an object": ("POST", PUBLISH, b'"text"', 422, detail(error("model_attributes_type", ["body"], NO_OBJECT, "text"))),
    "number for a string": ("POST", PUBLISH, {"project_id": 5, "data_key": "k", "data": 1}, 422,
                            detail(no_string(["body", "project_id"], 5))),
    "two wrong types": ("POST", PUBLISH, {"project_id": None, "data_key": ["k"], "data": 1}, 422,
                        detail(no_string(["body", "project_id"], None), no_string(["body", "data_key"], ["k"]))),
    "number for a format": ("POST", PUBLISH, {"project_id": "PROJECT", "data_key": "k", "data": 1, "data_format": 1}, 422,
                            detail(no_string(["body", "data_format"], 1))),
    # Batch
    "batch is no list": ("POST", BATCH, {"project_id": "PROJECT"}, 422, detail(
        error("list_type", ["body"], "Input should be a valid list", SAME))),
    "one bad item": ("POST", BATCH, [{"project_id": "PROJECT", "data_key": "k", "data": 1}, {"project_id": "PROJECT"}], 422, detail(
        missing(["body", 1, "data_key"], {"project_id": "PROJECT"}), missing(["body", 1, "data"], {"project_id": "PROJECT"}))),
    "item is no object": ("POST", BATCH, [7], 422, detail(error("model_attributes_type", ["body", 0], NO_OBJECT, 7))),
    # Register
    "agent: nothing given": ("POST", REGISTER, {}, 422, detail(*(missing(["body", f]) for f in ("agent_id", "project_id", "data_needs")))),
    "needs are no list": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": "one"}, 422, detail(
        error("list_type", ["body", "data_needs"], "Input should be a valid list", "one"))),
    "need is no string": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": ["one", 2]}, 422, detail(
        no_string(["body", "data_needs", 1], 2))),
    "unknown method": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": [], "notification_method": "pigeon"}, 422,
                       detail(error("literal_error", ["body", "notification_method"], "Input should be 'redis' or 'webhook'", "pigeon",
                                    expected="'redis' or 'webhook'"))),
    "agent: unknown format": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": [], "response_format": "zzz"}, 422,
                              detail(error("enum", ["body", "response_format"], f"Input should be {FORMATS}", "zzz", expected=FORMATS))),
    "webhook is no URL": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": [], "notification_method": "webhook",
                                             "webhook_url": "not a url"}, 422,
                          detail(error("url_parsing", ["body", "webhook_url"],
                                       "Input should be a valid URL, relative URL without a base", "not a url",
                                       error="relative URL without a base"))),
    "webhook of another scheme": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": [],
                                                     "notification_method": "webhook", "webhook_url": "ftp://example.com/"}, 422,
                                  detail(error("url_scheme", ["body", "webhook_url"], "URL scheme should be 'http' or 'https'",
                                               "ftp://example.com/", expected_schemes="'http' or 'https'"))),
    # Query
    "query missing": ("POST", QUERY, {}, 422, detail(missing(["body", "query"]))),
    "query empty": ("POST", QUERY, {"query": ""}, 422, detail(
        error("string_too_short", ["body", "query"], "String should have at least 1 character", "", min_length=1))),
    "top_k too small": ("POST", QUERY, {"query": "q", "top_k": 0}, 422, detail(too_small(["body", "top_k"], 0, 1))),
    "top_k too large": ("POST", QUERY, {"query": "q", "top_k": 51}, 422, detail(too_large(["body", "top_k"], 51, 50))),
    "top_k is no number": ("POST", QUERY, {"query": "q", "top_k": "many"}, 422, detail(no_integer(["body", "top_k"], "many"))),
    "threshold too large": ("POST", QUERY, {"query": "q", "threshold": 1.5}, 422, detail(too_large(["body", "threshold"], 1.5, 1))),
    "threshold too small": ("POST", QUERY, {"query": "q", "threshold": -0.5}, 422, detail(too_small(["body", "threshold"], -0.5, 0))),
    "threshold is no number": ("POST", QUERY, {"query": "q", "threshold": "half"}, 422, detail(
        error("float_parsing", ["body", "threshold"], "Input should be a valid number, unable to parse string as a number", "half"))),
    "max_tokens too small": ("POST", QUERY, {"query": "q", "max_tokens": 10}, 422, detail(too_small(["body", "max_tokens"], 10, 1000))),
    "max_tokens too large": ("POST", QUERY, {"query": "q", "max_tokens": 128001}, 422, detail(
        too_large(["body", "max_tokens"], 128001, 128000))),
    "unknown format": ("POST", QUERY, {"query": "q", "response_format": "zzz"}, 422, detail(
        error("enum", ["body", "response_format"], f"Input should be {FORMATS}", "zzz", expected=FORMATS))),
    "three faults at once": ("POST", QUERY, {"query": 1, "top_k": "x", "threshold": 2}, 422, detail(
        no_string(["body", "query"], 1), no_integer(["body", "top_k"], "x"), too_large(["body", "threshold"], 2, 1))),
    # Reads
    "count is no number": ("GET", EVENTS + "?count=many", None, 422, detail(no_integer(["query", "count"], "many"))),
    "unknown export format": ("GET", DATA + "?include_events=true&format=zzz", None, 400, {"detail": "Unsupported format: zzz"}),
    "unknown project": ("GET", EVENTS, None, 200, {"events": [], "count": 0}),
    "unknown project's data": ("GET", DATA, None, 200, []),
    "since is no number": ("GET", EVENTS + "?since=yesterday", None, 200, {"events": [], "count": 0}),
    # Unknown ids and routes
    "unknown agent": ("GET", "/api/v1/agents/PROJECT-nobody", None, 404, {"detail": "Agent not found"}),
    "unknown agent's status": ("GET", "/api/v1/agents/PROJECT-nobody/status", None, 404, {"detail": "Agent not found"}),
    "remove an unknown agent": ("DELETE", "/api/v1/agents/PROJECT-nobody", None, 200,
                                {"status": "unregistered", "agent_id": "PROJECT-nobody"}),
    "unknown key": ("DELETE", "/api/v1/auth/keys/0123456789abcdef", None, 404, {"detail": "Key not found"}),
    "key without a name": ("POST", "/api/v1/auth/keys", None, 422, detail(missing(["query", "name"], None))),
    "unknown version": ("GET", "/api/v1/versions/projects/PROJECT/data/k/version/7", None, 404, {"detail": "Version 7 not found for k"}),
    "unknown route": ("GET", "/api/v1/nothing/here", None, 404, {"detail": "Not Found"}),
    "unknown legacy route": ("GET", "/api/nothing", None, 404, {"detail": "Not Found"}),
    "wrong method": ("GET", PUBLISH, None, 405, {"detail": "Method Not Allowed"}),
    "another wrong method": ("PUT", "/health", None, 405, {"detail": "Method Not Allowed"}),
    # Import
    "import: incomplete": ("POST", IMPORT, {"project_id": "PROJECT"}, 400, {"detail": "Data validation failed"}),
    "empty batch": ("POST", BATCH, [], 200, None),
}

# Where http-api.md names the status and not the whole body: status, and words that the body must hold.
LOOSE = {
    "id of 256 characters": ("POST", PUBLISH, {"project_id": "x" * 256, "data_key": "k", "data": 1}, 422, ["project_id"]),
    "id of 100,000 characters": ("POST", PUBLISH, {"project_id": "x" * 100_000, "data_key": "k", "data": 1}, 422, ["project_id"]),
    "key of 256 characters": ("POST", PUBLISH, {"project_id": "PROJECT", "data_key": "é" * 256, "data": 1}, 422, ["data_key"]),
    "agent id of 256 characters": ("POST", REGISTER, {"agent_id": "a" * 256, "project_id": "PROJECT", "data_needs": []}, 422, ["agent_id"]),
    "path id of 256 characters": ("GET", f"/api/v1/projects/{'x' * 256}/events", None, 422, ["detail"]),
    "empty project id": ("POST", PUBLISH, {"project_id": "", "data_key": "k", "data": 1}, 422, ["project_id", "string_too_short"]),
    "empty key": ("POST", PUBLISH, {"project_id": "PROJECT", "data_key": "", "data": 1}, 422, ["data_key", "string_too_short"]),
    "empty agent id": ("POST", REGISTER, {"agent_id": "", "project_id": "PROJECT", "data_needs": []}, 422, ["agent_id", "string_too_short"]),
    "NUL in a key": ("POST", PUBLISH, b'{"project_id":"PROJECT","data_key":"a\\u0000b","data":1}', 422, ["data_key"]),
    "NUL in a project id": ("POST", PUBLISH, b'{"project_id":"a\\u0000b","data_key":"k","data":1}', 422, ["project_id"]),
    "lone surrogate in a key": ("POST", PUBLISH, b'{"project_id":"PROJECT","data_key":"a\\ud800b","data":1}', 422, ["detail"]),
    "NUL in a path": ("GET", "/api/v1/projects/a%00b/events", None, 422, ["detail"]),
    "10,000 needs": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": ["need"] * 10_000}, 422, ["data_needs"]),
    "webhook without URL": ("POST", REGISTER, {"agent_id": "a", "project_id": "PROJECT", "data_needs": [], "notification_method": "webhook"},
                            422, ["webhook_url is required when notification_method='webhook'"]),
    "negative count": ("GET", EVENTS + "?count=-1", None, 422, ["greater_than_equal", "count"]),
    "body of 11 MiB": ("POST", PUBLISH, b'{"project_id":"PROJECT","data_key":"k","data":"' + b"x" * (11 << 20) + b'"}', 413, ["detail"]),
    "import: broken JSON": ("POST", IMPORT, b"{", 400, ["detail"]),
    "import: no object": ("POST", IMPORT, b"[]", 400, ["detail"]),
    "import: unknown format": ("POST", IMPORT + "?format=zzz", b"{}", 400, ["detail"]),
    "import: of another project": ("POST", IMPORT, {"project_id": "another", "version": "1.0", "data": {"events": [
        {"event_id": "1", "event_type": "t", "data": {"k": 1}, "created_at": "2026-01-01T00:00:00+00:00"}]}}, 400, ["Project ID mismatch"]),
    "bad role": ("POST", "/api/v1/auth/roles?key_id=0123456789abcdef&role=emperor", None, 400, ["Invalid role. Must be one of: ["]),
    "role for an unknown key": ("POST", "/api/v1/auth/roles?key_id=0123456789abcdef&role=admin", None, 404, ["detail"]),
}


def fill(value, project, sent=None):
    """Puts the project's name for PROJECT and the sent body for SAME, all the way down."""
    if value is SAME:
        return sent
    if isinstance(value, bytes):
        return value.replace(b"PROJECT", project.encode())
    if isinstance(value, str):
        return value.replace("PROJECT", project)
    if isinstance(value, list):
        return [fill(item, project, sent) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, project, sent) for key, item in value.items()}
    return value


def send(server, project, method, path, body):
    sent = fill(body, project)
    return sent, server.call(method, fill(path, project), sent)


def nothing_happened(server, project):
    assert server.call("GET", "/health").status == 200
    assert server.call("GET", f"/api/v1/projects/{project}/events").json == {"events": [], "count": 0}
    assert server.call("GET", f"/api/v1/projects/{project}/data").json == []


@pytest.mark.parametrize("name", EXACT)
def test_status_and_body_are_exact(server, project, name):
    method, path, body, status, expected = EXACT[name]
    sent, answer = send(server, project, method, path, body)
    assert answer.status == status, answer
    if expected is not None:
        assert answer.json == fill(expected, project, sent)
    assert answer.headers["Content-Type"] == "application/json"
    nothing_happened(server, project)


@pytest.mark.parametrize("name", LOOSE)
def test_status(server, project, name):
    method, path, body, status, words = LOOSE[name]
    _, answer = send(server, project, method, path, body)
    assert answer.status == status, answer
    text = json.dumps(answer.json)
    assert all(word in text for word in words), answer
    nothing_happened(server, project)


@pytest.mark.parametrize("data", [b'"a\\u0000b"', b'{"a\\u0000b": 1}', b'"a\\ud800b"', b'{"k": "\\udc00"}'])
def test_odd_characters_in_data(server, project, data):
    """Refused or kept exactly, never half: what is answered with 200 comes back as it was sent."""
    answer = server.call("POST", PUBLISH, b'{"project_id":"%s","data_key":"k","data":%s}' % (project.encode(), data))
    assert answer.status in (200, 400, 422), answer
    if answer.status == 200:
        assert server.events(project)[0]["data"]["k"] == json.loads(data)
        server.query(project, "a", threshold=0)
    else:
        nothing_happened(server, project)


def test_unknown_fields_and_hints_are_ignored(server, project):
    answer = server.call("POST", PUBLISH, {"project_id": project, "data_key": "k", "data": {"a": 1}, "data_format": "hologram", "extra": [1]})
    assert answer.status == 200, answer
    assert server.query(project, "a: 1", threshold=0, unknown=True)["matches"][0]["data_key"] == "k.root"


def test_numbers_may_come_as_text(server, project):
    server.publish(project, "k", {"a": 1})
    assert server.query(project, "a", top_k="5", threshold="0")["total_matches"] == 1
    assert server.call("GET", f"/api/v1/projects/{project}/events?since=0&count=5").json["count"] == 1


def test_empty_needs(server, project):
    agent = unique("agent")
    assert server.register(project, agent, [])["matched_needs"] == {}
    server.call("DELETE", f"/api/v1/agents/{agent}")


@pytest.mark.parametrize("given", ["tech stack", "a/b", "a.b.c", "日本語", "..", "%2F", pytest.param("x" * 255, id="255 characters")])
def test_free_text_ids(server, given):
    """Ids are free text; the path carries them percent-encoded."""
    project = unique("p") + given[:200]
    server.publish(project, given, {"a": 1})
    answer = server.call("GET", f"/api/v1/projects/{quote(project, safe='')}/events")
    assert answer.json["events"][0]["data"] == {given: {"a": 1}}


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": ""}])
def test_bodies_that_are_not_said_to_be_json(server, project, headers):
    answer = server.call("POST", PUBLISH, {"project_id": project, "data_key": "k", "data": 1}, headers)
    assert answer.status == 415 and "set Content-Type: application/json" in answer.json["detail"], answer
    nothing_happened(server, project)


def test_batch_registration_is_judged_item_by_item(server, project):
    good = {"project_id": project, "agent_id": unique("agent"), "data_needs": []}
    answer = server.call("POST", "/api/v1/batch/register", [good, {"project_id": project, "agent_id": "bad"}, 7])
    assert answer.status == 200 and answer.json["successful"] == 1 and answer.json["failed"] == 2, answer
    assert [result["status"] for result in answer.json["results"]] == ["success", "failed", "failed"]
    assert answer.json["results"][1]["error"] == "data_needs: Field required"
    server.call("DELETE", f"/api/v1/agents/{good['agent_id']}")


def test_packed_bodies(server, project):
    body = json.dumps({"project_id": project, "data_key": "k", "data": {"packed": "yes"}}).encode()
    for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert server.call("POST", PUBLISH, packed, {"Content-Encoding": coding}).status == 200
    bomb = server.call("POST", PUBLISH, gzip.compress(b'"' + b" " * (9 << 20) + b'"'), {"Content-Encoding": "gzip"})
    assert bomb.status == 413, bomb
    unknown = server.call("POST", PUBLISH, body, {"Content-Encoding": "br"})
    assert unknown.status == 415 and unknown.headers["Accept-Encoding"] == "gzip, deflate", unknown
    assert [event["data"] for event in server.events(project)] == [{"k": {"packed": "yes"}}]  # equal publishes are one event


def test_head(server, project):
    server.publish(project, "k", {"a": 1})
    for path in ("/health", f"/api/v1/projects/{project}/events", "/docs", "/api/v1/nothing"):
        whole, head = server.call("GET", path), server.call("HEAD", path)
        assert head.status == whole.status and head.body == b"" and int(head.headers["Content-Length"]) == len(whole.body)


def test_headers(server):
    v1, legacy = server.call("GET", "/api/v1/agents"), server.call("GET", "/api/agents")
    assert v1.headers["X-API-Version"] == "v1" and v1.headers["X-API-Deprecation"] is None
    assert legacy.headers["X-API-Version"] == "legacy"
    assert legacy.headers["X-API-Deprecation"] == "This API version is deprecated. Use /api/v1 instead."
    assert v1.json == legacy.json
    for answer in (v1, legacy, server.call("GET", "/health"), server.call("GET", "/nothing")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert answer.headers["Content-Security-Policy"] and answer.headers["Cache-Control"] == "no-store"


def test_refusals_with_authentication(guarded):
    assert guarded.call("GET", "/api/v1/agents").json == {"detail": "Missing API Key"}
    wrong = guarded.call("GET", "/api/v1/agents", headers={"X-API-Key": "ck_wrong"})
    assert (wrong.status, wrong.json) == (401, {"detail": "Invalid API Key"})
    unknown = guarded.call("GET", "/api/v1/nothing/here")  # 401 before 404
    assert (unknown.status, unknown.json) == (401, {"detail": "Missing API Key"})
    assert unknown.headers["X-Content-Type-Options"] == "nosniff" and unknown.headers["X-API-Version"] == "v1"
    assert guarded.call("GET", "/health").status == 200
    created = guarded.call("POST", "/api/v1/auth/keys?name=reader", headers={"X-API-Key": guarded.root_key})
    assert set(created.json) >= {"api_key", "key", "key_id", "name", "created_at"} and created.json["api_key"] == created.json["key"]
    for base in ("/api/v1", "/api"):  # on both bases; the original checked roles on the legacy one only
        refused = guarded.call("POST", f"{base}/data/publish", {"project_id": "p", "data_key": "k", "data": 1},
                               {"X-API-Key": created.json["key"]})
        assert refused.status == 403
        assert refused.json == {"error": "forbidden", "required_permission": "publish_data", "your_role": "readonly",
                                "message": "Your role 'readonly' does not have permission to perform this action"}


BROKEN_HTTP = {
    "unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "binary": b"\x00\x01\x02\x03\r\n\r\n",
    "header of 200,000 bytes": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "path of 200,000 bytes": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "bad piece": b"POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "negative length": b"POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
}
BROKEN_REDIS = {
    "huge array": b"*1000000000\r\n",
    "negative length": b"*1\r\n$-5\r\n",
    "huge string": b"*1\r\n$999999999999\r\n",
    "binary": b"\xff\xfe\x00\r\n",
    "deep nesting": b"*1\r\n" * 5000,
}


def answer_to_raw(port, raw):
    with socket.create_connection((HOST, port), 10) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # cut while it was still being sent
        try:
            return connection.recv(100)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("name", BROKEN_HTTP)
def test_broken_http(server, name):
    """Answered with an error or cut, and the next client notices nothing."""
    answer = answer_to_raw(server.http_port, BROKEN_HTTP[name])
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4")), answer
    assert server.call("GET", "/health").status == 200


@pytest.mark.parametrize("name", BROKEN_REDIS)
def test_broken_redis_protocol(server, name):
    answer = answer_to_raw(server.resp_port, BROKEN_REDIS[name])
    assert answer == b"" or answer.startswith(b"-"), answer
    assert server.call("GET", "/health").status == 200
