"""The client for programs with an event loop."""
from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from typing import Any, AsyncGenerator, Callable, TypeVar

from . import frames, messages, zstd
from .errors import ConnectionLost, ContexError, ProtocolError
from .fields import Message
from .messages import (
    Acknowledge, Agent, Agents, Credit, DataKey, Embed, EmbedInput, Embeddings, ErrorMessage, Events, FollowEvents, FollowInbox, HeldData,
    Hello, Inbox, JSONText, Keys, Listing, Nothing, Opened, Projects, Publish, PublishBatch, PublishOutcome, PublishOutcomes, Query, QueryAnswer,
    QueryBatch, QueryOutcome, QueryOutcomes, ReadEvents, ReadInbox, Receipt, Register, Registration, Removed, Request, TryNeeds, Update, Updates,
    Welcome)

A = TypeVar("A", bound=Message)
VERSION = 1
HALVES, ZSTD = 1, 2
FRAME_BYTES_MAX = 256 << 10
PIECE_BYTES = 64 << 10
# The server owes an answer by the deadline; it is waited for so much longer.
GRACE_SECONDS = 0.5

(PUBLISH, PUBLISH_BATCH, DELETE, QUERY, QUERY_BATCH, EMBED, REGISTER_AGENT, REMOVE_AGENT, SHOW_AGENT, LIST_AGENTS, READ_INBOX, ACKNOWLEDGE,
 READ_EVENTS, FOLLOW_INBOX, FOLLOW_EVENTS, SHOW_DATA, LIST_KEYS, LIST_PROJECTS, REHEARSE, TRY_NEEDS, HEALTH) = range(1, 22)
# What may have been done when its answer was lost.
NOT_AGAIN = {PUBLISH, PUBLISH_BATCH, DELETE, REGISTER_AGENT, REMOVE_AGENT}


def tls_context(ca_file: str | None = None, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """How to talk TLS: who must have signed the server's certificate (else one that the system trusts), and what to show of oneself."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


class _Subscription:
    """Updates on their way to one reader; how many, the credit says."""

    def __init__(self) -> None:
        self.stream = 0
        self.cursor: str | None = None
        self._updates: deque[Update] = deque()
        self._end: BaseException | None = None
        self._event = asyncio.Event()

    def put(self, updates: list[Update]) -> None:
        self._updates.extend(updates)
        self._event.set()

    def end(self, error: BaseException) -> None:
        self._end = self._end or error
        self._event.set()

    async def next(self) -> Update:
        while True:
            if self._updates:
                return self._updates.popleft()
            if self._end is not None:
                raise self._end
            self._event.clear()
            await self._event.wait()


class _Link:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer
        self._pending: dict[int, asyncio.Future[bytes] | _Subscription] = {}
        self._pings: deque[asyncio.Future[None]] = deque()
        self._last_stream = 0
        self._assembler = frames.Assembler()
        self._decoder = frames.FrameDecoder(FRAME_BYTES_MAX)
        self._codec: zstd.Codec | None = None
        self.is_open = True
        self.welcome = Welcome()
        self._slots = asyncio.Semaphore(1)
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, host: str, port: int, api_key: str | None, name: str, timeout: float, tls: ssl.SSLContext | None, server_name: str | None,
        codec: zstd.Codec | None
    ) -> _Link:
        try:
            async with _timeout(timeout):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=tls, server_hostname=(server_name or host) if tls is not None else None)
                link = cls(reader, writer)
                link._codec = codec
                try:
                    await link._greet(Hello(VERSION, VERSION, HALVES | (ZSTD if codec else 0), api_key, name, FRAME_BYTES_MAX))
                except BaseException:
                    writer.close()
                    raise
                return link
        except (OSError, asyncio.TimeoutError) as error:
            raise ConnectionLost(f"no connection to {host}:{port}: {error or 'it takes too long'}") from error

    async def _greet(self, hello: Hello) -> None:
        self._writer.write(frames.PREFACE + frames.Frame(frames.HELLO, 0, 0, hello.encoded()).encoded())
        while True:
            data = await self._reader.read(PIECE_BYTES)
            if not data:
                raise ConnectionLost("the server closed the connection")
            waiting = list(self._decoder.feed(data))
            for frame in waiting:
                if frame.kind == frames.ERROR:
                    raise ErrorMessage.decoded(frame.payload).error
                if frame.kind != frames.WELCOME:
                    raise ProtocolError(f"a frame of kind {frame.kind} instead of WELCOME")
                self.welcome = Welcome.decoded(frame.payload)
                if not self.welcome.features & ZSTD:
                    self._codec = None
                self._decoder.codec = self._codec
                self._slots = asyncio.Semaphore(max(1, self.welcome.requests_max))
                self._task = asyncio.create_task(self._read())
                return

    async def close(self) -> None:
        self.is_open = False
        if self._task:
            self._task.cancel()
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass
        self._fail(ConnectionLost("the client was closed"))

    def _fail(self, error: BaseException) -> None:
        self.is_open = False
        pending, pings = list(self._pending.values()), list(self._pings)
        self._pending, self._pings = {}, deque()
        for one in pending:
            if isinstance(one, _Subscription):
                one.end(error)
            elif not one.done():
                one.set_exception(error)
        for ping in pings:
            if not ping.done():
                ping.set_exception(error)

    async def _read(self) -> None:
        error: BaseException = ConnectionLost("the connection to the server was lost")
        try:
            while data := await self._reader.read(FRAME_BYTES_MAX):
                for frame in self._decoder.feed(data):
                    whole = self._assembler.take(frame)
                    if whole is not None:
                        self._take(whole)
        except OSError as failure:
            error = ConnectionLost(f"the connection to the server was lost: {failure}")
        except (ProtocolError, ContexError) as failure:
            error = failure
        finally:
            self._writer.close()
            self._fail(error)

    def _take(self, frame: frames.Frame) -> None:
        one = self._pending.get(frame.stream)
        if frame.kind == frames.PONG:
            if self._pings:
                ping = self._pings.popleft()
                if not ping.done():
                    ping.set_result(None)
        elif frame.kind == frames.PING:
            self._send(frames.Frame(frames.PONG, 0, 0, frame.payload).encoded())
        elif frame.kind == frames.GOODBYE:
            self.is_open = False
        elif frame.kind == frames.ERROR and frame.stream == 0:
            raise ErrorMessage.decoded(frame.payload).error
        elif frame.kind == frames.ANSWER and frame.flags & frames.OPEN:
            if isinstance(one, _Subscription):
                one.cursor = Opened.decoded(frame.payload).cursor
        elif frame.kind == frames.UPDATES:
            if isinstance(one, _Subscription):
                one.put(Updates.decoded(frame.payload).updates)
        elif frame.kind in (frames.ANSWER, frames.ERROR):
            self._pending.pop(frame.stream, None)
            if frame.kind == frames.ERROR:
                error = ErrorMessage.decoded(frame.payload).error
                if isinstance(one, _Subscription):
                    one.end(error)
                elif one is not None and not one.done():
                    one.set_exception(error)
            elif isinstance(one, asyncio.Future) and not one.done():
                one.set_result(frame.payload)
        else:
            raise ProtocolError(f"a frame of kind {frame.kind} from a server")

    def _send(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def _next_stream(self) -> int:
        if not self.is_open:
            raise ConnectionLost("the connection to the server was lost")
        self._last_stream += 1
        if self._last_stream == 0xFFFFFFFF:
            # The numbers are used up: then another connection is made.
            self.is_open = False
        return self._last_stream

    def _request(self, stream: int, operation: int, body: bytes, deadline: float | None) -> None:
        milliseconds = None if deadline is None else max(1, int(deadline * 1_000))
        message = Request(operation, milliseconds, body).encoded()
        self._send(frames.message_frames(frames.REQUEST, stream, message, min(PIECE_BYTES, self.welcome.frame_bytes_max or PIECE_BYTES),
                                         self._codec))

    async def call(self, operation: int, body: bytes, deadline: float | None) -> bytes:
        async with self._slots:
            stream = self._next_stream()
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._pending[stream] = future
            self._request(stream, operation, body, deadline)
            try:
                await self._writer.drain()
                async with _timeout(None if deadline is None else deadline + GRACE_SECONDS):
                    return await future
            except asyncio.TimeoutError:
                raise ContexError(9, "deadline_exceeded", "the server did not answer by the deadline") from None
            except (ConnectionResetError, BrokenPipeError) as error:
                raise ConnectionLost(f"the connection to the server was lost: {error}") from error
            finally:
                if self._pending.pop(stream, None) is not None:
                    self._assembler.forget(stream)
                    self._send(frames.Frame(frames.CANCEL, 0, stream, b"").encoded())

    async def ping(self, payload: bytes = b"") -> None:
        if not self.is_open:
            raise ConnectionLost("the connection to the server was lost")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings.append(future)
        self._send(frames.Frame(frames.PING, 0, 0, payload).encoded())
        await future

    def follow(self, operation: int, body: bytes) -> _Subscription:
        subscription = _Subscription()
        subscription.stream = self._next_stream()
        self._pending[subscription.stream] = subscription
        self._request(subscription.stream, operation, body, None)
        return subscription

    def credit(self, subscription: _Subscription, updates: int) -> None:
        if self._pending.get(subscription.stream) is subscription:
            self._send(frames.Frame(frames.CREDIT, 0, subscription.stream, Credit(updates).encoded()).encoded())

    def cancel(self, subscription: _Subscription) -> None:
        if self._pending.get(subscription.stream) is subscription:
            del self._pending[subscription.stream]
            self._assembler.forget(subscription.stream)
            self._send(frames.Frame(frames.CANCEL, 0, subscription.stream, b"").encoded())


class _timeout:
    """`asyncio.timeout`, which Python 3.10 does not have."""

    def __init__(self, seconds: float | None):
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_over = False

    async def __aenter__(self) -> None:
        if self._seconds is None:
            return
        self._task = asyncio.current_task()

        def end() -> None:
            self._is_over = True
            if self._task:
                self._task.cancel()
        self._handle = asyncio.get_running_loop().call_later(self._seconds, end)

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._handle:
            self._handle.cancel()
        if self._is_over and kind is asyncio.CancelledError:
            # From Python 3.11 on a task counts who wants it to end.
            uncancel = getattr(self._task, "uncancel", None)
            if uncancel is not None:
                uncancel()
            raise asyncio.TimeoutError from error


class Client:
    """Many requests at once over one connection, which is made when it is needed, and anew when it is lost.

    A request that is the same twice and once is tried again when the server is busy or the connection breaks; any other only when it was
    certainly not sent. Refusals are raised as `ContexError`.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 8002, *, api_key: str | None = None, name: str = "contex-python", connect_timeout: float = 10,
        deadline: float | None = 60, attempts: int = 4, pause: float = 0.05, pause_max: float = 2, window: int = 256,
        tls: ssl.SSLContext | bool | None = None, server_name: str | None = None, compress: bool = False,
    ):
        """`deadline` is that of a request that names none. `window`: updates of a subscription that may be on their way to whoever reads.

        `tls`: True for the authorities that the system trusts, or a context: `tls_context(ca_file=..., certificate=..., key=...)`. The server's
        certificate must then be for `host`, or for `server_name`. `compress`: messages are packed by Zstandard where that makes them smaller:
        worth it where the way is slow. It takes Python 3.14, the package `zstandard`, or the system's libzstd.
        """
        self._codec = zstd.codec() if compress else None
        if compress and self._codec is None:
            raise ValueError("there is no Zstandard here: pip install zstandard")
        self._tls, self._server_name = tls_context() if tls is True else tls or None, server_name
        self.host, self.port = host, port
        self._api_key, self._name, self._connect_timeout = api_key, name, connect_timeout
        self._deadline, self._attempts, self._pause, self._pause_max, self._window = deadline, attempts, pause, pause_max, window
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()
        self._is_closed = False

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        self._is_closed = True
        if self._link:
            await self._link.close()

    async def _connected(self) -> _Link:
        if self._link and self._link.is_open:
            return self._link
        async with self._connecting:
            if self._is_closed:
                raise ContexError(9, "request_cancelled", "the client was closed")
            if not self._link or not self._link.is_open:
                self._link = await _Link.connect(self.host, self.port, self._api_key, self._name, self._connect_timeout, self._tls, self._server_name,
                                                 self._codec)
            return self._link

    def _wait(self, attempt: int) -> float:
        # Shortened at random, so that clients that failed together do not come again together.
        return min(self._pause_max, self._pause * 2.0 ** min(16, attempt - 1)) * random.uniform(0.5, 1)

    async def call(self, operation: int, message: Message, answer: type[A], deadline: float | None = None) -> A:
        """Any operation, with its message and the type of its answer."""
        body, seconds, attempt = message.encoded(), deadline if deadline is not None else self._deadline, 1
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            was_sent = False
            try:
                link = await self._connected()
                was_sent = True
                return answer.decoded(await link.call(operation, body, None if end is None else max(0.001, end - time.monotonic())))
            except ContexError as error:
                if attempt >= self._attempts or not error.is_passing or was_sent and operation in NOT_AGAIN:
                    raise
            pause = self._wait(attempt)
            if end is not None and time.monotonic() + pause >= end:
                raise ContexError(9, "deadline_exceeded", f"the deadline has passed, after {attempt} attempts")
            await asyncio.sleep(pause)
            attempt += 1

    async def ping(self) -> float:
        """Seconds that a frame is on its way to the server and back."""
        link, started = await self._connected(), time.perf_counter()
        await link.ping()
        return time.perf_counter() - started

    async def publish(self, message: Publish, *, deadline: float | None = None) -> Receipt:
        return await self.call(PUBLISH, message, Receipt, deadline)

    async def publish_batch(self, items: list[Publish], *, deadline: float | None = None) -> list[PublishOutcome]:
        """One outcome each, in order."""
        return (await self.call(PUBLISH_BATCH, PublishBatch(items), PublishOutcomes, deadline)).outcomes

    async def delete(self, project: str, key: str, *, deadline: float | None = None) -> Receipt:
        return await self.call(DELETE, DataKey(project, key), Receipt, deadline)

    async def data(self, project: str, key: str, *, as_of: str | None = None, deadline: float | None = None) -> HeldData:
        return await self.call(SHOW_DATA, DataKey(project, key, as_of), HeldData, deadline)

    async def query(self, message: Query, *, deadline: float | None = None) -> QueryAnswer:
        return await self.call(QUERY, message, QueryAnswer, deadline)

    async def query_batch(self, queries: list[Query], *, deadline: float | None = None) -> list[QueryOutcome]:
        """One outcome each, in order, all of one moment."""
        return (await self.call(QUERY_BATCH, QueryBatch(queries), QueryOutcomes, deadline)).outcomes

    async def embed(self, texts: list[str], *, halves: bool = False, deadline: float | None = None) -> Embeddings:
        return await self.call(EMBED, Embed([EmbedInput(text) for text in texts], halves), Embeddings, deadline)

    async def register(self, message: Register, *, deadline: float | None = None) -> Registration:
        return await self.call(REGISTER_AGENT, message, Registration, deadline)

    async def remove_agent(self, agent: str, project: str | None = None, *, deadline: float | None = None) -> int:
        return (await self.call(REMOVE_AGENT, Agent(agent, project), Removed, deadline)).count

    async def agent(self, agent: str, project: str | None = None, *, deadline: float | None = None) -> Any:
        return (await self.call(SHOW_AGENT, Agent(agent, project), JSONText, deadline)).value

    async def agents(self, listing: Listing | None = None, *, deadline: float | None = None) -> Agents:
        return await self.call(LIST_AGENTS, listing or Listing(), Agents, deadline)

    async def read_inbox(self, message: ReadInbox, *, deadline: float | None = None) -> Inbox:
        return await self.call(READ_INBOX, message, Inbox, deadline)

    async def acknowledge(self, agent: str, cursor: str, project: str | None = None, *, deadline: float | None = None) -> int:
        return (await self.call(ACKNOWLEDGE, Acknowledge(agent, project, cursor), Removed, deadline)).count

    async def read_events(self, message: ReadEvents, *, deadline: float | None = None) -> Events:
        return await self.call(READ_EVENTS, message, Events, deadline)

    async def keys(self, listing: Listing, *, deadline: float | None = None) -> Keys:
        return await self.call(LIST_KEYS, listing, Keys, deadline)

    async def projects(self, listing: Listing | None = None, *, deadline: float | None = None) -> Projects:
        return await self.call(LIST_PROJECTS, listing or Listing(), Projects, deadline)

    async def rehearse(self, message: Publish, *, deadline: float | None = None) -> Any:
        """Whom a document would reach; nothing of it stays."""
        return (await self.call(REHEARSE, message, JSONText, deadline)).value

    async def try_needs(self, message: TryNeeds, *, deadline: float | None = None) -> Any:
        return (await self.call(TRY_NEEDS, message, JSONText, deadline)).value

    async def health(self, *, deadline: float | None = None) -> Any:
        return (await self.call(HEALTH, Nothing(), JSONText, deadline)).value

    def updates(
        self, agent: str, project: str | None = None, *, after: str | None = None, suppress_own: bool = False
    ) -> AsyncGenerator[Update, None]:
        """What concerns an agent, in order and without an end: from a cursor, else from the oldest that it has not acknowledged."""
        return self._follow(FOLLOW_INBOX, after, lambda cursor: FollowInbox(agent, project, cursor, self._window, suppress_own))

    def events(self, project: str, *, after: str | None = None, from_start: bool = False) -> AsyncGenerator[Update, None]:
        """The events of a project, in order and without an end: from a cursor, else from the first one or from now on."""
        return self._follow(FOLLOW_EVENTS, after, lambda cursor: FollowEvents(project, cursor, self._window, cursor is None and from_start))

    async def _follow(self, operation: int, cursor: str | None, request: Callable[[str | None], Message]) -> AsyncGenerator[Update, None]:
        failures = 0
        while True:
            subscription: _Subscription | None = None
            link: _Link | None = None
            try:
                link = await self._connected()
                subscription = link.follow(operation, request(cursor).encoded())
                taken = 0
                while True:
                    update = await subscription.next()
                    cursor, failures = update.cursor, 0
                    yield update
                    taken += 1
                    if taken >= max(1, self._window // 2):
                        link.credit(subscription, taken)
                        taken = 0
            except ContexError as error:
                if not error.is_passing:
                    raise
            finally:
                if link and subscription:
                    cursor = cursor or subscription.cursor
                    link.cancel(subscription)
            failures += 1
            await asyncio.sleep(self._wait(failures))


__all__ = ["Client", "messages"]
