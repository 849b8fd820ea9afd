"""OpenAI Agents publishes no conformance tests of sessions, so its own SQLiteSession is the twin; and a runner with a scripted model."""
import os
import random

import pytest
from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, set_tracing_disabled
from agents.memory import Session
from contex_client import AsyncContex
from contex_openai_agents import ContexSession
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from support import unique

set_tracing_disabled(True)


@pytest.fixture
async def memories(contex):
    async with AsyncContex(contex.url) as client:
        yield client.project(unique("sessions"))


def item(choice, n):
    return choice.choice([
        {"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": [{"type": "output_text", "text": f"größer {n}", "annotations": []}]},
        {"type": "function_call", "call_id": f"c{n}", "name": "look", "arguments": '{"a": 1.0, "b": null}'},
        {"type": "function_call_output", "call_id": f"c{n}", "output": {"n": n, "none": None, "real": 2.50, "empty": [], "deep": {"a": [{}]}}}])


async def test_the_same_as_the_twin(memories):
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    choice = random.Random(seed)
    pairs = [(ContexSession(name, memories), SQLiteSession(name)) for name in ("one", "a/b 50%")]
    for step in range(150):
        ours, twin = choice.choice(pairs)
        kind = choice.random()
        if kind < 0.45:
            items = [item(choice, step) for _ in range(choice.randint(0, 5))]
            for one in (ours, twin):
                await one.add_items(items)
        elif kind < 0.7:
            assert await ours.pop_item() == await twin.pop_item(), step
        elif kind < 0.97:
            limit = choice.choice([None, 1, 3, 7, 100])
            assert await ours.get_items(limit) == await twin.get_items(limit), (step, limit)
        else:
            for one in (ours, twin):
                await one.clear_session()
    assert isinstance(pairs[0][0], Session)


async def test_long_ones_are_whole_and_in_order(memories, contex):
    session = ContexSession("long", memories)
    for n in range(60):
        await session.add_items([{"role": "user", "content": f"{n}"}])
    assert [one["content"] for one in await session.get_items()] == [str(n) for n in range(60)]
    assert [one["content"] for one in await session.get_items(20)] == [str(n) for n in range(40, 60)]
    async with AsyncContex(contex.url) as client:  # another program
        assert len(await ContexSession("long", client.project(memories.project_id)).get_items()) == 60


class Scripted(Model):
    """Answers with how many items it was given."""
    async def get_response(self, system_instructions, input, *rest, **more):
        text = ResponseOutputText(type="output_text", text=f"given {len(input)}", annotations=[])
        return ModelResponse([ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])], Usage(), None)

    def stream_response(self, *rest, **more):
        raise NotImplementedError


async def test_a_runner_remembers(memories):
    agent = Agent(name="a", model=Scripted())
    assert (await Runner.run(agent, "our database is LMDB", session=ContexSession("s", memories))).final_output == "given 1"
    assert (await Runner.run(agent, "second", session=ContexSession("s", memories))).final_output == "given 3"
    # Others find what was said, by meaning.
    found = await memories.query("which database is used", threshold=0.2)
    assert found.matches[0].data_key.startswith("s/00000000")
