"""Contex as a vector store and a retriever of LangChain.

`ContexVectorStore` keeps documents in a project, one under each id; `ContexRetriever` finds whatever is published in a project, by anybody.
Queries are cheap and the client is shared between threads, so the async methods are LangChain's own, which use threads.
"""
from __future__ import annotations

import json
import uuid
from itertools import islice
from typing import Any, Iterable, Iterator, Mapping, Sequence

from contex_client import Contex, ContexError, Match, NotFoundError, Project, PublishItem
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import ConfigDict

__all__ = ["ContexRetriever", "ContexVectorStore"]

#: Of the vectors that Contex keeps. Shorter ones are filled up with zeros, which changes no cosine.
DIMENSION = 384
BATCH = 1_000
PAGE = 1_000


def _filled(vector: Sequence[float]) -> list[float]:
    if len(vector) > DIMENSION:
        raise ValueError(f"Contex keeps vectors of up to {DIMENSION} numbers, and this one has {len(vector)}: leave `embedding` out, "
                         "and the server's model embeds")
    return [*map(float, vector), *[0.0] * (DIMENSION - len(vector))]


class ContexVectorStore(VectorStore):
    """Documents in a project of Contex.

    Without `embedding` the server's model embeds, and a search counts meaning and words together; with one, its cosines order.

        store = ContexVectorStore(Contex("http://localhost:8001").project("notes"))
        store.add_texts(["LMDB is a memory-mapped B+tree"], metadatas=[{"topic": "storage"}])
        store.similarity_search("which database", k=1, filter={"metadata.topic": "storage"})
    """

    def __init__(self, project: Project, embedding: Embeddings | None = None):
        self.project, self._embedding = project, embedding

    @property
    def embeddings(self) -> Embeddings | None:
        return self._embedding

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings | None = None, metadatas: list[dict[str, Any]] | None = None, *,
        ids: list[str] | None = None, project: Project | str = "langchain", url: str | None = None, api_key: str | None = None, **_: Any,
    ) -> ContexVectorStore:
        """A store with these texts. `project` is a project, or the name of one of the server at `url`."""
        store = cls(Contex(url, api_key=api_key).project(project) if isinstance(project, str) else project, embedding)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self, texts: Iterable[str], metadatas: list[dict[str, Any]] | None = None, *, ids: Sequence[str | None] | None = None, **_: Any,
    ) -> list[str]:
        """Publishes texts, each under its id, in place of what is there; an id is made where there is none."""
        given = list(texts)
        names = [name or str(uuid.uuid4()) for name in (ids or [None] * len(given))]
        about: Sequence[Mapping[str, Any]] = metadatas or [{}] * len(given)
        if not len(given) == len(names) == len(about):
            raise ValueError(f"{len(given)} texts, {len(names)} ids and {len(about)} metadatas")
        vectors = self._embedding.embed_documents(given) if self._embedding is not None else None
        for start in range(0, len(given), BATCH):
            items: list[PublishItem] = []
            for place in range(start, min(start + BATCH, len(given))):
                item: PublishItem = {"data_key": names[place], "data": {"text": given[place]}, "data_format": "json"}
                if about[place]:
                    item["metadata"] = about[place]
                if vectors is not None:
                    item["vector"] = _filled(vectors[place])
                items.append(item)
            for outcome in self.project.publish_many(items):
                if isinstance(outcome, ContexError):
                    raise outcome
        return names

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        ids = kwargs.pop("ids", None) or [document.id for document in documents]
        return self.add_texts([document.page_content for document in documents], [document.metadata for document in documents], ids=ids, **kwargs)

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Removes documents, without `ids` all of them; what is not there is passed over."""
        names = ids if ids is not None else [node.data_key.removesuffix(".root") for node in self.project.nodes()]
        for name in names:
            try:
                self.project.delete(name)
            except NotFoundError:
                pass
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        found = []
        for name in ids:
            try:
                held = self.project.get(name)
            except NotFoundError:
                continue
            found.append(Document(page_content=held.data["text"], metadata=held.metadata or {}, id=name))
        return found

    def _search(self, k: int, text: str | None, vector: Sequence[float] | None, **options: Any) -> Iterator[Match]:
        if vector is not None:
            # By the cosine alone, however small it is.
            options = {"query_vector": _filled(vector), "threshold": -1, "mode": "semantic", **options}
        else:
            options = {"threshold": 0, **options}
        if "diversity" in options:
            return iter(self.project.query(text, top_k=min(k, 50), **options))
        return islice(self.project.matches(text, page=min(k, PAGE), **options), k)

    @staticmethod
    def _document(match: Match) -> Document:
        return Document(page_content=match.data["text"], metadata=match.metadata or {}, id=match.data_key.removesuffix(".root"))

    def _of_query(self, query: str) -> tuple[str | None, Sequence[float] | None]:
        return (query, None) if self._embedding is None else (None, self._embedding.embed_query(query))

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """The `k` most similar documents. The options are those of a query of Contex: `filter`, `mode`, `threshold`, `as_of`, ..."""
        return [self._document(match) for match in self._search(k, *self._of_query(query), **options)]

    def similarity_search_with_score(self, query: str, k: int = 4, **options: Any) -> list[tuple[Document, float]]:
        return [(self._document(match), match.similarity) for match in self._search(k, *self._of_query(query), **options)]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **options: Any) -> list[Document]:
        return [self._document(match) for match in self._search(k, None, embedding, **options)]

    def _select_relevance_score_fn(self) -> Any:
        return lambda similarity: min(1.0, max(0.0, similarity))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any,
    ) -> list[Document]:
        """By marginal relevance, as the server packs answers (docs/packing.md); it chooses out of 4 x `k`, whatever `fetch_k` says."""
        return [self._document(match) for match in self._search(k, *self._of_query(query), diversity=1 - lambda_mult, **options)]

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any,
    ) -> list[Document]:
        return [self._document(match) for match in self._search(k, None, embedding, diversity=1 - lambda_mult, **options)]


class ContexRetriever(BaseRetriever):
    """What answers a question, out of everything that is published in a project, in whatever format.

        retriever = ContexRetriever(project=Contex().project("shop"), k=5, options={"max_tokens": 2000})
        retriever.invoke("how do we deploy")
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    project: Project
    k: int = 5
    #: Those of a query of Contex: `filter`, `threshold`, `max_tokens`, `mode`, ...
    options: dict[str, Any] = {}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any) -> list[Document]:
        k = options.pop("k", self.k)
        return [self._document(match) for match in self.project.query(query, top_k=k, **{**self.options, **options})]

    @staticmethod
    def _document(match: Match) -> Document:
        """The text of a node that is one, else its data as JSON."""
        value = next(iter(match.data.values())) if len(match.data) == 1 else None
        text = value if isinstance(value, str) else json.dumps(match.data, ensure_ascii=False)
        return Document(page_content=text, metadata={**(match.metadata or {}), "data_key": match.data_key, "similarity": match.similarity},
                        id=match.data_key)
