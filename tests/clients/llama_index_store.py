"""The store calls of `calls.json` through llama-index-vector-stores-pinecone."""

from __future__ import annotations

import pinecone
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    ExactMatchFilter,
    FilterCondition,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.pinecone import PineconeVectorStore

from embedding import DIMENSION, TEXTS, World, embed, terms
from python_report import absent, call, run


def nodes() -> list[TextNode]:
    return [
        TextNode(
            id_=name,
            text=text,
            embedding=embed(text),
            metadata={"kind": name, "length": len(text)},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"file-{name}")},
        )
        for name, text in TEXTS.items()
    ]


def query(world: World, text: str, top_k: int = 1, **options):
    asked = VectorStoreQuery(query_embedding=embed(text), similarity_top_k=top_k, **options)
    return world.store.query(asked)


@call("store-add")
def add(world: World) -> None:
    pc = pinecone.Pinecone()
    spec = pinecone.ServerlessSpec(cloud="aws", region="us-east-1")
    pc.create_index(name="llama", dimension=DIMENSION, metric="cosine", spec=spec)
    world.store = PineconeVectorStore(index_name="llama", namespace="n")
    assert len(world.store.add(nodes())) == 4


@call("store-search")
def search(world: World) -> None:
    (found,) = query(world, "cat sofa").nodes
    assert (found.get_content(), found.metadata["kind"]) == (TEXTS["cat"], "cat")


@call("store-scores")
def scores(world: World) -> None:
    answer = query(world, TEXTS["dog"])
    assert abs(answer.similarities[0] - 1) < 1e-5


@call("store-filter")
def filtered(world: World) -> None:
    either = MetadataFilters(
        filters=[
            ExactMatchFilter(key="kind", value="car"),
            MetadataFilter(key="length", value=len(TEXTS["dog"]), operator="=="),
        ],
        condition=FilterCondition.OR,
    )
    found = {node.metadata["kind"] for node in query(world, "cat", 4, filters=either).nodes}
    assert {"car", "dog"} <= found and "train" not in found
    middle = len(TEXTS["dog"])
    for key, operator, value, expected in [
        ("length", ">", middle, {"cat", "car", "train"}),
        ("length", "<=", middle, {"dog"}),
        ("kind", "in", ["cat", "dog"], {"cat", "dog"}),
        ("kind", "nin", ["cat", "dog"], {"car", "train"}),
        ("kind", "!=", "cat", {"dog", "car", "train"}),
    ]:
        only = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
        found = {node.metadata["kind"] for node in query(world, "cat", 4, filters=only).nodes}
        assert found == expected, (key, operator)


@call("store-vector")
def vector(world: World) -> None:
    (found,) = query(world, "wet garden").nodes
    assert found.metadata["kind"] == "dog"


@call("store-hybrid")
def hybrid(world: World) -> None:
    pc = pinecone.Pinecone()
    spec = pinecone.ServerlessSpec(cloud="aws", region="us-east-1")
    pc.create_index(name="llama-hybrid", dimension=DIMENSION, metric="dotproduct", spec=spec)
    store = PineconeVectorStore(
        index_name="llama-hybrid",
        add_sparse_vector=True,
        tokenizer=lambda texts: [list(terms(text)) for text in texts],
    )
    store.add(nodes())
    for mode, alpha, text, words, expected in [
        (VectorStoreQueryMode.SPARSE, None, "cat sofa", "steel", "train"),
        (VectorStoreQueryMode.HYBRID, 0.01, "cat sofa", "steel", "train"),
        (VectorStoreQueryMode.HYBRID, 0.99, "cat sofa", "steel", "cat"),
    ]:
        asked = VectorStoreQuery(
            query_embedding=embed(text),
            query_str=words,
            mode=mode,
            alpha=alpha,
            similarity_top_k=1,
        )
        (found,) = store.query(asked).nodes
        assert found.metadata["kind"] == expected, (mode, alpha)


@call("store-diverse")
def diverse(world: World) -> None:
    raise absent()


@call("store-namespaces")
def namespaces(world: World) -> None:
    other = PineconeVectorStore(index_name="llama", namespace="apart")
    other.add(nodes()[:1])
    asked = VectorStoreQuery(query_embedding=embed("cat"), similarity_top_k=4)
    assert len(other.query(asked).nodes) == 1
    assert len(query(world, "cat", 9).nodes) == 4


@call("store-get")
def get(world: World) -> None:
    only = MetadataFilters(filters=[ExactMatchFilter(key="kind", value="dog")])
    (found,) = world.store.get_nodes(filters=only)
    assert found.get_content() == TEXTS["dog"]


@call("store-update")
def update(world: World) -> None:
    raise absent()


@call("store-statistics")
def statistics(world: World) -> None:
    raise absent()


@call("store-delete")
def delete(world: World) -> None:
    world.store.delete("file-cat")
    found = query(world, "cat sofa", 4).nodes
    assert {node.metadata["kind"] for node in found} == {"dog", "car", "train"}


@call("store-delete-filter")
def delete_filter(world: World) -> None:
    only = MetadataFilters(filters=[ExactMatchFilter(key="kind", value="dog")])
    world.store.delete_nodes(filters=only)
    found = query(world, "cat sofa", 4).nodes
    assert {node.metadata["kind"] for node in found} == {"car", "train"}


@call("store-clear")
def clear(world: World) -> None:
    world.store.clear()
    assert query(world, "cat", 4).nodes == []


@call("store-models")
def models(world: World) -> None:
    raise absent()


@call("store-async")
async def asynchronous(world: World) -> None:
    await world.store.async_add(nodes())
    asked = VectorStoreQuery(query_embedding=embed("cat sofa"), similarity_top_k=1)
    (found,) = (await world.store.aquery(asked)).nodes
    assert found.metadata["kind"] == "cat"


if __name__ == "__main__":
    run(World())
