"""Messages: section 2 of the protocol. A message is a dataclass whose fields say their number and type."""
from __future__ import annotations

import array
import dataclasses
import functools
import json as _json
import struct
import sys
from typing import Any, Callable, ClassVar, Iterable, TypeVar

from .errors import ProtocolError

VARINT, EIGHT, COUNTED, FOUR = 0, 1, 2, 5
DEPTH_MAX = 8
M = TypeVar("M", bound="Message")
_DOUBLE = struct.Struct("<d")


def put_varint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def take_varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise ProtocolError("a message ends in the middle of a field")
        byte = data[place]
        place += 1
        if shift == 63 and byte > 1:
            raise ProtocolError("a number of more than 64 bits")
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _floats(content: bytes, code: str, width: int) -> list[float]:
    if len(content) % width:
        raise ProtocolError(f"a vector of {len(content)} bytes")
    if code == "e":
        return list(struct.unpack(f"<{len(content) // 2}e", content))
    numbers = array.array("f", content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _vector(values: Iterable[float], code: str) -> bytes:
    values = values if isinstance(values, (list, tuple, array.array)) else list(values)
    return struct.pack(f"<{len(values)}{code}", *values)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"a text that is not UTF-8: {error}") from None


def _flag(value: int) -> bool:
    if value > 1:
        raise ProtocolError(f"a flag of {value}")
    return value == 1


def _nums(content: bytes) -> list[int]:
    values, place, data = [], 0, memoryview(content)
    while place < len(data):
        value, place = take_varint(data, place)
        values.append(value)
    return values


def _packed(values: Iterable[int]) -> bytes:
    out = bytearray()
    for value in values:
        put_varint(out, value)
    return bytes(out)


@dataclasses.dataclass(frozen=True)
class Type:
    """How a field is written, and what is made of its content."""

    way: int
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


NUM = Type(VARINT, lambda value: value, int)
SINT = Type(VARINT, lambda value: value >> 1 ^ -(value & 1), lambda value: (value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF)
FLAG = Type(VARINT, _flag, int)
DOUBLE = Type(EIGHT, lambda content: _DOUBLE.unpack(content)[0], lambda value: _DOUBLE.pack(value))
TEXT = Type(COUNTED, _text, lambda value: value.encode("utf-8"))
BYTES = Type(COUNTED, bytes, bytes)
F32 = Type(COUNTED, lambda content: _floats(content, "f", 4), lambda values: _vector(values, "f"))
F16 = Type(COUNTED, lambda content: _floats(content, "e", 2), lambda values: _vector(values, "e"))
NUMS = Type(COUNTED, _nums, _packed)
# JSON text: values of Python are printed, bytes are sent as they are.
JSON = Type(
    COUNTED, bytes,
    lambda value: value if isinstance(value, bytes) else _json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


@dataclasses.dataclass(frozen=True)
class Spec:
    number: int
    type: Type | type[Message]
    is_list: bool
    is_optional: bool


def wire(number: int, kind: Type | type[Message], *, default: Any = dataclasses.MISSING) -> Any:
    """A field that is there or has its default: with `default=None` it matters whether it is there."""
    spec = Spec(number, kind, False, default is None)
    return dataclasses.field(default=default, metadata={"wire": spec})


def wires(number: int, kind: Type | type[Message]) -> Any:
    """A list: one field for each item."""
    if kind is NUMS:
        return dataclasses.field(default_factory=list, metadata={"wire": Spec(number, kind, False, False)})
    return dataclasses.field(default_factory=list, metadata={"wire": Spec(number, kind, True, False)})


class Message:
    """Anything that can be sent."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    @functools.cache
    def specs(cls) -> list[tuple[str, Spec]]:
        return [(one.name, one.metadata["wire"]) for one in dataclasses.fields(cls)]

    @classmethod
    @functools.cache
    def by_number(cls) -> dict[int, tuple[str, Spec]]:
        return {spec.number: (name, spec) for name, spec in cls.specs()}

    def encoded(self) -> bytes:
        out = bytearray()
        for name, spec in self.specs():
            value = getattr(self, name)
            if value is None or not spec.is_optional and not spec.is_list and not value:
                continue
            for item in value if spec.is_list else (value,):
                self._put(out, spec, item)
        return bytes(out)

    @staticmethod
    def _put(out: bytearray, spec: Spec, value: Any) -> None:
        if isinstance(spec.type, type):
            way, content = COUNTED, value.encoded()
        else:
            way, content = spec.type.way, spec.type.write(value)
        put_varint(out, spec.number << 3 | way)
        if way == VARINT:
            if not 0 <= content < 1 << 64:
                raise ValueError(f"{content} is no number of 64 bits")
            put_varint(out, content)
        elif way == COUNTED:
            put_varint(out, len(content))
            out += content
        else:
            out += content

    @classmethod
    def decoded(cls: type[M], data: bytes, depth: int = 0) -> M:
        if depth > DEPTH_MAX:
            raise ProtocolError("messages in messages, too deep")
        message, known, view, place = cls(), cls.by_number(), memoryview(data), 0
        while place < len(view):
            key, place = take_varint(view, place)
            number, way = key >> 3, key & 7
            if not 0 < number < 1 << 29 or way not in (VARINT, EIGHT, COUNTED, FOUR):
                raise ProtocolError(f"the key {key} of a field is none")
            content: Any
            if way == VARINT:
                content, place = take_varint(view, place)
            else:
                length = 8 if way == EIGHT else 4
                if way == COUNTED:
                    length, place = take_varint(view, place)
                if length > len(view) - place:
                    raise ProtocolError("a message ends in the middle of a field")
                content = bytes(view[place:place + length])
                place += length
            if number not in known:
                continue
            name, spec = known[number]
            if way != (COUNTED if isinstance(spec.type, type) else spec.type.way):
                raise ProtocolError(f"field {number} of {cls.__name__} is written in another way")
            value = spec.type.decoded(content, depth + 1) if isinstance(spec.type, type) else spec.type.read(content)
            if spec.is_list:
                getattr(message, name).append(value)
            else:
                setattr(message, name, value)
        return message
