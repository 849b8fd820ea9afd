"""Notifications as A2A's own sender makes them, to the receiver behind a real port."""
import asyncio
import socket

import httpx
import pytest
import uvicorn
from a2a.server.tasks import BasePushNotificationSender
from a2a.types import a2a_pb2 as a2a
from contex_a2a import push_receiver
from contex_client import AsyncContex
from support import unique

TOKEN = "a token of the test"


class Configurations:
    """What the sender asks for."""
    def __init__(self, **config):
        self.config = config

    async def get_info_for_dispatch(self, task_id):
        return [a2a.TaskPushNotificationConfig(id="c", task_id=task_id, **self.config)]


@pytest.fixture
async def shop(contex):
    async with AsyncContex(contex.url) as client:
        yield client.project(unique("shop"))


@pytest.fixture
async def url(shop):
    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(push_receiver(shop, token=TOKEN, path="/push"), log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[place]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{place.getsockname()[1]}/push"
    server.should_exit = True
    await running


def text(*texts):
    return [a2a.Part(text=one) for one in texts]


async def test_tasks_become_context(url, shop):
    async with httpx.AsyncClient() as http:
        sender = BasePushNotificationSender(http, Configurations(url=url, token=TOKEN))
        agent = shop.agent("reviewer")
        await agent.register(["the invoice of a customer"], min_similarity=0.3)
        working = a2a.TaskStatus(state=a2a.TASK_STATE_WORKING, message=a2a.Message(message_id="m", parts=text("looking for the invoice of the customer")))
        await sender.send_notification("t/1", a2a.Task(id="t/1", context_id="c", status=working))
        held = await shop.get("tasks/t%2F1")
        assert held.data == {"state": "working", "said": ["looking for the invoice of the customer"]} and held.metadata["context"] == "c"
        for number, append in ((1, False), (2, True)):
            await sender.send_notification("t/1", a2a.TaskArtifactUpdateEvent(
                task_id="t/1", context_id="c", append=append,
                artifact=a2a.Artifact(artifact_id="a", name="invoice", parts=text(f"page {number} of the invoice"))))
        assert (await shop.get("tasks/t%2F1/artifacts/a")).data["parts"] == ["page 1 of the invoice", "page 2 of the invoice"]
        await sender.send_notification("t/1", a2a.TaskStatusUpdateEvent(task_id="t/1", context_id="c", status=a2a.TaskStatus(state=a2a.TASK_STATE_COMPLETED)))
        assert (await shop.get("tasks/t%2F1")).data == {"state": "completed", "said": []}
        await sender.send_notification("t/1", a2a.Message(message_id="m2", task_id="t/1", parts=[a2a.Part(url="http://x/y", filename="y.pdf"), *text("done")]))
        assert (await shop.get("tasks/t%2F1/messages/m2")).data["said"] == ["y.pdf", "done"]
        told = await agent.inbox()
        assert {"tasks/t%2F1", "tasks/t%2F1/artifacts/a"} <= {update.data_key for update in told}


async def test_portions_at_once_are_all_kept(url, shop):
    async with httpx.AsyncClient() as http:
        bearer = a2a.AuthenticationInfo(scheme="Bearer", credentials=TOKEN)
        sender = BasePushNotificationSender(http, Configurations(url=url, authentication=bearer))
        await asyncio.gather(*(sender.send_notification("t", a2a.TaskArtifactUpdateEvent(
            task_id="t", append=True, artifact=a2a.Artifact(artifact_id="a", parts=text(str(n))))) for n in range(20)))
        assert sorted((await shop.get("tasks/t/artifacts/a")).data["parts"], key=int) == [str(n) for n in range(20)]


async def test_what_is_refused(url, shop):
    async with httpx.AsyncClient() as http:
        async def post(status, content, **headers):
            assert (await http.post(url, content=content, headers={"X-A2A-Notification-Token": TOKEN, **headers})).status_code == status
        await post(401, b"{}", **{"X-A2A-Notification-Token": "another token"})
        await post(401, b"{}", **{"X-A2A-Notification-Token": ""})
        for wrong in (b"", b"{", b"[]", b"{}", b"[" * 100_000, b'{"task": 1}', b'{"task": {"id": {}}}', b"\xff\xfe", b'{"else": {}}'):
            await post(400, wrong)
        await post(413, b" " * ((10 << 20) + 1))
        assert [node async for node in shop.nodes()] == []
    with pytest.raises(ValueError, match="16"):
        push_receiver(shop, token="short")
