"""What the server answers, as dataclasses. `raw` is the answer as it came, with members that a later server may have added."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, ClassVar, Iterator, Mapping, TypedDict, TypeVar

from .errors import ContexError

M = TypeVar("M", bound="Model")


def _number(value: Any) -> int:
    return int(value)


class Model:
    """Made of the members of a JSON object that it knows."""

    _convert: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def of(cls: type[M], members: Mapping[str, Any]) -> M:
        values: dict[str, Any] = {}
        convert = cls._convert
        for name in cls.__dataclass_fields__:
            if name in members:
                value = members[name]
                values[name] = convert[name](value) if name in convert and value is not None else value
            elif name == "raw":
                values[name] = members
        return cls(**values)


@dataclass
class Receipt(Model):
    """A publish or a deletion that is on the disk, in every index."""
    _convert = {"sequence": _number}
    project_id: str
    data_key: str
    #: Its place in the project's log.
    sequence: int
    #: The key held exactly this already: nothing was written, nobody is told.
    unchanged: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class Passage(Model):
    """What of a long node answers: characters `start` to `end` of the text at `path`, or several `nodes` together."""
    start: int | None = None
    end: int | None = None
    text: str | None = None
    path: str | None = None
    last_path: str | None = None
    nodes: list[str] = field(default_factory=list)


@dataclass
class Match(Model):
    """A node that answers a question."""
    _convert: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"passage": Passage.of}
    #: The key of the node: that of its document and a path in it.
    data_key: str
    similarity: float
    data: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    metadata: dict[str, Any] | None = None
    token_count: int | None = None
    #: Of `data` in the format of the answer, with a budget.
    tokens: int | None = None
    #: `data` is not the whole.
    truncated: bool = False
    pinned: bool = False
    passage: Passage | None = None
    #: The next best nodes of the same document, with `group_by`.
    others: list[Match] = field(default_factory=list)
    explanation: dict[str, Any] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def _matches(items: list[Any]) -> list[Match]:
    return [Match.of(item) for item in items]


Match._convert = {"passage": Passage.of, "others": _matches}


@dataclass
class Packing(Model):
    """How an answer was fitted into its budget."""
    diversity: float = 0
    truncated: bool = False
    omitted: int = 0
    omitted_keys: list[str] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    pinned_missing: list[str] = field(default_factory=list)
    max_tokens: int | None = None
    tokens: int | None = None


@dataclass
class Answer(Model):
    """Matches, best first. It can be iterated and has a length."""
    _convert = {"matches": _matches, "packing": Packing.of}
    matches: list[Match]
    packing: Packing | None = None
    #: Of a query with a filter: how many nodes `passing`, of how many `nodes`.
    filter: dict[str, int] | None = None
    #: Why keys of `explain_keys` are matches or not.
    explained: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_more: bool = False
    next_cursor: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)


@dataclass
class Node(Model):
    """A part of a document that can be found."""
    data_key: str
    data: Any
    description: str = ""
    data_format: str = ""
    metadata: dict[str, Any] | None = None


def _nodes(items: list[Any]) -> list[Node]:
    return [Node.of(item) for item in items]


@dataclass
class Document(Model):
    """What a key holds, or held."""
    _convert = {"sequence": _number, "nodes": _nodes}
    project_id: str
    data_key: str
    sequence: int
    data: Any
    data_format: str
    timestamp: str | None = None
    metadata: dict[str, Any] | None = None
    nodes: list[Node] = field(default_factory=list)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class Version(Model):
    """What a key held after one of its events."""
    _convert = {"sequence": _number}
    sequence: int
    data: Any
    data_format: str
    timestamp: str | None = None
    description: str | None = None
    event_type: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class Difference(Model):
    """Two versions of a key."""
    _convert = {"from_sequence": _number, "to_sequence": _number}
    from_sequence: int
    to_sequence: int
    from_data: Any
    to_data: Any
    changed: bool


@dataclass
class Event(Model):
    """An event of a project's log."""
    _convert = {"sequence": _number}
    sequence: int
    event_type: str
    #: None for an imported event that does not say.
    data_key: str | None
    data: Any
    timestamp: str | None = None
    metadata: dict[str, Any] | None = None
    published_by: dict[str, str] | None = None
    #: Where to go on behind it.
    cursor: str | None = None

    @classmethod
    def of_log(cls, members: Mapping[str, Any]) -> Event:
        """The log's own shape: the data under its key."""
        data = members.get("data")
        key, value = next(iter(data.items())) if isinstance(data, dict) and len(data) == 1 else (None, data)
        return cls.of({**members, "data_key": key, "data": value})


@dataclass
class Update(Model):
    """What an agent is told."""
    _convert = {"sequence": _number}
    #: Where to go on once it is dealt with.
    cursor: str
    sequence: int
    data_key: str
    #: `first_match`, `update` of a document that the agent follows, or `deletion`.
    reason: str
    data: Any = None
    #: The needs that it matches; none when it comes because the document is followed.
    needs: list[str] = field(default_factory=list)
    published_by: dict[str, str] | None = None
    #: Whether it was published with the key that the agent is registered with; None when that is not known.
    own: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_deletion(self) -> bool:
        return self.reason == "deletion"


def _updates(items: list[Any]) -> list[Update]:
    return [Update.of(item) for item in items]


@dataclass
class Inbox(Model):
    """A page of what an agent was told and has not acknowledged."""
    _convert = {"entries": _updates}
    entries: list[Update]
    cursor: str
    has_more: bool = False
    #: Something was let go because it was old.
    gap: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __iter__(self) -> Iterator[Update]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass
class Registration(Model):
    _convert = {"current_sequence": _number}
    agent_id: str
    project_id: str
    #: Of each need, how many nodes match it now.
    matched_needs: dict[str, int]
    current_sequence: int
    caught_up_events: int
    notification_channel: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class AgentInfo(Model):
    """A registered agent."""
    _convert = {"last_sequence": _number}
    project_id: str
    needs: list[str]
    notification_method: str
    response_format: str
    data_keys: list[str] = field(default_factory=list)
    channel: str | None = None
    webhook_url: str | None = None
    last_sequence: int | None = None
    #: Of an agent with a webhook (docs/webhooks.md).
    delivery: dict[str, Any] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class AgentName(Model):
    agent_id: str
    project_id: str


@dataclass
class ProjectInfo(Model):
    _convert = {"last_sequence": _number}
    project_id: str
    documents: int
    nodes: int
    agents: int
    last_sequence: int
    created_at: str | None = None


@dataclass
class APIKey(Model):
    key_id: str
    name: str
    created_at: str | None = None
    prefix: str | None = None
    #: The key itself: told once, when it is made.
    key: str | None = None
    confirmed: bool = True


#: One outcome of a batch.
PublishOutcome = Receipt | ContexError
QueryOutcome = Answer | ContexError


class PublishItem(TypedDict, total=False):
    """One of `publish_many`; `data_key` and `data` are needed."""
    data_key: str
    data: Any
    data_format: str
    event_type: str
    vector: list[float]
    metadata: Mapping[str, Any]


class QueryOptions(TypedDict, total=False):
    """How a question is asked. All are the server's defaults when not given; docs/query-syntax.md, filters.md, packing.md, passages.md."""
    #: Matches at most: 1 to 50, 5 when not given.
    top_k: int
    #: Least similarity, 0 to 1.
    threshold: float | None
    #: Bound of the data of all matches, in cl100k tokens.
    max_tokens: int | None
    #: hybrid, semantic or keyword.
    mode: str | None
    #: Only data that passes is searched.
    filter: Mapping[str, Any] | None
    #: The asker's own vector.
    query_vector: list[float] | None
    #: signs, or plain: all is words.
    syntax: str
    fusion: str | None
    weights: Mapping[str, float] | None
    diversity: float | None
    #: Keys that come first, whatever their similarity.
    pinned: list[str] | None
    explain: bool
    #: Keys of which the answer says whether they are matches, and if not, why.
    explain_keys: list[str] | None
    #: As the project was after this event, or at this time.
    as_of: str | int | None
    ef_search: int | None
    recall: float | None
    #: document: each place of the answer is a document.
    group_by: str | None
    nodes_per_document: int | None


class RegisterOptions(TypedDict, total=False):
    """Settings of a registration, docs/needs.md."""
    last_seen_sequence: str | None
    response_format: str
    notification_method: str
    notification_channel: str | None
    webhook_url: str | None
    webhook_secret: str | None
    envelope: str
    max_tokens: int | None
    diversity: float | None
    pinned: list[str] | None
    min_similarity: float | None
    mode: str | None
    filter: Mapping[str, Any] | None
    top_k: int | None
