"""CrewAI publishes no conformance tests of storages, so its own LanceDBStorage is the twin; and its Memory from end to end with a scripted model."""
import os
import random
from datetime import datetime, timedelta

import pytest
from contex_crewai import ContexStorage, server_embedder
from crewai.memory.storage.backend import StorageBackend
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory

SCOPES = ["/", "/crew", "/crew/ada", "/crew/ada/notes", "/office", "/team b/größe"]
NOW = datetime(2026, 11, 30, 12)


def record(choice, n):
    vector = [choice.gauss(0, 1) for _ in range(8)]
    length = sum(one * one for one in vector) ** 0.5
    return MemoryRecord(id=f"id {n}", content=f"content {n}", scope=choice.choice(SCOPES), categories=choice.sample(["a", "b", "c d"], choice.randint(0, 2)),
                        metadata=choice.choice([{}, {"n": n % 3}, {"deep": {"x": [1, None]}, "n": 1}]), importance=choice.random(),
                        created_at=NOW + timedelta(seconds=n), last_accessed=NOW, embedding=[one / length for one in vector],
                        source=choice.choice([None, "user"]), private=choice.random() < 0.5)


def plain(found):
    """Without the vector, which the server keeps and does not tell."""
    return found.model_dump()


def test_the_same_as_the_twin(project, tmp_path):
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    choice = random.Random(seed)
    ours, twin = ContexStorage(project), LanceDBStorage(path=str(tmp_path / "lance"), vector_dim=8)
    assert isinstance(ours, StorageBackend)
    records = [record(choice, n) for n in range(60)]
    for one in (ours, twin):
        one.save(records[:40])
        one.save(records[40:])
    changed = records[3].model_copy(update={"content": "another", "scope": "/crew", "embedding": records[4].embedding})
    for one in (ours, twin):
        one.update(changed)
    for scope in (None, *SCOPES, "/nothing"):
        assert [one.id for one in ours.list_records(scope)] == [one.id for one in twin.list_records(scope)], scope
        assert ours.count(scope) == twin.count(scope) and ours.list_categories(scope) == twin.list_categories(scope), scope
        assert ours.list_scopes(scope or "/") == twin.list_scopes(scope or "/"), scope
        assert ours.get_scope_info(scope or "/") == twin.get_scope_info(scope or "/"), scope
        for categories, wanted in ((None, None), (["a", "c d"], None), (None, {"n": 1}), (None, {"deep": {"x": [1, None]}, "n": 1})):
            asked = record(choice, 0).embedding
            # The twin's scores are never below 0, cosines are.
            found = [[one.id for one, _ in storage.search(asked, scope, categories, wanted, limit=5, min_score=-1.0)] for storage in (ours, twin)]
            if categories or wanted:  # the twin looks at three times the limit only, so it may miss some
                assert [one for one in found[0] if one in found[1]] == found[1]
            else:
                assert found[0] == found[1]
    assert [plain(one) for one in ours.list_records(limit=3, offset=2)] == [plain(one) for one in twin.list_records(limit=3, offset=2)]
    for one in records[:10]:
        assert plain(ours.get_record(one.id)) == plain(twin.get_record(one.id))
    assert ours.get_record("nothing") is None
    for arguments in ({"record_ids": ["id 1", "id 2", "nothing"]}, {"categories": ["b"], "scope_prefix": "/crew"}, {"metadata_filter": {"n": 2}},
                      {"older_than": NOW + timedelta(seconds=20)}):
        assert ours.delete(**arguments) == twin.delete(**arguments), arguments
        assert [one.id for one in ours.list_records()] == [one.id for one in twin.list_records()], arguments
    ours.reset("/crew")
    assert ours.count("/crew") == 0 < ours.count()
    ours.reset()
    assert ours.count() == 0


def test_a_scope_is_no_prefix_of_letters(project):
    """Of the twin it is: there /crew has what is in /crewother too."""
    storage = ContexStorage(project)
    storage.save([MemoryRecord(id=scope, content="c", scope=scope, embedding=[1.0]) for scope in ("/crew", "/crew/ada", "/crewother")])
    assert {one.id for one in storage.list_records("/crew")} == {"/crew", "/crew/ada"}
    assert {one.id for one, _ in storage.search([1.0], "/crew")} == {"/crew", "/crew/ada"}
    assert storage.delete("/crew/") == 2 and storage.count() == 1


async def test_scores_are_cosines_and_limits_hold(project):
    storage = ContexStorage(project)
    await storage.asave([MemoryRecord(id=str(n), content=str(n), embedding=[1.0, n]) for n in range(5)])
    found = await storage.asearch([1.0, 0.0], limit=3, min_score=0.4)
    assert [(one.id, round(score, 3)) for one, score in found] == [("0", 1.0), ("1", 0.707), ("2", 0.447)]
    with pytest.raises(ValueError, match="384"):
        storage.search([0.1] * 1_536)
    assert await storage.adelete(record_ids=["0"]) == 1


def test_memory_from_end_to_end(project, contex):
    agent = project.agent("listener")
    agent.register(["where the office is"], min_similarity=0.3)

    def unasked(*arguments, **more):
        raise AssertionError("nothing here needs a model")
    memory = Memory(storage=ContexStorage(project), embedder=server_embedder(contex), llm=unasked)
    for text, scope in (("The office is in Zurich", "/facts"), ("Ada likes pizza with olives", "/people/ada"), ("The build takes nine minutes", "/facts")):
        memory.remember(text, scope=scope, categories=["note"], metadata={"by": "test"}, importance=0.5)
    assert memory.recall("in which city do we work", depth="shallow", limit=1)[0].record.content == "The office is in Zurich"
    assert [one.record.content for one in memory.recall("what does she eat", scope="/people", depth="shallow")] == ["Ada likes pizza with olives"]
    assert memory.list_scopes("/") == ["/facts", "/people"]
    # Another agent, of whatever framework, is told.
    assert "The office is in Zurich" in [update.data["content"] for update in agent.inbox()]
    assert memory.forget(scope="/facts") == 2
