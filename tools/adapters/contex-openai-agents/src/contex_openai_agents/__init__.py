"""Contex as the session of OpenAI Agents: a conversation that other agents can need, be told of and ask for.

What is added at once is one key of a project, numbered; a head says how many there are. So a turn is one publish, however long the conversation is.
"""
from __future__ import annotations

import asyncio
from typing import Any

from agents.items import TResponseInputItem
from agents.memory import SessionABC, SessionSettings
from contex_client import AsyncProject, NotFoundError

__all__ = ["ContexSession"]


class ContexSession(SessionABC):
    """A conversation in a project of Contex.

        async with AsyncContex("http://localhost:8001") as contex:
            session = ContexSession("ada-1", contex.project("conversations"))
            await Runner.run(agent, "Which database do we use?", session=session)

    One program at a time adds to a session. What is taken back or cleared is gone from every answer; the project's log keeps its events.
    """

    def __init__(self, session_id: str, project: AsyncProject, *, session_settings: SessionSettings | None = None):
        self.session_id = session_id
        self.session_settings = session_settings or SessionSettings()
        self.project = project
        self._prefix = session_id.replace("%", "%25").replace("/", "%2F")
        self._lock = asyncio.Lock()

    def _key(self, number: int) -> str:
        return f"{self._prefix}/{number:08}"

    async def _get(self, key: str) -> Any:
        try:
            return (await self.project.get(key)).data
        except NotFoundError:
            return None

    async def _count(self) -> int:
        head = await self._get(f"{self._prefix}/head")
        return head["portions"] if head else 0

    async def _set_count(self, count: int) -> None:
        await self.project.publish(f"{self._prefix}/head", {"portions": count}, data_format="json")

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        if limit is None:
            limit = self.session_settings.limit
        async with self._lock:
            number, items = await self._count(), []
            while number > 0 and (limit is None or len(items) < limit):
                first = max(0, number - 16)  # so many at once
                portions = await asyncio.gather(*(self._get(self._key(one)) for one in range(first, number)))
                items = [item for portion in portions if portion for item in portion["items"]] + items
                number = first
        return items if limit is None else items[-limit:] if limit > 0 else []

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        if not items:
            return
        async with self._lock:
            count = await self._count()
            await self.project.publish(self._key(count), {"items": items}, data_format="json", metadata={"session": self.session_id})
            await self._set_count(count + 1)  # what is not counted was never added

    async def pop_item(self) -> TResponseInputItem | None:
        async with self._lock:
            count = await self._count()
            while count > 0:
                portion = await self._get(self._key(count - 1))
                if portion and portion["items"]:
                    *rest, last = portion["items"]
                    if rest:
                        await self.project.publish(self._key(count - 1), {"items": rest}, data_format="json", metadata={"session": self.session_id})
                    else:
                        await self._set_count(count - 1)
                        await self._remove(count - 1)
                    return last
                count -= 1
        return None

    async def _remove(self, number: int) -> None:
        try:
            await self.project.delete(self._key(number))
        except NotFoundError:
            pass

    async def clear_session(self) -> None:
        async with self._lock:
            count = await self._count()
            await self._set_count(0)
            for number in range(count):
                await self._remove(number)
