"""The client for programs without an event loop: the same methods, on a thread of their own."""
from __future__ import annotations

import asyncio
import threading
from typing import Any, AsyncGenerator, Coroutine, Generator, TypeVar

from .client import Client
from .messages import (
    Agents, Embeddings, Events, HeldData, Inbox, Keys, Listing, Projects, Publish, PublishOutcome, Query, QueryAnswer, QueryOutcome, ReadEvents,
    ReadInbox, Receipt, Register, Registration, TryNeeds, Update)

T = TypeVar("T")


class SyncClient:
    """`Client`, each method waiting for its answer. Threads may share it."""

    def __init__(self, host: str = "127.0.0.1", port: int = 8002, **options: Any):
        """`options` are those of `Client`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="contex-client", daemon=True)
        self._thread.start()

        async def made() -> Client:
            return Client(host, port, **options)
        self._client = self._run(made())

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _iterate(self, updates: AsyncGenerator[Update, None]) -> Generator[Update, None, None]:
        async def following() -> Update:
            return await updates.__anext__()
        try:
            while True:
                yield self._run(following())
        finally:
            if not self._loop.is_closed():
                self._run(updates.aclose())

    def ping(self) -> float:
        return self._run(self._client.ping())

    def publish(self, message: Publish, *, deadline: float | None = None) -> Receipt:
        return self._run(self._client.publish(message, deadline=deadline))

    def publish_batch(self, items: list[Publish], *, deadline: float | None = None) -> list[PublishOutcome]:
        return self._run(self._client.publish_batch(items, deadline=deadline))

    def delete(self, project: str, key: str, *, deadline: float | None = None) -> Receipt:
        return self._run(self._client.delete(project, key, deadline=deadline))

    def data(self, project: str, key: str, *, as_of: str | None = None, deadline: float | None = None) -> HeldData:
        return self._run(self._client.data(project, key, as_of=as_of, deadline=deadline))

    def query(self, message: Query, *, deadline: float | None = None) -> QueryAnswer:
        return self._run(self._client.query(message, deadline=deadline))

    def query_batch(self, queries: list[Query], *, deadline: float | None = None) -> list[QueryOutcome]:
        return self._run(self._client.query_batch(queries, deadline=deadline))

    def embed(self, texts: list[str], *, halves: bool = False, deadline: float | None = None) -> Embeddings:
        return self._run(self._client.embed(texts, halves=halves, deadline=deadline))

    def register(self, message: Register, *, deadline: float | None = None) -> Registration:
        return self._run(self._client.register(message, deadline=deadline))

    def remove_agent(self, agent: str, project: str | None = None, *, deadline: float | None = None) -> int:
        return self._run(self._client.remove_agent(agent, project, deadline=deadline))

    def agent(self, agent: str, project: str | None = None, *, deadline: float | None = None) -> Any:
        return self._run(self._client.agent(agent, project, deadline=deadline))

    def agents(self, listing: Listing | None = None, *, deadline: float | None = None) -> Agents:
        return self._run(self._client.agents(listing, deadline=deadline))

    def read_inbox(self, message: ReadInbox, *, deadline: float | None = None) -> Inbox:
        return self._run(self._client.read_inbox(message, deadline=deadline))

    def acknowledge(self, agent: str, cursor: str, project: str | None = None, *, deadline: float | None = None) -> int:
        return self._run(self._client.acknowledge(agent, cursor, project, deadline=deadline))

    def read_events(self, message: ReadEvents, *, deadline: float | None = None) -> Events:
        return self._run(self._client.read_events(message, deadline=deadline))

    def keys(self, listing: Listing, *, deadline: float | None = None) -> Keys:
        return self._run(self._client.keys(listing, deadline=deadline))

    def projects(self, listing: Listing | None = None, *, deadline: float | None = None) -> Projects:
        return self._run(self._client.projects(listing, deadline=deadline))

    def rehearse(self, message: Publish, *, deadline: float | None = None) -> Any:
        return self._run(self._client.rehearse(message, deadline=deadline))

    def try_needs(self, message: TryNeeds, *, deadline: float | None = None) -> Any:
        return self._run(self._client.try_needs(message, deadline=deadline))

    def health(self, *, deadline: float | None = None) -> Any:
        return self._run(self._client.health(deadline=deadline))

    def updates(self, agent: str, project: str | None = None, *, after: str | None = None, suppress_own: bool = False) -> Generator[Update, None, None]:
        return self._iterate(self._client.updates(agent, project, after=after, suppress_own=suppress_own))

    def events(self, project: str, *, after: str | None = None, from_start: bool = False) -> Generator[Update, None, None]:
        return self._iterate(self._client.events(project, after=after, from_start=from_start))
