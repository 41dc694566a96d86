"""The store calls of `calls.json` through pinecone-haystack."""

from __future__ import annotations

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.retrievers.pinecone import PineconeEmbeddingRetriever
from haystack_integrations.document_stores.pinecone import PineconeDocumentStore

from embedding import DIMENSION, TEXTS, World, embed
from python_report import KEY, absent, call, run


def documents() -> list[Document]:
    return [
        Document(id=name, content=text, embedding=embed(text), meta={"kind": name, "n": len(text)})
        for name, text in TEXTS.items()
    ]


def store(namespace: str) -> PineconeDocumentStore:
    return PineconeDocumentStore(
        api_key=Secret.from_token(KEY),
        index="haystack",
        namespace=namespace,
        dimension=DIMENSION,
        show_progress=False,
    )


def where(field: str, operator: str, value: object) -> dict:
    return {"field": f"meta.{field}", "operator": operator, "value": value}


def only(kind: str) -> dict:
    return where("kind", "==", kind)


@call("store-add")
def add(world: World) -> None:
    world.store = store("n")
    assert world.store.write_documents(documents()) == 4
    assert world.store.count_documents() == 4


@call("store-search")
def search(world: World) -> None:
    world.retriever = PineconeEmbeddingRetriever(document_store=world.store, top_k=1)
    (found,) = world.retriever.run(query_embedding=embed("cat sofa"))["documents"]
    assert (found.content, found.meta["kind"]) == (TEXTS["cat"], "cat")


@call("store-scores")
def scores(world: World) -> None:
    (found,) = world.retriever.run(query_embedding=embed(TEXTS["dog"]))["documents"]
    assert abs(found.score - 1) < 1e-5


@call("store-filter")
def filtered(world: World) -> None:
    either = {"operator": "OR", "conditions": [only("car"), only("dog")]}
    found = world.retriever.run(query_embedding=embed("cat"), top_k=4, filters=either)
    assert {one.meta["kind"] for one in found["documents"]} == {"car", "dog"}
    middle = len(TEXTS["dog"])
    for condition, expected in [
        (where("kind", "!=", "cat"), {"dog", "car", "train"}),
        (where("n", ">", middle), {"cat", "car", "train"}),
        (where("n", ">=", middle), {"cat", "dog", "car", "train"}),
        (where("n", "<", middle), set()),
        (where("n", "<=", middle), {"dog"}),
        (where("kind", "in", ["cat", "dog"]), {"cat", "dog"}),
        (where("kind", "not in", ["cat", "dog"]), {"car", "train"}),
        ({"operator": "AND", "conditions": [either, where("n", ">", middle)]}, {"car"}),
    ]:
        found = {one.meta["kind"] for one in world.store.filter_documents(condition)}
        assert found == expected, condition


@call("store-vector")
def vector(world: World) -> None:
    (found,) = world.retriever.run(query_embedding=embed("wet garden"), top_k=1)["documents"]
    assert found.meta["kind"] == "dog"


@call("store-hybrid")
def hybrid(world: World) -> None:
    raise absent()


@call("store-diverse")
def diverse(world: World) -> None:
    raise absent()


@call("store-namespaces")
def namespaces(world: World) -> None:
    other = store("apart")
    other.write_documents(documents()[:1])
    assert (other.count_documents(), world.store.count_documents()) == (1, 4)
    assert other.write_documents(documents()[:1]) == 1  # Written again, it is there once.
    assert other.count_documents() == 1


@call("store-get")
def get(world: World) -> None:
    (found,) = world.store.filter_documents(only("dog"))
    assert found.content == TEXTS["dog"]
    assert world.store.count_documents_by_filter(only("dog")) == 1


@call("store-update")
def update(world: World) -> None:
    assert world.store.update_by_filter(only("dog"), {"seen": True}) == 1
    assert world.store.filter_documents(only("dog"))[0].meta["seen"] is True


@call("store-statistics")
def statistics(world: World) -> None:
    types = world.store.get_metadata_fields_info()
    assert types == {
        "content": {"type": "text"},
        "kind": {"type": "keyword"},
        "n": {"type": "long"},
        "seen": {"type": "boolean"},
    }
    lengths = [len(text) for text in TEXTS.values()]
    ends = world.store.get_metadata_field_min_max("meta.n")
    assert ends == {"min": min(lengths), "max": max(lengths)}
    assert world.store.get_metadata_field_unique_values("kind", size=2) == (["car", "cat"], 4)
    unique = world.store.count_unique_metadata_by_filter(where("n", ">", 0), ["kind", "seen"])
    assert unique == {"kind": 4, "seen": 1}


@call("store-delete")
def delete(world: World) -> None:
    world.store.delete_documents(["cat", "unknown"])
    assert world.store.count_documents() == 3


@call("store-delete-filter")
def delete_filter(world: World) -> None:
    assert world.store.delete_by_filter(only("dog")) == 1
    assert world.store.count_documents() == 2


@call("store-clear")
def clear(world: World) -> None:
    world.store.delete_all_documents()
    assert world.store.count_documents() == 0


@call("store-models")
def models(world: World) -> None:
    raise absent()


@call("store-async")
async def asynchronous(world: World) -> None:
    other = store("async")
    assert await other.write_documents_async(documents()) == 4
    retriever = PineconeEmbeddingRetriever(document_store=other, top_k=1)
    found = await retriever.run_async(query_embedding=embed("cat sofa"))
    assert found["documents"][0].meta["kind"] == "cat"
    assert await other.update_by_filter_async(only("dog"), {"seen": True}) == 1
    assert (await other.filter_documents_async(only("dog")))[0].meta["seen"] is True
    await other.delete_documents_async(["cat"])
    assert await other.count_documents_async() == 3
    await other.close_async()


if __name__ == "__main__":
    run(World())
