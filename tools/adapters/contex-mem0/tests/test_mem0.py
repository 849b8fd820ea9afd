"""mem0 publishes no conformance tests of vector stores: the store's methods as mem0 describes them, and mem0's Memory from end to end, with the
server's model as the embedder (no language model: what is added is kept as it is)."""
import math
import os
import random

import pytest
from support import unique

os.environ["MEM0_TELEMETRY"] = "False"

RANDOM = random.Random(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    os.environ["MEM0_DIR"] = str(tmp_path_factory.mktemp("mem0"))
    return os.environ["MEM0_DIR"]


@pytest.fixture
def store(folder, contex):
    from contex_mem0 import ContexVectorStore
    return ContexVectorStore(unique("memories"), contex.url, embedding_model_dims=8)


def cosine(one, other):
    return sum(map(lambda a, b: a * b, one, other)) / math.hypot(*one) / math.hypot(*other)


def test_nearest_first_and_filters(store):
    vectors = {str(n): [RANDOM.gauss(0, 1) for _ in range(8)] for n in range(120)}
    payloads = {name: {"data": f"memory {name}", "user_id": f"u{int(name) % 3}", "n": int(name), **({"tag": "odd"} if int(name) % 2 else {})}
                for name in vectors}
    store.insert(list(vectors.values()), list(payloads.values()), list(vectors))

    def passing(rule):
        return [name for name in sorted(vectors, key=lambda name: -cosine(vectors[name], asked)) if rule(payloads[name])]
    asked = [RANDOM.gauss(0, 1) for _ in range(8)]
    for filters, rule in (
        (None, lambda of: True), ({"user_id": "u1"}, lambda of: of["user_id"] == "u1"),
        ({"user_id": "u1", "tag": "*"}, lambda of: of["user_id"] == "u1" and "tag" in of),
        ({"n": {"gte": 20, "lt": 90}}, lambda of: 20 <= of["n"] < 90), ({"n": {"in": [1, 2, 3]}}, lambda of: of["n"] in (1, 2, 3)),
        ({"n": {"nin": [1, 2]}, "user_id": {"ne": "u0"}}, lambda of: of["n"] not in (1, 2) and of["user_id"] != "u0"),
        ({"$or": [{"n": {"lt": 5}}, {"tag": "odd", "user_id": "u2"}]}, lambda of: of["n"] < 5 or of.get("tag") == "odd" and of["user_id"] == "u2"),
        ({"$not": [{"user_id": "u0"}, {"user_id": "u1"}]}, lambda of: of["user_id"] == "u2"),
    ):
        for top_k in (3, 100):
            found = store.search("", asked, top_k, filters)
            assert [memory.id for memory in found] == passing(rule)[:top_k], filters
            assert all(memory.payload == payloads[memory.id] and 0 <= memory.score <= 1 for memory in found)
        assert {memory.id for memory in store.list(filters, 1_000)[0]} == set(passing(rule)), filters
    with pytest.raises(ValueError, match="icontains"):
        store.search("", asked, 3, {"tag": {"icontains": "o"}})
    with pytest.raises(ValueError, match="384"):
        store.create_col("big", 1536)


def test_changing_and_removing(store):
    store.insert([[1.0] + [0.0] * 7, [0.0, 1.0] + [0.0] * 6], [{"data": "likes pizza"}, {"data": "writes engines"}], ["a", "b"])
    assert [memory.id for memory in store.keyword_search("engines")] == ["b"] and store.keyword_search("engines")[0].score > 0
    store.update("a", payload={"data": "likes soup"})
    assert store.get("a").payload == {"data": "likes soup"} and store.search("", [1.0] + [0.0] * 7, 1)[0].id == "a"
    store.update("a", vector=[0.0] * 7 + [1.0])
    assert store.search("", [0.0] * 7 + [1.0], 1)[0].payload == {"data": "likes soup"}
    store.delete("b")
    store.delete("nobody")
    assert store.get("b") is None and store.col_info()["count"] == 1 and store.collection_name in store.list_cols()
    store.reset()
    assert store.list()[0] == []


def test_memory_from_end_to_end(folder, contex):
    import contex_mem0  # noqa: F401
    from mem0 import Memory
    memory = Memory.from_config({
        "vector_store": {"provider": "contex", "config": {"url": contex.url, "collection_name": unique("memories")}},
        "embedder": {"provider": "openai", "config": {"openai_base_url": f"{contex.url}/api/v1", "api_key": "any", "model": "any", "embedding_dims": 384}},
        "llm": {"provider": "openai", "config": {"api_key": "none", "openai_base_url": f"{contex.url}/api/v1"}},
        "history_db_path": f"{folder}/history.db"})
    made = [memory.add(text, user_id=user, infer=False)["results"][0]["id"] for text, user in (
        ("Ada likes pizza with olives", "ada"), ("Ada writes engines in Swift", "ada"), ("Grace likes soup", "grace"))]
    found = memory.search("what should we cook", filters={"user_id": "ada"}, threshold=0.0)["results"]
    assert [one["id"] for one in found][:1] == made[:1] and {one["id"] for one in found} <= set(made[:2])
    assert {one["memory"] for one in memory.get_all(filters={"user_id": "grace"})["results"]} == {"Grace likes soup"}
    memory.update(made[0], "Ada prefers soup now")
    assert memory.get(made[0])["memory"] == "Ada prefers soup now"
    memory.delete(made[1])
    assert memory.get(made[1]) is None
    memory.delete_all(user_id="ada")
    assert memory.get_all(filters={"user_id": "ada"})["results"] == []
