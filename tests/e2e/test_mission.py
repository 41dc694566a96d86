"""The program that the product exists for, as users of the hosted service write it: create an
index, import a directory, follow the import, query. Run under each supported version of the
client."""

from __future__ import annotations

import numpy as np
import pytest
from pinecone import ImportErrorMode, ServerlessSpec
from pinecone.errors import PineconeValueError

import data
from harness import finished, wait_for

DIMENSION = 64
NAMESPACES = {"shoes": 60_000, "books": 45_000, "__default__": 15_000}
ERROR_MODES = ["continue", "abort", ImportErrorMode.CONTINUE, ImportErrorMode.ABORT]


@pytest.fixture(scope="module")
def shop(source):
    """A directory with three namespaces, as Parquet, and what is in it."""
    content = {}
    for seed, (namespace, rows) in enumerate(NAMESPACES.items()):
        content[namespace] = data.make(seed, rows, DIMENSION, prefix=namespace[0])
        data.write_split(source / "shop" / namespace, content[namespace], files=3)
    return content


@pytest.fixture(scope="module")
def imported(pc, source, shop):
    """The index after the import, and every state of the import that was seen on the way."""
    pc.create_index(
        name="product-search",
        dimension=DIMENSION,
        metric="cosine",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )
    index = pc.index("product-search")
    started = index.start_import(uri=f"file://{source}/shop/", error_mode="continue")
    seen = []

    def describe():
        seen.append(index.describe_import(id=started.id))
        return seen[-1]

    finished(describe)
    yield index, started.id, seen
    pc.delete_index("product-search")


def test_the_index_is_described_as_it_was_made(pc, imported):
    described = pc.describe_index("product-search")
    assert (described.name, described.dimension, described.metric) == (
        "product-search",
        64,
        "cosine",
    )
    assert described.status.ready
    assert described.host.startswith("http://127.0.0.1:")
    assert "product-search" in [index.name for index in pc.list_indexes()]
    assert pc.has_index("product-search") and not pc.has_index("no-such-index")


def test_progress_rises_to_completed(imported):
    _, id_, seen = imported
    last = seen[-1]
    assert last.status == "Completed", last.error
    assert (last.id, last.percent_complete) == (id_, 100.0)
    assert last.records_imported == sum(NAMESPACES.values())
    assert last.created_at and last.finished_at and last.error is None
    order = ["Pending", "InProgress", "Completed"]
    states = [order.index(one.status) for one in seen]
    percents = [one.percent_complete or 0.0 for one in seen]
    counts = [one.records_imported or 0 for one in seen]
    for what, values in [("status", states), ("percent", percents), ("count", counts)]:
        assert values == sorted(values), f"{what} went back: {values}"
    assert all(percent < 100 for percent, one in zip(percents, seen) if one.status != "Completed")
    assert len({p for p in percents if 0 < p < 100}) >= 2, f"no progress in between: {percents}"
    assert any(0 < count < last.records_imported for count in counts), f"no count: {counts}"


def test_statistics_count_what_was_imported(imported):
    index, _, _ = imported
    stats = index.describe_index_stats()
    assert stats.total_vector_count == sum(NAMESPACES.values())
    assert stats.dimension == DIMENSION
    counts = {name: namespace.vector_count for name, namespace in stats.namespaces.items()}
    default = counts.pop("", None) or counts.pop("__default__", None)
    assert counts == {"shoes": 60_000, "books": 45_000}
    assert default == 15_000


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_fetch_returns_values_and_metadata(imported, shop, namespace):
    index, _, _ = imported
    records = shop[namespace]
    rows = np.random.default_rng(5).choice(len(records), 50, replace=False)
    fetched = index.fetch(ids=[records.ids[row] for row in rows], namespace=namespace).vectors
    assert len(fetched) == 50
    for row in rows:
        found = fetched[records.ids[row]]
        assert np.array_equal(np.float32(found.values), records.values[row])
        assert found.metadata == records.metadata[row]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_list_gives_every_id_once(imported, shop, namespace):
    index, _, _ = imported
    prefix = shop[namespace].ids[0][:-3]
    listed = [
        item.id
        for page in index.list(namespace=namespace, prefix=prefix, limit=99)
        for item in page.vectors
    ]
    assert listed == [id_ for id_ in shop[namespace].ids if id_.startswith(prefix)]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_query_by_id_finds_the_record_itself_first(imported, shop, namespace):
    index, _, _ = imported
    records = shop[namespace]
    for row in (0, len(records) // 2, len(records) - 1):
        answer = index.query(
            id=records.ids[row], top_k=3, namespace=namespace, include_metadata=True
        )
        assert answer.namespace == namespace
        assert answer.matches[0].id == records.ids[row]
        assert answer.matches[0].score == pytest.approx(1.0, abs=1e-4)
        assert answer.matches[0].metadata == records.metadata[row]


def test_query_with_a_filter_agrees_with_an_exact_search(imported, shop):
    index, _, _ = imported
    records = shop["shoes"]
    rows = [row for row, entry in enumerate(records.metadata) if entry["color"] == "red"]
    rows = [row for row in rows if records.metadata[row]["price"] < 20]
    query = np.random.default_rng(11).standard_normal(DIMENSION).astype(np.float32)
    answer = index.query(
        vector=query.tolist(),
        top_k=10,
        namespace="shoes",
        filter={"color": "red", "price": {"$lt": 20}},
        include_values=True,
        include_metadata=True,
    )
    assert len(answer.matches) == 10
    assert all(
        one.metadata["color"] == "red" and one.metadata["price"] < 20 for one in answer.matches
    )
    best = {
        records.ids[rows[near]] for near in data.nearest("cosine", query, records.values[rows], 10)
    }
    assert len(best & {one.id for one in answer.matches}) >= 9


def test_imports_are_listed_newest_first_page_by_page(new_index, source):
    data.write(source / "tiny" / "a" / "one.parquet", data.make(1, 5, 8))
    index = new_index()
    ids = []
    for _ in range(5):
        ids.append(index.start_import(uri=f"file://{source}/tiny/").id)
        finished(lambda: index.describe_import(id=ids[-1]))
    assert len(set(ids)) == 5
    assert [one.id for one in index.list_imports(limit=2)] == ids[::-1]
    pages, token = [], None
    while True:
        page = index.list_imports_paginated(limit=2, pagination_token=token)
        pages.append([one.id for one in page])
        if page.pagination is None:
            break
        token = page.pagination.next
    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert {one.status for one in index.list_imports()} == {"Completed"}


@pytest.mark.parametrize("mode", ERROR_MODES, ids=str)
def test_error_modes_as_text_and_enum(new_index, source, mode):
    good, bad = data.make(1, 50, 8), data.make(2, 3, 4, prefix="wrong")
    data.write(source / "mixed" / "a" / "1-good.parquet", good)
    data.write(source / "mixed" / "a" / "2-bad.parquet", bad)
    index = new_index()
    started = index.start_import(uri=f"file://{source}/mixed/", error_mode=mode)
    last = finished(lambda: index.describe_import(id=started.id))
    if mode == "continue":
        assert (last.status, last.records_imported) == ("Completed", 50), last.error
        assert last.error is None
    else:
        assert last.status == "Failed"
        for part in ["2-bad.parquet", "wrong0000000", "values", "4", "8"]:
            assert part in last.error, f"{part!r} is missing in {last.error!r}"


def test_an_unknown_error_mode_is_refused_by_the_client(new_index):
    with pytest.raises(PineconeValueError):
        new_index().start_import(uri="file:///x/", error_mode="ignore")


def test_cancel(new_index, source, shop):
    index = new_index(DIMENSION)
    started = index.start_import(uri=f"file://{source}/shop/")
    index.cancel_import(id=started.id)
    assert index.describe_import(id=started.id).status == "Cancelled"
    # What is committed stays and nothing is added: the count comes to rest.
    counts = [-1, -2]

    def at_rest():
        counts.append(index.describe_index_stats().total_vector_count)
        return counts[-1] == counts[-2] == counts[-3]

    wait_for(at_rest, 10, "rest after cancel", pause_seconds=0.5)
    assert counts[-1] < sum(NAMESPACES.values())
    last = index.describe_import(id=started.id)
    assert last.status == "Cancelled" and last.records_imported == counts[-1]


def test_cancel_of_a_finished_import_changes_nothing(imported):
    index, id_, _ = imported
    index.cancel_import(id=id_)
    assert index.describe_import(id=id_).status == "Completed"
