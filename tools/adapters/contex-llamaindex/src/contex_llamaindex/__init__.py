"""Contex as a vector store of LlamaIndex: each node is a key of a project."""
from __future__ import annotations

import json
from typing import Any, Sequence

from contex_client import Answer, Contex, ContexError, Match, NotFoundError, Project, PublishItem
from llama_index.core.bridge.pydantic import ConfigDict, PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore, FilterCondition, FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery, VectorStoreQueryMode,
    VectorStoreQueryResult)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

__all__ = ["ContexVectorStore", "server_filter"]

DIMENSION = 384
BATCH = 1_000
COMPARISONS = {FilterOperator.GT: "gt", FilterOperator.GTE: "gte", FilterOperator.LT: "lt", FilterOperator.LTE: "lte"}


def _filled(vector: Sequence[float]) -> list[float]:
    """Zeros to the server's dimension, which change no cosine."""
    if len(vector) > DIMENSION:
        raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, and this one has {len(vector)}: "
                         "ContexVectorStore(..., server_embeds=True) has the server's model embed")
    return [*map(float, vector), *[0.0] * (DIMENSION - len(vector))]


def _condition(one: MetadataFilter) -> dict[str, Any]:
    field, value, operator = f"metadata.own.{one.key}", one.value, one.operator
    if operator in (FilterOperator.EQ, FilterOperator.CONTAINS):
        return {field: value}
    if operator in (FilterOperator.IN, FilterOperator.ANY):
        return {field: list(value) if isinstance(value, list) else [value]}
    if operator == FilterOperator.NE:
        return {"not": {field: value}}
    if operator == FilterOperator.NIN:
        return {"not": {field: list(value) if isinstance(value, list) else [value]}}
    if operator == FilterOperator.ALL:
        return {"and": [{field: each} for each in (value if isinstance(value, list) else [value])]}
    if operator == FilterOperator.IS_EMPTY:
        return {"or": [{field: {"exists": False}}, {field: None}, {field: ""}]}
    if operator in COMPARISONS:
        return {field: {COMPARISONS[operator]: value}}
    raise ValueError(f"Contex has no filter for {operator.value}: search for words instead (docs/query-syntax.md)")


def server_filter(filters: MetadataFilters) -> dict[str, Any]:
    """Filters of LlamaIndex in the words of Contex (docs/filters.md), so that the search itself leaves out what does not pass."""
    parts = [server_filter(one) if isinstance(one, MetadataFilters) else _condition(one) for one in filters.filters]
    if filters.condition == FilterCondition.OR:
        return {"or": parts}
    if filters.condition == FilterCondition.NOT:
        return {"not": {"or": parts}}
    return {"and": parts}


class ContexVectorStore(BasePydanticVectorStore):
    """Nodes in a project of Contex.

        store = ContexVectorStore(Contex("http://localhost:8001").project("notes"))
        index = VectorStoreIndex.from_vector_store(store, embed_model=...)

    With `server_embeds` the server's model embeds nodes and questions, and the vectors of LlamaIndex are left aside. Nodes in which it finds nothing
    to read, such as empty ones, then have no vector: words find them, `get_nodes` and the deletions by filter do not.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False
    _project: Project = PrivateAttr()

    def __init__(self, project: Project, *, server_embeds: bool = False):
        super().__init__(stores_text=True, is_embedding_query=not server_embeds)
        self._project = project

    @classmethod
    def class_name(cls) -> str:
        return "ContexVectorStore"

    @property
    def client(self) -> Contex:
        return self._project._client

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Publishes nodes, each under its id, in place of what is there."""
        items: list[PublishItem] = []
        for node in nodes:
            kept = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
            item: PublishItem = {
                "data_key": node.node_id, "data": {"text": node.get_content(metadata_mode=MetadataMode.NONE)}, "data_format": "json",
                "metadata": {"own": node.metadata, "node": kept["_node_content"], "type": kept["_node_type"], "ref": node.ref_doc_id}}
            if self.is_embedding_query:
                item["vector"] = _filled(node.get_embedding())
            items.append(item)
        for start in range(0, len(items), BATCH):
            for outcome in self._project.publish_many(items[start:start + BATCH]):
                if isinstance(outcome, ContexError):
                    raise outcome
        return [node.node_id for node in nodes]

    @staticmethod
    def _node(data: Any, metadata: dict[str, Any] | None) -> BaseNode:
        about = metadata or {}
        return metadata_dict_to_node({"_node_content": about.get("node"), "_node_type": about.get("type")}, text=data["text"])

    def _matching(self, filter: dict[str, Any]) -> list[Match]:
        """All that passes a filter: by the cosine to any vector, however small it is (10,000 at most at once)."""
        return list(self._project.matches(None, query_vector=_filled([1.0]), mode="semantic", threshold=-1, filter=filter, page=1_000))

    @staticmethod
    def _filter(node_ids: list[str] | None, filters: MetadataFilters | None, doc_ids: list[str] | None = None) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        if node_ids is not None:
            parts.append({"data_key": node_ids})
        if doc_ids is not None:
            parts.append({"metadata.ref": doc_ids})
        if filters is not None and filters.filters:
            parts.append(server_filter(filters))
        return {"and": parts}

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        return [self._node(match.data, match.metadata) for match in self._matching(self._filter(node_ids, filters))]

    def _remove(self, filter: dict[str, Any]) -> None:
        while found := self._matching(filter):
            for match in found:
                try:
                    self._project.delete(match.data_key.removesuffix(".root"))
                except NotFoundError:
                    pass

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Removes the nodes of a document."""
        self._remove({"metadata.ref": ref_doc_id})

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any) -> None:
        self._remove(self._filter(node_ids, filters))

    def clear(self) -> None:
        self._remove({"and": []})

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """By cosines, or in the modes `hybrid` (with `alpha`), `text_search`, `sparse` and `mmr`."""
        options: dict[str, Any] = {"filter": self._filter(query.node_ids or None, query.filters, query.doc_ids or None), "threshold": 0}
        top_k, mode, text = query.similarity_top_k, query.mode, query.query_str
        if query.query_embedding is not None and self.is_embedding_query:
            options["query_vector"] = _filled(query.query_embedding)
        if mode in (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE):
            options.pop("query_vector", None)
            options["mode"] = "keyword"
        elif mode in (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID):
            top_k = query.hybrid_top_k or top_k
            if query.alpha is not None:
                options["weights"] = {"semantic": query.alpha, "keyword": 1 - query.alpha}
        elif mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            if "query_vector" in options:
                text, options = None, {**options, "mode": "semantic", "threshold": -1}
            if mode == VectorStoreQueryMode.MMR:
                options["diversity"] = 1 - (kwargs.get("mmr_threshold") or query.mmr_threshold or 0.5)
        else:
            raise ValueError(f"Contex has no query mode {mode.value}")
        if "diversity" in options or top_k <= 50:
            found: Answer | list[Match] = self._project.query(text, top_k=min(top_k, 50), **options)
        else:
            found = []
            for match in self._project.matches(text, page=min(top_k, 1_000), **options):
                found.append(match)
                if len(found) == top_k:
                    break
        matches = list(found)
        return VectorStoreQueryResult(
            nodes=[self._node(match.data, match.metadata) for match in matches], similarities=[match.similarity for match in matches],
            ids=[match.data_key.removesuffix(".root") for match in matches])
