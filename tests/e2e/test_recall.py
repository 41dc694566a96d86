"""Recall on real embeddings: 100,000 words, imported, against an exact search by numpy for
words that are not among them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import data
import words
from conftest import create
from harness import REPOSITORY, finished

pytestmark = pytest.mark.once

WORDS, QUERIES, TOP_K = 100_000, 500, 10
RECALL_MIN = 0.95


@pytest.fixture(scope="module")
def vocabulary(source):
    """Records and held-out queries from the most frequent words, and the imported directory."""
    names, vectors = words.load(REPOSITORY / "target" / "datasets")
    ranks = np.array([rank for rank, name in enumerate(names) if name.isascii()][: WORDS + QUERIES])
    held_out = np.random.default_rng(17).choice(len(ranks), QUERIES, replace=False)
    kept = np.delete(ranks, held_out)
    records = data.Records(
        [names[rank] for rank in kept],
        vectors[kept],
        [words.metadata_of(names[rank], int(rank)) for rank in kept],
    )
    data.write_split(source / "recall" / "words", records, files=4, rows_per_group=10_000)
    return records, vectors[ranks[held_out]]


def recall(index, records, queries, metric, rows=None, **options):
    """Mean share of the exact top 10 that the index finds."""
    rows = np.arange(len(records)) if rows is None else rows
    exact = data.nearest_of_each(metric, queries, records.values[rows], TOP_K)
    hits = 0
    for query, best in zip(queries, exact):
        answer = index.query(vector=query.tolist(), top_k=TOP_K, namespace="words", **options)
        found = {one.id for one in answer.matches}
        assert len(found) == TOP_K
        hits += sum(records.ids[rows[row]] in found for row in best)
    return hits / (TOP_K * len(queries))


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
def test_recall_at_10(pc, source, vocabulary, metric, tell):
    records, queries = vocabulary
    index = create(pc, f"recall-{metric}", words.DIMENSION, metric)
    started = index.start_import(uri=f"file://{source}/recall")
    last = finished(lambda: index.describe_import(id=started.id))
    assert (last.status, last.records_imported) == ("Completed", WORDS), last.error
    found = {"all": recall(index, records, queries, metric)}
    for name, condition, wanted in [
        ("one word in nine", {"initial": "s"}, lambda entry: entry["initial"] == "s"),
        ("one word in a hundred", {"rank": {"$lt": 1_000}}, lambda entry: entry["rank"] < 1_000),
    ]:
        rows = np.array([row for row, entry in enumerate(records.metadata) if wanted(entry)])
        part = queries[:100]
        found[name] = recall(index, records, part, metric, rows, filter=condition)
    # The client's own knob: from half to four times the usual part of the index.
    light, heavy = (recall(index, records, queries, metric, scan_factor=by) for by in (0.5, 4.0))
    tell(f"recall@{TOP_K} {metric}: {json.dumps(found)}, scan_factor 0.5: {light}, 4: {heavy}")
    assert light < found["all"] < heavy and heavy >= 0.985, (light, heavy)
    assert min(found.values()) >= RECALL_MIN, found
    pc.delete_index(f"recall-{metric}")
