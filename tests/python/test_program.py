"""The seed's program three times: with the official client against a server, with ours against
one, and with ours in process. Every attribute that the official client's answers have is
compared, but for those that name a place or a time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import crossbill
import pytest
from conftest import DIMENSION, records, vectors
from harness import Server

pinecone = pytest.importorskip("pinecone")
pytestmark = pytest.mark.libraries

# Times and addresses; forms of an index that only the official client's newest version has.
PASSED_OVER = {
    "created_at",
    "finished_at",
    "response_info",
    "host",
    "private_host",
    "schema",
    "deployment",
    "read_capacity",
    "source_backup_id",
    "cmek_id",
    "source_collection",
}


def differences(official: Any, ours: Any, path: str = "") -> list[str]:
    """Where ours does not say what the official client's answer says."""
    if isinstance(official, dict):
        keys = set(official) ^ set(ours)
        found = [f"{path}: keys {keys}"] if keys else []
        return found + sum((differences(official[k], ours[k], f"{path}[{k}]") for k in official if k in ours), [])
    if isinstance(official, (list, tuple)):
        if len(official) != len(ours):
            return [f"{path}: {len(official)} and {len(ours)}"]
        return sum((differences(a, b, f"{path}[{n}]") for n, (a, b) in enumerate(zip(official, ours))), [])
    if isinstance(official, BaseException):
        same = type(official).__name__ == type(ours).__name__ and official.message == ours.message
        same = same and official.status_code == ours.status_code
        return [] if same else [f"{path}: {official!r} and {ours!r}"]
    fields = getattr(official, "__struct_fields__", None)
    if fields is not None:
        named = [name for name in fields if name not in PASSED_OVER]
        missing = [f"{path}.{name} is missing" for name in named if not hasattr(ours, name)]
        both = [name for name in named if hasattr(ours, name)]
        return missing + sum(
            (differences(getattr(official, n), getattr(ours, n), f"{path}.{n}") for n in both), []
        )
    return [] if official == ours else [f"{path}: {official!r} and {ours!r}"]


def finished(index: Any, id: str) -> Any:
    for _ in range(2000):
        seen = index.describe_import(id=id)
        if seen.status in ("Completed", "Failed", "Cancelled"):
            return seen
        time.sleep(0.01)
    raise AssertionError("no end of the import")


def raised(call: Any) -> Any:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def program(module: Any, pc: Any, source: Path) -> dict[str, Any]:
    """What each call answers, by what it is."""
    seen: dict[str, Any] = {"has none": pc.has_index("product-search")}
    seen["unknown index"] = raised(lambda: pc.describe_index("product-search"))
    spec = module.ServerlessSpec(cloud="aws", region="us-east-1")
    seen["made"] = pc.create_index(
        "product-search", dimension=DIMENSION, metric="cosine", spec=spec, tags={"team": "a"}
    )
    seen["made again"] = raised(
        lambda: pc.create_index("product-search", dimension=DIMENSION, metric="cosine", spec=spec)
    )
    seen["has"] = pc.has_index("product-search")
    described = pc.describe_index("product-search")
    seen["described"] = described
    seen["as before"] = [described.dimension, described.metric, described.vector_type]
    seen["as before"] += [described.spec.serverless.cloud, described.spec.serverless.region]
    seen["listed"] = list(pc.list_indexes().names())
    index = pc.index("product-search")

    started = index.start_import(uri=f"file://{source}/", error_mode="continue")
    ended = finished(index, started.id)
    seen["import"] = [started, ended]
    seen["imports"] = list(index.list_imports())
    page = index.list_imports_paginated(limit=1)
    seen["imports' page"] = [list(page), page.pagination and page.pagination.next]
    aborted = index.start_import(uri=f"file://{source}/", error_mode="abort")
    failed = finished(index, aborted.id)
    seen["aborted"] = failed.status
    seen["cancelled"] = raised(lambda: index.cancel_import(id="999"))
    seen["unknown import"] = raised(lambda: index.describe_import(id="999"))
    seen["outside"] = raised(lambda: index.start_import(uri="ftp://nowhere/"))

    many = [module.Vector(id=one["id"], values=one["values"], metadata=one["metadata"]) for one in records(40)]
    seen["upsert"] = index.upsert(vectors=many, namespace="ns")
    seen["tuples"] = index.upsert(vectors=[("t1", vectors(1, 3)[0]), ("t2", vectors(1, 4)[0], {"a": [ "x" ]})])
    seen["query"] = index.query(
        vector=vectors(1, 9)[0], top_k=5, include_metadata=True, include_values=True, namespace="ns"
    )
    seen["by id"] = index.query(id="r00003", top_k=3, namespace="ns")
    seen["filtered"] = index.query(
        vector=vectors(1, 9)[0], top_k=9, namespace="ns", filter={"number": {"$gte": 30}}
    )
    seen["bad query"] = raised(lambda: index.query(vector=[1.0], top_k=5))
    seen["fetch"] = index.fetch(ids=["t1", "t2", "none"])
    seen["by metadata"] = index.fetch_by_metadata(filter={"number": 7}, namespace="ns")
    seen["update"] = index.update(id="t1", set_metadata={"b": True})
    seen["updated"] = index.fetch(ids=["t1"])
    seen["list"] = [[item.id for item in page.vectors] for page in index.list(namespace="ns", limit=15)]
    seen["list page"] = index.list_paginated(namespace="ns", prefix="r0001", limit=3).vectors
    seen["delete"] = [index.delete(ids=["t1"]), index.delete(filter={"number": 5}, namespace="ns")]
    seen["stats"] = index.describe_index_stats()
    seen["namespace"] = index.describe_namespace(name="ns")
    seen["namespaces"] = [[one.name for one in page.namespaces] for page in index.list_namespaces()]
    schema = {"fields": {"color": {"filterable": True}}}
    seen["new namespace"] = index.create_namespace(name="new", schema=schema)
    seen["no namespace"] = [index.delete_namespace(name="ns"), index.delete(delete_all=True)]
    seen["stats after"] = index.describe_index_stats()
    pc.configure_index("product-search", deletion_protection="enabled")
    seen["protected"] = raised(lambda: pc.delete_index("product-search"))
    pc.configure_index("product-search", deletion_protection="disabled")
    seen["deleted"] = [pc.delete_index("product-search"), pc.has_index("product-search")]
    return seen


@pytest.fixture(scope="module")
def shelves(source: Path) -> Path:
    folder = source / "shelves"
    (folder / "shoes").mkdir(parents=True)
    lines = [json.dumps(one) for one in records(200, 7)]
    (folder / "a.jsonl").write_text("\n".join([*lines, '{"id": "short", "values": [1]}']))
    (folder / "shoes" / "b.jsonl").write_text("\n".join(lines[:50]))
    return folder


@pytest.fixture(scope="module")
def official(server: Server, shelves: Path) -> dict[str, Any]:
    return program(pinecone, pinecone.Pinecone(api_key="local", host=server.url), shelves)


def compare(official: dict[str, Any], ours: dict[str, Any]) -> None:
    assert list(official) == list(ours)
    found = {what: differences(answer, ours[what]) for what, answer in official.items()}
    assert {what: where for what, where in found.items() if where} == {}
    assert official["import"][1].status == "Completed"
    assert official["import"][1].records_imported == 250


def test_remote(official, server, shelves, tmp_path):
    data = tmp_path / "data"
    with Server(data, "--allow-import-dir", str(shelves)) as fresh:
        pc = crossbill.Pinecone(api_key="local", host=fresh.url)
        compare(official, program(crossbill, pc, shelves))


def test_embedded(official, shelves, pc):
    compare(official, program(crossbill, pc, shelves))


def test_an_index_by_its_own_host(server, pc):
    remote = crossbill.Pinecone(host=server.url)
    for database in (remote, pc):
        made = database.create_index("by-host", dimension=DIMENSION, metric="cosine")
        index = database.index(host=made.host)
        index.upsert(vectors=records(3))
        assert index.describe_index_stats().total_vector_count == 3
        database.delete_index("by-host")
    remote.close()


def test_names_are_there():
    ours, theirs = set(crossbill.__all__), set(pinecone.__all__)
    # What is ours alone.
    assert ours - theirs == {"EmbeddedError", "ImportFailedError", "Imported", "ListItem", "NamespaceSummary", "Pagination", "Reject", "Usage"}
    assert all(hasattr(crossbill, name) for name in ours)
