"""Frames: section 1 of the protocol."""
from __future__ import annotations

import struct
from typing import Iterator, NamedTuple

from .errors import ProtocolError

PREFACE = b"CONTEX/1"
HEAD = struct.Struct(">IBBI")
TAIL = struct.Struct(">I")
MORE, OPEN = 1, 2
HELLO, WELCOME, PING, PONG, REQUEST, ANSWER, ERROR, UPDATES, CREDIT, CANCEL, GOODBYE = range(1, 12)
OF_CONNECTION = {HELLO, WELCOME, PING, PONG, GOODBYE}
MAY_GO_ON = {REQUEST, ANSWER, UPDATES}


def _tables() -> list[list[int]]:
    """Eight tables, so that eight bytes cost eight look-ups and one loop."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
        first.append(byte)
    tables = [first]
    for _ in range(7):
        last = tables[-1]
        tables.append([first[entry & 0xFF] ^ entry >> 8 for entry in last])
    return tables


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _tables()
_EIGHT = struct.Struct("<II")


def crc32c(data: bytes | bytearray | memoryview) -> int:
    crc = 0xFFFFFFFF
    whole = len(data) & ~7
    for low, high in _EIGHT.iter_unpack(memoryview(data)[:whole]):
        low ^= crc
        crc = (
            _T7[low & 255] ^ _T6[low >> 8 & 255] ^ _T5[low >> 16 & 255] ^ _T4[low >> 24]
            ^ _T3[high & 255] ^ _T2[high >> 8 & 255] ^ _T1[high >> 16 & 255] ^ _T0[high >> 24])
    for byte in memoryview(data)[whole:]:
        crc = _T0[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def encoded(self) -> bytes:
        body = HEAD.pack(len(self.payload), self.kind, self.flags, self.stream) + self.payload
        return body + TAIL.pack(crc32c(body))


def message_frames(kind: int, stream: int, message: bytes, piece_bytes: int) -> bytes:
    """A message in as many frames as it needs."""
    pieces = [message[start:start + piece_bytes] for start in range(0, len(message), piece_bytes)] or [b""]
    last = len(pieces) - 1
    return b"".join(Frame(kind, MORE if place < last else 0, stream, piece).encoded() for place, piece in enumerate(pieces))


class FrameDecoder:
    """Frames out of bytes, wherever the network has cut these apart."""

    def __init__(self, payload_max: int):
        self.payload_max = payload_max
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._bytes += data
        start = 0
        try:
            while len(self._bytes) - start >= HEAD.size:
                length, kind, flags, stream = HEAD.unpack_from(self._bytes, start)
                if length > self.payload_max:
                    raise ProtocolError(f"a frame of {length} bytes, at most {self.payload_max} were agreed")
                end = start + HEAD.size + length
                if len(self._bytes) < end + TAIL.size:
                    break
                (checksum,) = TAIL.unpack_from(self._bytes, end)
                with memoryview(self._bytes) as view:
                    if crc32c(view[start:end]) != checksum:
                        raise ProtocolError("a frame with a wrong checksum")
                    payload = bytes(view[start + HEAD.size:end])
                if not HELLO <= kind <= GOODBYE:
                    raise ProtocolError(f"a frame of the unknown kind {kind}")
                if flags & ~(MORE | OPEN) or (flags & MORE and kind not in MAY_GO_ON) or (flags & OPEN and kind != ANSWER):
                    raise ProtocolError(f"a frame of kind {kind} with the flags {flags}")
                if stream != 0 if kind in OF_CONNECTION else stream == 0 and kind != ERROR:
                    raise ProtocolError(f"a frame of kind {kind} on stream {stream}")
                start = end + TAIL.size
                yield Frame(kind, flags, stream, payload)
        finally:
            del self._bytes[:start]


class Assembler:
    """Whole messages out of frames: those of several streams may come mixed."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[int, list[bytes]]] = {}

    def take(self, frame: Frame) -> Frame | None:
        if frame.kind not in MAY_GO_ON:
            if frame.kind == ERROR:
                self._parts.pop(frame.stream, None)
            return frame
        part = self._parts.pop(frame.stream, None)
        if part is None:
            if not frame.flags & MORE:
                return frame
            part = (frame.kind, [])
        if part[0] != frame.kind:
            raise ProtocolError(f"a message of kind {part[0]} goes on as one of kind {frame.kind}")
        part[1].append(frame.payload)
        if frame.flags & MORE:
            self._parts[frame.stream] = part
            return None
        return frame._replace(payload=b"".join(part[1]))

    def forget(self, stream: int) -> None:
        self._parts.pop(stream, None)
