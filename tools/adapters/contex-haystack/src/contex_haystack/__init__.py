"""Contex as a document store of Haystack, and retrievers over it.

Each document is a key of a project. Its content is embedded by the server's model, unless it brings an embedding of up to 384 numbers; a longer
one is kept and given back, but nothing is searched by it.
"""
from __future__ import annotations

import array
import base64
from typing import Any

from contex_client import Contex, ContexError, Match, NotFoundError, PublishItem
from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

__all__ = ["ContexDocumentStore", "ContexEmbeddingRetriever", "ContexRetriever", "server_filter"]

DIMENSION = 384
BATCH = 1_000
COMPARISONS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def _filled(vector: list[float]) -> list[float]:
    """Zeros to the server's dimension, which change no cosine."""
    return [*map(float, vector), *[0.0] * (DIMENSION - len(vector))]


def server_filter(filters: dict[str, Any] | None) -> dict[str, Any] | None:
    """A filter of Haystack in the words of Contex (docs/filters.md), so that the search itself leaves out what does not pass."""
    if not filters:
        return None
    if "conditions" in filters:
        parts = [server_filter(one) or {} for one in filters["conditions"]]
        operator = filters.get("operator")
        if operator == "AND":
            return {"and": parts}
        if operator == "OR":
            return {"or": parts}
        if operator == "NOT":
            return {"not": {"and": parts}}
        raise FilterError(f"no operator of conditions: {operator!r}")
    if not filters.keys() >= {"field", "operator", "value"}:
        raise FilterError("a condition has a field, an operator and a value")
    name, operator, value = filters["field"], filters["operator"], filters["value"]
    field = "metadata.meta." + name.removeprefix("meta.")
    if operator in ("==", "!="):
        same: dict[str, Any] = {"or": [{field: None}, {field: {"exists": False}}]} if value is None else {field: value}
        return same if operator == "==" else {"not": same}
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            raise FilterError(f"{operator} takes a list")
        return {field: value} if operator == "in" else {"not": {field: value}}
    if operator in COMPARISONS:
        return {field: {COMPARISONS[operator]: value}}
    raise FilterError(f"no operator of a comparison: {operator!r}")


def _document(key: str, data: Any, metadata: dict[str, Any] | None, score: float | None = None) -> Document:
    about = metadata or {}
    kept = about.get("embedding")
    embedding = None if kept is None else array.array("d", base64.b64decode(kept)).tolist()
    return Document(id=key.removesuffix(".root"), content=data.get("content"), meta=about.get("meta") or {}, embedding=embedding, score=score)


class ContexDocumentStore:
    """Documents in a project of Contex.

        store = ContexDocumentStore(project="notes", url="http://localhost:8001")
        store.write_documents([Document(content="LMDB is a memory-mapped B+tree")])
        ContexRetriever(store).run("which database")
    """

    def __init__(self, project: str = "haystack", url: str | None = None):
        """The API key is that of `CONTEX_API_KEY`, so that a pipeline that is written to a file does not hold it."""
        self._name, self._url = project, url
        self.project = Contex(url).project(project)

    def to_dict(self) -> dict[str, Any]:
        return default_to_dict(self, project=self._name, url=self._url)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ContexDocumentStore:
        store: ContexDocumentStore = default_from_dict(cls, data)
        return store

    def count_documents(self) -> int:
        return sum(1 for _ in self.project.nodes())

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """All documents that pass, by Haystack's own rules; they are read page by page, all of them."""
        if filters and not ("operator" in filters and ("conditions" in filters or "field" in filters)):
            raise FilterError("a filter has an operator, and conditions or a field")
        documents = [_document(node.data_key, node.data, node.metadata) for node in self.project.nodes()]
        return [document for document in documents if not filters or document_matches_filter(filters, document)]

    def _has(self, name: str) -> bool:
        try:
            self.project.get(name)
            return True
        except NotFoundError:
            return False

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Publishes documents; how many were written. `policy` says what happens with those that are there (NONE is FAIL)."""
        if not isinstance(documents, list) or any(not isinstance(document, Document) for document in documents):
            raise ValueError("write_documents takes a list of documents")
        if policy == DuplicatePolicy.OVERWRITE:
            written = list({document.id: document for document in documents}.values())
        else:
            written, seen = [], set()
            for document in documents:
                if document.id in seen or self._has(document.id):
                    if policy != DuplicatePolicy.SKIP:
                        raise DuplicateDocumentError(f"there is a document of the id '{document.id}'")
                    continue
                seen.add(document.id)
                written.append(document)
        items: list[PublishItem] = []
        for document in written:
            if document.blob is not None or document.sparse_embedding is not None:
                raise ValueError("documents with a blob or a sparse embedding have no place in Contex")
            metadata: dict[str, Any] = {"meta": document.meta}
            item: PublishItem = {"data_key": document.id, "data": {"content": document.content}, "data_format": "json", "metadata": metadata}
            if document.embedding is not None:
                metadata["embedding"] = base64.b64encode(array.array("d", document.embedding).tobytes()).decode()
                if len(document.embedding) <= DIMENSION and any(document.embedding):
                    item["vector"] = _filled(document.embedding)
                    metadata["vector"] = True
            items.append(item)
        for start in range(0, len(items), BATCH):
            for outcome in self.project.publish_many(items[start:start + BATCH]):
                if isinstance(outcome, ContexError):
                    raise outcome
        return len(items) if policy != DuplicatePolicy.OVERWRITE else len(documents)

    def delete_documents(self, document_ids: list[str]) -> None:
        for name in document_ids:
            try:
                self.project.delete(name)
            except NotFoundError:
                pass

    def delete_all_documents(self) -> None:
        self.delete_documents([document.id for document in self.filter_documents()])

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Removes what passes; how many that were."""
        passing = [document.id for document in self.filter_documents(filters)]
        self.delete_documents(passing)
        return len(passing)

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Puts members into the meta of what passes; how many that were."""
        passing = self.filter_documents(filters)
        for document in passing:
            document.meta.update(meta)
        return self.write_documents(passing, DuplicatePolicy.OVERWRITE) if passing else 0

    def search(self, query: str | None, query_embedding: list[float] | None, top_k: int, filters: dict[str, Any] | None, **options: Any) -> list[Document]:
        """The most similar documents, with their scores: by meaning and words, or by an embedding of your own."""
        passing = server_filter(filters)
        if query_embedding is not None:
            if len(query_embedding) > DIMENSION:
                raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, and this one has {len(query_embedding)}")
            own: dict[str, Any] = {"metadata.vector": True}
            options = {"query_vector": _filled(query_embedding), "mode": "semantic", "threshold": -1, **options}
            passing = {"and": [own, passing]} if passing else own
        found: list[Match] = self.project.query(query, top_k=min(top_k, 50), filter=passing, **{"threshold": 0, **options}).matches
        return [_document(match.data_key, match.data, match.metadata, match.similarity) for match in found]


@component
class ContexRetriever:
    """Finds documents by meaning and words."""

    def __init__(self, document_store: ContexDocumentStore, top_k: int = 10, filters: dict[str, Any] | None = None):
        self.document_store, self.top_k, self.filters = document_store, top_k, filters

    def to_dict(self) -> dict[str, Any]:
        return default_to_dict(self, document_store=self.document_store.to_dict(), top_k=self.top_k, filters=self.filters)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ContexRetriever:
        parameters = data["init_parameters"]
        parameters["document_store"] = ContexDocumentStore.from_dict(parameters["document_store"])
        retriever: ContexRetriever = default_from_dict(cls, data)
        return retriever

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None, filters: dict[str, Any] | None = None) -> dict[str, list[Document]]:
        return {"documents": self.document_store.search(query, None, top_k or self.top_k, filters or self.filters)}


@component
class ContexEmbeddingRetriever(ContexRetriever):
    """Finds documents by the cosine of embeddings of your own, of up to 384 numbers."""

    @component.output_types(documents=list[Document])
    def run(self, query_embedding: list[float], top_k: int | None = None, filters: dict[str, Any] | None = None) -> dict[str, list[Document]]:
        return {"documents": self.document_store.search(None, query_embedding, top_k or self.top_k, filters or self.filters)}
