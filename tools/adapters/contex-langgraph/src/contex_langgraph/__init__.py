"""Contex as the long-term store of LangGraph: what agents remember, found by meaning, and told to other agents as it is written.

An item is a key of a project, named by its namespace and its key. All agents of Contex can need what is in the store: a registration like
`shop.agent("reviewer").register(["what users prefer"])` hears of every matching `put`.
"""
from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Callable, Iterable, Iterator

from contex_client import NotFoundError, Project
from langgraph.store.base import BaseStore, GetOp, Item, ListNamespacesOp, MatchCondition, Op, PutOp, Result, SearchItem, SearchOp

__all__ = ["ContexStore"]

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, other: bool(value == other), "$ne": lambda value, other: bool(value != other),
    "$gt": lambda value, other: float(value) > float(other), "$gte": lambda value, other: float(value) >= float(other),
    "$lt": lambda value, other: float(value) < float(other), "$lte": lambda value, other: float(value) <= float(other)}


def _passes(value: Any, wanted: Any) -> bool:
    """LangGraph's filters: equality, or operators, of members however deep."""
    if isinstance(wanted, dict):
        if any(name.startswith("$") for name in wanted):
            unknown = wanted.keys() - OPERATORS.keys()
            if unknown:
                raise ValueError(f"no operator of a filter: {', '.join(sorted(unknown))}")
            if value is None and not wanted.keys() <= {"$eq", "$ne"}:
                return False  # what is not there is neither more nor less than anything
            return all(OPERATORS[name](value, other) for name, other in wanted.items())
        return isinstance(value, dict) and all(_passes(value.get(name), other) for name, other in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(wanted) and all(map(_passes, value, wanted))
    return bool(value == wanted)


def _matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    path = condition.path
    part = namespace[:len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path):]
    return len(part) == len(path) and all(wanted in ("*", name) for wanted, name in zip(path, part))


def _segment(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _prefix(namespace: tuple[str, ...]) -> str:
    return "".join(_segment(name) + "/" for name in namespace)


def _is_flat(value: dict[str, Any]) -> bool:
    """Whether Contex keeps it as one node, as it is: there are no objects inside."""
    return all(not isinstance(item, dict) and not (isinstance(item, list) and any(isinstance(one, (dict, list)) for one in item))
               for item in value.values())


class ContexStore(BaseStore):
    """A store in a project of Contex.

        store = ContexStore(Contex("http://localhost:8001").project("memories"))
        store.put(("users", "ada"), "food", {"text": "Ada likes pizza"})
        store.search(("users",), query="what to cook for Ada")

    The server's model embeds: a search by `query` counts meaning and words of the whole value, whatever fields `index` names; with `index=False`
    an item is found by its namespace alone. Names of namespace and key have up to 255 characters together. There is no time to live.
    """

    supports_ttl = False

    def __init__(self, project: Project):
        self.project = project

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Reads see what was there before the writes of the same batch; of several writes to a key the last counts."""
        results: list[Result] = []
        writes: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for op in ops:
            result: Result = None
            if isinstance(op, GetOp):
                result = self._get(op.namespace, op.key)
            elif isinstance(op, SearchOp):
                result = self._search(op)
            elif isinstance(op, ListNamespacesOp):
                result = self._list(op)
            elif isinstance(op, PutOp):
                writes[op.namespace, op.key] = op
            else:
                raise ValueError(f"no operation of a store: {type(op)}")
            results.append(result)
        for write in writes.values():
            self._put(write)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await asyncio.to_thread(self.batch, list(ops))

    @staticmethod
    def _key(namespace: tuple[str, ...], key: str) -> str:
        return _prefix(namespace) + _segment(key)

    @staticmethod
    def _members(data: Any, about: dict[str, Any]) -> dict[str, Any]:
        return {"namespace": tuple(about["namespace"]), "key": about["key"], "value": json.loads(data["json"]) if about["packed"] else data,
                "created_at": datetime.fromisoformat(about["created_at"]), "updated_at": datetime.fromisoformat(about["updated_at"])}

    def _get(self, namespace: tuple[str, ...], key: str) -> Item | None:
        try:
            held = self.project.get(self._key(namespace, key))
        except NotFoundError:
            return None
        return Item(**self._members(held.data, held.metadata or {}))

    def _put(self, op: PutOp) -> None:
        name = self._key(op.namespace, op.key)
        if op.value is None:
            try:
                self.project.delete(name)
            except NotFoundError:
                pass
            return
        now = datetime.now(timezone.utc).isoformat()
        before = self._get(op.namespace, op.key)
        packed = not _is_flat(op.value)
        self.project.publish(
            name, {"json": json.dumps(op.value, ensure_ascii=False)} if packed else op.value, data_format="json",
            metadata={"namespace": list(op.namespace), "key": op.key, "packed": packed, "indexed": op.index is not False, "updated_at": now,
                      "created_at": before.created_at.isoformat() if before else now})

    def _all(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        for node in self.project.nodes():
            if node.data_key.startswith(prefix) and node.metadata and "namespace" in node.metadata:
                yield self._members(node.data, node.metadata)

    def _search(self, op: SearchOp) -> list[SearchItem]:
        prefix = _prefix(op.namespace_prefix)
        found: Iterator[SearchItem]
        if op.query:
            passing: dict[str, Any] = {"metadata.indexed": True}
            if prefix:
                passing["data_key"] = {"prefix": prefix}
            page = 1_000 if op.filter else max(1, min(1_000, op.offset + op.limit))
            found = (SearchItem(**self._members(match.data, match.metadata or {}), score=match.similarity)
                     for match in self.project.matches(op.query, threshold=0, syntax="plain", filter=passing, page=page))
        else:
            found = (SearchItem(**members) for members in self._all(prefix))
        wanted = op.filter or {}
        return list(islice((item for item in found if all(_passes(item.value.get(name), value) for name, value in wanted.items())),
                           op.offset, op.offset + op.limit))

    def _list(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        namespaces = {members["namespace"] for members in self._all()}
        for condition in op.match_conditions or ():
            namespaces = {namespace for namespace in namespaces if _matches(condition, namespace)}
        if op.max_depth is not None:
            namespaces = {namespace[:op.max_depth] for namespace in namespaces}
        return sorted(namespaces)[op.offset:op.offset + op.limit]
