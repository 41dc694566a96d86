"""Upsert, query, fetch, update, delete, list and statistics through the official client; scores are
checked against numpy for each metric."""

from __future__ import annotations

import gzip
import random
import urllib.error
import urllib.request

import numpy as np
import pytest
from pinecone import Vector
from pinecone.errors import ApiError, NotFoundError

import data

METRICS = ["cosine", "dotproduct", "euclidean"]
DIMENSION = 24


def put(index, records, namespace="", step=500):
    vectors = list(records.vectors())
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step]
        assert index.upsert(vectors=part, namespace=namespace).upserted_count == len(part)


def ids_of(index, **options):
    return [item.id for page in index.list(**options) for item in page.vectors]


def default_count(stats):
    space = stats.namespaces.get("") or stats.namespaces.get("__default__")
    return space.vector_count if space else 0


@pytest.mark.parametrize("metric", METRICS)
def test_scores_and_order_are_the_exact_ones(new_index, metric):
    index = new_index(DIMENSION, metric)
    records = data.make(3, 1_500, DIMENSION)
    put(index, records)
    for seed in range(5):
        query = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
        answer = index.query(vector=query.tolist(), top_k=20)
        rows = data.nearest(metric, query, records.values, 20)
        assert [one.id for one in answer.matches] == [records.ids[row] for row in rows]
        exact = data.exact_scores(metric, query, records.values)[rows]
        assert np.allclose([one.score for one in answer.matches], exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_query_by_id_equals_query_by_its_vector(new_index, metric):
    index = new_index(DIMENSION, metric)
    records = data.make(4, 300, DIMENSION)
    put(index, records)
    by_id = index.query(id=records.ids[7], top_k=15)
    by_vector = index.query(vector=records.values[7].tolist(), top_k=15)
    assert [(one.id, one.score) for one in by_id.matches] == [
        (one.id, one.score) for one in by_vector.matches
    ]


def test_values_and_metadata_come_only_when_asked_for(new_index):
    index = new_index(DIMENSION)
    records = data.make(5, 50, DIMENSION)
    put(index, records)
    query = records.values[0].tolist()
    plain = index.query(vector=query, top_k=3).matches[0]
    assert not plain.values and not plain.metadata
    full = index.query(vector=query, top_k=3, include_values=True, include_metadata=True).matches[0]
    assert np.array_equal(np.float32(full.values), records.values[0])
    assert full.metadata == records.metadata[0]


def test_upsert_takes_tuples_and_objects_and_replaces_whole_records(new_index):
    index = new_index(2)
    index.upsert(vectors=[("a", [1.0, 0.0]), ("b", [0.0, 1.0], {"kind": "tuple"})])
    index.upsert(vectors=[Vector(id="c", values=[1.0, 1.0], metadata={"kind": "object"})])
    index.upsert(vectors=[("b", [0.5, 0.5])])
    fetched = index.fetch(ids=["a", "b", "c", "not-there"]).vectors
    assert set(fetched) == {"a", "b", "c"}
    assert fetched["b"].values == [0.5, 0.5] and not fetched["b"].metadata
    assert fetched["c"].metadata == {"kind": "object"}


def test_the_last_of_two_equal_ids_in_a_request_wins(new_index):
    index = new_index(2)
    index.upsert(vectors=[("a", [1.0, 0.0]), ("a", [0.0, 2.0])])
    assert index.fetch(ids=["a"]).vectors["a"].values == [0.0, 2.0]
    assert index.describe_index_stats().total_vector_count == 1


def test_a_top_k_over_the_number_of_records_gives_them_all(new_index):
    index = new_index(DIMENSION)
    put(index, data.make(6, 12, DIMENSION))
    assert len(index.query(vector=[1.0] * DIMENSION, top_k=10_000).matches) == 12


def test_namespaces_are_apart(new_index):
    index = new_index(2)
    index.upsert(vectors=[("a", [1.0, 0.0])], namespace="one")
    index.upsert(vectors=[("a", [0.0, 1.0])], namespace="two")
    index.upsert(vectors=[("d", [1.0, 1.0])])
    assert index.fetch(ids=["a"], namespace="one").vectors["a"].values == [1.0, 0.0]
    assert index.fetch(ids=["a"], namespace="two").vectors["a"].values == [0.0, 1.0]
    assert index.fetch(ids=["a"]).vectors == {}
    answer = index.query(vector=[1.0, 0.0], top_k=5, namespace="two")
    assert answer.namespace == "two" and [one.id for one in answer.matches] == ["a"]
    assert index.query(vector=[1.0, 0.0], top_k=5, namespace="nowhere").matches == []
    stats = index.describe_index_stats()
    assert stats.total_vector_count == 3 and default_count(stats) == 1
    assert index.fetch(ids=["d"], namespace="__default__").vectors.keys() == {"d"}


def test_namespaces_are_created_listed_and_deleted(new_index):
    index = new_index(2)
    index.create_namespace(name="empty")
    index.upsert(vectors=[("a", [1.0, 0.0])], namespace="full")
    listed = {
        one.name: one.record_count for page in index.list_namespaces() for one in page.namespaces
    }
    assert {name: listed[name] for name in ("empty", "full")} == {"empty": 0, "full": 1}
    assert index.describe_namespace(name="full").record_count == 1
    index.delete_namespace(name="full")
    assert index.query(vector=[1.0, 0.0], top_k=1, namespace="full").matches == []
    with pytest.raises(NotFoundError):
        index.describe_namespace(name="full")


def test_update_of_values_keeps_metadata_and_the_other_way_round(new_index):
    index = new_index(2)
    index.upsert(vectors=[("a", [1.0, 0.0], {"kept": "yes", "changed": 1})])
    index.update(id="a", values=[0.0, 3.0])
    found = index.fetch(ids=["a"]).vectors["a"]
    assert found.values == [0.0, 3.0] and found.metadata == {"kept": "yes", "changed": 1}
    index.update(id="a", set_metadata={"changed": 2, "new": True})
    found = index.fetch(ids=["a"]).vectors["a"]
    assert found.values == [0.0, 3.0]
    assert found.metadata == {"kept": "yes", "changed": 2, "new": True}
    assert index.query(vector=[0.0, 1.0], top_k=1, filter={"changed": 2}).matches[0].id == "a"
    assert index.query(vector=[0.0, 1.0], top_k=1, filter={"changed": 1}).matches == []


def test_update_by_filter_counts_and_changes(new_index):
    index = new_index(DIMENSION)
    put(index, data.make(7, 100, DIMENSION), namespace="n")
    dry = index.update(
        filter={"color": "red"}, set_metadata={"seen": True}, namespace="n", dry_run=True
    )
    assert dry.matched_records == 20
    query = [1.0] * DIMENSION
    assert index.query(vector=query, top_k=100, filter={"seen": True}, namespace="n").matches == []
    done = index.update(filter={"color": "red"}, set_metadata={"seen": True}, namespace="n")
    assert done.matched_records == 20
    found = index.query(vector=query, top_k=100, filter={"seen": True}, namespace="n")
    assert len(found.matches) == 20


def test_delete_by_ids_by_filter_and_all(new_index):
    index = new_index(DIMENSION)
    records = data.make(8, 100, DIMENSION)
    put(index, records)
    index.delete(ids=[*records.ids[:10], "not-there"])
    assert ids_of(index) == records.ids[10:]
    assert index.fetch(ids=records.ids[:10]).vectors == {}
    index.delete(filter={"color": "red"})
    left = [id_ for id_, entry in zip(records.ids, records.metadata) if entry["color"] != "red"]
    assert ids_of(index) == [id_ for id_ in left if id_ >= records.ids[10]]
    assert all(
        one.metadata["color"] != "red"
        for one in index.query(vector=[1.0] * DIMENSION, top_k=100, include_metadata=True).matches
    )
    index.delete(delete_all=True)
    assert ids_of(index) == []
    assert index.describe_index_stats().total_vector_count == 0
    put(index, records)
    assert index.describe_index_stats().total_vector_count == 100


def test_many_writes_over_memory_and_segments(new_index):
    """More records than are held in memory, some replaced, changed and deleted since."""
    index = new_index(DIMENSION)
    records = data.make(10, 25_000, DIMENSION)
    put(index, records)
    newer = data.make(11, 3_000, DIMENSION)
    put(index, newer)
    index.delete(ids=records.ids[5_000:5_500])
    index.delete(filter={"price": {"$gt": 98}})
    rows = np.arange(25_000)
    kept = (rows < 5_000) | (rows >= 5_500)
    kept &= np.array([entry["price"] <= 98 for entry in records.metadata])
    values = np.concatenate([newer.values, records.values[3_000:]])
    ids, values = np.array(records.ids)[kept], values[kept]
    assert index.describe_index_stats().total_vector_count == len(ids)
    hits, queries = 0, np.random.default_rng(3).standard_normal((50, DIMENSION), dtype=np.float32)
    for query, best in zip(queries, data.nearest_of_each("cosine", queries, values, 10)):
        found = index.query(vector=query.tolist(), top_k=10, include_values=True).matches
        assert {one.id for one in found} <= set(ids)
        exact = data.exact_scores("cosine", query, np.float32([one.values for one in found]))
        assert np.allclose([one.score for one in found], exact, atol=1e-4)
        hits += len({one.id for one in found} & set(ids[best]))
    assert hits >= 0.95 * 500
    assert ids_of(index, prefix="r00050") == [one for one in ids if one.startswith("r00050")]
    some = ["r0000007", "r0002990", "r0003000", "r0005001"]
    fetched = index.fetch(ids=some).vectors
    assert set(fetched) == set(some[:3])
    assert np.array_equal(np.float32(fetched["r0000007"].values), newer.values[7])
    assert np.array_equal(np.float32(fetched["r0003000"].values), records.values[3_000])


def test_compressed_requests_and_answer_headers(new_index):
    host = new_index(2).host
    body = gzip.compress(b'{"vectors":[{"id":"a","values":[1,2]}]}')
    headers = {"Content-Type": "application/json", "Api-Key": "local"}
    call = urllib.request.Request(
        f"{host}/vectors/upsert", body, headers | {"Content-Encoding": "gzip"}
    )
    with urllib.request.urlopen(call) as answer:
        written = int(answer.headers["x-pinecone-request-lsn"])
        assert answer.headers["x-pinecone-request-id"]
    call = urllib.request.Request(f"{host}/query", b'{"vector":[1,2],"topK":1}', headers)
    with urllib.request.urlopen(call) as answer:
        assert int(answer.headers["x-pinecone-max-indexed-lsn"]) >= written
    bomb = gzip.compress(b'{"vectors":[' + b" " * 200_000_000 + b"]}")
    call = urllib.request.Request(
        f"{host}/vectors/upsert", bomb, headers | {"Content-Encoding": "gzip"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(call)
    assert caught.value.code in (400, 413)


def test_list_with_prefix_and_pages(new_index):
    index = new_index(2)
    ids = [f"doc{document}#{chunk}" for document in range(3) for chunk in range(7)]
    odd = ["with space", "sl/ash", 'quo"te', "per%cent", "com,ma", "plus+", "amp&ersand"]
    index.upsert(vectors=[(id_, [1.0, 2.0]) for id_ in ids + odd])
    assert ids_of(index) == sorted(ids + odd)
    assert ids_of(index, prefix="doc1#", limit=3) == sorted(
        one for one in ids if one.startswith("doc1#")
    )
    first = index.list_paginated(prefix="doc", limit=4)
    second = index.list_paginated(prefix="doc", limit=4, pagination_token=first.pagination.next)
    assert [one.id for one in [*first.vectors, *second.vectors]] == sorted(ids)[:8]
    assert set(index.fetch(ids=odd).vectors) == set(odd)
    assert ids_of(index, prefix="no-such") == []


def test_pages_neither_skip_nor_double_while_others_write(new_index):
    """What is there from the first page to the last comes exactly once."""
    index, chance = new_index(2), random.Random(11)
    steady = {f"steady-{number:02}" for number in range(0, 60, 2)}
    index.upsert(vectors=[(id_, [1.0, 2.0]) for id_ in steady])
    listed, token = [], None
    while True:
        page = index.list_paginated(limit=4, pagination_token=token)
        listed += [one.id for one in page.vectors]
        if page.pagination is None:
            break
        token = page.pagination.next
        moving = [f"steady-{2 * chance.randrange(30) + 1:02}" for _ in range(5)]
        index.upsert(vectors=[(id_, [2.0, 1.0]) for id_ in [*moving, chance.choice(sorted(steady))]])
        index.delete(ids=moving[:2])
    assert listed == sorted(set(listed))
    assert steady <= set(listed)
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    with pytest.raises(Exception, match="paginationToken is malformed or of another listing"):
        index.list_paginated(limit=4, pagination_token=changed)


def test_fetch_by_metadata(new_index):
    index = new_index(DIMENSION)
    records = data.make(9, 60, DIMENSION)
    put(index, records)
    found, token = {}, None
    while True:
        page = index.fetch_by_metadata(filter={"color": "blue"}, limit=5, pagination_token=token)
        found.update(page.vectors)
        if page.pagination is None:
            break
        token = page.pagination.next
    expected = [
        id_ for id_, entry in zip(records.ids, records.metadata) if entry["color"] == "blue"
    ]
    assert sorted(found) == expected
    assert found[expected[0]].metadata["color"] == "blue"


def test_query_over_many_namespaces(new_index):
    index = new_index(DIMENSION, "euclidean")
    for seed, namespace in enumerate(["x", "y", "z"]):
        put(index, data.make(seed, 40, DIMENSION, prefix=namespace), namespace=namespace)
    merged = index.query_namespaces(
        vector=[0.1] * DIMENSION, namespaces=["x", "y", "z"], metric="euclidean", top_k=12
    )
    scores = [one.score for one in merged.matches]
    assert len(scores) == 12 and scores == sorted(scores)


def test_unicode_metadata_and_long_ids(new_index):
    index = new_index(2)
    long = "x" * 512
    text = {"text": 'żółć 東京 🐦 \u0000 \\ "', "empty": "", "list": ["ä", "b"], "n": -1.5e300}
    index.upsert(vectors=[(long, [1.0, 2.0], text)])
    assert index.fetch(ids=[long]).vectors[long].metadata == text


def test_sparse_index(new_index):
    index = new_index(None, "dotproduct", vector_type="sparse")
    index.upsert(
        vectors=[
            {"id": "a", "sparse_values": {"indices": [1, 70_000], "values": [0.5, 2.0]}},
            {"id": "b", "sparse_values": {"indices": [1, 5], "values": [3.0, 1.0]}},
            {"id": "c", "sparse_values": {"indices": [9], "values": [4.0]}},
        ]
    )
    answer = index.query(sparse_vector={"indices": [1, 70_000], "values": [1.0, 1.0]}, top_k=5)
    scores = {one.id: one.score for one in answer.matches}
    assert list(scores)[:2] == ["b", "a"]
    assert (scores["b"], scores["a"]) == (pytest.approx(3.0), pytest.approx(2.5))
    assert index.fetch(ids=["a"]).vectors["a"].sparse_values.indices == [1, 70_000]


def test_hybrid_scores_are_the_sum_of_both_parts(new_index):
    index = new_index(2, "dotproduct")
    index.upsert(
        vectors=[
            {"id": "a", "values": [1.0, 0.0], "sparse_values": {"indices": [3], "values": [5.0]}},
            {"id": "b", "values": [2.0, 0.0]},
            {"id": "c", "values": [0.0, 1.0], "sparse_values": {"indices": [4], "values": [1.0]}},
        ]
    )
    answer = index.query(
        vector=[1.0, 0.5], sparse_vector={"indices": [3], "values": [2.0]}, top_k=3
    )
    scores = {one.id: one.score for one in answer.matches}
    assert list(scores) == ["a", "b", "c"]
    assert scores == {"a": pytest.approx(11.0), "b": pytest.approx(2.0), "c": pytest.approx(0.5)}


def test_index_settings(pc, new_index):
    index = new_index(2, tags={"team": "search", "env": "test"}, deletion_protection="enabled")
    name = next(one.name for one in pc.list_indexes() if one.host == index.host)
    with pytest.raises(ApiError) as caught:
        pc.delete_index(name)
    assert caught.value.status_code == 403
    pc.configure_index(name, deletion_protection="disabled", tags={"env": "", "owner": "me"})
    assert dict(pc.describe_index(name).tags) == {"team": "search", "owner": "me"}
