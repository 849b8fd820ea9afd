"""Push notifications of A2A agents, kept in Contex: what other agents' tasks do becomes context that agents can need, ask for and follow.

An A2A client names a URL with each task, and the agent posts there what becomes of it. This is the program behind that URL: an ASGI application
that checks who posts, and publishes the state of each task under a key of a project. A task's artifacts stand under keys of their own.
"""
from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

from a2a.types.a2a_pb2 import Artifact, Message, StreamResponse, TaskState
from contex_client import AsyncProject, ContexError, NotFoundError
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["push_receiver"]

BODY_BYTES_MAX = 10 << 20


def _segment(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _text(parts: Any) -> list[Any]:
    """Texts and data of parts; files are named only."""
    return [part.text if part.HasField("text") else MessageToDict(part.data) if part.HasField("data") else part.filename or part.media_type for part in parts]


class _Receiver:
    def __init__(self, project: AsyncProject, token: str, prefix: str):
        self.project, self.token, self.prefix = project, token.encode(), prefix
        self.locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    def _key(self, *names: str) -> str:
        return self.prefix + "/".join(map(_segment, names))

    async def receive(self, request: Request) -> Response:
        given = request.headers.get("X-A2A-Notification-Token", "") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token):
            return JSONResponse({"error": "the token of the notification is missing or another one"}, 401)
        body = bytearray()
        async for portion in request.stream():
            body += portion
            if len(body) > BODY_BYTES_MAX:
                return JSONResponse({"error": f"over {BODY_BYTES_MAX} bytes"}, 413)
        try:
            event = ParseDict(json.loads(body), StreamResponse(), ignore_unknown_fields=True)
        except (ValueError, ParseError, RecursionError):
            return JSONResponse({"error": "no StreamResponse of A2A 1.0"}, 400)
        kind = event.WhichOneof("payload")
        if kind is None:
            return JSONResponse({"error": "none of task, message, statusUpdate and artifactUpdate"}, 400)
        try:
            await getattr(self, f"_{kind}")(getattr(event, kind))
        except ContexError as error:  # the sender may try again
            return JSONResponse({"error": str(error)}, 503 if error.code in ("server_busy", "rate_limited") else 502)
        return Response(status_code=204)

    async def _publish(self, key: str, data: dict[str, Any], context: str) -> None:
        await self.project.publish(key, data, data_format="json", metadata={"a2a": True, "context": context})

    async def _state(self, task: str, context: str, status: Any) -> None:
        said = _text(status.message.parts) if status.HasField("message") else []
        await self._publish(self._key(task), {"state": TaskState.Name(status.state).removeprefix("TASK_STATE_").lower(), "said": said}, context)

    async def _task(self, task: Any) -> None:
        for artifact in task.artifacts:
            await self._keep(task.id, task.context_id, artifact, append=False)
        await self._state(task.id, task.context_id, task.status)

    async def _status_update(self, update: Any) -> None:
        await self._state(update.task_id, update.context_id, update.status)

    async def _artifact_update(self, update: Any) -> None:
        await self._keep(update.task_id, update.context_id, update.artifact, append=update.append)

    async def _message(self, message: Message) -> None:
        await self._publish(self._key(message.task_id or "messages", "messages", message.message_id), {"said": _text(message.parts)}, message.context_id)

    async def _keep(self, task: str, context: str, artifact: Artifact, append: bool) -> None:
        """An artifact that comes in portions grows under its key; two portions at once wait for each other."""
        key = self._key(task, "artifacts", artifact.artifact_id)
        lock, waiting = self.locks.setdefault(key, (asyncio.Lock(), []))
        waiting.append(None)
        try:
            async with lock:
                parts = _text(artifact.parts)
                if append:
                    try:
                        parts = (await self.project.get(key)).data["parts"] + parts
                    except NotFoundError:
                        pass
                await self._publish(key, {"name": artifact.name, "description": artifact.description, "parts": parts}, context)
        finally:
            waiting.pop()
            if not waiting:
                self.locks.pop(key, None)


def push_receiver(project: AsyncProject, *, token: str, path: str = "/", prefix: str = "tasks/") -> Starlette:
    """An ASGI application for `uvicorn`, or to mount in another.

        app = push_receiver(AsyncContex("http://localhost:8001").project("shop"), token="a secret of 16 characters or more")

    `token` is what the client names as the token of its push notification configuration, or as the credentials of the scheme Bearer.
    """
    if len(token) < 16:
        raise ValueError("the token must have 16 characters or more: whoever knows it can publish")
    return Starlette(routes=[Route(path, _Receiver(project, token, prefix).receive, methods=["POST"])])
