"""LangGraph's own conformance tests of checkpointers, all of them, and a graph that is interrupted, killed in effect, and gone on with."""
import operator
from typing import Annotated, TypedDict

import pytest
from contex_client import Contex
from contex_langgraph.checkpoint import ContexSaver
from langgraph.checkpoint.conformance import checkpointer_test
from langgraph.checkpoint.conformance.validate import validate
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from support import unique


async def test_conformance(contex):
    @checkpointer_test(name="ContexSaver")
    async def saver():
        yield ContexSaver(contex.project(unique("threads")))

    report = await validate(saver)
    bad = {name: result.failures for name, result in report.results.items() if not result.passed}
    assert not bad, bad
    assert len(report.results) == 8 and sum(result.tests_passed for result in report.results.values()) >= 60
    print({name: result.tests_passed for name, result in report.results.items()})


class State(TypedDict):
    words: Annotated[list[str], operator.add]


def graph(saver, calls):
    def first(state):
        calls.append("first")
        return {"words": ["one"]}

    def second(state):
        calls.append("second")
        return {"words": [interrupt("which word?")]}
    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder.compile(checkpointer=saver)


def test_a_graph_goes_on_elsewhere(contex, project):
    config = {"configurable": {"thread_id": "a/b 50%"}}
    calls = []
    stopped = graph(ContexSaver(project), calls).invoke({"words": ["zero"]}, config)
    assert stopped["__interrupt__"][0].value == "which word?"
    with Contex(contex.url) as other:  # another program, after this one has gone
        saver = ContexSaver(other.project(project.project_id))
        assert graph(saver, calls).invoke(Command(resume="two"), config)["words"] == ["zero", "one", "two"]
        assert calls == ["first", "second", "second"]
        past = list(graph(saver, calls).get_state_history(config))
        assert [len(state.values.get("words", [])) for state in past] == [3, 2, 1, 0]
        # From the past on: a fork.
        forked = graph(saver, calls).update_state(past[1].config, {"words": ["other"]}, as_node="second")
        assert graph(saver, calls).get_state(forked).values["words"] == ["zero", "one", "other"]


async def test_with_an_event_loop(project):
    compiled, config = graph(ContexSaver(project), []), {"configurable": {"thread_id": "t"}}
    await compiled.ainvoke({"words": []}, config)
    assert (await compiled.aget_state(config)).next == ("second",)
    assert len([state async for state in compiled.aget_state_history(config)]) == 3


def test_long_threads_are_whole(project):
    """Over what is searched exactly: of 1,500 checkpoints of one thread none is missing."""
    saver = ContexSaver(project)
    config = {"configurable": {"thread_id": "long", "checkpoint_ns": ""}}
    items = []
    for step in range(1_500):
        name = f"{step:08}"
        checkpoint = {"v": 1, "id": name, "ts": "", "channel_values": {"n": step}, "channel_versions": {}, "versions_seen": {}}
        items.append(saver._item(f"checkpoint/long//{name}", {"checkpoint": saver._pack(checkpoint), "metadata": saver._pack({"step": step}), "parent": None},
                                 kind="checkpoint", thread="long" if step % 3 else "other", ns="", checkpoint=name, run=""))
    saver._publish(*items)
    listed = [one.checkpoint["channel_values"]["n"] for one in saver.list(config, limit=None, filter={"step": 1_499})]
    assert listed == [1_499]
    assert [key for key, _, _ in saver._all(thread="long", kind="checkpoint")].__len__() == 1_000
    with pytest.raises(ValueError, match="strategy"):
        saver.prune(["long"], strategy="some")
