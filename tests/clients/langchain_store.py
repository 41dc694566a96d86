"""The store calls of `calls.json` through langchain-pinecone."""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_pinecone import (
    PineconeEmbeddings,
    PineconeRerank,
    PineconeSparseEmbeddings,
    PineconeSparseVectorStore,
    PineconeVectorStore,
)
from pinecone import Pinecone, ServerlessSpec, SparseValues

from embedding import DIMENSION, TEXTS, World, embed, terms
from python_report import absent, call, run


class Hashed(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


class Terms(PineconeSparseEmbeddings):
    """The class that the sparse store insists on, without the model behind it."""

    def list_supported_models(self, vector_type: str | None = None) -> list:
        return [{"model": self.model}]

    def embed_documents(self, texts: list[str]) -> list[SparseValues]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> SparseValues:
        found = terms(text)
        return SparseValues(indices=list(found), values=list(found.values()))


def documents() -> list[Document]:
    return [
        Document(page_content=text, metadata={"kind": name, "length": len(text)})
        for name, text in TEXTS.items()
    ]


@call("store-add")
def add(world: World) -> None:
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    Pinecone().create_index(name="langchain", dimension=DIMENSION, metric="cosine", spec=spec)
    world.store = PineconeVectorStore(index_name="langchain", embedding=Hashed(), namespace="n")
    assert world.store.add_documents(documents(), ids=list(TEXTS)) == list(TEXTS)
    more = PineconeVectorStore.from_texts(
        list(TEXTS.values()), Hashed(), index_name="langchain", namespace="texts"
    )
    (found,) = more.similarity_search(TEXTS["car"], k=1)
    assert (found.page_content, found.metadata) == (TEXTS["car"], {})


@call("store-search")
def search(world: World) -> None:
    (found,) = world.store.similarity_search("cat sofa", k=1)
    assert (found.page_content, found.metadata["kind"]) == (TEXTS["cat"], "cat")
    assert world.store.as_retriever().invoke("wet garden")[0].metadata["kind"] == "dog"


@call("store-scores")
def scores(world: World) -> None:
    ((found, score),) = world.store.similarity_search_with_score(TEXTS["dog"], k=1)
    assert found.metadata["kind"] == "dog" and abs(score - 1) < 1e-5
    ((found, score),) = world.store.similarity_search_with_relevance_scores(TEXTS["dog"], k=1)
    assert found.metadata["kind"] == "dog" and abs(score - 1) < 1e-5


@call("store-filter")
def filtered(world: World) -> None:
    found = world.store.similarity_search("cat", k=4, filter={"kind": {"$in": ["car", "dog"]}})
    assert {one.metadata["kind"] for one in found} == {"car", "dog"}


@call("store-vector")
def vector(world: World) -> None:
    (found,) = world.store.similarity_search_by_vector(embed("cat sofa"), k=1)
    assert found.metadata["kind"] == "cat"
    scored = world.store.similarity_search_by_vector_with_score(embed(TEXTS["dog"]), k=4)
    assert [found.metadata["kind"] for found, _ in scored][0] == "dog"
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)


@call("store-hybrid")
def hybrid(world: World) -> None:
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    Pinecone().create_index(name="terms", metric="dotproduct", vector_type="sparse", spec=spec)
    model = Terms(model="pinecone-sparse-english-v0")
    store = PineconeSparseVectorStore(index=Pinecone().Index("terms"), embedding=model)
    store.add_documents(documents(), ids=list(TEXTS))
    ((found, score),) = store.similarity_search_with_score("a red road", k=1)
    assert (found.metadata["kind"], score) == ("car", 4.0)  # "a" is there twice.
    found = store.max_marginal_relevance_search("the drives", k=2, fetch_k=4)
    assert len({one.metadata["kind"] for one in found}) == 2
    store.delete(ids=["car"])
    assert store.similarity_search("red", k=1) == []


@call("store-diverse")
def diverse(world: World) -> None:
    found = world.store.max_marginal_relevance_search("drives on", k=2, fetch_k=4)
    assert len(found) == 2
    found = world.store.max_marginal_relevance_search_by_vector(embed("drives"), k=3, fetch_k=4)
    assert len({one.metadata["kind"] for one in found}) == 3


@call("store-namespaces")
def namespaces(world: World) -> None:
    store = PineconeVectorStore.from_existing_index("langchain", Hashed(), namespace="apart")
    ids = store.add_texts(["the cat is elsewhere"], ids=["1"], id_prefix="page")
    assert ids == ["page#1"]
    assert [one.page_content for one in store.similarity_search("cat")] == ["the cat is elsewhere"]
    found = world.store.similarity_search("cat", k=4, namespace="apart")
    assert [one.id for one in found] == ids
    assert len(world.store.similarity_search("cat", k=9)) == len(TEXTS)


@call("store-get")
def get(world: World) -> None:
    raise absent()


@call("store-update")
def update(world: World) -> None:
    raise absent()


@call("store-statistics")
def statistics(world: World) -> None:
    raise absent()


@call("store-delete")
def delete(world: World) -> None:
    world.store.delete(ids=["cat"])
    found = world.store.similarity_search("cat sofa", k=4)
    assert {one.metadata["kind"] for one in found} == {"dog", "car", "train"}


@call("store-delete-filter")
def delete_filter(world: World) -> None:
    world.store.delete(filter={"length": {"$lt": len(TEXTS["car"])}})
    found = world.store.similarity_search("a road", k=4)
    assert {one.metadata["kind"] for one in found} == {"car", "train"}


@call("store-clear")
def clear(world: World) -> None:
    world.store.delete(delete_all=True)
    assert world.store.similarity_search("cat", k=4) == []


@call("store-models")
def models(world: World) -> None:
    embeddings = PineconeEmbeddings(model="multilingual-e5-large")
    vectors = embeddings.embed_documents(list(TEXTS.values()))
    assert [len(vector) for vector in vectors] == [384] * 4
    assert len(embeddings.embed_query("a kitten")) == 384
    ranker = PineconeRerank(model="bge-reranker-v2-m3", top_n=1)
    (best,) = ranker.compress_documents(documents(), "kittens on the couch")
    assert best.metadata["kind"] == "cat" and best.metadata["relevance_score"] > 0.5


@call("store-async")
async def asynchronous(world: World) -> None:
    async with PineconeVectorStore(
        index_name="langchain", embedding=Hashed(), namespace="async"
    ) as store:
        await store.aadd_documents(documents(), ids=list(TEXTS))
        (found,) = await store.asimilarity_search("cat sofa", k=1)
        assert found.metadata["kind"] == "cat"
        (found,) = await store.asimilarity_search_by_vector(embed("wet garden"), k=1)
        assert found.metadata["kind"] == "dog"
        assert len(await store.amax_marginal_relevance_search("drives", k=2, fetch_k=4)) == 2
        await store.adelete(ids=["cat"])
        assert len(await store.asimilarity_search("cat", k=4)) == 3
        await store.adelete(delete_all=True)
        assert await store.asimilarity_search("cat", k=4) == []


if __name__ == "__main__":
    run(World())
