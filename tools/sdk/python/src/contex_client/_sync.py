"""Made of `_async.py` by `tools/sdk/python/unasync`."""
from __future__ import annotations

import os
import time
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterable, Mapping, TypeVar

import httpx
import contex_wire

from . import _core, _wire
from ._core import Call, call, part
from .errors import ContexError, UnavailableError
from .models import (
    AgentInfo, AgentName, Answer, APIKey, Difference, Document, Event, Inbox, Match, Node, ProjectInfo, PublishItem, PublishOutcome, QueryOptions,
    QueryOutcome, Receipt, RegisterOptions, Registration, Update, Version)

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
API = "/api/v1"


class Contex:
    """A Contex server.

    A request that is the same twice and once (all but publishes, deletions, registrations and the like) is tried again when the server is busy
    or the connection breaks, after pauses that grow; any other only when it was certainly not done. Refusals are raised as `ContexError`, by
    class and `code`. The connections are kept and shared: make one client and use it everywhere.
    """

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, wire: str | None = None, timeout: float = 60, attempts: int = 4,
        pause: float = 0.1, http: httpx.Client | None = None,
        ca_file: str | None = None, certificate: str | None = None, certificate_key: str | None = None,
    ):
        """
        Args:
            url: Where the server is; `CONTEX_URL`, else `http://localhost:8001`, when not given.
            api_key: `CONTEX_API_KEY` when not given.
            wire: `host:port` of the binary protocol, or `contexs://host:port` for TLS, for `pip install contex-client` has a client
                of it too: publishes, queries, embeddings, inboxes, `listen` and `follow` then go over one connection of it; what it
                does not have goes over HTTP as before.
            timeout: Seconds without a sign of life after which an attempt is given up.
            attempts: How often a request is made at most.
            pause: Seconds before the second attempt; each further pause is twice as long.
            http: An `httpx` client of your own, for proxies. It stays open when this client is closed.
            ca_file: For `https` and `contexs`: who signed the server's certificate, in PEM; `CONTEX_CA_FILE`, else those that are known.
            certificate: What to show the server of oneself, in PEM; `CONTEX_CLIENT_CERT`.
            certificate_key: Its private key; `CONTEX_CLIENT_KEY`, else it is in the same file.
        """
        self.url = (url or os.environ.get("CONTEX_URL") or "http://localhost:8001").rstrip("/")
        key = api_key or os.environ.get("CONTEX_API_KEY")
        self._headers = {"Accept": _core.ACCEPT, "User-Agent": f"contex-client/{_core.VERSION}", **({"X-API-Key": key} if key else {})}
        self._attempts, self._pause, self._timeout = max(1, attempts), pause, timeout
        self._owns_http = http is None
        trust = _core.trust(ca_file, certificate, certificate_key)
        self._http = http or httpx.Client(
            verify=trust or True, limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30))
        self._wire: contex_wire.SyncClient | None = None
        if wire is not None:
            host, port, is_secure = _core.wire_address(wire)
            self._wire = contex_wire.SyncClient(host, port, api_key=key, name=f"contex-client/{_core.VERSION}", deadline=timeout,
                                            attempts=max(1, attempts), pause=pause, tls=(trust or True) if is_secure else None)

    def __enter__(self) -> Contex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        if self._wire is not None:
            self._wire.close()
        if self._owns_http:
            self._http.close()

    def _send(self, request: Call) -> bytes:
        attempt = 1
        headers = {**self._headers, "Content-Type": "application/json"} if request.body is not None else self._headers
        while True:
            error: ContexError
            try:
                response = self._http.request(
                    request.method, self.url + request.path, content=request.body, headers=headers, timeout=self._timeout, follow_redirects=False)
            except httpx.TransportError as failure:
                error = _core.no_answer(failure)
            else:
                if response.status_code < 300:
                    return response.content
                error = _core.refusal(response.status_code, response.headers, response.content)
            seconds = _core.pause(attempt, error, self._pause)
            if attempt >= self._attempts or seconds is None or not _core.may_try_again(request, error):
                raise error
            time.sleep(seconds)
            attempt += 1

    def _ask(self, request: Call, shape: Callable[[Any], T]) -> T:
        return _core.read(self._send(request), shape)

    def _pages(self, path: str, member: str, params: Mapping[str, Any], shape: Callable[[Any], T]) -> Generator[T, None, None]:
        """All items of a listing, which is read page by page as they are taken."""
        cursor: str | None = None
        while True:
            answer: dict[str, Any] = self._ask(call("GET", path, params={**params, "cursor": cursor}), dict)
            for item in answer[member]:
                yield shape(item)
            cursor = answer.get("next_cursor")
            if cursor is None:
                return

    def _stream(self, path: str, cursor: str | None, params: Mapping[str, Any], shape: Callable[[Any], T]) -> Generator[list[T], None, None]:
        """What an event stream brings, in the portions in which it comes. A stream that breaks goes on behind what it last brought."""
        failures = 0
        headers = {**self._headers, "Accept": "text/event-stream, application/problem+json", "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(self._timeout, read=_core.STREAM_SILENCE)
        while True:
            error: ContexError | None = None
            try:
                request = self._http.build_request(
                    "GET", self.url + call("GET", path, params={**params, "cursor": cursor}).path, headers=headers, timeout=timeout)
                response = self._http.send(request, stream=True, follow_redirects=False)
                try:
                    if response.status_code >= 300:
                        raise _core.refusal(response.status_code, response.headers, response.read())
                    events = _core.EventStream()
                    for piece in response.iter_raw():
                        items = []
                        for event in events.feed(piece):
                            if event.name == "refused":
                                raise _core.refused_stream(event.data or "{}")
                            cursor = event.id or cursor
                            if event.data is not None:
                                items.append(_core.read(event.data.encode(), lambda members: shape({"cursor": cursor, **members})))
                        if items:
                            failures = 0
                            yield items
                finally:
                    response.close()
            except httpx.TransportError:
                pass  # it is opened again
            except ContexError as refused:
                if not refused.is_passing:
                    raise
                error = refused
            failures += 1
            time.sleep(_core.pause(failures, error, self._pause) or _core.RETRY_AFTER_MAX)

    def request(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """Any route of the API that has no method here, for instance `request("GET", "/webhooks/endpoints")`; the answer's JSON."""
        return self._ask(call(method, API + path, body, params, again=method in ("GET", "HEAD", "PUT")), lambda answer: answer)

    def health(self) -> dict[str, Any]:
        """How the server is, and its parts."""
        return self._ask(call("GET", f"{API}/health"), dict)

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, by the server's model, in order."""
        if self._wire is not None:
            with _wire.refusals():
                return (self._wire.embed(texts)).each
        answer: dict[str, Any] = self._ask(call("POST", f"{API}/embeddings", {"input": texts}), dict)
        return [item["embedding"] for item in answer["data"]]

    def project(self, project_id: str) -> Project:
        """A project; a publish makes it when there is none."""
        return Project(self, project_id)

    def projects(self, *, page: int = 500) -> Generator[ProjectInfo, None, None]:
        """All projects, read page by page."""
        return self._pages(f"{API}/projects", "projects", {"limit": page}, ProjectInfo.of)

    def agents(self, *, page: int = 500) -> Generator[AgentName, None, None]:
        """The agents of all projects."""
        return self._pages(f"{API}/agents", "registrations", {"limit": page}, AgentName.of)

    def keys(self, *, page: int = 500) -> Generator[APIKey, None, None]:
        """The API keys, without the keys themselves."""
        return self._pages(f"{API}/auth/keys", "keys", {"limit": page}, APIKey.of)

    def create_key(self, name: str, *, role: str | None = None, projects: Iterable[str] = ()) -> APIKey:
        """An API key; `key` is told only now. `role` is admin, publisher, consumer or readonly (which it is without), on `projects` or all."""
        made = self._ask(call("POST", f"{API}/auth/keys", params={"name": name}, again=False), APIKey.of)
        if role is not None:
            self._send(call("POST", f"{API}/auth/roles", list(projects), {"key_id": made.key_id, "role": role}))
        return made

    def revoke_key(self, key_id: str) -> None:
        """Revokes an API key, and its role with it."""
        self._send(call("DELETE", f"{API}/auth/keys/{part(key_id)}", again=False))


class Project:
    """A project of a server: documents under keys, questions, agents, a log of events. Made by `Contex.project`."""

    def __init__(self, client: Contex, project_id: str):
        self._client, self.project_id = client, project_id
        self._path = f"{API}/projects/{part(project_id)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.project_id!r})"

    def publish(
        self, data_key: str, data: Any, *, data_format: str | None = None, metadata: Mapping[str, Any] | None = None,
        vector: list[float] | None = None, event_type: str | None = None,
    ) -> Receipt:
        """Publishes data under a key, in place of what it held; who needs it is told.

        Args:
            data: Anything that JSON can say, or a text in one of the formats that Contex reads (`data_format`; found out when not given).
            metadata: What filters can ask of it.
            vector: A vector of your own. The data is then one node, and its text is not embedded.
        """
        item = _core.without_none({"data_format": data_format, "metadata": metadata, "vector": vector, "event_type": event_type})
        if self._client._wire is not None:
            with _wire.refusals():
                return _wire.receipt(self.project_id, data_key, self._client._wire.publish(
                    _wire.publish(self.project_id, {**item, "data_key": data_key, "data": data})))
        body = {"project_id": self.project_id, "data_key": data_key, "data": data, **item}
        return self._client._ask(call("POST", f"{API}/data/publish", body, again=False), Receipt.of)

    def publish_many(self, items: Iterable[PublishItem]) -> list[PublishOutcome]:
        """Up to 10,000 publishes in one request. One outcome each, in order: a receipt, or the error that it was refused with."""
        given = [dict(item) for item in items]
        if self._client._wire is not None:
            with _wire.refusals():
                outcomes = self._client._wire.publish_batch([_wire.publish(self.project_id, item) for item in given])
            return [_wire.publish_outcome(self.project_id, str(item["data_key"]), one) for item, one in zip(given, outcomes)]
        body = [{**item, "project_id": self.project_id} for item in given]
        answer: dict[str, Any] = self._client._ask(call("POST", f"{API}/batch/publish", body, again=False), dict)
        return [_core.outcome(one, Receipt.of) for one in answer["results"]]

    def delete(self, data_key: str) -> Receipt:
        """Removes what a key holds; its history stays."""
        if self._client._wire is not None:
            with _wire.refusals():
                return _wire.receipt(self.project_id, data_key, self._client._wire.delete(self.project_id, data_key))
        return self._client._ask(call("DELETE", f"{self._path}/data/{part(data_key)}", again=False), Receipt.of)

    def get(self, data_key: str, *, as_of: str | int | None = None) -> Document:
        """What a key holds, or held after an event or at a time."""
        if self._client._wire is not None:
            with _wire.refusals():
                return _wire.document(self.project_id, data_key, self._client._wire.data(
                    self.project_id, data_key, as_of=None if as_of is None else str(as_of)))
        return self._client._ask(call("GET", f"{self._path}/data/{part(data_key)}", params={"as_of": as_of}), Document.of)

    def nodes(self, *, as_of: str | int | None = None, page: int = 500) -> Generator[Node, None, None]:
        """All nodes of the project, of one moment."""
        return self._client._pages(f"{self._path}/data", "data", {"limit": page, "as_of": as_of}, Node.of)

    def query(self, text: str | None = None, **options: Unpack[QueryOptions]) -> Answer:
        """What answers a question, best first. The options are those of `QueryOptions`."""
        body = _core.query_body(text, options)
        if self._client._wire is not None:
            with _wire.refusals():
                return _wire.answer(self._client._wire.query(_wire.query(self.project_id, body)))
        return self._client._ask(call("POST", f"{self._path}/query", body), Answer.of)

    def matches(self, text: str | None = None, *, page: int = 100, **options: Unpack[QueryOptions]) -> Generator[Match, None, None]:
        """All matches of a question (10,000 at most), best first, read page by page out of one state of the project."""
        cursor: str | None = None
        while True:
            body = _core.query_body(text, options, limit=page, **({} if cursor is None else {"cursor": cursor}))
            answer = self._client._ask(call("POST", f"{self._path}/query", body), Answer.of)
            for match in answer.matches:
                yield match
            cursor = answer.next_cursor
            if cursor is None:
                return

    def query_many(self, questions: Iterable[str | Mapping[str, Any]], **options: Unpack[QueryOptions]) -> list[QueryOutcome]:
        """Up to 100 questions in one request, all of one moment: texts, or fields of a query of their own. One outcome each, in order."""
        bodies: list[dict[str, Any]] = []
        for question in questions:
            own: Mapping[str, Any] = {"query": question} if isinstance(question, str) else question
            bodies.append({**_core.query_body(None, options), **own, "project_id": self.project_id})
        if self._client._wire is not None:
            with _wire.refusals():
                outcomes = self._client._wire.query_batch([_wire.query(self.project_id, body) for body in bodies])
            return [_wire.query_outcome(one) for one in outcomes]
        answer: dict[str, Any] = self._client._ask(call("POST", f"{API}/batch/query", bodies), dict)
        return [_core.outcome(one, Answer.of) for one in answer["results"]]

    def context(self, text: str, *, format: str = "toon", **options: Unpack[QueryOptions]) -> str:
        """What answers a question as a text for a model: at most `max_tokens` (4,000) of data, in TOON, YAML, Markdown or another format."""
        body = {**_core.query_body(text, {"max_tokens": 4_000, **options}), "response_format": format}
        return (self._client._send(call("POST", f"{self._path}/query", body))).decode()

    def events(self, *, since: int = 0, page: int = 500) -> Generator[Event, None, None]:
        """The events of the log after `since`, oldest first, up to now."""
        with closing(self._client._pages(f"{self._path}/events", "events", {"since": since, "limit": page}, Event.of_log)) as events:
            for event in events:
                yield event

    def follow(self, *, after: str | None = None) -> Generator[Event, None, None]:
        """The events of the project as they come, without an end: behind the cursor of an event, else from now on; `0-0` is the beginning."""
        if self._client._wire is not None:
            updates = self._client._wire.events(self.project_id, after=after)
            with _wire.refusals():
                with closing(updates):
                    for update in updates:
                        yield _wire.event(update)
            return
        with closing(self._client._stream(f"{self._path}/stream", after, {}, Event.of)) as portions:
            for events in portions:
                for event in events:
                    yield event

    def history(self, data_key: str, *, page: int = 100) -> Generator[Version, None, None]:
        """The versions of a key, newest first."""
        return self._client._pages(f"{API}/versions{self._path.removeprefix(API)}/data/{part(data_key)}/history", "versions", {"limit": page}, Version.of)

    def version(self, data_key: str, sequence: int) -> Version:
        """What a key held after one of its own events."""
        return self._client._ask(
            call("GET", f"{API}/versions{self._path.removeprefix(API)}/data/{part(data_key)}/version/{sequence}"), Version.of)

    def difference(self, data_key: str, from_sequence: int, to_sequence: int) -> Difference:
        """Two versions of a key, side by side."""
        return self._client._ask(
            call("GET", f"{API}/versions{self._path.removeprefix(API)}/data/{part(data_key)}/diff",
                 params={"from_sequence": from_sequence, "to_sequence": to_sequence}), Difference.of)

    def restore(self, data_key: str, sequence: int) -> int:
        """Publishes an old version again; the number of the new event."""
        answer: dict[str, Any] = self._client._ask(
            call("POST", f"{API}/versions{self._path.removeprefix(API)}/data/{part(data_key)}/restore/{sequence}", again=False), dict)
        return int(answer["new_sequence"])

    def reaches(self, data: Any, *, data_key: str | None = None, **publish: Any) -> list[dict[str, Any]]:
        """Which agents a document would reach and by which needs, without publishing it (docs/needs.md)."""
        body = _core.without_none({"data": data, "data_key": data_key, **publish})
        answer: dict[str, Any] = self._client._ask(call("POST", f"{self._path}/match", body), dict)
        return list(answer["agents"])

    def try_needs(self, needs: Iterable[str], **options: Any) -> list[dict[str, Any]]:
        """What needs would have matched of the last events (docs/needs.md)."""
        answer: dict[str, Any] = self._client._ask(call("POST", f"{self._path}/needs/test", {"needs": list(needs), **options}), dict)
        return list(answer["needs"])

    def settings(self) -> dict[str, Any]:
        """The settings of the project."""
        return self._client._ask(call("GET", f"{self._path}/settings"), dict)

    def change_settings(self, *, analyzer: str) -> dict[str, Any]:
        """How texts and queries become words: english, simple or code."""
        return self._client._ask(call("PUT", f"{self._path}/settings", {"analyzer": analyzer}), dict)

    def agent(self, agent_id: str) -> Agent:
        """An agent of the project, registered or not."""
        return Agent(self._client, self.project_id, agent_id)

    def agents(self, *, page: int = 500) -> Generator[AgentName, None, None]:
        """The agents of the project."""
        return self._client._pages(f"{self._path}/agents", "registrations", {"limit": page}, AgentName.of)


class Agent:
    """An agent: what it needs, and what it is told. Made by `Project.agent`."""

    def __init__(self, client: Contex, project_id: str, agent_id: str):
        self._client, self.project_id, self.agent_id = client, project_id, agent_id
        self._path = f"{API}/projects/{part(project_id)}/agents/{part(agent_id)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.agent_id!r} in {self.project_id!r})"

    def register(self, needs: Iterable[str], **options: Unpack[RegisterOptions]) -> Registration:
        """Registers what the agent needs, in plain words, in place of an earlier registration. From now on it is told of what matches.

        The options are those of `RegisterOptions`. What matches already is not told: ask for it with `query`.
        """
        body = _core.register_body(self.project_id, self.agent_id, needs, options)
        return self._client._ask(call("POST", f"{API}/agents/register", body, again=False), Registration.of)

    def unregister(self) -> None:
        """Forgets the agent, and its inbox. One that is not registered is no error."""
        self._client._send(call("DELETE", self._path))

    def show(self) -> AgentInfo:
        """Its registration, and how far deliveries have come."""
        return self._client._ask(call("GET", self._path), AgentInfo.of)

    def inbox(self, *, cursor: str | None = None, limit: int = 100, wait: float = 0, explain: bool = False) -> Inbox:
        """What the agent was told behind a cursor, else what it has not acknowledged.

        Args:
            wait: Seconds to wait when there is nothing, 60 at most.
            explain: Say in `raw` how the needs matched.
        """
        if self._client._wire is not None and not explain:
            with _wire.refusals():
                return _wire.inbox(self._client._wire.read_inbox(contex_wire.ReadInbox(
                    self.agent_id, self.project_id, cursor, limit, round(wait * 1_000))))
        params = {"cursor": cursor, "limit": limit, "wait": round(wait) or None, "explain": explain or None}
        return self._client._ask(call("GET", f"{self._path}/inbox", params=params), Inbox.of)

    def acknowledge(self, cursor: str) -> int:
        """Everything up to a cursor is dealt with and goes; how many updates that were."""
        if self._client._wire is not None:
            with _wire.refusals():
                return self._client._wire.acknowledge(self.agent_id, cursor, self.project_id)
        answer: dict[str, Any] = self._client._ask(call("POST", f"{self._path}/inbox/ack", {"cursor": cursor}), dict)
        return int(answer["removed"])

    def listen(self, *, after: str | None = None, acknowledge: bool = True, suppress_own: bool = False) -> Generator[Update, None, None]:
        """What concerns the agent, as it comes, in order and without an end; each update at least once, whatever breaks between.

        An update counts as dealt with when the loop asks for the next one, and is then acknowledged. So whoever listens after a restart gets what
        the loop before had not dealt with, and perhaps the last update again.

        Args:
            after: Begin behind the cursor of an update, instead of with the oldest that is not acknowledged.
            acknowledge: False for programs that keep the cursor themselves.
            suppress_own: Leave out what was published with the key that the agent is registered with.

        Raises:
            ConflictError: The cursor does not work any more; `oldest_cursor` does.
            NotFoundError: The agent is not registered, or not any more.
        """
        if self._client._wire is not None:
            updates = self._client._wire.updates(self.agent_id, self.project_id, after=after, suppress_own=suppress_own)
            with _wire.refusals():
                with closing(updates):
                    for told in updates:
                        yield _wire.update(told)
                        if acknowledge:
                            self._client._wire.acknowledge(self.agent_id, told.cursor, self.project_id)
            return
        params = {"suppress_own": suppress_own or None}
        with closing(self._client._stream(f"{self._path}/stream", after, params, Update.of)) as portions:
            for portion in portions:
                done: str | None = None
                try:
                    for update in portion:
                        yield update
                        done = update.cursor
                finally:
                    if acknowledge and done is not None:
                        try:
                            self.acknowledge(done)
                        except UnavailableError:
                            pass  # it is repeated to whoever listens next, or acknowledged with what comes after it
