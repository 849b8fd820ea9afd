"""Contex as the memory service of Google's Agent Development Kit: what was said in past sessions, found by meaning, told to agents that need it.

A memory is a key of a project: application, user, and the id of the event. Its text is what is searched and answered.
"""
from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contex_client import AsyncProject, ContexError, NotFoundError, PublishItem
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.genai import types

if TYPE_CHECKING:
    from google.adk.events.event import Event
    from google.adk.sessions.session import Session

__all__ = ["ContexMemoryService"]


def _segment(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _prefix(app_name: str, user_id: str) -> str:
    return f"{_segment(app_name)}/{_segment(user_id)}/"


def _text(content: types.Content | None) -> str:
    return "\n".join(part.text for part in (content.parts if content and content.parts else ()) if part.text and not part.thought)


class ContexMemoryService(BaseMemoryService):
    """Memories in a project of Contex.

        runner = Runner(..., memory_service=ContexMemoryService(AsyncContex("http://localhost:8001").project("memories")))

    A search has up to `top_k` memories of `threshold` similarity or more, best first, of one user of one application. Only texts are remembered;
    what a user has had deleted is not remembered again.
    """

    def __init__(self, project: AsyncProject, *, top_k: int = 10, threshold: float = 0.3):
        self.project, self.top_k, self.threshold = project, top_k, threshold

    async def add_session_to_memory(self, session: Session) -> None:
        await self.add_events_to_memory(app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id)

    async def add_events_to_memory(
            self, *, app_name: str, user_id: str, events: Sequence[Event], session_id: str | None = None,
            custom_metadata: Mapping[str, object] | None = None) -> None:
        deleted = await self._deleted(app_name, user_id)
        await self._publish([
            self._item(app_name, user_id, event.id, _text(event.content), event.content.role, event.author, datetime.fromtimestamp(event.timestamp).isoformat(),
                       custom_metadata, session_id)
            for event in events if event.content and event.id not in deleted and _text(event.content)])

    async def add_memory(self, *, app_name: str, user_id: str, memories: Sequence[MemoryEntry], custom_metadata: Mapping[str, object] | None = None) -> None:
        await self._publish([
            self._item(app_name, user_id, one.id or uuid.uuid4().hex, _text(one.content), one.content.role, one.author, one.timestamp,
                       {**(custom_metadata or {}), **one.custom_metadata}, None)
            for one in memories if _text(one.content)])

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        if not query.strip():
            return SearchMemoryResponse()
        answer = await self.project.query(
            query, top_k=self.top_k, threshold=self.threshold, syntax="plain", group_by="document",
            filter={"data_key": {"prefix": _prefix(app_name, user_id)}, "metadata.kind": "memory"})
        return SearchMemoryResponse(memories=[self._entry(match.metadata or {}) for match in answer.matches])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        if memory_id is None:
            raise ValueError("delete_memory needs the memory_id that search_memory has answered")
        deleted = await self._deleted(app_name, user_id) | {memory_id}
        await self.project.publish(f"{_prefix(app_name, user_id)}deleted/ids", {"ids": sorted(deleted)}, data_format="json", metadata={"kind": "deleted"})
        try:
            await self.project.delete(f"{_prefix(app_name, user_id)}memory/{_segment(memory_id)}")
        except NotFoundError:
            pass

    async def _deleted(self, app_name: str, user_id: str) -> set[str]:
        try:
            return set((await self.project.get(f"{_prefix(app_name, user_id)}deleted/ids")).data["ids"])
        except NotFoundError:
            return set()

    @staticmethod
    def _item(app_name: str, user_id: str, memory_id: str, text: str, role: str | None, author: str | None, timestamp: str | None,
              custom: Mapping[str, object] | None, session_id: str | None) -> PublishItem:
        about = {"kind": "memory", "id": memory_id, "text": text[:16_000], "role": role, "author": author, "timestamp": timestamp, "session": session_id,
                 "custom": json.dumps(dict(custom or {}))}
        return {"data_key": f"{_prefix(app_name, user_id)}memory/{_segment(memory_id)}", "data": text, "data_format": "text",
                "metadata": {name: value for name, value in about.items() if value is not None}}

    @staticmethod
    def _entry(about: Mapping[str, Any]) -> MemoryEntry:
        return MemoryEntry(
            id=about["id"], content=types.Content(role=about.get("role"), parts=[types.Part(text=about["text"])]), author=about.get("author"),
            timestamp=about.get("timestamp"), custom_metadata=json.loads(about.get("custom", "{}")))

    async def _publish(self, items: list[PublishItem]) -> None:
        for start in range(0, len(items), 100):
            for outcome in await self.project.publish_many(items[start:start + 100]):
                if isinstance(outcome, ContexError):
                    raise outcome
