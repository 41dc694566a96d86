"""The store calls of `calls.json` through langchain-pinecone."""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_pinecone import PineconeVectorStore
from pinecone import Pinecone, ServerlessSpec

from embedding import DIMENSION, TEXTS, World, embed
from python_report import absent, call, run


class Hashed(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


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
    assert more.similarity_search(TEXTS["car"], k=1)[0].page_content == TEXTS["car"]


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


@call("store-diverse")
def diverse(world: World) -> None:
    found = world.store.max_marginal_relevance_search("drives on", k=2, fetch_k=4)
    assert len(found) == 2


@call("store-get")
def get(world: World) -> None:
    raise absent()


@call("store-update")
def update(world: World) -> None:
    raise absent()


@call("store-delete")
def delete(world: World) -> None:
    world.store.delete(ids=["cat"])
    found = world.store.similarity_search("cat sofa", k=4)
    assert {one.metadata["kind"] for one in found} == {"dog", "car", "train"}


@call("store-clear")
def clear(world: World) -> None:
    world.store.delete(delete_all=True)
    assert world.store.similarity_search("cat", k=4) == []


@call("store-async")
async def asynchronous(world: World) -> None:
    async with PineconeVectorStore(
        index_name="langchain", embedding=Hashed(), namespace="async"
    ) as store:
        await store.aadd_documents(documents(), ids=list(TEXTS))
        (found,) = await store.asimilarity_search("cat sofa", k=1)
        assert found.metadata["kind"] == "cat"
        await store.adelete(ids=["cat"])
        assert len(await store.asimilarity_search("cat", k=4)) == 3


if __name__ == "__main__":
    run(World())
