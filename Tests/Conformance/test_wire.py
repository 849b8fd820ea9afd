"""The binary protocol through the Python client (tools/sdk/python), which was written from docs/protocol.md."""
import asyncio
import json
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import zipfile

import pytest

from conftest import ROOT_KEY
from support import CHECKOUT, HOST, unique

SDK = CHECKOUT / "tools/sdk/python"
sys.path.insert(0, str(SDK / "src"))

import contex_wire as contex  # noqa: E402
from contex_wire import frames, messages, zstd  # noqa: E402
from contex_wire.fields import BYTES, DOUBLE, JSON  # noqa: E402

GOLDEN = CHECKOUT / "Tests/Golden/wire-v1"

# What an operation takes and answers, by its number.
OPERATIONS = {
    1: (messages.Publish, messages.Receipt), 2: (messages.PublishBatch, messages.PublishOutcomes), 3: (messages.DataKey, messages.Receipt),
    4: (messages.Query, messages.QueryAnswer), 5: (messages.QueryBatch, messages.QueryOutcomes), 6: (messages.Embed, messages.Embeddings),
    7: (messages.Register, messages.Registration), 8: (messages.Agent, messages.Removed), 9: (messages.Agent, messages.JSONText),
    10: (messages.Listing, messages.Agents), 11: (messages.ReadInbox, messages.Inbox), 12: (messages.Acknowledge, messages.Removed),
    13: (messages.ReadEvents, messages.Events), 14: (messages.FollowInbox, messages.Update), 15: (messages.FollowEvents, messages.Update),
    16: (messages.DataKey, messages.HeldData), 17: (messages.Listing, messages.Keys), 18: (messages.Listing, messages.Projects),
    19: (messages.Publish, messages.JSONText), 20: (messages.TryNeeds, messages.JSONText), 21: (messages.Nothing, messages.JSONText),
}
# Of the vectors: the names that Swift gives to messages.
NAMES = {
    "WireHello": messages.Hello, "WireWelcome": messages.Welcome, "WireRequest": messages.Request, "WireCredit": messages.Credit,
    "WireError": messages.ErrorMessage, "WirePublish": messages.Publish, "WireReceipt": messages.Receipt,
    "WirePublishBatch": messages.PublishBatch, "WireReceipts": messages.PublishOutcomes, "WireDataKey": messages.DataKey,
    "WireHeldData": messages.HeldData, "WireListing": messages.Listing, "WireKeys": messages.Keys, "WireProjects": messages.Projects,
    "WireJSON": messages.JSONText, "WireNothing": messages.Nothing, "WireQuery": messages.Query, "WireQueryAnswer": messages.QueryAnswer,
    "WireQueryBatch": messages.QueryBatch, "WireQueryAnswers": messages.QueryOutcomes, "WireEmbed": messages.Embed,
    "WireEmbeddings": messages.Embeddings, "WireRegister": messages.Register, "WireRegistration": messages.Registration,
    "WireAgent": messages.Agent, "WireRemoved": messages.Removed, "WireAgents": messages.Agents, "WireReadEvents": messages.ReadEvents,
    "WireEvents": messages.Events, "WireReadInbox": messages.ReadInbox, "WireInbox": messages.Inbox, "WireAcknowledge": messages.Acknowledge,
    "WireFollowInbox": messages.FollowInbox, "WireFollowEvents": messages.FollowEvents, "WireOpened": messages.Opened,
    "WireUpdates": messages.Updates, "WireTryNeeds": messages.TryNeeds,
}


def told(message):
    """The fields that are there, by their numbers."""
    fields = {}
    for name, spec in message.specs():
        value = getattr(message, name)
        if value is None or not spec.is_optional and not value:
            continue
        if spec.type in (BYTES, JSON):
            value = {"hex": value.hex()}
        elif isinstance(spec.type, type):
            value = [told(item) for item in value] if spec.is_list else told(value)
        fields[str(spec.number)] = value
    return fields


def made(kind, fields):
    """The message that has these fields."""
    message, known = kind(), kind.by_number()
    for number, value in fields.items():
        name, spec = known[int(number)]
        if isinstance(spec.type, type):
            inner = messages.Match if spec.type is messages._Matches else spec.type
            value = [made(inner, item) for item in value] if spec.is_list else made(inner, value)
        elif spec.type in (BYTES, JSON):
            value = bytes.fromhex(value["hex"]) if "hex" in value else json.dumps(value["json"], separators=(",", ":")).encode()
        elif spec.type is DOUBLE:
            value = float(value)
        setattr(message, name, value)
    return message


def difference(expected, found, at="answer"):
    """A sentence, or nothing."""
    if isinstance(expected, dict):
        if expected.get("any"):
            return None if found is not None else f"{at}: nothing there"
        if "json" in expected:
            value = json.loads(bytes.fromhex(found["hex"])) if found else None
            return None if value == expected["json"] else f"{at}: {value}"
        if "least" in expected:
            return None if found is not None and found >= expected["least"] else f"{at}: {found}"
        if "count" in expected:
            return None if len(found or []) == expected["count"] else f"{at}: {len(found or [])} items"
        for number, value in expected.items():
            if problem := difference(value, (found or {}).get(number), f"{at}.{number}"):
                return problem
        return None
    if isinstance(expected, list):
        if len(expected) != len(found or []):
            return f"{at}: {len(found or [])} items, not {len(expected)}"
        for place, (one, other) in enumerate(zip(expected, found or [])):
            if problem := difference(one, other, f"{at}[{place}]"):
                return problem
        return None
    if expected == 0 and found is None and expected is not False:
        return None
    return None if expected == found else f"{at}: {found!r}, not {expected!r}"


def filled(value, names):
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    return value


def kept(step, found, names):
    for name, path in step.get("save", {}).items():
        value = found
        for part in path:
            value = value[int(part)] if isinstance(value, list) else value[part]
        names[name] = value


def refusal(error):
    return {"1": error.category, "2": error.code, "3": error.message, "4": error.field_name}


async def run(client, project):
    names = {"project": project}
    for step in json.loads((GOLDEN / "scenario.json").read_text())["steps"]:
        kind, answer = OPERATIONS[step["operation"]]
        message = made(kind, filled(step["message"], names))
        problem = None
        try:
            if step["operation"] in (14, 15):
                following = (
                    client.updates(message.agent, message.project, after=message.cursor) if step["operation"] == 14
                    else client.events(message.project, after=message.cursor, from_start=message.from_start))
                found = []
                async for update in following:
                    found.append(told(update))
                    if len(found) == len(step.get("updates", [])):
                        break
                await following.aclose()
                problem = difference(filled(step["updates"], names), found)
            else:
                found = told(await client.call(step["operation"], message, answer))
                problem = difference(filled(step["answer"], names), found) if "answer" in step else f"answered with {found}"
            kept(step, found, names)
        except contex.ContexError as error:
            problem = difference(filled(step["error"], names), refusal(error), "error") if "error" in step else f"refused: {error}"
        assert not problem, f"{step['name']}: {problem}"


def test_vectors():
    """Every vector of Tests/Golden/wire-v1 reads and writes as it stands there."""
    count = 0
    for line in (GOLDEN / "vectors.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        count += 1
        parts = line.split(" ")
        data = b"" if parts[-1] == "-" else bytes.fromhex(parts[-1])
        if parts[0] == "frame":
            kind, flags, stream = (int(part) for part in parts[2:5])
            payload = b"" if parts[5] == "-" else bytes.fromhex(parts[5])
            assert frames.Frame(kind, flags, stream, payload).encoded() == data, parts[1]
            assert list(frames.FrameDecoder(1_000).feed(data)) == [(kind, flags, stream, payload)], parts[1]
        else:
            message = NAMES[parts[1]].decoded(data)
            assert told(message) == json.loads(" ".join(parts[2:-1])), line[:200]
            assert message.encoded() == data, line[:200]
    assert count > 70


def test_checksum():
    assert frames.crc32c(b"123456789") == 0xE3069283
    assert frames.crc32c(bytes(32)) == 0x8A9136AA
    data = random.Random(1).randbytes(1_001)
    assert len({frames.crc32c(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]) for place in range(0, 1_001, 50)}) == 21


def test_damaged_bytes_are_refused_and_never_more():
    """Every truncation waits, every flipped bit is an error or waits; of messages none is worse than `ProtocolError`."""
    whole = frames.Frame(frames.ANSWER, 0, 7, b"payload").encoded()
    for count in range(len(whole)):
        assert list(frames.FrameDecoder(100).feed(whole[:count])) == []
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            try:
                assert list(frames.FrameDecoder(100).feed(bytes(changed))) == []
            except contex.ProtocolError:
                pass
    source = random.Random(2026)
    for line in (GOLDEN / "vectors.txt").read_text().splitlines():
        parts = line.split(" ")
        if parts[0] != "message" or parts[-1] == "-":
            continue
        data = bytes.fromhex(parts[-1])
        for _ in range(40):
            changed = bytearray(data[:source.randrange(len(data) + 1)] if source.random() < 0.3 else data)
            if changed:
                changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
            try:
                NAMES[parts[1]].decoded(bytes(changed)).encoded()
            except contex.ProtocolError:
                pass


def test_scenario(server):
    async def main():
        async with contex.Client(HOST, server.wire_port) as client:
            await run(client, unique("wire"))
    asyncio.run(main())


def test_many_at_once_answer_out_of_order(server, project):
    async def main():
        async with contex.Client(HOST, server.wire_port) as client:
            items = [contex.Publish(project, f"text-{n}", text=f"the word number{n} stands here") for n in range(100)]
            outcomes = await client.publish_batch(items)
            assert [one.receipt.sequence for one in outcomes] == list(range(1, 101))
            order = []

            async def ask(n):
                answer = await client.query(contex.Query(project, text=f"number{n}", mode="keyword", top_k=1, threshold=0.1))
                order.append(n)
                assert answer.matches[0].document_key == f"text-{n}"
            waiting = asyncio.create_task(client.read_events(contex.ReadEvents(project)))
            await asyncio.gather(*(ask(n) for n in range(100)), *(client.ping() for _ in range(20)))
            assert len((await waiting).events) == 100 and sorted(order) == list(range(100))
    asyncio.run(main())


def test_the_same_as_over_http(server, project):
    for n in range(5):
        server.publish(project, f"doc-{n}", {"title": f"note {n} about databases", "body": [n, None, "é"]}, metadata={"n": n})
    server.publish(project, "word", "just a text about databases")
    over_http = server.query(project, "databases", threshold=0, top_k=10)
    with contex.SyncClient(HOST, server.wire_port) as client:
        answer = client.query(contex.Query(project, text="databases", threshold=0, top_k=10))
        assert [match.node_key for match in answer.matches] == [match["data_key"] for match in over_http["matches"]]
        for mine, other in zip(answer.matches, over_http["matches"]):
            assert mine.similarity == other["similarity"] and mine.value == other["data"] and mine.description == other["description"]
            assert mine.token_count == other["token_count"] and (mine.metadata is None) == ("metadata" not in other)
        held = client.data(project, "doc-1")
        assert held.value == server.call("GET", f"/api/v1/projects/{project}/data/doc-1").json["data"]
        assert client.health()["status"] == "healthy" and client.ping() < 1


def test_sync_client_follows(server, project):
    with contex.SyncClient(HOST, server.wire_port, window=4) as client:
        following = client.events(project, from_start=True)
        for n in range(20):
            client.publish(contex.Publish(project, f"key-{n % 3}", json={"n": n}))
        assert [next(following).event.value["n"] for _ in range(20)] == list(range(20))
        following.close()
        assert client.keys(contex.Listing(project)).keys


def test_authentication(guarded):
    async def main():
        for key, code in ((None, "key_missing"), ("nobody's", "key_unknown")):
            async with contex.Client(HOST, guarded.wire_port, api_key=key) as client:
                with pytest.raises(contex.ContexError) as refused:
                    await client.ping()
                assert refused.value.code == code and refused.value.category == 3
        async with contex.Client(HOST, guarded.wire_port, api_key=ROOT_KEY) as client:
            assert (await client.health())["status"] == "healthy"
            made_key = guarded.call("POST", "/api/v1/auth/keys?name=wire", headers={"X-API-Key": ROOT_KEY})
            assert made_key.status in (200, 201), made_key
            async with contex.Client(HOST, guarded.wire_port, api_key=made_key.json["api_key"], attempts=1) as other:
                await other.ping()
                gone = guarded.call("DELETE", f"/api/v1/auth/keys/{made_key.json['key_id']}", headers={"X-API-Key": ROOT_KEY})
                assert gone.status in (200, 204), gone
                with pytest.raises(contex.ContexError):
                    for _ in range(100):
                        await other.ping()
                        await asyncio.sleep(0.02)
    asyncio.run(main())


def test_deadline(server, project):
    async def main():
        async with contex.Client(HOST, server.wire_port) as client:
            await client.register(contex.Register(project, "sleeper", ["what never comes"]))
            started = time.perf_counter()
            with pytest.raises(contex.ContexError) as over:
                await client.read_inbox(contex.ReadInbox("sleeper", project, wait_ms=30_000), deadline=0.2)
            assert over.value.code == "deadline_exceeded" and time.perf_counter() - started < 2
            await client.ping()
    asyncio.run(main())


def test_resumes_after_a_kill(fresh, project):
    """kill -9 of the server in the middle of a subscription: no gap, no other order, from the client's own cursor."""
    total = 60

    async def main():
        async with contex.Client(HOST, fresh.wire_port, pause_max=0.2) as client:
            following = client.events(project, from_start=True)
            seen = []

            async def follow():
                async for update in following:
                    seen.append(update.event.value["n"])
                    if seen[-1] == total - 1:
                        return
            task = asyncio.create_task(follow())
            n, killed = 0, []
            while n < total:
                try:
                    await client.publish(contex.Publish(project, f"key-{n}", json={"n": n}))
                    n += 1
                except contex.ContexError:
                    # It may have been done all the same; then the same again changes nothing.
                    await asyncio.sleep(0.05)
                if n in (15, 40) and n not in killed:
                    fresh.kill()
                    await asyncio.to_thread(fresh.start)
                    killed.append(n)
            await asyncio.wait_for(task, 30)
            assert seen == list(range(total)) and killed == [15, 40]
    asyncio.run(main())


def test_what_is_not_the_protocol(server):
    """Each ends with an ERROR on stream 0, and the server goes on."""
    def answer(data):
        with socket.create_connection((HOST, server.wire_port), timeout=10) as sock:
            sock.sendall(data)
            found = b""
            while piece := sock.recv(65_536):
                found += piece
            return list(frames.FrameDecoder(1 << 20).feed(found))
    hello = frames.PREFACE + frames.Frame(frames.HELLO, 0, 0, messages.Hello(1, 1).encoded()).encoded()
    ping = bytearray(frames.Frame(frames.PING, 0, 0, b"12345678").encoded())
    ping[-1] ^= 1
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", hello + bytes(ping), hello + struct.pack(">IBBI", 1 << 30, 5, 0, 1),
                 frames.PREFACE + frames.Frame(frames.HELLO, 0, 0, messages.Hello(7, 9).encoded()).encoded()):
        last = answer(data)[-1]
        assert last.kind == frames.ERROR and last.stream == 0
        assert messages.ErrorMessage.decoded(last.payload).code in ("protocol_broken", "body_too_large", "version_unsupported")
    assert server.call("GET", "/health").status == 200


def test_wheel(tmp_path):
    """The package builds as a wheel of pure Python with its types."""
    source = tmp_path / "python"
    shutil.copytree(SDK, source)
    made_wheel = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--disable-pip-version-check", "-w", str(tmp_path), str(source)],
        capture_output=True, text=True)
    assert made_wheel.returncode == 0, made_wheel.stderr
    (wheel,) = tmp_path.glob("contex_client-*-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"contex_wire/__init__.py", "contex_wire/py.typed", "contex_wire/client.py", "contex_client/_sync.py", "contex_client/py.typed"} <= set(names)


def test_golden_packed_frames():
    codec = zstd.codec()
    lines = [line.split() for line in (CHECKOUT / "Tests/Golden/wire-zstd-v1/vectors.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 2
    for _, name, kind, flags, stream, payload, encoded in lines:
        decoder = frames.FrameDecoder(1 << 18)
        with pytest.raises(contex.ProtocolError):
            list(frames.FrameDecoder(1 << 18).feed(bytes.fromhex(encoded)))
        decoder.codec = codec
        (frame,) = decoder.feed(bytes.fromhex(encoded))
        assert frame == frames.Frame(int(kind), int(flags) & ~frames.PACKED, int(stream), bytes.fromhex(payload)), name


def test_packed_frames_both_ways(server, project):
    """The same answers, by far fewer bytes; and what is not agreed on, lies or grows too much ends the connection."""
    generator = random.Random(9)
    text = " ".join(generator.choice("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()) + str(generator.randrange(20))
                    for _ in range(1_000))
    received, sent = {}, {}
    for compress in (False, True):
        async def run():
            counts = [0, 0]

            async def relay(reader, writer):
                there_reader, there_writer = await asyncio.open_connection(HOST, server.wire_port)

                async def copy(source, target, place):
                    try:
                        while data := await source.read(65_536):
                            counts[place] += len(data)
                            target.write(data)
                            await target.drain()
                    except (OSError, asyncio.CancelledError):
                        pass  # the client has gone
                    target.close()
                await asyncio.gather(copy(reader, there_writer, 0), copy(there_reader, writer, 1), return_exceptions=True)
            between = await asyncio.start_server(relay, HOST, 0)
            port = between.sockets[0].getsockname()[1]
            client = contex.Client(HOST, port, attempts=1, compress=compress)
            await client.publish(contex.Publish(project, f"large-{compress}", text=text))
            held = await client.data(project, f"large-{compress}")
            await client.close()
            between.close()
            return held, counts
        held, (sent[compress], received[compress]) = asyncio.run(run())
        assert held.value == text
    assert sent[True] < sent[False] / 2 and received[True] < received[False] / 2, (sent, received)


def packed_frame(size, content, stream=1):
    return frames.Frame(frames.REQUEST, frames.PACKED, stream, struct.pack(">I", size) + content).encoded()


@pytest.mark.parametrize("features,size,content", [
    (1, 600, b"x" * 600), (3, 600, b"x" * 600), (3, 0, b""), (3, 4, b""), (3, 1 << 30, b"x" * 100), (3, 100_000, "bomb"), (3, 601, "good"), (3, 599, "good"),
])
def test_packed_frames_that_are_none(server, features, size, content):
    codec = zstd.codec()
    content = {"bomb": codec.compress(bytes(100_000)), "good": codec.compress(b"a record " * 66 + b"123456")}.get(content, content)
    with socket.create_connection((HOST, server.wire_port), 10) as raw:
        hello = messages.Hello(1, 1, features, None, "test", 1 << 18).encoded()
        raw.sendall(frames.PREFACE + frames.Frame(frames.HELLO, 0, 0, hello).encoded() + packed_frame(size, content))
        decoder, kinds = frames.FrameDecoder(1 << 20), []
        while data := raw.recv(65_536):
            for frame in decoder.feed(data):
                kinds.append((frame.kind, frame.stream))
        assert kinds == [(frames.WELCOME, 0), (frames.ERROR, 0)]
    assert server.call("GET", "/health").status == 200
