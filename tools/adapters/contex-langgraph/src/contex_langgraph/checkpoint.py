"""Contex as the checkpointer of LangGraph: the state of every thread, step by step, beside the memories and the log that agents share.

A checkpoint is a key of a project, so are the writes of a task, and a head names the newest checkpoint of a thread. What they hold is bytes of
LangGraph's serializer, compressed, as one word, under a vector of their own: nobody finds it by meaning, and nothing is embedded.
"""
from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from contex_client import ContexError, NotFoundError, Project, PublishItem
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP, BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple, SerializerProtocol, get_checkpoint_id,
    get_checkpoint_metadata, writes_sort_key)

__all__ = ["ContexSaver"]

# Equal vectors are found together and cost one place in the index.
VECTOR = [1.0] + [0.0] * 383
PAGE = 1_000


def _segment(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _key(kind: str, *names: str) -> str:
    return "/".join((kind, *map(_segment, names)))


def _about(config: RunnableConfig) -> tuple[str, str]:
    inner = config["configurable"]
    return str(inner["thread_id"]), inner.get("checkpoint_ns", "")


def _config(thread: str, namespace: str, checkpoint: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint}}


class ContexSaver(BaseCheckpointSaver[str]):
    """Checkpoints in a project of Contex; give it one of its own.

        graph = builder.compile(checkpointer=ContexSaver(Contex("http://localhost:8001").project("threads")))

    Every channel's value is in every checkpoint. What is deleted is gone from every answer; the log of the project keeps its events.
    """

    def __init__(self, project: Project, *, serde: SerializerProtocol | None = None):
        super().__init__(serde=serde)
        self.project = project

    # What is kept

    def _pack(self, value: Any) -> list[str]:
        kind, content = self.serde.dumps_typed(value)
        return [kind, zlib.compress(content).hex()]

    def _unpack(self, packed: Sequence[str]) -> Any:
        return self.serde.loads_typed((packed[0], zlib.decompress(bytes.fromhex(packed[1]))))

    def _item(self, key: str, data: dict[str, Any], **about: Any) -> PublishItem:
        return {"data_key": key, "data": data, "data_format": "json", "vector": VECTOR, "metadata": {"key": key, **about}}

    def _publish(self, *items: PublishItem) -> None:
        for start in range(0, len(items), 100):
            for outcome in self.project.publish_many(items[start:start + 100]):
                if isinstance(outcome, ContexError):
                    raise outcome

    def _get(self, key: str) -> Any:
        try:
            return self.project.get(key).data
        except NotFoundError:
            return None

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                self.project.delete(key)
            except NotFoundError:
                pass

    def _all(self, **about: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        """Key, data and metadata of everything that these members of the metadata name."""
        passing = {f"metadata.{name}": value for name, value in about.items()}
        for match in self.project.matches(query_vector=VECTOR, mode="semantic", threshold=0.99, filter=passing, page=PAGE):
            about = match.metadata or {}
            yield about["key"], match.data, about

    def _tuple(self, thread: str, namespace: str, data: dict[str, Any]) -> CheckpointTuple:
        checkpoint: Checkpoint = self._unpack(data["checkpoint"])
        writes = [(task["task"], index, channel, value, task["path"])
                  for _, task, _ in self._all(kind="writes", thread=thread, ns=namespace, checkpoint=checkpoint["id"])
                  for index, channel, value in task["writes"]]
        writes.sort(key=lambda write: writes_sort_key(write[4], write[0], write[1]))
        return CheckpointTuple(
            _config(thread, namespace, checkpoint["id"]), checkpoint, self._unpack(data["metadata"]),
            _config(thread, namespace, data["parent"]) if data["parent"] else None,
            [(task, channel, self._unpack(value)) for task, _, channel, value, _ in writes])

    # Reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        thread, namespace = _about(config)
        checkpoint = get_checkpoint_id(config)
        if checkpoint is None:
            head = self._get(_key("head", thread, namespace))
            checkpoint = head["id"] if head else None
        data = checkpoint and self._get(_key("checkpoint", thread, namespace, checkpoint))
        return self._tuple(thread, namespace, data) if data else None

    def list(self, config: RunnableConfig | None, *, filter: dict[str, Any] | None = None, before: RunnableConfig | None = None,
             limit: int | None = None) -> Iterator[CheckpointTuple]:
        about: dict[str, Any] = {"kind": "checkpoint"}
        if config:
            about["thread"] = _about(config)[0]
            if "checkpoint_ns" in config["configurable"]:
                about["ns"] = config["configurable"]["checkpoint_ns"]
            if checkpoint := get_checkpoint_id(config):
                about["checkpoint"] = checkpoint
        end = get_checkpoint_id(before) if before else None
        found = sorted(self._all(**about), key=lambda one: one[2]["checkpoint"], reverse=True)
        for _, data, names in found:
            if limit is not None and limit <= 0:
                return
            if end and names["checkpoint"] >= end:
                continue
            if filter:
                metadata = self._unpack(data["metadata"])
                if not all(metadata.get(name) == value for name, value in filter.items()):
                    continue
            yield self._tuple(names["thread"], names["ns"], data)
            limit = None if limit is None else limit - 1

    # Writing

    def put(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions) -> RunnableConfig:
        thread, namespace = _about(config)
        full = get_checkpoint_metadata(config, metadata)
        head = self._get(_key("head", thread, namespace))
        items = [self._item(
            _key("checkpoint", thread, namespace, checkpoint["id"]),
            {"checkpoint": self._pack(checkpoint), "metadata": self._pack(full), "parent": config["configurable"].get("checkpoint_id")},
            kind="checkpoint", thread=thread, ns=namespace, checkpoint=checkpoint["id"], run=str(full.get("run_id") or ""))]
        if head is None or head["id"] <= checkpoint["id"]:
            items.append(self._item(_key("head", thread, namespace), {"id": checkpoint["id"]}, kind="head", thread=thread, ns=namespace))
        self._publish(*items)
        return _config(thread, namespace, checkpoint["id"])

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """What a task has written before it counts, except for errors and interrupts, of which the last does."""
        thread, namespace = _about(config)
        checkpoint = config["configurable"]["checkpoint_id"]
        key = _key("writes", thread, namespace, checkpoint, task_id)
        before = self._get(key)
        held = {index: [index, channel, value] for index, channel, value in (before["writes"] if before else ())}
        for place, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, place)
            if index < 0 or index not in held:
                held[index] = [index, channel, self._pack(value)]
        self._publish(self._item(key, {"task": task_id, "path": task_path, "writes": list(held.values())},
                                 kind="writes", thread=thread, ns=namespace, checkpoint=checkpoint))

    def delete_thread(self, thread_id: str) -> None:
        self._delete([key for key, _, _ in self._all(thread=str(thread_id))])

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        for run in run_ids:
            gone = [(key, names) for key, _, names in self._all(kind="checkpoint", run=str(run))]
            self._forget([(names["thread"], names["ns"], names["checkpoint"]) for _, names in gone])

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Graphs with a DeltaChannel need their ancestors: do not prune their threads."""
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"no strategy of pruning: {strategy}")
        for thread in map(str, thread_ids):
            if strategy == "delete":
                self.delete_thread(thread)
                continue
            heads = {names["ns"]: data["id"] for _, data, names in self._all(kind="head", thread=thread)}
            self._forget([(thread, names["ns"], names["checkpoint"]) for _, _, names in self._all(kind="checkpoint", thread=thread)
                          if heads.get(names["ns"]) != names["checkpoint"]])

    def _forget(self, checkpoints: Sequence[tuple[str, str, str]]) -> None:
        for thread, namespace, checkpoint in checkpoints:
            self._delete([key for key, _, _ in self._all(kind="writes", thread=thread, ns=namespace, checkpoint=checkpoint)])
            self._delete([_key("checkpoint", thread, namespace, checkpoint)])
        for thread, namespace in {(thread, namespace) for thread, namespace, _ in checkpoints}:
            left = [names["checkpoint"] for _, _, names in self._all(kind="checkpoint", thread=thread, ns=namespace)]
            if left:
                self._publish(self._item(_key("head", thread, namespace), {"id": max(left)}, kind="head", thread=thread, ns=namespace))
            else:
                self._delete([_key("head", thread, namespace)])

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """All of it, with the writes."""
        target, items = str(target_thread_id), []
        for key, data, names in self._all(thread=str(source_thread_id)):
            kind, _, rest = key.split("/", 2)
            about = {name: value for name, value in names.items() if name not in ("key", "thread")}
            items.append(self._item(f"{kind}/{_segment(target)}/{rest}", data, thread=target, **about))
        self._publish(*items)

    # With an event loop

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(self, config: RunnableConfig | None, *, filter: dict[str, Any] | None = None, before: RunnableConfig | None = None,
                    limit: int | None = None) -> AsyncIterator[CheckpointTuple]:
        for one in await asyncio.to_thread(lambda: [*self.list(config, filter=filter, before=before, limit=limit)]):
            yield one

    async def aput(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions) -> RunnableConfig:
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await asyncio.to_thread(lambda: self.prune(thread_ids, strategy=strategy))

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Growing, also as text."""
        return f"{int(str(current).split('.', 1)[0]) + 1 if current is not None else 1:032}"
