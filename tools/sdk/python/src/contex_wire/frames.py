"""Frames: section 1 of the protocol."""
from __future__ import annotations

import struct
from typing import Iterator, NamedTuple

from .errors import ProtocolError
from .zstd import Codec

PREFACE = b"CONTEX/1"
HEAD = struct.Struct(">IBBI")
TAIL = struct.Struct(">I")
MORE, OPEN, PACKED = 1, 2, 4
SIZE = struct.Struct(">I")
# A packed payload grows no more than this, and less is not worth packing.
GROWTH_MAX = 16
PACKED_BYTES_MIN = 512
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


def packed(piece: bytes, codec: Codec) -> bytes | None:
    """A payload as a packed one has it; None when it is not worth it, or would grow more than it may."""
    if len(piece) < PACKED_BYTES_MIN:
        return None
    small = codec.compress(piece)
    if len(small) + SIZE.size >= len(piece) - len(piece) // 8 or len(piece) > GROWTH_MAX * len(small):
        return None
    return SIZE.pack(len(piece)) + small


def unpacked(payload: bytes, payload_max: int, codec: Codec) -> bytes:
    if len(payload) <= SIZE.size:
        raise ProtocolError("a packed frame without content")
    (size,) = SIZE.unpack_from(payload)
    content = payload[SIZE.size:]
    if not 0 < size <= min(payload_max, GROWTH_MAX * len(content)):
        raise ProtocolError(f"a packed frame of {size} bytes in {len(content)}")
    try:
        plain = codec.decompress(content, size)
    except Exception as error:
        raise ProtocolError("a packed frame that cannot be unpacked") from error
    if len(plain) != size:
        raise ProtocolError(f"a packed frame of {len(plain)} bytes that says {size}")
    return plain


def message_frames(kind: int, stream: int, message: bytes, piece_bytes: int, codec: Codec | None = None) -> bytes:
    """A message in as many frames as it needs; with a codec those are packed that get smaller."""
    pieces = [message[start:start + piece_bytes] for start in range(0, len(message), piece_bytes)] or [b""]
    last = len(pieces) - 1
    frames = []
    for place, piece in enumerate(pieces):
        small = packed(piece, codec) if codec is not None else None
        flags = (MORE if place < last else 0) | (PACKED if small is not None else 0)
        frames.append(Frame(kind, flags, stream, piece if small is None else small).encoded())
    return b"".join(frames)


class FrameDecoder:
    """Frames out of bytes, wherever the network has cut these apart."""

    def __init__(self, payload_max: int):
        self.payload_max = payload_max
        # Set when both sides have agreed on packed payloads.
        self.codec: Codec | None = None
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
                known = MORE | OPEN | (PACKED if self.codec is not None else 0)
                if flags & ~known or (flags & (MORE | PACKED) and kind not in MAY_GO_ON) or (flags & OPEN and kind != ANSWER):
                    raise ProtocolError(f"a frame of kind {kind} with the flags {flags}")
                if stream != 0 if kind in OF_CONNECTION else stream == 0 and kind != ERROR:
                    raise ProtocolError(f"a frame of kind {kind} on stream {stream}")
                if flags & PACKED and self.codec is not None:
                    payload = unpacked(payload, self.payload_max, self.codec)
                    flags &= ~PACKED
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
