"""Haystack's own tests of document stores, the extended ones, and what is Contex's own."""
import pytest
from contex_haystack import ContexDocumentStore, ContexEmbeddingRetriever, ContexRetriever
from haystack import Document, Pipeline
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.testing.document_store import DocumentStoreBaseExtendedTests


@pytest.fixture
def document_store(project):
    return ContexDocumentStore(project.project_id, project._client.url)


class TestDocumentStore(DocumentStoreBaseExtendedTests):
    @pytest.fixture
    def document_store(self, project):
        return ContexDocumentStore(project.project_id, project._client.url)

    @staticmethod
    def assert_documents_are_equal(received, expected):
        """Documents come in the order of their ids, not of writing; Haystack asks such stores to compare so."""
        assert sorted(received, key=lambda one: one.id) == sorted(expected, key=lambda one: one.id)

    def test_write_documents(self, document_store):
        """Haystack leaves to each store what it does without a policy: this one refuses what is there."""
        documents = [Document(content="test doc 1"), Document(content="test doc 2")]
        assert document_store.write_documents(documents) == 2
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents(documents)
        self.assert_documents_are_equal(document_store.filter_documents(), documents)


def test_filters_of_the_server_are_those_of_haystack(document_store):
    """What the search leaves out is what Haystack's rules leave out."""
    document_store.write_documents(
        [Document(content=f"release notes {n}", meta={"n": n, "team": "core" if n % 2 else None, "tag": f"t{n % 3}"} if n else {}) for n in range(12)])

    def condition(field, operator, value):
        return {"field": field, "operator": operator, "value": value}
    for filters in (
        condition("meta.n", "==", 3), condition("meta.n", "!=", 3), condition("n", ">", 4), condition("n", "<=", 4), condition("team", "==", "core"),
        condition("team", "==", None), condition("team", "!=", None), condition("tag", "in", ["t0", "t2"]), condition("tag", "not in", ["t0", "t2"]),
        {"operator": "AND", "conditions": [condition("n", ">=", 2), {"operator": "OR", "conditions": [condition("tag", "==", "t1"), condition("n", "<", 4)]}]},
        {"operator": "NOT", "conditions": [condition("n", ">=", 2), condition("tag", "==", "t1")]},
    ):
        found = {document.content for document in document_store.search("release notes", None, 50, filters)}
        assert found == {document.content for document in document_store.filter_documents(filters)}, filters


def test_in_a_pipeline(document_store):
    document_store.write_documents([Document(content="LMDB is a memory-mapped B+tree", meta={"topic": "storage"}), Document(content="The cafeteria has soup")])
    pipeline = Pipeline()
    pipeline.add_component("retriever", ContexRetriever(document_store, top_k=1))
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["contex_haystack"])
    (found,) = again.run({"retriever": {"query": "which database"}})["retriever"]["documents"]
    assert found.meta == {"topic": "storage"} and 0 < found.score <= 1


def test_embeddings_of_its_own(document_store):
    document_store.write_documents([Document(id="x", content="x", embedding=[1.0, 0.0]), Document(id="y", content="y", embedding=[0.0, 1.0]),
                                    Document(id="long", content="long", embedding=[1.0] * 768), Document(id="none", content="none")])
    found = ContexEmbeddingRetriever(document_store).run([0.1, 1.0])["documents"]
    assert [document.id for document in found] == ["y", "x"] and found[0].embedding == [0.0, 1.0]
    with pytest.raises(ValueError, match="384"):
        ContexEmbeddingRetriever(document_store).run([1.0] * 768)
    assert document_store.write_documents([Document(id="x", content="new")], DuplicatePolicy.SKIP) == 0
