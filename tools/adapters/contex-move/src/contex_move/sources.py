"""Where records come from. A source gives them in an order that stays, each with a mark: what to go on behind, also in another process."""
from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass, field
from typing import IO, Any, Iterator, Protocol

#: Where stores and frameworks keep the text of a record, in the order in which they are tried.
TEXT_FIELDS = ("text", "document", "page_content", "content", "chunk", "body", "_node_content")
PAGE = 256


class SourceFailed(Exception):
    """What cannot be read, with the place."""


@dataclass
class Record:
    id: str
    #: None of a record that has none: its fields are the document then.
    text: str | None
    fields: dict[str, Any]
    vector: list[float] | None
    #: Where to go on once this record is moved; something that JSON can hold.
    mark: Any
    #: Vectors that it has besides.
    other_vectors: list[str] = field(default_factory=list)


class Source(Protocol):
    name: str

    def count(self) -> int | None:
        """How many there are; None when only reading them all would tell."""

    def records(self, after: Any) -> Iterator[Record]:
        """All behind a mark; from the first one on when it is None."""


def _split(members: dict[str, Any], text_field: str | None) -> tuple[str | None, dict[str, Any]]:
    """The text of a record, and its other fields."""
    for name in (text_field,) if text_field else TEXT_FIELDS:
        if isinstance(members.get(name), str):
            return members[name], {key: value for key, value in members.items() if key != name}
    return None, dict(members)


class Chroma:
    """A collection of Chroma: of a server (`http://...`) or of a folder that no server has open."""

    def __init__(self, place: str, collection: str, vectors: bool):
        try:
            import chromadb
        except ImportError:
            raise SourceFailed("pip install chromadb, at the version that wrote the collection") from None
        self.name, self.include = f"chroma {place} {collection}", ["documents", "metadatas", *(["embeddings"] if vectors else [])]
        try:
            if place.startswith(("http://", "https://")):
                from urllib.parse import urlsplit
                at = urlsplit(place)
                client = chromadb.HttpClient(at.hostname or "localhost", at.port or (443 if at.scheme == "https" else 8000), ssl=at.scheme == "https")
            elif os.path.isfile(os.path.join(place, "chroma.sqlite3")):
                client = chromadb.PersistentClient(place)
            else:
                raise SourceFailed(f"{place} is no folder of Chroma: it has no chroma.sqlite3")
            self.collection = client.get_collection(collection, embedding_function=None)
        except SourceFailed:
            raise
        except Exception as error:  # its errors have no common base
            raise SourceFailed(f"{self.name}: {error}") from error

    def count(self) -> int | None:
        return int(self.collection.count())

    def records(self, after: Any) -> Iterator[Record]:
        offset = int(after or 0)
        while True:
            page = self.collection.get(limit=PAGE, offset=offset, include=self.include)
            if not page["ids"]:
                return
            for place, identity in enumerate(page["ids"]):
                vector = page["embeddings"][place] if page.get("embeddings") is not None else None
                yield Record(identity, page["documents"][place], dict(page["metadatas"][place] or {}),
                             None if vector is None else [float(number) for number in vector], offset + place + 1)
            offset += len(page["ids"])


class Qdrant:
    """A collection of Qdrant, by its scroll API: of a server (`http://...`) or of a folder of the client's local mode."""

    def __init__(self, place: str, collection: str, text_field: str | None, vectors: bool, vector_name: str | None):
        try:
            import qdrant_client
        except ImportError:
            raise SourceFailed("pip install qdrant-client") from None
        self.name, self.collection_name, self.text_field = f"qdrant {place} {collection}", collection, text_field
        self.vectors, self.vector_name = vectors, vector_name
        try:
            if place.startswith(("http://", "https://")):
                self.client = qdrant_client.QdrantClient(url=place, api_key=os.environ.get("QDRANT_API_KEY"))
            elif os.path.isfile(os.path.join(place, "meta.json")):
                self.client = qdrant_client.QdrantClient(path=place)
            else:
                raise SourceFailed(f"{place} is no folder of Qdrant's local mode: it has no meta.json")
            if not self.client.collection_exists(collection):
                raise SourceFailed(f"there is no collection {collection}")
        except SourceFailed:
            raise
        except Exception as error:
            raise SourceFailed(f"{self.name}: {error}") from error

    def count(self) -> int | None:
        return int(self.client.count(self.collection_name, exact=True).count)

    def records(self, after: Any) -> Iterator[Record]:
        # A mark is the id of the last point: a scroll begins with the point at its offset, so that one comes once more and is passed over.
        offset, passed = after, after
        while True:
            points, offset = self.client.scroll(self.collection_name, limit=PAGE, offset=offset, with_payload=True, with_vectors=self.vectors)
            for point in points:
                if passed is not None and point.id == passed:
                    continue
                text, fields = _split(dict(point.payload or {}), self.text_field)
                vector, others = self._vector(point.vector)
                yield Record(str(point.id), text, fields, vector, point.id, others)
            if offset is None:
                return

    def _vector(self, found: Any) -> tuple[list[float] | None, list[str]]:
        if isinstance(found, dict):
            others = [name for name in found if name != self.vector_name]
            found = found.get(self.vector_name) if self.vector_name else None
            return (list(map(float, found)) if isinstance(found, list) else None), others
        return (list(map(float, found)) if isinstance(found, list) else None), []


class Lines:
    """An export of a line of JSON a record, also with gzip. What a line looks like is seen at its first one, or said.

    pinecone    {"id", "values", "metadata": {...}}
    weaviate    {"id" or "uuid", "properties": {...}, "vector"}
    opensearch  {"_id", "_source": {...}}: hits of a scroll, or what elasticdump writes
    flat        {"id", ...}: for instance of pgvector, COPY (SELECT row_to_json(t) FROM items t ORDER BY id) TO STDOUT
    """
    SHAPES = ("pinecone", "weaviate", "opensearch", "flat")

    def __init__(self, path: str, text_field: str | None, shape: str | None = None, id_field: str = "id", vector_field: str = "embedding"):
        self.name, self.path, self.shape = f"lines {os.path.abspath(path)}", path, shape
        self.text_field, self.id_field, self.vector_field = text_field, id_field, vector_field
        if not os.path.isfile(path):
            raise SourceFailed(f"there is no file {path}")

    def _open(self) -> IO[bytes]:
        with open(self.path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return gzip.open(self.path, "rb") if packed else open(self.path, "rb")  # type: ignore[return-value]

    def count(self) -> int | None:
        with self._open() as file:
            return sum(1 for line in file if line.strip())

    def records(self, after: Any) -> Iterator[Record]:
        with self._open() as file:
            mark = int(after or 0)
            if mark:
                # What a line looks like is seen at the first one, wherever it goes on.
                self._record(next((line for line in file if line.strip()), b"{}"), 0)
            file.seek(mark)
            for line in file:
                mark += len(line)
                if line.strip():
                    yield self._record(line, mark)

    def _record(self, line: bytes, mark: int) -> Record:
        try:
            members = json.loads(line)
            if not isinstance(members, dict):
                raise ValueError("no object")
            self.shape = self.shape or self._seen(members)
            identity, own, vector = self._parts(members)
            if isinstance(vector, str):
                vector = json.loads(vector)  # as PostgreSQL prints it
            return Record(identity, *_split(own, self.text_field), None if vector is None else [float(number) for number in vector], mark)
        except (ValueError, TypeError, KeyError) as error:
            raise SourceFailed(f"{self.path}, the line that ends at byte {mark}: {type(error).__name__} {error} (as {self.shape or 'flat'})") from error

    @staticmethod
    def _seen(members: dict[str, Any]) -> str:
        if "_source" in members:
            return "opensearch"
        if isinstance(members.get("properties"), dict):
            return "weaviate"
        return "pinecone" if "values" in members and "id" in members else "flat"

    def _parts(self, members: dict[str, Any]) -> tuple[str, dict[str, Any], Any]:
        """The id, the record's own fields, its vector."""
        if self.shape == "pinecone":
            return str(members["id"]), dict(members.get("metadata") or {}), members.get("values") or None
        if self.shape == "weaviate":
            vector = members.get("vector")
            return str(members.get("id") or members["uuid"]), dict(members["properties"]), None if isinstance(vector, dict) else vector or None
        if self.shape == "opensearch":
            own = dict(members["_source"])
            return str(members["_id"]), own, own.pop(self.vector_field, None)
        own = dict(members)
        return str(own.pop(self.id_field)), own, own.pop(self.vector_field, None)
