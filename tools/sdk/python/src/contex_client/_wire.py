"""The messages of the binary protocol as the models of this package."""
from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Iterator, Mapping

import contex_wire

from ._catalogue import BY_NUMBER
from .errors import ContexError, NoAnswerError, class_of
from .models import Answer, Document, Event, Inbox, Match, Node, Packing, Passage, PublishOutcome, QueryOutcome, Receipt, Update

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _error(refused: contex_wire.ContexError) -> ContexError:
    return class_of(refused.code, category=BY_NUMBER.get(refused.category))(
        refused.message, code=refused.code, retry_after=None if refused.retry_after_ms is None else refused.retry_after_ms / 1_000,
        oldest_cursor=refused.oldest_cursor, candidates=refused.candidates, required_permission=refused.required_permission, role=refused.role,
        fields=[{"loc": [refused.field_name], "msg": refused.message, "type": refused.kind}] if refused.field_name else ())


@contextmanager
def refusals() -> Iterator[None]:
    """Refusals in the terms of this package."""
    try:
        yield
    except contex_wire.ConnectionLost as lost:
        raise NoAnswerError(lost.message, may_be_done=True) from lost
    except contex_wire.ContexError as refused:
        raise _error(refused) from refused


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def _json(text: bytes | None) -> Any:
    return None if text is None else json.loads(text)


def publish(project: str, item: Mapping[str, Any]) -> contex_wire.Publish:
    data = item["data"]
    message = contex_wire.Publish(project, item["data_key"], format=item.get("data_format"), event_type=item.get("event_type"),
                                  vector=item.get("vector"), metadata=item.get("metadata"))
    if isinstance(data, str):
        message.text = data
    else:
        message.json = b"null" if data is None else data
    return message


def receipt(project: str, key: str, message: contex_wire.Receipt) -> Receipt:
    return Receipt(project, key, message.sequence, message.unchanged)


def _refused(message: Any) -> ContexError:
    return _error(message.error)


def publish_outcome(project: str, key: str, outcome: contex_wire.PublishOutcome) -> PublishOutcome:
    return receipt(project, key, outcome.receipt) if outcome.receipt is not None else _refused(outcome.refusal)


def document(project: str, key: str, held: contex_wire.HeldData) -> Document:
    nodes = [Node(node.node_key, _json(node.data), node.description, held.format) for node in held.nodes]
    return Document(project, key, held.sequence, held.value, held.format, _time(held.recorded_at), _json(held.metadata), nodes)


def query(project: str, body: Mapping[str, Any]) -> contex_wire.Query:
    weights, as_of = body.get("weights") or {}, body.get("as_of")
    return contex_wire.Query(
        project, body.get("query"), body.get("query_vector"), body.get("top_k"), body.get("threshold"), body.get("syntax"), body.get("max_tokens"),
        body.get("mode"), body.get("fusion"), weights.get("semantic"), weights.get("keyword"), bool(body.get("explain")), None,
        body.get("diversity"), list(body.get("pinned") or ()), list(body.get("explain_keys") or ()), None if as_of is None else str(as_of),
        body.get("ef_search"), body.get("recall"), body.get("filter"), body.get("group_by") == "document", body.get("nodes_per_document"))


def _named(values: list[contex_wire.Named]) -> dict[str, float]:
    return {one.name: one.value for one in values}


def _explanation(parts: contex_wire.Explanation | None) -> dict[str, Any] | None:
    if parts is None:
        return None
    return {"mode": parts.mode, "fusion": parts.fusion, "similarity": parts.similarity, "threshold": parts.threshold, "rank": parts.rank,
            "cosine": parts.cosine, "bm25": parts.bm25, "bm25_ceiling": parts.bm25_ceiling, "terms": _named(parts.terms),
            "vector_rank": parts.vector_rank, "text_rank": parts.text_rank, "weights": _named(parts.weights), "parts": _named(parts.parts)}


def _match(found: contex_wire.Match) -> Match:
    place = found.passage
    return Match(
        found.node_key, found.similarity, found.value, found.description, _json(found.metadata), found.token_count, found.tokens, found.cut, found.pinned,
        None if place is None else Passage(place.start, place.end, place.text, place.path, place.last_path, list(place.node_keys)),
        [_match(other) for other in found.others], _explanation(found.explanation))


def answer(found: contex_wire.QueryAnswer) -> Answer:
    packing = found.packing
    explained: list[dict[str, Any]] = []
    for key in found.explained:
        members = {"data_key": key.key, "outcome": key.outcome, "node": key.node_key, "nodes": key.nodes, "duplicate_of": key.duplicate_of,
                   "explanation": _explanation(key.explanation)}
        explained.append({name: value for name, value in members.items() if value is not None})
    return Answer(
        [_match(match) for match in found.matches],
        None if packing is None else Packing(
            packing.diversity, packing.truncated, len(packing.omitted), packing.omitted,
            [{"data_key": one.node_key, "duplicate_of": one.of} for one in packing.duplicates], packing.missing_pins, packing.max_tokens, packing.tokens),
        None if found.passing is None or found.nodes is None else {"passing": found.passing, "nodes": found.nodes}, explained, list(found.notes))


def query_outcome(outcome: contex_wire.QueryOutcome) -> QueryOutcome:
    return answer(outcome.answer) if outcome.answer is not None else _refused(outcome.refusal)


def _publisher(event: contex_wire.Event) -> dict[str, str] | None:
    return None if event.publisher is None else {"key_id": event.publisher.key_id, "name": event.publisher.name}


def event(told: contex_wire.Update) -> Event:
    of = told.event or contex_wire.Event()
    return Event(of.sequence, of.type, of.key, of.value, _time(of.recorded_at), _json(of.metadata), _publisher(of), told.cursor)


def update(told: contex_wire.Update) -> Update:
    of = told.event or contex_wire.Event()
    return Update(told.cursor, of.sequence, of.key, told.reason or "", of.value, list(told.needs), _publisher(of))


def inbox(page: contex_wire.Inbox) -> Inbox:
    return Inbox([update(told) for told in page.updates], page.cursor, page.has_more, page.gap)
