"""LangGraph publishes conformance tests of checkpointers and none of stores, so its own InMemoryStore is the twin: thousands of operations drawn at
random have the same results in both."""
import os
import random

import pytest
from contex_client import Contex
from contex_langgraph import ContexStore
from langgraph.store.base import GetOp, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

NAMES = ["users", "ada", "grace", "a/b", "50%", "memories", "größe"]
VALUES = [{"text": "likes pizza"}, {"n": 3, "tags": ["a", "b"]}, {"nested": {"deep": [1, {"x": None}]}, "n": 5}, {}, {"json": "mine"}, {"json": {"own": 1}},
          {"n": -1.5, "flag": True, "none": None}, {"list": [[1], [2]]}]


def plain(result):
    if isinstance(result, list):
        return sorted((plain(one) for one in result), key=repr)
    return result if result is None or isinstance(result, tuple) else (result.namespace, result.key, result.value)


def test_the_same_as_the_twin(project):
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    choice, store, twin = random.Random(seed), ContexStore(project), InMemoryStore()

    def namespace(least=1):
        return tuple(choice.choice(NAMES) for _ in range(choice.randint(least, 3)))
    written = []
    for step in range(400):
        kind = choice.random()
        if kind < 0.45:
            where = (namespace(), choice.choice(["k1", "k/2", "%", "ö"]))
            value = choice.choice(VALUES)
            for one in (store, twin):
                one.put(*where, value)
            written.append(where)
        elif kind < 0.55 and written:
            where = choice.choice(written)
            for one in (store, twin):
                one.delete(*where)
        elif kind < 0.75:
            where = choice.choice(written) if written and choice.random() < 0.8 else (namespace(), "k1")
            assert plain(store.get(*where)) == plain(twin.get(*where)), step
        elif kind < 0.9:
            prefix = namespace(0)
            wanted = choice.choice([
                None, {"n": 3}, {"n": {"$eq": 5}}, {"nested": {"deep": [1, {"x": None}]}}, {"text": {"$ne": "likes pizza"}}, {"flag": True}])
            assert plain(store.search(prefix, filter=wanted, limit=1_000)) == plain(twin.search(prefix, filter=wanted, limit=1_000)), (step, prefix, wanted)
        else:
            shape = choice.choice([{}, {"prefix": ("users",)}, {"suffix": ("ada",)}, {"prefix": ("*", "ada")}, {"max_depth": 1}, {"limit": 2, "offset": 1}])
            clean = InMemoryStore()  # the twin keeps namespaces in which nothing is, even those that were only asked for
            for item in twin.search((), limit=10_000):
                clean.put(item.namespace, item.key, item.value)
            assert store.list_namespaces(**shape) == clean.list_namespaces(**shape), (step, shape)
    assert len(written) > 100


def test_by_meaning(project):
    store = ContexStore(project)
    store.put(("users", "ada"), "food", {"text": "Ada likes pizza with olives"})
    store.put(("users", "ada"), "work", {"text": "Ada writes programs for engines"})
    store.put(("users", "grace"), "food", {"text": "Grace likes pizza too"})
    store.put(("users", "ada"), "secret", {"text": "Ada likes pizza in secret"}, index=False)
    found = store.search(("users", "ada"), query="what to cook for dinner", limit=2)
    assert [item.key for item in found] == ["food", "work"] and 0 < found[0].score <= 1
    assert {item.namespace for item in store.search(("users",), query="pizza", filter={"text": "Grace likes pizza too"})} == {("users", "grace")}
    assert "secret" in {item.key for item in store.search(("users", "ada"))}
    assert [item.key for item in store.search(("users", "ada"), query="pizza", limit=1, offset=1)] == ["work"]


def test_operators(project):
    store = ContexStore(project)
    for n in range(5):
        store.put(("n",), str(n), {"n": n} if n else {})
    for wanted, keys in (({"n": {"$gt": 2}}, "34"), ({"n": {"$gte": 2, "$lt": 4}}, "23"), ({"n": {"$ne": 2}}, "0134"), ({"n": {"$lte": 1}}, "1")):
        assert "".join(item.key for item in store.search(("n",), filter=wanted)) == keys
    with pytest.raises(ValueError, match="regex"):
        store.search(("n",), filter={"n": {"$regex": "1"}})


async def test_times_batches_and_who_is_told(project):
    store = ContexStore(project)
    agent = project.agent("listener")
    agent.register(["what Ada likes to eat"], min_similarity=0.3)
    await store.aput(("u",), "k", {"text": "Ada likes to eat pizza"})
    first = await store.aget(("u",), "k")
    results = await store.abatch([GetOp(("u",), "k"), PutOp(("u",), "k", {"v": 1}), PutOp(("u",), "k", {"v": 2}), SearchOp(("u",))])
    assert results[0].value == {"text": "Ada likes to eat pizza"} and results[1] is None and len(results[3]) == 1
    second = await store.aget(("u",), "k")
    assert second.value == {"v": 2} and second.created_at == first.created_at and second.updated_at > first.updated_at
    assert [(update.data_key, update.reason) for update in agent.inbox()] == [("u/k", "first_match"), ("u/k", "update")]
    with pytest.raises(NotImplementedError):
        await store.aput(("u",), "k", {"v": 1}, ttl=5)


def test_two_programs_share_it(project, contex):
    ContexStore(project).put(("shared",), "k", {"v": 1})
    with Contex(contex.url) as other:
        assert ContexStore(other.project(project.project_id)).get(("shared",), "k").value == {"v": 1}
