"""Contex as a vector store of mem0. mem0 takes no stores from outside, so importing this enters one: the provider `contex`.

    import contex_mem0
    from mem0 import Memory

    memory = Memory.from_config({
        "vector_store": {"provider": "contex", "config": {"url": "http://localhost:8001", "collection_name": "memories"}},
        "embedder": {"provider": "openai", "config": {      # the server's own model, in the shape of OpenAI's endpoint
            "openai_base_url": "http://localhost:8001/api/v1", "api_key": "any", "model": "any", "embedding_dims": 384}}})

A collection is a project. Memories are published like anything else: agents of Contex can need them, and are told as they are written.
"""
from __future__ import annotations

import array
import base64
import sys
import types
import uuid
from itertools import islice
from typing import Any, Iterable, Sequence

from contex_client import Contex, ContexError, Match, NotFoundError, PublishItem
from mem0.utils.factory import VectorStoreFactory
from mem0.vector_stores.base import VectorStoreBase
from mem0.vector_stores.configs import VectorStoreConfig
from pydantic import BaseModel, ConfigDict

__all__ = ["ContexConfig", "ContexVectorStore", "Memory", "server_filter"]

DIMENSION = 384
BATCH = 1_000
PAGE = 1_000
RANGES = ("gt", "gte", "lt", "lte")


class ContexConfig(BaseModel):
    """Where the memories are. Without `url` and `api_key` the client's own (`CONTEX_URL`, `CONTEX_API_KEY`)."""
    model_config = ConfigDict(extra="forbid")

    collection_name: str = "mem0"
    url: str | None = None
    api_key: str | None = None
    embedding_model_dims: int = DIMENSION


class Memory(BaseModel):
    """A memory as mem0 reads it."""
    id: str
    score: float | None = None
    payload: dict[str, Any]


def _filled(vector: Sequence[float]) -> list[float]:
    """Zeros to the server's dimension, which change no cosine."""
    if len(vector) > DIMENSION:
        raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, and this one has {len(vector)}: take the server's model as the embedder")
    return [*map(float, vector), *[0.0] * (DIMENSION - len(vector))]


def _condition(name: str, wanted: Any) -> Iterable[dict[str, Any]]:
    field = f"metadata.payload.{name}"
    if wanted == "*":
        yield {field: {"exists": True}}
    elif not isinstance(wanted, dict):
        yield {field: wanted}
    else:
        for operator, value in wanted.items():
            if operator in ("eq", "in"):
                yield {field: value}
            elif operator in ("ne", "nin"):
                yield {"not": {field: value}}
            elif operator in RANGES:
                yield {field: {operator: value}}
            else:
                raise ValueError(f"Contex has no filter for {operator!r} (docs/filters.md)")


def server_filter(filters: dict[str, Any] | None) -> dict[str, Any]:
    """Filters of mem0 in the words of Contex, so that the search itself leaves out what does not pass."""
    parts: list[dict[str, Any]] = []
    for name, wanted in (filters or {}).items():
        if name == "$or":
            parts.append({"or": [server_filter(one) for one in wanted]})
        elif name == "$not":
            parts.append({"not": {"or": [server_filter(one) for one in wanted]}})
        else:
            parts += _condition(name, wanted)
    return {"and": parts}


class ContexVectorStore(VectorStoreBase):
    """Memories in a project of Contex, each under its id."""

    def __init__(self, collection_name: str = "mem0", url: str | None = None, api_key: str | None = None, embedding_model_dims: int = DIMENSION):
        self.client = Contex(url, api_key=api_key)
        self.create_col(collection_name, embedding_model_dims, "cosine")

    def create_col(self, name: str, vector_size: int, distance: str = "cosine") -> None:
        """A project; the first memory makes it."""
        if vector_size > DIMENSION:
            raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, not of {vector_size}: set embedding_model_dims and the embedder")
        self.collection_name, self.project = name, self.client.project(name)

    def insert(self, vectors: list[list[float]], payloads: list[dict[str, Any]] | None = None, ids: list[str] | None = None) -> None:
        items: list[PublishItem] = []
        for place, vector in enumerate(vectors):
            payload = payloads[place] if payloads else {}
            items.append({
                "data_key": ids[place] if ids else str(uuid.uuid4()), "data": {"text": payload.get("data", "")}, "data_format": "json",
                "vector": _filled(vector),
                # The vector itself comes back from here: a memory may be changed without it.
                "metadata": {"payload": payload, "vector": base64.b64encode(array.array("f", vector).tobytes()).decode()}})
        for start in range(0, len(items), BATCH):
            for outcome in self.project.publish_many(items[start:start + BATCH]):
                if isinstance(outcome, ContexError):
                    raise outcome

    @staticmethod
    def _memory(match: Match, score: float | None) -> Memory:
        return Memory(id=match.data_key.removesuffix(".root"), score=score, payload=(match.metadata or {}).get("payload") or {})

    def _nearest(self, vector: Sequence[float], top_k: int, filters: dict[str, Any] | None) -> list[Match]:
        return list(islice(self.project.matches(
            None, query_vector=_filled(vector), mode="semantic", threshold=-1, filter=server_filter(filters), page=max(1, min(top_k, PAGE))), top_k))

    def search(self, query: str, vectors: list[float], top_k: int = 5, filters: dict[str, Any] | None = None) -> list[Memory]:
        return [self._memory(match, max(0.0, match.similarity)) for match in self._nearest(vectors, top_k, filters)]

    def keyword_search(self, query: str, top_k: int = 5, filters: dict[str, Any] | None = None) -> list[Memory]:
        """By words; the score is BM25."""
        if not query.strip():
            return []
        found = self.project.query(query, mode="keyword", syntax="plain", threshold=0, top_k=min(top_k, 50), explain=True, filter=server_filter(filters))
        return [self._memory(match, (match.explanation or {})["bm25"]) for match in found]

    def delete(self, vector_id: str) -> None:
        try:
            self.project.delete(vector_id)
        except NotFoundError:
            pass

    def update(self, vector_id: str, vector: list[float] | None = None, payload: dict[str, Any] | None = None) -> None:
        """Changes vector or payload; what is not given stays."""
        if vector is None or payload is None:
            about = self.project.get(vector_id).metadata or {}
            vector = array.array("f", base64.b64decode(about["vector"])).tolist() if vector is None else vector
            payload = about["payload"] if payload is None else payload
        self.insert([vector], [payload or {}], [vector_id])

    def get(self, vector_id: str) -> Memory | None:
        try:
            held = self.project.get(vector_id)
        except NotFoundError:
            return None
        return Memory(id=vector_id, payload=(held.metadata or {}).get("payload") or {})

    def list(self, filters: dict[str, Any] | None = None, top_k: int | None = 100) -> list[list[Memory]]:
        """What passes, in no order that means something; 10,000 at most."""
        return [[self._memory(match, None) for match in self._nearest([1.0], top_k or 10_000, filters)]]

    def list_cols(self) -> Any:
        return [project.project_id for project in self.client.projects()]

    def delete_col(self) -> None:
        """Removes all memories; the project itself, and its history, stay."""
        for node in self.project.nodes():
            self.delete(node.data_key.removesuffix(".root"))

    def col_info(self) -> dict[str, Any]:
        return {"name": self.collection_name, "count": sum(1 for _ in self.project.nodes())}

    def reset(self) -> None:
        self.delete_col()


def _enter() -> None:
    name = "mem0.configs.vector_stores.contex"
    module = types.ModuleType(name)
    module.ContexConfig = ContexConfig  # type: ignore[attr-defined]
    sys.modules[name] = module
    VectorStoreConfig.__private_attributes__["_provider_configs"].default["contex"] = "ContexConfig"
    VectorStoreFactory.provider_to_class["contex"] = "contex_mem0.ContexVectorStore"


_enter()
