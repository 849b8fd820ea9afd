"""LangChain's standard tests of vector stores and retrievers, and what is Contex's own."""
import pytest
from contex_langchain import ContexRetriever, ContexVectorStore
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests


class TestWithVectorsOfItsOwn(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, project):
        return ContexVectorStore(project, self.get_embeddings())


class TestWithTheServersModel(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, project):
        return ContexVectorStore(project)


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _published(self, project):
        for number in range(5):
            project.publish(f"rules/{number}", {"rule": f"Deploys of service {number} are frozen on Fridays"})
        self.project = project

    @property
    def retriever_constructor(self):
        return ContexRetriever

    @property
    def retriever_constructor_params(self):
        return {"project": self.project, "options": {"threshold": 0}}

    @property
    def retriever_query_example(self):
        return "when are deploys frozen"


def test_meaning_words_and_filters(project):
    store = ContexVectorStore.from_texts(
        ["LMDB is a memory-mapped B+tree", "Deploys are frozen on Fridays", "The cafeteria has soup"],
        metadatas=[{"topic": "storage"}, {"topic": "rules"}, {}], ids=["lmdb", "deploys", "soup"], project=project)
    assert store.similarity_search("which database do we use", k=1)[0].id == "lmdb"
    assert [document.id for document in store.similarity_search("which database", k=3, filter={"metadata.topic": "rules"})] == ["deploys"]
    scored = store.similarity_search_with_relevance_scores("when may I deploy", k=3)
    assert scored[0][0] == Document(page_content="Deploys are frozen on Fridays", metadata={"topic": "rules"}, id="deploys")
    assert all(0 <= score <= 1 for _, score in scored)
    assert len({document.id for document in store.max_marginal_relevance_search("database", k=2)}) == 2
    retriever = store.as_retriever(search_kwargs={"k": 1})
    assert retriever.invoke("soup")[0].id == "soup"
    assert store.delete() and store.similarity_search("soup", k=5) == []


def test_more_than_a_page_and_vectors_that_are_too_long(project):
    store = ContexVectorStore(project, DeterministicFakeEmbedding(size=384))
    store.add_texts([f"text {n}" for n in range(120)], ids=[str(n) for n in range(120)])
    assert len(store.similarity_search("text 7", k=100)) == 100 and store.similarity_search("text 7", k=1)[0].id == "7"
    with pytest.raises(ValueError, match="384"):
        ContexVectorStore(project, DeterministicFakeEmbedding(size=768)).add_texts(["x"])
    with pytest.raises(ValueError, match="2 texts, 1 ids"):
        store.add_texts(["a", "b"], ids=["a"])
