"""The messages of the operations: section 5 of the protocol."""
from __future__ import annotations

import json as _json
from dataclasses import dataclass
from typing import Any, Sequence

from .errors import ContexError
from .fields import BYTES, DOUBLE, F16, F32, FLAG, JSON, NUM, NUMS, SINT, TEXT, Message, wire, wires


def _parsed(text: bytes | None) -> Any:
    return None if text is None else _json.loads(text)


# Section 3 and 4: the connection.


@dataclass
class Hello(Message):
    version_min: int = wire(1, NUM, default=0)
    version_max: int = wire(2, NUM, default=0)
    features: int = wire(3, NUM, default=0)
    api_key: str | None = wire(4, TEXT, default=None)
    client: str = wire(5, TEXT, default="")
    frame_bytes_max: int = wire(6, NUM, default=0)


@dataclass
class Welcome(Message):
    version: int = wire(1, NUM, default=0)
    features: int = wire(2, NUM, default=0)
    server: str = wire(3, TEXT, default="")
    frame_bytes_max: int = wire(4, NUM, default=0)
    message_bytes_max: int = wire(5, NUM, default=0)
    requests_max: int = wire(6, NUM, default=0)
    subscriptions_max: int = wire(7, NUM, default=0)


@dataclass
class Request(Message):
    operation: int = wire(1, NUM, default=0)
    deadline_ms: int | None = wire(2, NUM, default=None)
    body: bytes | None = wire(3, BYTES, default=None)


@dataclass
class Credit(Message):
    updates: int = wire(1, NUM, default=0)


@dataclass
class ErrorMessage(Message):
    category: int = wire(1, NUM, default=0)
    code: str = wire(2, TEXT, default="")
    message: str = wire(3, TEXT, default="")
    field: str | None = wire(4, TEXT, default=None)
    kind: str | None = wire(5, TEXT, default=None)
    required_permission: str | None = wire(6, TEXT, default=None)
    role: str | None = wire(7, TEXT, default=None)
    candidates: list[str] = wires(8, TEXT)
    retry_after_ms: int | None = wire(9, NUM, default=None)
    oldest_cursor: str | None = wire(10, TEXT, default=None)

    @property
    def error(self) -> ContexError:
        return ContexError(
            self.category, self.code, self.message, self.field, self.kind, self.required_permission, self.role, self.candidates,
            self.retry_after_ms, self.oldest_cursor)


# Data.


@dataclass
class Publish(Message):
    """One of `json` (any value, or bytes that are JSON) and `text`."""

    project: str = wire(1, TEXT, default="")
    key: str = wire(2, TEXT, default="")
    json: Any = wire(3, JSON, default=None)
    text: str | None = wire(4, TEXT, default=None)
    format: str | None = wire(5, TEXT, default=None)
    event_type: str | None = wire(6, TEXT, default=None)
    vector: Sequence[float] | None = wire(7, F32, default=None)
    metadata: Any = wire(8, JSON, default=None)
    vector_half: Sequence[float] | None = wire(9, F16, default=None)


@dataclass
class Receipt(Message):
    sequence: int = wire(1, NUM, default=0)
    unchanged: bool = wire(2, FLAG, default=False)
    format: str = wire(3, TEXT, default="")
    note: str | None = wire(4, TEXT, default=None)


@dataclass
class PublishBatch(Message):
    items: list[Publish] = wires(1, Publish)


@dataclass
class PublishOutcome(Message):
    receipt: Receipt | None = wire(1, Receipt, default=None)
    refusal: ErrorMessage | None = wire(2, ErrorMessage, default=None)


@dataclass
class PublishOutcomes(Message):
    outcomes: list[PublishOutcome] = wires(1, PublishOutcome)


@dataclass
class DataKey(Message):
    project: str = wire(1, TEXT, default="")
    key: str = wire(2, TEXT, default="")
    as_of: str | None = wire(3, TEXT, default=None)


@dataclass
class Publisher(Message):
    key_id: str = wire(1, TEXT, default="")
    name: str = wire(2, TEXT, default="")


@dataclass
class HeldNode(Message):
    node_key: str = wire(1, TEXT, default="")
    description: str = wire(2, TEXT, default="")
    data: bytes | None = wire(3, JSON, default=None)
    kind: str = wire(4, TEXT, default="")


@dataclass
class HeldData(Message):
    sequence: int = wire(1, NUM, default=0)
    recorded_at: int | None = wire(2, SINT, default=None)
    data: bytes | None = wire(3, JSON, default=None)
    format: str = wire(4, TEXT, default="")
    metadata: bytes | None = wire(5, JSON, default=None)
    publisher: Publisher | None = wire(6, Publisher, default=None)
    nodes: list[HeldNode] = wires(7, HeldNode)

    @property
    def value(self) -> Any:
        return _parsed(self.data)


@dataclass
class Listing(Message):
    project: str | None = wire(1, TEXT, default=None)
    limit: int | None = wire(2, NUM, default=None)
    cursor: str | None = wire(3, TEXT, default=None)
    as_of: str | None = wire(4, TEXT, default=None)


@dataclass
class Keys(Message):
    keys: list[str] = wires(1, TEXT)
    next: str | None = wire(2, TEXT, default=None)


@dataclass
class Project(Message):
    name: str = wire(1, TEXT, default="")
    documents: int = wire(2, NUM, default=0)
    nodes: int = wire(3, NUM, default=0)
    agents: int = wire(4, NUM, default=0)
    last_sequence: int = wire(5, NUM, default=0)
    created_at: int | None = wire(6, SINT, default=None)


@dataclass
class Projects(Message):
    projects: list[Project] = wires(1, Project)
    next: str | None = wire(2, TEXT, default=None)


@dataclass
class JSONText(Message):
    json: bytes | None = wire(1, JSON, default=None)

    @property
    def value(self) -> Any:
        return _parsed(self.json)


@dataclass
class Nothing(Message):
    pass


# Queries.


@dataclass
class Query(Message):
    project: str = wire(1, TEXT, default="")
    text: str | None = wire(2, TEXT, default=None)
    vector: Sequence[float] | None = wire(3, F32, default=None)
    top_k: int | None = wire(4, NUM, default=None)
    threshold: float | None = wire(5, DOUBLE, default=None)
    syntax: str | None = wire(6, TEXT, default=None)
    max_tokens: int | None = wire(7, NUM, default=None)
    mode: str | None = wire(8, TEXT, default=None)
    fusion: str | None = wire(9, TEXT, default=None)
    semantic_weight: float | None = wire(10, DOUBLE, default=None)
    keyword_weight: float | None = wire(11, DOUBLE, default=None)
    explain: bool = wire(12, FLAG, default=False)
    format: str | None = wire(13, TEXT, default=None)
    diversity: float | None = wire(14, DOUBLE, default=None)
    pinned: list[str] = wires(15, TEXT)
    explain_keys: list[str] = wires(16, TEXT)
    as_of: str | None = wire(17, TEXT, default=None)
    ef_search: int | None = wire(18, NUM, default=None)
    recall: float | None = wire(19, DOUBLE, default=None)
    filter: Any = wire(20, JSON, default=None)
    group_by_document: bool = wire(21, FLAG, default=False)
    nodes_per_document: int | None = wire(22, NUM, default=None)
    limit: int | None = wire(23, NUM, default=None)
    cursor: str | None = wire(24, TEXT, default=None)
    vector_half: Sequence[float] | None = wire(25, F16, default=None)
    omit: int = wire(26, NUM, default=0)


@dataclass
class Named(Message):
    name: str = wire(1, TEXT, default="")
    value: float = wire(2, DOUBLE, default=0.0)


@dataclass
class Explanation(Message):
    mode: str = wire(1, TEXT, default="")
    fusion: str = wire(2, TEXT, default="")
    similarity: float = wire(3, DOUBLE, default=0.0)
    threshold: float = wire(4, DOUBLE, default=0.0)
    rank: int | None = wire(5, NUM, default=None)
    cosine: float | None = wire(6, DOUBLE, default=None)
    bm25: float = wire(7, DOUBLE, default=0.0)
    bm25_ceiling: float = wire(8, DOUBLE, default=0.0)
    terms: list[Named] = wires(9, Named)
    vector_rank: int | None = wire(10, NUM, default=None)
    text_rank: int | None = wire(11, NUM, default=None)
    weights: list[Named] = wires(12, Named)
    parts: list[Named] = wires(13, Named)


@dataclass
class Passage(Message):
    start: int | None = wire(1, NUM, default=None)
    end: int | None = wire(2, NUM, default=None)
    text: str | None = wire(3, TEXT, default=None)
    path: str | None = wire(4, TEXT, default=None)
    last_path: str | None = wire(5, TEXT, default=None)
    node_keys: list[str] = wires(6, TEXT)


class _Matches(Message):
    """Stands for `Match` until it is there: it has itself inside."""

    @classmethod
    def decoded(cls, data: bytes, depth: int = 0) -> Match:  # type: ignore[override]
        return Match.decoded(data, depth)


@dataclass
class Match(Message):
    node_key: str = wire(1, TEXT, default="")
    document_key: str = wire(2, TEXT, default="")
    similarity: float = wire(3, DOUBLE, default=0.0)
    data: bytes | None = wire(4, JSON, default=None)
    description: str | None = wire(5, TEXT, default=None)
    token_count: int = wire(6, NUM, default=0)
    tokens: int | None = wire(7, NUM, default=None)
    cut: bool = wire(8, FLAG, default=False)
    pinned: bool = wire(9, FLAG, default=False)
    is_passage: bool = wire(10, FLAG, default=False)
    passage: Passage | None = wire(11, Passage, default=None)
    metadata: bytes | None = wire(12, JSON, default=None)
    others: list[Match] = wires(13, _Matches)
    explanation: Explanation | None = wire(14, Explanation, default=None)

    @property
    def value(self) -> Any:
        return _parsed(self.data)


@dataclass
class PackingDuplicate(Message):
    node_key: str = wire(1, TEXT, default="")
    of: str = wire(2, TEXT, default="")


@dataclass
class Packing(Message):
    max_tokens: int | None = wire(1, NUM, default=None)
    tokens: int | None = wire(2, NUM, default=None)
    diversity: float = wire(3, DOUBLE, default=0.0)
    truncated: bool = wire(4, FLAG, default=False)
    omitted: list[str] = wires(5, TEXT)
    duplicates: list[PackingDuplicate] = wires(6, PackingDuplicate)
    missing_pins: list[str] = wires(7, TEXT)


@dataclass
class KeyExplanation(Message):
    key: str = wire(1, TEXT, default="")
    outcome: str = wire(2, TEXT, default="")
    node_key: str | None = wire(3, TEXT, default=None)
    nodes: int = wire(4, NUM, default=0)
    duplicate_of: str | None = wire(5, TEXT, default=None)
    explanation: Explanation | None = wire(6, Explanation, default=None)


@dataclass
class QueryAnswer(Message):
    matches: list[Match] = wires(1, Match)
    ignores_signs: bool = wire(2, FLAG, default=False)
    packing: Packing | None = wire(3, Packing, default=None)
    passing: int | None = wire(4, NUM, default=None)
    nodes: int | None = wire(5, NUM, default=None)
    left: int = wire(6, NUM, default=0)
    next: str | None = wire(7, TEXT, default=None)
    notes: list[str] = wires(8, TEXT)
    explained: list[KeyExplanation] = wires(9, KeyExplanation)


@dataclass
class QueryBatch(Message):
    queries: list[Query] = wires(1, Query)


@dataclass
class QueryOutcome(Message):
    answer: QueryAnswer | None = wire(1, QueryAnswer, default=None)
    refusal: ErrorMessage | None = wire(2, ErrorMessage, default=None)


@dataclass
class QueryOutcomes(Message):
    outcomes: list[QueryOutcome] = wires(1, QueryOutcome)


@dataclass
class EmbedInput(Message):
    text: str | None = wire(1, TEXT, default=None)
    tokens: list[int] = wires(2, NUMS)


@dataclass
class Embed(Message):
    inputs: list[EmbedInput] = wires(1, EmbedInput)
    halves: bool = wire(2, FLAG, default=False)


@dataclass
class Embeddings(Message):
    model: str = wire(1, TEXT, default="")
    dimension: int = wire(2, NUM, default=0)
    vectors: list[float] | None = wire(3, F32, default=None)
    tokens: int = wire(4, NUM, default=0)
    vectors_half: list[float] | None = wire(5, F16, default=None)

    @property
    def each(self) -> list[list[float]]:
        """A vector for each text, in order."""
        numbers = self.vectors if self.vectors is not None else self.vectors_half or []
        return [numbers[start:start + self.dimension] for start in range(0, len(numbers), self.dimension or 1)]


# Agents and events.


@dataclass
class Register(Message):
    project: str = wire(1, TEXT, default="")
    agent: str = wire(2, TEXT, default="")
    needs: list[str] = wires(3, TEXT)
    last_seen: int = wire(4, NUM, default=0)
    delivery: str | None = wire(5, TEXT, default=None)
    response_format: str | None = wire(6, TEXT, default=None)
    channel: str | None = wire(7, TEXT, default=None)
    webhook_url: str | None = wire(8, TEXT, default=None)
    webhook_secret: str | None = wire(9, TEXT, default=None)
    envelope: str | None = wire(10, TEXT, default=None)
    max_tokens: int | None = wire(11, NUM, default=None)
    diversity: float | None = wire(12, DOUBLE, default=None)
    pinned: list[str] = wires(13, TEXT)
    min_similarity: float | None = wire(14, DOUBLE, default=None)
    mode: str | None = wire(15, TEXT, default=None)
    filter: Any = wire(16, JSON, default=None)
    top_k: int | None = wire(17, NUM, default=None)


@dataclass
class MatchedNeed(Message):
    need: str = wire(1, TEXT, default="")
    count: int = wire(2, NUM, default=0)


@dataclass
class Registration(Message):
    project: str = wire(1, TEXT, default="")
    agent: str = wire(2, TEXT, default="")
    caught_up_events: int = wire(3, NUM, default=0)
    caught_up_to: int | None = wire(4, NUM, default=None)
    current_sequence: int = wire(5, NUM, default=0)
    matched: list[MatchedNeed] = wires(6, MatchedNeed)
    channel: str = wire(7, TEXT, default="")


@dataclass
class Agent(Message):
    agent: str = wire(1, TEXT, default="")
    project: str | None = wire(2, TEXT, default=None)


@dataclass
class Removed(Message):
    count: int = wire(1, NUM, default=0)


@dataclass
class ListedAgent(Message):
    agent: str = wire(1, TEXT, default="")
    project: str = wire(2, TEXT, default="")
    registered_at: int | None = wire(3, SINT, default=None)


@dataclass
class Agents(Message):
    agents: list[ListedAgent] = wires(1, ListedAgent)
    next: str | None = wire(2, TEXT, default=None)


@dataclass
class Event(Message):
    sequence: int = wire(1, NUM, default=0)
    type: str = wire(2, TEXT, default="")
    key: str = wire(3, TEXT, default="")
    data: bytes | None = wire(4, JSON, default=None)
    recorded_at: int | None = wire(5, SINT, default=None)
    position: int = wire(6, NUM, default=0)
    metadata: bytes | None = wire(7, JSON, default=None)
    publisher: Publisher | None = wire(8, Publisher, default=None)
    kind: int = wire(9, NUM, default=0)
    format: str = wire(10, TEXT, default="")

    @property
    def value(self) -> Any:
        return _parsed(self.data)


@dataclass
class ReadEvents(Message):
    project: str = wire(1, TEXT, default="")
    since: int = wire(2, NUM, default=0)
    limit: int | None = wire(3, NUM, default=None)
    cursor: str | None = wire(4, TEXT, default=None)


@dataclass
class Events(Message):
    events: list[Event] = wires(1, Event)
    next: str | None = wire(2, TEXT, default=None)


@dataclass
class ReadInbox(Message):
    agent: str = wire(1, TEXT, default="")
    project: str | None = wire(2, TEXT, default=None)
    cursor: str | None = wire(3, TEXT, default=None)
    limit: int | None = wire(4, NUM, default=None)
    wait_ms: int = wire(5, NUM, default=0)


@dataclass
class Update(Message):
    cursor: str = wire(1, TEXT, default="")
    reason: str | None = wire(2, TEXT, default=None)
    needs: list[str] = wires(3, TEXT)
    event: Event | None = wire(4, Event, default=None)


@dataclass
class Inbox(Message):
    project: str = wire(1, TEXT, default="")
    updates: list[Update] = wires(2, Update)
    cursor: str = wire(3, TEXT, default="")
    has_more: bool = wire(4, FLAG, default=False)
    gap: bool = wire(5, FLAG, default=False)


@dataclass
class Acknowledge(Message):
    agent: str = wire(1, TEXT, default="")
    project: str | None = wire(2, TEXT, default=None)
    cursor: str = wire(3, TEXT, default="")


@dataclass
class FollowInbox(Message):
    agent: str = wire(1, TEXT, default="")
    project: str | None = wire(2, TEXT, default=None)
    cursor: str | None = wire(3, TEXT, default=None)
    credit: int = wire(4, NUM, default=0)
    suppress_own: bool = wire(5, FLAG, default=False)


@dataclass
class FollowEvents(Message):
    project: str = wire(1, TEXT, default="")
    cursor: str | None = wire(2, TEXT, default=None)
    credit: int = wire(3, NUM, default=0)
    from_start: bool = wire(4, FLAG, default=False)


@dataclass
class Opened(Message):
    project: str = wire(1, TEXT, default="")
    cursor: str = wire(2, TEXT, default="")


@dataclass
class Updates(Message):
    updates: list[Update] = wires(1, Update)


@dataclass
class TryNeeds(Message):
    project: str = wire(1, TEXT, default="")
    needs: list[str] = wires(2, TEXT)
    events: int | None = wire(3, NUM, default=None)
    min_similarity: float | None = wire(4, DOUBLE, default=None)
    mode: str | None = wire(5, TEXT, default=None)
    filter: Any = wire(6, JSON, default=None)
