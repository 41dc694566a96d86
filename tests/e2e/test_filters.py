"""Metadata filters: each operator gives exactly the records that a plain reading of it gives,
before and after the records have moved from memory to segments."""

from __future__ import annotations

import numpy as np
import pytest
from pinecone.errors import ApiError

import data
from harness import finished

ROWS = 700
DIMENSION = 4


def has(field, wanted):
    """Whether a metadata value is, or as a list holds, `wanted`; true is not 1."""
    values = field if isinstance(field, list) else [field]
    return any(
        value == wanted and isinstance(value, bool) == isinstance(wanted, bool) for value in values
    )


FILTERS = [
    ({"color": "red"}, lambda m: m["color"] == "red"),
    ({"color": {"$eq": "red"}}, lambda m: m["color"] == "red"),
    ({"color": {"$ne": "red"}}, lambda m: m["color"] != "red"),
    ({"color": {"$in": ["red", "blue", "none"]}}, lambda m: m["color"] in ("red", "blue")),
    ({"color": {"$nin": ["red", "blue"]}}, lambda m: m["color"] not in ("red", "blue")),
    ({"price": {"$gt": 50.5}}, lambda m: m["price"] > 50.5),
    ({"price": {"$gte": 50.5}}, lambda m: m["price"] >= 50.5),
    ({"price": {"$lt": 3}}, lambda m: m["price"] < 3),
    ({"price": {"$lte": 2.5}}, lambda m: m["price"] <= 2.5),
    ({"price": {"$gte": 10, "$lt": 12}}, lambda m: 10 <= m["price"] < 12),
    ({"stock": 3}, lambda m: m["stock"] == 3),
    ({"stock": {"$in": [1, 2.0]}}, lambda m: m["stock"] in (1, 2)),
    ({"sale": True}, lambda m: m["sale"] is True),
    ({"sale": {"$ne": True}}, lambda m: m["sale"] is not True),
    ({"stock": True}, lambda m: False),
    ({"stock": "3"}, lambda m: False),
    ({"tags": "t1"}, lambda m: has(m["tags"], "t1")),
    ({"tags": {"$in": ["t1", "u5"]}}, lambda m: has(m["tags"], "t1") or has(m["tags"], "u5")),
    (
        {"tags": {"$nin": ["t1", "u5"]}},
        lambda m: not (has(m["tags"], "t1") or has(m["tags"], "u5")),
    ),
    ({"missing": {"$exists": True}}, lambda m: False),
    ({"missing": {"$exists": False}}, lambda m: True),
    ({"color": {"$exists": True}}, lambda m: True),
    ({"color": "red", "stock": 2}, lambda m: m["color"] == "red" and m["stock"] == 2),
    (
        {"$and": [{"color": "red"}, {"price": {"$lt": 40}}]},
        lambda m: m["color"] == "red" and m["price"] < 40,
    ),
    ({"$or": [{"color": "red"}, {"stock": 6}]}, lambda m: m["color"] == "red" or m["stock"] == 6),
    (
        {"$or": [{"$and": [{"color": "red"}, {"sale": True}]}, {"price": {"$gt": 98}}]},
        lambda m: (m["color"] == "red" and m["sale"]) or m["price"] > 98,
    ),
]


@pytest.fixture(scope="module", params=["upserted", "imported"])
def filled(request, pc, source):
    """The same records once in memory and once in segments."""
    from conftest import create

    name = f"filters-{request.param}"
    index = create(pc, name, DIMENSION)
    records = data.make(1, ROWS, DIMENSION)
    if request.param == "imported":
        data.write_split(source / "filters" / "__default__", records, files=3)
        started = index.start_import(uri=f"file://{source}/filters/")
        assert finished(lambda: index.describe_import(id=started.id)).status == "Completed"
    else:
        vectors = list(records.vectors())
        index.upsert(vectors=vectors[:400])
        index.upsert(vectors=vectors[400:])
    yield index, records
    pc.delete_index(name)


@pytest.mark.parametrize(("condition", "wanted"), FILTERS, ids=[str(one[0]) for one in FILTERS])
def test_a_filter_gives_exactly_its_records(filled, condition, wanted):
    index, records = filled
    answer = index.query(vector=[0.5] * DIMENSION, top_k=ROWS, filter=condition)
    expected = [id_ for id_, entry in zip(records.ids, records.metadata) if wanted(entry)]
    assert sorted(one.id for one in answer.matches) == expected


def test_the_nearest_under_a_filter_are_the_exact_ones(filled):
    index, records = filled
    rows = [row for row, entry in enumerate(records.metadata) if entry["color"] == "white"]
    query = np.float32([0.3, -1.0, 0.2, 0.9])
    answer = index.query(vector=query.tolist(), top_k=10, filter={"color": "white"})
    best = data.nearest("cosine", query, records.values[rows], 10)
    assert [one.id for one in answer.matches] == [records.ids[rows[row]] for row in best]


@pytest.mark.parametrize(
    "condition",
    [
        {"price": {"$near": 3}},
        {"price": {"$gt": "ten"}},
        {"color": {"$in": "red"}},
        {"$and": {"color": "red"}},
        {"$xor": [{"color": "red"}]},
        {"$gt": 3},
        {"color": {"deep": {"$eq": 1}}},
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused_and_quoted(filled, condition):
    index, _ = filled
    with pytest.raises(ApiError) as caught:
        index.query(vector=[0.5] * DIMENSION, top_k=1, filter=condition)
    assert caught.value.status_code == 400
    assert any(
        word in str(caught.value) for word in ("$near", "$gt", "$in", "$and", "$xor", "deep")
    )
