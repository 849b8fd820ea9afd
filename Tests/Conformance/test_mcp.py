"""The Model Context Protocol with its own Python SDK and with fastmcp as clients, unmodified, in both eras, over HTTP and standard input.
Every message of the server is held to the SDK's generated schemas; what strangers send is refused."""
import asyncio
import contextlib
import json
import os
import subprocess
import tempfile

import fastmcp
import fastmcp.client.transports
import jsonschema
import mcp
import mcp_types
import mcp_types.methods
import mcp.client.stdio
import mcp.client.streamable_http
import httpx2
import pytest

from support import BINARY, HOST, MODEL, Server

MODES = ["legacy", "2026-07-28", "auto"]
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
TOOLS = ["query_context", "get", "publish", "register_need", "wait_for_updates", "list_projects", "explain"]


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def parameters(*arguments, environment=None):
    return mcp.client.stdio.StdioServerParameters(
        command=BINARY, args=["mcp", *arguments], env={**os.environ, "CONTEX_MODEL_DIR": MODEL, "CONTEX_LOG_LEVEL": "error", **(environment or {})})


@contextlib.contextmanager
def door(kind, server):
    """What a client is given: an address, or a command that speaks on its standard output."""
    if kind == "http":
        yield server.url + "/mcp"
    elif kind == "stdio-server":
        yield parameters("--server", server.url)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield parameters("--data-dir", folder + "/data")


DOORS = ["http", "stdio-server", "stdio-folder"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", DOORS)
def test_the_sdk_uses_every_tool(server, project, kind, mode):
    async def scenario(target):
        async with mcp.Client(target, mode=mode) as client:
            assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
            assert client.server_info is None or client.server_info.name == "contex"
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == TOOLS
            for tool in tools:
                jsonschema.Draft202012Validator.check_schema(tool.input_schema)
                jsonschema.Draft202012Validator.check_schema(tool.output_schema)

            async def call(name, **arguments):
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result
                # The text that a model reads is the object that a program reads.
                assert json.loads(result.content[0].text) == result.structured_content
                return result.structured_content

            published = await call("publish", project=project, key="tech", data={"database": "PostgreSQL 15", "cache": "Redis"})
            assert published == {"key": "tech", "seq": 1, "changed": True}
            await call("publish", project=project, key="guide", data="# Style\n\nIndent with four spaces.", format="markdown")
            found = await call("query_context", project=project, question="which database do we use", budget_tokens=500)
            assert found["matches"][0]["key"] == "tech" and found["matches"][0]["data"]["database"] == "PostgreSQL 15"
            assert "not instructions" in found["notice"]
            held = await call("get", project=project, key="tech")
            assert held["data"] == {"database": "PostgreSQL 15", "cache": "Redis"} and held["seq"] == 1
            assert project in [entry["project"] for entry in (await call("list_projects"))["projects"]]
            assert (await call("explain", project=project, question="which database do we use", key="tech"))["outcome"] == "match"

            await call("register_need", project=project, agent="reviewer", needs=["changes of the database in use"])
            waiting = asyncio.create_task(call("wait_for_updates", project=project, agent="reviewer", timeout_seconds=30))
            await asyncio.sleep(0.3)
            await call("publish", project=project, key="tech", data={"database": "PostgreSQL 16, the database in use has changed"})
            update = await waiting
            assert update["updates"][0]["key"] == "tech" and "16" in update["updates"][0]["data"]["database"]
            again = await call("wait_for_updates", project=project, agent="reviewer", cursor=update["cursor"], timeout_seconds=0)
            assert again["updates"] == []

            refused = await client.call_tool("get", {"project": project, "key": "none"})
            assert refused.is_error and json.loads(refused.content[0].text)["code"] == "data_not_found"

    with door(kind, server) as target:
        run(scenario(target))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", DOORS)
def test_the_sdk_uses_resources_prompts_and_completion(server, project, kind, mode):
    async def scenario(target):
        async with mcp.Client(target, mode=mode) as client:
            for key in ["docs/größe", "docs/b"]:
                await client.call_tool("publish", {"project": project, "key": key, "data": "Indent with four spaces."})
            uris, cursor = [], None
            while True:
                page = await client.list_resources(cursor=cursor)
                uris += [str(resource.uri) for resource in page.resources]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert f"contex://{project}/docs%2Fgr%C3%B6%C3%9Fe" in uris
            read = await client.read_resource(f"contex://{project}/docs%2Fgr%C3%B6%C3%9Fe")
            assert read.contents[0].text == "Indent with four spaces."
            with pytest.raises(mcp.MCPError):
                await client.read_resource(f"contex://{project}/none")
            templates = (await client.list_resource_templates()).resource_templates
            assert [template.uri_template for template in templates] == ["contex://{project}/{key}"]
            completed = await client.complete(
                ref=mcp_types.ResourceTemplateReference(type="ref/resource", uri="contex://{project}/{key}"),
                argument={"name": "key", "value": "docs/"}, context_arguments={"project": project})
            assert completed.completion.values == ["docs/b", "docs/größe"]
            assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["brief_me", "what_changed_since"]
            brief = await client.get_prompt("brief_me", {"project": project, "question": "how do we indent"})
            assert "Indent with four spaces" in brief.messages[0].content.text
            changed = await client.get_prompt("what_changed_since", {"project": project, "since": "1"})
            assert "docs/b" in changed.messages[0].content.text and "größe" not in changed.messages[0].content.text

    with door(kind, server) as target:
        run(scenario(target))


@pytest.mark.parametrize("kind", DOORS)
def test_the_sdk_subscribes(server, project, kind):
    async def scenario(target):
        async with mcp.Client(target, mode="2026-07-28") as client:
            uri = f"contex://{project}/tech"
            async with client.listen(resource_subscriptions=[uri]) as subscription:
                assert list(subscription.honored.resource_subscriptions) == [uri]
                await client.call_tool("publish", {"project": project, "key": "other", "data": 1})
                await client.call_tool("publish", {"project": project, "key": "tech", "data": 1})
                event = await anext(subscription)
                assert event.uri == uri
            # The conversation goes on when the subscription has ended.
            assert len((await client.list_tools()).tools) == len(TOOLS)

    with door(kind, server) as target:
        run(scenario(target))


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("kind", ["http", "stdio-server"])
def test_fastmcp(server, project, kind, mode):
    async def scenario():
        if kind == "http":
            transport = fastmcp.client.transports.StreamableHttpTransport(server.url + "/mcp")
        else:
            stdio = parameters("--server", server.url)
            transport = fastmcp.client.transports.StdioTransport(stdio.command, stdio.args, env=stdio.env)
        async with fastmcp.Client(transport, mode=mode) as client:
            assert [tool.name for tool in await client.list_tools()] == TOOLS
            await client.call_tool("publish", {"project": project, "key": "tech", "data": {"database": "PostgreSQL"}})
            found = await client.call_tool("query_context", {"project": project, "question": "which database"})
            assert found.structured_content["matches"][0]["key"] == "tech"
            with pytest.raises(fastmcp.exceptions.ToolError) as refused:
                await client.call_tool("get", {"project": project, "key": "none"})
            assert "data_not_found" in str(refused.value)
            assert (await client.read_resource(f"contex://{project}/tech"))[0].text == '{"database":"PostgreSQL"}'
            assert "PostgreSQL" in (await client.get_prompt("brief_me", {"project": project, "question": "which database"})).messages[0].content.text

    run(scenario())


# The wire, without an SDK in between


def post(server, message, era="2026-07-28", headers=None, **more):
    """A message as a client of the era sends it; the answer."""
    message = {"jsonrpc": "2.0", "id": 1, **message}
    sent = {"Accept": "application/json, text/event-stream"}
    if era == "2026-07-28":
        message.setdefault("params", {}).setdefault("_meta", {VERSION: era, CAPABILITIES: {}})
        sent["Mcp-Method"] = message["method"]
        name = message["params"].get("uri" if message["method"] == "resources/read" else "name")
        if name is not None:
            sent["Mcp-Name"] = name
    if era:
        sent["MCP-Protocol-Version"] = era
    sent.update(headers or {})
    return server.call("POST", "/mcp", message, {name: value for name, value in sent.items() if value is not None}, **more)


INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
REQUESTS = [
    ("tools/list", {}), ("tools/call", {"name": "list_projects", "arguments": {}}), ("tools/call", {"name": "get", "arguments": {}}),
    ("tools/call", {"name": "query_context", "arguments": {"project": "schema", "question": "which database"}}), ("resources/list", {}),
    ("resources/templates/list", {}), ("resources/read", {"uri": "contex://schema/tech"}), ("prompts/list", {}),
    ("prompts/get", {"name": "brief_me", "arguments": {"project": "schema", "question": "which database"}}),
    ("completion/complete", {"ref": {"type": "ref/resource", "uri": "contex://{project}/{key}"}, "argument": {"name": "project", "value": ""}}),
]


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_every_result_is_one_of_the_schema(server, version):
    server.publish("schema", "tech", {"database": "PostgreSQL"})
    requests = [*REQUESTS, ("server/discover", {})] if version == "2026-07-28" else [
        *REQUESTS, ("ping", {}), ("initialize", {**INITIALIZE, "protocolVersion": version})]
    for method, params in requests:
        answer = post(server, {"method": method, "params": dict(params)}, version)
        assert answer.status == 200, (method, answer)
        body = answer.json
        assert set(body) == {"jsonrpc", "id", "result"}, body
        mcp_types.methods.validate_server_result(method, version, body["result"])
        if version == "2026-07-28":
            assert body["result"]["resultType"] == "complete" and body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "contex"
        else:
            assert "resultType" not in body["result"]
    tools = {tool["name"]: tool for tool in post(server, {"method": "tools/list"}, version).json["result"]["tools"]}
    for name, arguments in [("list_projects", {}), ("query_context", {"project": "schema", "question": "q"}), ("get", {"project": "schema", "key": "tech"})]:
        result = post(server, {"method": "tools/call", "params": {"name": name, "arguments": arguments}}, version).json["result"]
        jsonschema.validate(result["structuredContent"], tools[name]["outputSchema"])


def test_nothing_is_kept_between_two_requests(server):
    """No session: no header of one, a foreign one does not matter, and what only a session could have is not offered."""
    answer = post(server, {"method": "initialize", "params": INITIALIZE}, None)
    assert answer.status == 200 and "Mcp-Session-Id" not in answer.headers
    assert post(server, {"method": "tools/list"}, "2025-11-25", {"Mcp-Session-Id": "anything"}).status == 200
    for method in ["GET", "DELETE"]:
        refused = server.call(method, "/mcp", headers={"Accept": "text/event-stream"})
        assert refused.status == 405 and "POST" in refused.headers["Allow"]


def test_headers_say_what_the_message_says(server):
    complete = {"method": "tools/call", "params": {"name": "list_projects", "arguments": {}}}
    assert post(server, complete).status == 200
    for headers in [{"Mcp-Method": None}, {"Mcp-Method": "tools/list"}, {"Mcp-Name": None}, {"Mcp-Name": "publish"}, {"MCP-Protocol-Version": "2025-11-25"},
                    {"MCP-Protocol-Version": None}, {"Mcp-Name": "=?base64?!?="}]:
        refused = post(server, complete, headers=headers)
        assert (refused.status, refused.json["error"]["code"]) == (400, mcp_types.HEADER_MISMATCH), headers
    of_later = {VERSION: "2031-01-01", CAPABILITIES: {}}
    later = post(server, {"method": "tools/list", "params": {"_meta": of_later}}, headers={"MCP-Protocol-Version": "2031-01-01"})
    assert (later.status, later.json["error"]["code"]) == (400, mcp_types.UNSUPPORTED_PROTOCOL_VERSION)
    assert later.json["error"]["data"]["supported"] == ["2026-07-28"]
    for meta in [{}, {VERSION: "2026-07-28"}, {CAPABILITIES: {}}, {VERSION: 7, CAPABILITIES: {}}, {VERSION: "2026-07-28", CAPABILITIES: 7}, 7, [], None]:
        refused = post(server, {"method": "tools/list", "params": {"_meta": meta}})
        assert refused.status == 400 and refused.json["error"]["code"] in (mcp_types.INVALID_PARAMS, mcp_types.HEADER_MISMATCH), (meta, refused)
    assert post(server, {"method": "tools/list"}, "2024-11-05").status == 400
    assert post(server, {"method": "nonsense"}).status == 404


def test_what_is_no_message_is_refused(server):
    def raw(body, **headers):
        return server.call("POST", "/mcp", body, headers)

    for body in [b"", b"{", b"\xff", b"7", b'"x"', b"[]", b"{}", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
                 b"[" * 100_000, b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
                 b'[{"jsonrpc":"2.0","id":1,"method":"ping"}' + b',{"jsonrpc":"2.0","id":1,"method":"ping"}' * 100 + b"]"]:
        refused = raw(body)
        assert refused.status == 400 and refused.json["error"]["code"] in (mcp_types.PARSE_ERROR, mcp_types.INVALID_REQUEST), (body[:60], refused)
    large = raw(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b"x" * (11 << 20) + b'"}}')
    assert large.status == 413
    # As much as a body may have is read, and what is in it refused by its own rule.
    argument = raw(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "query_context", "arguments": {"project": "p", "question": "x" * (9 << 20)}}}).encode())
    assert argument.status == 200 and argument.json["result"]["isError"] and len(argument.body) < 4_096
    assert raw(b"{}", **{"Content-Type": "text/plain"}).status == 415
    assert post(server, {"method": "tools/list"}, headers={"Accept": "text/html"}).status == 406
    # A batch is the first revision's.
    batch = json.dumps([{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in range(3)]).encode()
    assert [item["id"] for item in raw(batch).json] == [0, 1, 2]
    assert raw(batch, **{"MCP-Protocol-Version": "2025-06-18"}).status == 400
    assert server.call("GET", "/health").status == 200


def test_pages_and_names_of_others_get_nothing(server):
    for headers in [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]:
        assert post(server, {"method": "tools/list"}, headers=headers).status == 403
    assert post(server, {"method": "tools/list"}, headers={"Origin": server.url}).status == 200
    assert post(server, {"method": "tools/list"}, headers={"Host": "rebound.example"}).status == 421


def test_keys(guarded, project):
    refused = post(guarded, {"method": "tools/list"})
    assert refused.status == 401
    metadata_url = f"http://{HOST}:{guarded.http_port}/.well-known/oauth-protected-resource/mcp"
    assert refused.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{metadata_url}"'
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]:
        metadata = guarded.call("GET", path).json
        assert metadata["resource"] == guarded.url + "/mcp" and metadata["bearer_methods_supported"] == ["header"]
    for headers in [{"Authorization": f"Bearer {guarded.root_key}"}, {"X-API-Key": guarded.root_key}]:
        assert post(guarded, {"method": "tools/list"}, headers=headers).status == 200
    assert post(guarded, {"method": "tools/list"}, headers={"Authorization": "Bearer ck_nobody"}).status == 401

    async def scenario(target):
        async with mcp.Client(target) as client:
            await client.call_tool("publish", {"project": project, "key": "tech", "data": {"database": "PostgreSQL"}})
            found = await client.call_tool("query_context", {"project": project, "question": "which database"})
            assert found.structured_content["matches"][0]["by"] is not None

    async def over_http():
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {guarded.root_key}"}) as http:
            await scenario(mcp.client.streamable_http.streamable_http_client(guarded.url + "/mcp", http_client=http))

    run(over_http())
    run(scenario(parameters("--server", guarded.url, environment={"CONTEX_API_KEY": guarded.root_key})))


def test_a_key_reads_what_it_may(guarded, project):
    made = guarded.call("POST", "/api/v1/auth/keys?name=reader", headers={"X-API-Key": guarded.root_key}).json
    mine = {"X-API-Key": made["key"]}
    refused = post(guarded, {"method": "tools/call", "params": {"name": "publish", "arguments": {"project": project, "key": "k", "data": 1}}}, headers=mine)
    assert refused.status == 200 and json.loads(refused.json["result"]["content"][0]["text"])["code"] == "permission_missing"


def test_a_listener_that_leaves_is_forgotten(server, project):
    """Streams of clients that have gone hold no place, and the server answers on."""
    async def scenario():
        for _ in range(30):
            async with mcp.Client(server.url + "/mcp", mode="2026-07-28") as client:
                async with client.listen(resource_subscriptions=[f"contex://{project}/k"]):
                    pass

    run(scenario())
    assert post(server, {"method": "tools/list"}).status == 200


def test_a_subscription_ends_in_good_order_with_the_server():
    async def scenario(running):
        async with mcp.Client(running.url + "/mcp", mode="2026-07-28") as client:
            async with client.listen(resource_subscriptions=["contex://p/k"]) as subscription:
                running.process.terminate()
                assert [event async for event in subscription] == []

    with Server() as running:
        run(scenario(running))
        assert running.process.wait(30) == 0


def test_two_servers_of_one_folder(server):
    """The folder of a running server is refused with the way out."""
    outcome = subprocess.run([BINARY, "mcp", "--data-dir", server.data_dir], input=b"", capture_output=True, timeout=60,
                             env={**os.environ, "CONTEX_MODEL_DIR": MODEL})
    assert outcome.returncode == 4 and b"data" in outcome.stderr


def test_lines_that_are_no_messages_are_answered(server):
    lines = [b"no JSON", b"", b'{"jsonrpc":"2.0","id":5,"method":"ping"}', b"x" * (11 << 20), b'{"jsonrpc":"2.0","id":6,"method":"ping"}\r']
    outcome = subprocess.run([BINARY, "mcp", "--server", server.url], input=b"\n".join(lines), capture_output=True, timeout=60)
    answers = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.returncode == 0 and sorted(answer["id"] for answer in answers if answer["id"]) == [5, 6]
    assert sorted(answer["error"]["code"] for answer in answers if "error" in answer) == [mcp_types.PARSE_ERROR, mcp_types.INVALID_REQUEST]


def test_no_server_is_a_refusal():
    message = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'
    outcome = subprocess.run([BINARY, "mcp", "--server", f"http://{HOST}:9"], input=message, capture_output=True, timeout=60)
    assert json.loads(outcome.stdout)["error"]["code"] == mcp_types.INTERNAL_ERROR


@pytest.mark.parametrize("budget", [100, 200, 500, 2000])
def test_a_budget_is_not_exceeded(server, project, budget):
    """Counted by nobody of ours: a cl100k token has at least one byte, and the SDK's text is what a model is given."""
    for number in range(15):
        server.publish(project, f"service-{number}", {"about": f"the database of service {number} " + "and more words " * number * 20})
    answer = post(server, {"method": "tools/call", "params": {"name": "query_context", "arguments": {
        "project": project, "question": "the database of the services", "budget_tokens": budget}}}).json["result"]
    text = answer["content"][0]["text"]
    # Of such words a token has over three bytes.
    assert answer["structuredContent"]["matches"] and len(text) < budget * 8, len(text)
