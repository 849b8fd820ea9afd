"""What the async and the sync client share, without input or output: requests, refusals, when to try again, event streams."""
from __future__ import annotations

import json
import os
import random
import ssl
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, TypeVar
from urllib.parse import quote, urlencode

import contex_wire
import httpx

from .errors import ContexError, NoAnswerError, class_of
from .models import QueryOptions, RegisterOptions

T = TypeVar("T")
VERSION = "0.2.0"
ACCEPT = "application/json, application/problem+json"
#: The server says every 15 s that a stream is there; three of these missed, and it is not.
STREAM_SILENCE = 45.0
#: Of a line of an event stream: twice what a document may have.
LINE_BYTES_MAX = 64 << 20
#: Refused before anything was done, so that a write may be sent again.
NOT_DONE = frozenset({"server_busy", "rate_limited", "limit_reached", "logins_limited"})
PAUSE_MAX = 5.0
#: What the server asks to be waited for longer than this is told to the caller instead.
RETRY_AFTER_MAX = 20.0


def trust(ca_file: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """What is known of certificates, by argument or environment; None when nothing is."""
    ca_file, certificate = ca_file or os.environ.get("CONTEX_CA_FILE"), certificate or os.environ.get("CONTEX_CLIENT_CERT")
    if not ca_file and not certificate:
        return None
    return contex_wire.tls_context(ca_file or None, certificate or None, key or os.environ.get("CONTEX_CLIENT_KEY") or None)


def wire_address(text: str) -> tuple[str, int, bool]:
    """Host, port and whether it is TLS: of `host:port`, `contex://host:port` or `contexs://host:port`."""
    scheme, found, rest = text.rpartition("://")
    if found and scheme not in ("contex", "contexs"):
        raise ValueError(f"{text!r} is no address of the binary protocol: host:port or contexs://host:port")
    host, _, port = rest.rstrip("/").rpartition(":")
    return host.strip("[]") or "localhost", int(port), scheme == "contexs"


@dataclass
class Call:
    """A request. `again`: twice is the same as once."""
    method: str
    path: str
    body: bytes | None = None
    again: bool = True


def part(text: str) -> str:
    """A name as one segment of a path."""
    return quote(text, safe="")


def call(method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None, again: bool = True) -> Call:
    given = {name: ("true" if value is True else "false" if value is False else value) for name, value in (params or {}).items() if value is not None}
    target = f"{path}?{urlencode(given, quote_via=quote)}" if given else path
    return Call(method, target, None if body is None else encoded(body), again)


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


QUERY_OPTIONS = frozenset(QueryOptions.__annotations__)
REGISTER_OPTIONS = frozenset(RegisterOptions.__annotations__)


def options_of(given: Mapping[str, Any], known: frozenset[str], what: str) -> dict[str, Any]:
    if not known.issuperset(given):
        raise TypeError(f"no options of {what}: {', '.join(sorted(set(given) - known))}")
    return without_none(given)


def query_body(text: str | None, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    body = options_of(options, QUERY_OPTIONS, "a query")
    if text is not None:
        body["query"] = text
    body["response_format"] = "json"
    return {**body, **more}


def read(content: bytes, shape: Callable[[Any], T]) -> T:
    """The answer, or a plain word that it is none of Contex."""
    try:
        return shape(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContexError(f"what answered is no Contex server, or a newer one: {error!r} in {content[:200]!r}", code="answer_unreadable") from error


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> ContexError:
    """The error that an answer from 400 on says."""
    try:
        members = json.loads(content)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        members = {}
    code = str(members.get("code") or headers.get("X-Contex-Error") or "")
    detail = members.get("detail") or members.get("message") or content[:200].decode("utf-8", "replace") or f"status {status}"
    fields = members.get("errors") or (detail if isinstance(detail, list) else [])
    if not isinstance(detail, str):
        detail = json.dumps(detail)
    try:
        retry_after = float(headers["Retry-After"]) if "Retry-After" in headers else None
    except ValueError:
        retry_after = None
    cursor = members.get("oldest_cursor") or next((field["ctx"]["oldest_cursor"] for field in fields if "oldest_cursor" in (field.get("ctx") or {})), None)
    return class_of(code, status)(
        detail, code=code, status=status, request_id=members.get("request_id") or headers.get("X-Request-ID"), retry_after=retry_after,
        oldest_cursor=cursor, fields=fields, candidates=members.get("candidates") or (),
        required_permission=members.get("required_permission"), role=members.get("your_role"))


def outcome(members: Mapping[str, Any], shape: Callable[[Mapping[str, Any]], T]) -> T | ContexError:
    """One of a batch."""
    if members.get("status") != "failed":
        return shape(members)
    code = str(members.get("code") or "")
    return class_of(code)(str(members.get("error") or "failed"), code=code)


def refused_stream(text: str) -> ContexError:
    """Of the event `refused` that ends a stream."""
    members = json.loads(text)
    code = str(members.get("code") or "")
    return class_of(code)(str(members.get("detail") or code), code=code, oldest_cursor=members.get("oldest_cursor"))


def no_answer(failure: httpx.TransportError) -> NoAnswerError:
    not_sent = isinstance(failure, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError))
    timed_out = isinstance(failure, httpx.TimeoutException) and not not_sent
    what = "no answer in time" if timed_out else "no connection to the server" if not_sent else "the connection to the server was lost"
    return NoAnswerError(f"{what}: {failure or type(failure).__name__}", may_be_done=not not_sent, timed_out=timed_out)


def may_try_again(request: Call, error: ContexError) -> bool:
    if isinstance(error, NoAnswerError):
        return error.is_passing and (request.again or not error.may_be_done)
    return error.is_passing and (request.again or error.code in NOT_DONE)


def pause(attempt: int, error: ContexError | None, first: float) -> float | None:
    """Seconds until the next attempt, shortened at random so that clients that failed together do not come again together."""
    if error is not None and error.retry_after is not None and error.retry_after > RETRY_AFTER_MAX:
        return None
    backoff = min(PAUSE_MAX, first * 2.0 ** min(16, attempt - 1)) * random.uniform(0.5, 1)
    return max(backoff, (error.retry_after or 0) if error is not None else 0)


@dataclass
class StreamEvent:
    name: str
    id: str | None
    data: str | None


class EventStream:
    """Reads server-sent events out of pieces of bytes."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._name, self._id = "", None  # type: str, str | None
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterable[StreamEvent]:
        self._line += piece
        if len(self._line) > LINE_BYTES_MAX:
            raise ContexError("a line of the event stream is longer than any document", code="answer_unreadable")
        if b"\n" not in piece:
            return
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest)
        for raw in lines:
            line = raw.decode("utf-8", "replace").removesuffix("\r")
            if not line:
                if self._id is not None or self._data:
                    yield StreamEvent(self._name, self._id, "\n".join(self._data) if self._data else None)
                self._name, self._id, self._data = "", None, []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id":
                self._id = value
            elif name == "event":
                self._name = value


def register_body(project: str, agent: str, needs: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    body = options_of(options, REGISTER_OPTIONS, "a registration")
    return {"response_format": "json", **body, "agent_id": agent, "project_id": project, "data_needs": list(needs)}
