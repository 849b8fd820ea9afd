"""The memory service with ADK's own sessions, its InMemoryMemoryService beside it, and its runner and tool with a scripted model."""
import pytest
from contex_client import AsyncContex
from contex_google_adk import ContexMemoryService
from google.adk.agents import LlmAgent
from google.adk.events.event import Event
from google.adk.memory.in_memory_memory_service import InMemoryMemoryService
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService, Session
from google.adk.tools import preload_memory
from google.genai import types
from support import unique


@pytest.fixture
async def memories(contex):
    async with AsyncContex(contex.url) as client:
        yield client.project(unique("memories"))


def said(text, author="user", **more):
    return Event(author=author, content=types.Content(role=author, parts=[types.Part(text=text)] if text else []), timestamp=1_790_000_000.5, **more)


def session(user, *events, app="app", name="s"):
    return Session(id=name, app_name=app, user_id=user, events=list(events))


def texts(response):
    return [memory.content.parts[0].text for memory in response.memories]


async def test_beside_the_one_of_adk(memories):
    ours, twin = ContexMemoryService(memories), InMemoryMemoryService()
    ada = session("ada", said("My favourite project is the parser in Swift"), said("", "agent"), said("I saw a film on Sunday", "user", id="film"))
    for service in (ours, twin):
        await service.add_session_to_memory(ada)
        await service.add_session_to_memory(ada)
        await service.add_session_to_memory(session("grace", said("My favourite project is the compiler")))
        await service.add_session_to_memory(session("ada", said("My favourite project is a secret"), app="other/app"))
    wanted = {"app_name": "app", "user_id": "ada", "query": "favourite project"}
    for service in (ours, twin):
        found = await service.search_memory(**wanted)
        assert texts(found)[0] == "My favourite project is the parser in Swift" and len(found.memories) == 1
    mine, theirs = [(await service.search_memory(**wanted)).memories[0] for service in (ours, twin)]
    assert (mine.id, mine.author, mine.timestamp, mine.content.role) == (theirs.id, theirs.author, theirs.timestamp, theirs.content.role)
    # By meaning, which the twin has not.
    assert texts(await ours.search_memory(app_name="app", user_id="ada", query="what movie did I watch"))[0] == "I saw a film on Sunday"
    assert (await ours.search_memory(app_name="app", user_id="nobody", query="project")).memories == []
    assert (await ours.search_memory(app_name="app", user_id="ada", query="  ")).memories == []
    # What was deleted is not remembered again.
    await ours.delete_memory(app_name="app", user_id="ada", memory_id="film")
    await ours.add_session_to_memory(ada)
    assert texts(await ours.search_memory(app_name="app", user_id="ada", query="what film did I see on Sunday")) == []


async def test_deltas_and_direct_memories(memories):
    service = ContexMemoryService(memories, threshold=0.2)
    await service.add_events_to_memory(app_name="a", user_id="u", events=[said("The office is in Zurich", id="x/1")], custom_metadata={"source": "mail"})
    await service.add_memory(app_name="a", user_id="u", memories=[MemoryEntry(
        content=types.Content(parts=[types.Part(text="Lunch is at noon")]), author="ada", custom_metadata={"n": 1})], custom_metadata={"m": 2})
    found = (await service.search_memory(app_name="a", user_id="u", query="where is the office")).memories[0]
    assert (found.id, found.custom_metadata) == ("x/1", {"source": "mail"})
    found = (await service.search_memory(app_name="a", user_id="u", query="when is lunch")).memories[0]
    assert (found.author, found.custom_metadata, found.content.role) == ("ada", {"n": 1, "m": 2}, None) and found.id
    long = "word " * 10_000 + "and the password of the gate is swordfish"
    await service.add_events_to_memory(app_name="a", user_id="u", events=[said(long)])
    assert len((await service.search_memory(app_name="a", user_id="u", query="the password of the gate swordfish")).memories[0].content.parts[0].text) == 16_000


class Scripted(BaseLlm):
    asked: list = []

    async def generate_content_async(self, request, stream=False):
        self.asked.append(str(request.config.system_instruction) + str(request.contents))
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text="noted")]))


async def test_a_runner_remembers(memories):
    service, sessions, model = ContexMemoryService(memories), InMemorySessionService(), Scripted(model="scripted")
    runner = Runner(app_name="app", agent=LlmAgent(name="agent", model=model, tools=[preload_memory]), session_service=sessions, memory_service=service)

    async def ask(text):
        one = await sessions.create_session(app_name="app", user_id="ada")
        async for _ in runner.run_async(user_id="ada", session_id=one.id, new_message=types.Content(role="user", parts=[types.Part(text=text)])):
            pass
        await service.add_session_to_memory(await sessions.get_session(app_name="app", user_id="ada", session_id=one.id))
    await ask("Our database is PostgreSQL 15")
    await ask("Which database do we use?")
    assert "PostgreSQL" not in model.asked[0].split("Our database")[0] and "Our database is PostgreSQL 15" in model.asked[-1]
