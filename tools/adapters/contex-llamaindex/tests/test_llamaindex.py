"""LlamaIndex publishes no conformance tests of vector stores, so its own SimpleVectorStore is the twin: the same nodes, the same questions and
filters, the same answers."""
import random

import pytest
from contex_llamaindex import ContexVectorStore
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition, FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery, VectorStoreQueryMode)

RANDOM = random.Random(7)


def vector():
    return [RANDOM.gauss(0, 1) for _ in range(16)]


@pytest.fixture
def nodes():
    made = []
    for n in range(30):
        node = TextNode(id_=f"n{n}", text=f"release notes of version {n}", embedding=vector(), metadata=(
            {"n": n, "half": n / 2, "team": ["core", "edge", "docs"][n % 3], "tags": [f"t{n % 4}", f"t{n % 5}"]} if n else {}))
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"doc{n % 5}")
        made.append(node)
    return made


@pytest.fixture
def stores(project, nodes):
    twin, store = SimpleVectorStore(), ContexVectorStore(project)
    assert store.add(nodes) == [node.node_id for node in nodes]
    twin.add(nodes)
    return store, twin


def condition(key, operator, value):
    return MetadataFilter(key=key, operator=operator, value=value)


FILTERS = [
    MetadataFilters(filters=[condition("team", FilterOperator.EQ, "core")]),
    MetadataFilters(filters=[condition("team", FilterOperator.NE, "core")]),
    MetadataFilters(filters=[condition("n", FilterOperator.GT, 11), condition("half", FilterOperator.LTE, 12.5)]),
    MetadataFilters(filters=[condition("n", FilterOperator.LT, 4), condition("n", FilterOperator.GTE, 25)], condition=FilterCondition.OR),
    MetadataFilters(filters=[condition("n", FilterOperator.LT, 4), condition("team", FilterOperator.EQ, "edge")], condition=FilterCondition.NOT),
    MetadataFilters(filters=[condition("team", FilterOperator.IN, ["core", "docs"])]),
    MetadataFilters(filters=[condition("n", FilterOperator.NIN, [1, 2, 3])]),
    MetadataFilters(filters=[condition("tags", FilterOperator.CONTAINS, "t2")]),
    MetadataFilters(filters=[condition("tags", FilterOperator.ANY, ["t1", "t4"])]),
    MetadataFilters(filters=[condition("tags", FilterOperator.ALL, ["t1", "t4"])]),
    MetadataFilters(filters=[condition("team", FilterOperator.IS_EMPTY, None)]),
]


@pytest.mark.parametrize("filters", [None, *FILTERS])
def test_the_same_answers_as_the_twin(stores, filters):
    store, twin = stores
    for top_k in (1, 5, 60):
        query = VectorStoreQuery(query_embedding=vector(), similarity_top_k=top_k, filters=filters)
        mine, other = store.query(query), twin.query(query)
        assert mine.ids == other.ids
        assert mine.similarities == pytest.approx(other.similarities, abs=2e-3)
    assert sorted(node.node_id for node in store.get_nodes(filters=filters)) == sorted(twin.query(
        VectorStoreQuery(query_embedding=vector(), similarity_top_k=100, filters=filters)).ids)


def test_nodes_come_back_whole(stores, nodes):
    store, _ = stores
    found = {node.node_id: node for node in store.get_nodes()}
    for node in nodes:
        mine = found[node.node_id]
        assert (mine.text, mine.metadata, mine.ref_doc_id) == (node.text, node.metadata, node.ref_doc_id)
    assert [node.node_id for node in store.get_nodes(node_ids=["n3"])] == ["n3"]


def test_deleting(stores):
    store, _ = stores
    store.delete("doc2")
    assert len(store.get_nodes()) == 24
    store.delete_nodes(["n0", "n1", "nobody"])
    store.delete_nodes(filters=FILTERS[0])
    assert {node.metadata["team"] for node in store.get_nodes()} == {"edge", "docs"}
    store.clear()
    assert store.get_nodes() == [] and store.query(VectorStoreQuery(query_embedding=vector(), similarity_top_k=5)).ids == []


def test_modes(stores):
    store, _ = stores
    words = store.query(VectorStoreQuery(query_str="version 17", similarity_top_k=1, mode=VectorStoreQueryMode.TEXT_SEARCH))
    assert words.ids == ["n17"]
    both = store.query(VectorStoreQuery(query_str="version 17", query_embedding=vector(), similarity_top_k=3, mode=VectorStoreQueryMode.HYBRID, alpha=0.1))
    assert both.ids[0] == "n17"
    assert len(set(store.query(VectorStoreQuery(query_embedding=vector(), similarity_top_k=4, mode=VectorStoreQueryMode.MMR)).ids)) == 4
    of_documents = store.query(VectorStoreQuery(query_embedding=vector(), similarity_top_k=50, doc_ids=["doc1"]))
    assert {node.ref_doc_id for node in of_documents.nodes} == {"doc1"} and len(of_documents.ids) == 6
    with pytest.raises(ValueError, match="svm"):
        store.query(VectorStoreQuery(query_embedding=vector(), mode=VectorStoreQueryMode.SVM))
    with pytest.raises(ValueError, match="text_match"):
        store.query(VectorStoreQuery(query_embedding=vector(), filters=MetadataFilters(filters=[condition("team", FilterOperator.TEXT_MATCH, "co")])))
    with pytest.raises(ValueError, match="384"):
        store.query(VectorStoreQuery(query_embedding=[1.0] * 1536))


async def test_in_an_index(project):
    store = ContexVectorStore(project, server_embeds=True)
    index = VectorStoreIndex.from_documents(
        [Document(text="LMDB is a memory-mapped B+tree", metadata={"topic": "storage"}), Document(text="The cafeteria has soup")],
        storage_context=StorageContext.from_defaults(vector_store=store), embed_model=MockEmbedding(embed_dim=1536))
    found = index.as_retriever(similarity_top_k=1).retrieve("which database do we use")
    assert found[0].text == "LMDB is a memory-mapped B+tree" and found[0].metadata == {"topic": "storage"}
    assert (await index.as_retriever(similarity_top_k=1).aretrieve("lunch"))[0].text == "The cafeteria has soup"
