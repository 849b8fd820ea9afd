"""Contex as the memory storage of CrewAI: what a crew remembers, found by meaning, scope and category, and told to other agents that need it."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from contex_client import Contex, ContexError, NotFoundError, Project, PublishItem
from crewai.memory.types import MemoryRecord, ScopeInfo

__all__ = ["ContexStorage", "server_embedder"]

DIMENSION = 384
BATCH = 100


def server_embedder(contex: Contex) -> Callable[[list[str]], list[list[float]]]:
    """The server's model as the embedder of a Memory: nothing else has to be set up."""
    return lambda texts: [vector for start in range(0, len(texts), BATCH) for vector in contex.embed(list(texts[start:start + BATCH]))]


def _filled(vector: Sequence[float]) -> list[float]:
    """Zeros to the server's dimension, which change no cosine."""
    if len(vector) > DIMENSION:
        raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, and this one has {len(vector)}: Memory(embedder=server_embedder(contex)) has "
                         "the server's model embed")
    return [*map(float, vector), *[0.0] * (DIMENSION - len(vector))]


def _scope(scope: str | None) -> str:
    """With a slash before, none behind: that of all is empty."""
    scope = (scope or "").strip("/")
    return f"/{scope}" if scope else ""


def _ancestors(scope: str) -> list[str]:
    parts = scope.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)] if scope.strip("/") else []


class ContexStorage:
    """Memories of CrewAI in a project of Contex: a key for each.

        contex = Contex("http://localhost:8001")
        memory = Memory(storage=ContexStorage(contex.project("crew")), embedder=server_embedder(contex), llm=...)

    Scores are cosines. Listings, counts and deletions by filter read the whole project; searches do not.
    """

    def __init__(self, project: Project):
        self.project = project

    @staticmethod
    def _record(data: Any, about: dict[str, Any]) -> MemoryRecord:
        return MemoryRecord(content=data["content"], **{name: about[name] for name in ("id", "scope", "categories", "importance", "private")},
                            metadata=data.get("metadata") or {}, source=about.get("source"), created_at=datetime.fromisoformat(about["created_at"]),
                            last_accessed=datetime.fromisoformat(about["last_accessed"]))

    @staticmethod
    def _item(record: MemoryRecord) -> PublishItem:
        about = {"id": record.id, "scope": _scope(record.scope) or "/", "scopes": _ancestors(record.scope), "categories": record.categories,
                 "importance": record.importance, "private": record.private, "source": record.source, "created_at": record.created_at.isoformat(),
                 "last_accessed": record.last_accessed.isoformat(),
                 # What is plain can be filtered by the search itself.
                 "own": {name: value for name, value in record.metadata.items() if isinstance(value, (str, int, float, bool)) and "." not in name}}
        item: PublishItem = {"data_key": record.id, "data": {"content": record.content, "metadata": record.metadata}, "data_format": "json", "metadata": about}
        if record.embedding:
            item["vector"] = _filled(record.embedding)
        return item

    def save(self, records: list[MemoryRecord]) -> None:
        for start in range(0, len(records), BATCH):
            for outcome in self.project.publish_many([self._item(record) for record in records[start:start + BATCH]]):
                if isinstance(outcome, ContexError):
                    raise outcome

    def search(self, query_embedding: list[float], scope_prefix: str | None = None, categories: list[str] | None = None,
               metadata_filter: dict[str, Any] | None = None, limit: int = 10, min_score: float = 0.0) -> list[tuple[MemoryRecord, float]]:
        passing: dict[str, Any] = {"metadata.id": {"exists": True}}
        if _scope(scope_prefix):
            passing["metadata.scopes"] = _scope(scope_prefix)
        if categories:
            passing["metadata.categories"] = list(categories)
        for name, value in (metadata_filter or {}).items():
            if isinstance(value, (str, int, float, bool)) and "." not in name:
                passing[f"metadata.own.{name}"] = value
        found: list[tuple[MemoryRecord, float]] = []
        for match in self.project.matches(query_vector=_filled(query_embedding), mode="semantic", threshold=max(-1.0, min_score), filter=passing,
                                          page=max(1, min(1_000, limit))):
            about = match.metadata or {}
            # A record that came without a vector may have several nodes.
            record = self._record(match.data, about) if "content" in match.data else self.get_record(about["id"])
            if record is not None and all(record.id != one.id for one, _ in found) and self._passes(record, None, categories, metadata_filter):
                found.append((record, match.similarity))
            if len(found) >= limit:
                break
        return found

    @staticmethod
    def _passes(record: MemoryRecord, scope: str | None, categories: list[str] | None, metadata_filter: dict[str, Any] | None,
                older_than: datetime | None = None) -> bool:
        prefix = _scope(scope)
        return ((not prefix or record.scope == prefix or record.scope.startswith(prefix + "/"))
                and (not categories or any(one in record.categories for one in categories))
                and all(record.metadata.get(name) == value for name, value in (metadata_filter or {}).items())
                and (older_than is None or record.created_at < older_than))

    def _all(self, scope: str | None = None) -> Iterator[MemoryRecord]:
        prefix, seen = _scope(scope), set()
        for node in self.project.nodes():
            about = node.metadata or {}
            if "scopes" in about and about["id"] not in seen and (not prefix or prefix in about["scopes"]):
                seen.add(about["id"])  # a record without a vector of its own may have several nodes
                record = self.get_record(about["id"])
                if record is not None:
                    yield record

    def delete(self, scope_prefix: str | None = None, categories: list[str] | None = None, record_ids: list[str] | None = None,
               older_than: datetime | None = None, metadata_filter: dict[str, Any] | None = None) -> int:
        """All that is given must hold; without anything, all records go."""
        if record_ids is not None:
            records = [record for record in map(self.get_record, record_ids) if record is not None]
        else:
            records = list(self._all(scope_prefix))
        return sum(self._remove(record.id) for record in records if self._passes(record, scope_prefix, categories, metadata_filter, older_than))

    def _remove(self, record_id: str) -> bool:
        try:
            self.project.delete(record_id)
        except NotFoundError:
            return False
        return True

    def update(self, record: MemoryRecord) -> None:
        self.save([record])

    def get_record(self, record_id: str) -> MemoryRecord | None:
        try:
            held = self.project.get(record_id)
        except NotFoundError:
            return None
        return self._record(held.data, held.metadata or {})

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        return sorted(self._all(scope_prefix), key=lambda record: record.created_at, reverse=True)[offset:offset + limit]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        records = list(self._all(scope))
        times = [record.created_at for record in records]
        return ScopeInfo(path=_scope(scope) or "/", record_count=len(records), categories=sorted({one for record in records for one in record.categories}),
                         oldest_record=min(times, default=None), newest_record=max(times, default=None), child_scopes=self._children(scope, records))

    @staticmethod
    def _children(parent: str, records: list[MemoryRecord]) -> list[str]:
        prefix = _scope(parent) + "/"
        return sorted({prefix + record.scope[len(prefix):].split("/", 1)[0] for record in records
                       if record.scope.startswith(prefix) and record.scope != prefix})

    def list_scopes(self, parent: str = "/") -> list[str]:
        return self._children(parent, list(self._all(parent)))

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        counts: dict[str, int] = {}
        for record in self._all(scope_prefix):
            for one in record.categories:
                counts[one] = counts.get(one, 0) + 1
        return counts

    def count(self, scope_prefix: str | None = None) -> int:
        return sum(1 for _ in self._all(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        self.delete(scope_prefix=scope_prefix)

    async def asave(self, records: list[MemoryRecord]) -> None:
        await asyncio.to_thread(self.save, records)

    async def asearch(self, query_embedding: list[float], scope_prefix: str | None = None, categories: list[str] | None = None,
                      metadata_filter: dict[str, Any] | None = None, limit: int = 10, min_score: float = 0.0) -> list[tuple[MemoryRecord, float]]:
        return await asyncio.to_thread(self.search, query_embedding, scope_prefix, categories, metadata_filter, limit, min_score)

    async def adelete(self, scope_prefix: str | None = None, categories: list[str] | None = None, record_ids: list[str] | None = None,
                      older_than: datetime | None = None, metadata_filter: dict[str, Any] | None = None) -> int:
        return await asyncio.to_thread(self.delete, scope_prefix, categories, record_ids, older_than, metadata_filter)
