"""A data folder with as many standing needs as are wanted, without embedding them: registrations with their vectors, written as the journal of a folder
(docs/formats/journal-v1.md, commands-v1.md) that `contex replay` carries out in an empty one. What stands in the store then is what the server's own
apply made of the registrations, to the byte; only the vectors are given.
"""
import hashlib
import os
import shutil
import struct
import subprocess
import time as clock

import support
from support import Server

SYSTEM = bytes(8)
POSITION, STATE, ENTRY = (SYSTEM + bytes([kind]) for kind in (0x04, 0x05, 0x06))


def varint(number):
    found = bytearray()
    while number > 0x7f:
        found.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(found) + bytes([number])


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return number, at


def text(value):
    encoded = value.encode()
    return varint(len(encoded)) + encoded


def sealed(key, payload):
    import crc32c
    head = bytes([1, 0])
    return head + struct.pack(">I", crc32c.crc32c(key + head + payload)) + payload


class Template:
    """What all registrations have but names, needs and vectors: from one that a server has entered in its journal."""

    def __init__(self, entry, project, agent, need):
        length, at = read_varint(entry, 8 + 8 + 32 + 32 + 1)
        command = entry[at:at + length]
        assert command[:2] == bytes([1, 3]), "the entry is no registration"
        _, at = read_varint(command, 2)
        body = command[at:]
        names = text(project) + text(agent)
        assert body[12:12 + len(names)] == names
        self.tenant, self.time = body[:4], struct.unpack(">q", body[4:12])[0]
        start = 12 + len(names)
        end = body.index(varint(1) + text(need), start)
        self.settings = body[start:end]

    def command(self, time, project, agent, needs):
        body = self.tenant + struct.pack(">q", time) + text(project) + text(agent) + self.settings + varint(len(needs))
        for need, vector in needs:
            body += text(need) + varint(len(vector) // 4) + vector
        body += b"\0"
        return bytes([1, 3]) + varint(len(body)) + body


def make(folder, project, needs, vectors):
    """Fills `folder`, which must not be there, with agents a1, a2 ... of three needs each.

    `vectors(start, end)` gives the vectors of the needs from start to end, each as the bytes of its floats. Returns the seconds that applying took.
    """
    import lmdb
    origin = folder.rstrip("/") + ".journal"
    with Server(origin, environment={"CONTEX_JOURNAL": "keep:100GiB"}) as server:
        answer = support.Connection(server.http_port).call(
            "POST", "/api/v1/agents/register",
            {"agent_id": "template", "project_id": project, "data_needs": ["a need like no other"], "response_format": "json"})
        assert answer.status == 200, answer
        server.stop()
    environment = lmdb.open(os.path.join(origin, "store"), map_size=1 << 40, max_dbs=0, sync=False)
    with environment.begin() as transaction:
        state = transaction.get(STATE)[6:]
        first, position, size = struct.unpack(">QQQ", state[:24])
        base, link = state[24:56], state[56:88]
        template = Template(transaction.get(ENTRY + struct.pack(">Q", position))[6:], project, "template", "a need like no other")
    time, agent = template.time, 0
    for start in range(0, len(needs), 3000):
        rows = vectors(start, min(start + 3000, len(needs)))
        with environment.begin(write=True) as transaction:
            for place in range(start, min(start + 3000, len(needs)), 3):
                own = [(needs[at], rows[at - start]) for at in range(place, min(place + 3, len(needs)))]
                agent, position, time = agent + 1, position + 1, time + 1
                command = template.command(time, project, f"a{agent}", own)
                digest = hashlib.sha256(command).digest()
                link = hashlib.sha256(link + struct.pack(">Qq", position, time) + digest).digest()
                entry = struct.pack(">Qq", position, time) + digest + link + b"\0" + varint(len(command)) + command
                key = ENTRY + struct.pack(">Q", position)
                transaction.put(key, sealed(key, entry))
                size += len(entry)
            transaction.put(STATE, sealed(STATE, struct.pack(">QQQ", first, position, size) + base + link))
            transaction.put(POSITION, sealed(POSITION, struct.pack(">Qq", position, time)))
    environment.close()
    started = clock.perf_counter()
    ran = subprocess.run([support.BINARY, "replay", "--from", origin, "--data-dir", folder], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    took = clock.perf_counter() - started
    assert ran.returncode == 0, f"the journal that was made is not taken: {ran.stderr[-2000:]}"
    shutil.rmtree(origin)
    return took
