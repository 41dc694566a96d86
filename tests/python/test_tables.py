"""Tables from memory: Polars under every Python, pandas, pyarrow and DuckDB under one; in process
and through a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossbill
import pytest
from conftest import DIMENSION, vectors

pl = pytest.importorskip("polars")

ROWS = 100
# Rows that cannot be: too short, without an id, with metadata that is no object.
BAD = {10: "dimension", 20: "id", 30: "metadata"}


def columns() -> dict[str, list[Any]]:
    values: list[Any] = vectors(ROWS)
    ids: list[Any] = [f"r{number}" for number in range(ROWS)]
    metadata = [json.dumps({"number": number, "color": "red"}) for number in range(ROWS)]
    values[10] = [1.0, 2.0]
    ids[20] = None
    metadata[30] = "[1, 2]"
    return {"id": ids, "values": values, "metadata": metadata}


def polars() -> Any:
    return pl.DataFrame(columns(), schema_overrides={"values": pl.List(pl.Float32)})


def pandas() -> Any:
    return pytest.importorskip("pandas").DataFrame(columns())


def pyarrow() -> Any:
    return pytest.importorskip("pyarrow").table(columns())


def pyarrow_batches() -> Any:
    table = pyarrow()
    pa = pytest.importorskip("pyarrow")
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))


def duckdb() -> Any:
    table = pyarrow()
    connection = pytest.importorskip("duckdb").connect()
    connection.register("records", table)
    return connection.sql("select id, values, metadata from records")


LIBRARIES = [polars]
LIBRARIES += [pytest.param(one, marks=pytest.mark.libraries) for one in (pandas, pyarrow, pyarrow_batches, duckdb)]


@pytest.fixture(params=["embedded", "remote"])
def any_index(request, data, server) -> Any:
    options = {"data": data} if request.param == "embedded" else {"host": server.url}
    with crossbill.Pinecone(**options) as pc:
        pc.create_index("tables", dimension=DIMENSION, metric="euclidean")
        yield pc.index("tables")
        pc.delete_index("tables")


@pytest.mark.parametrize("make", LIBRARIES)
def test_good_rows_are_loaded_and_bad_ones_told(any_index, make: Callable[[], Any]):
    done = any_index.import_table(make(), namespace="shoes", show_progress=False)
    assert (done.status, done.records_imported, done.records_rejected) == ("Completed", 97, 3)
    assert {reject.row for reject in done.rejects()} == set(BAD)
    for reject in done.rejects():
        assert BAD[reject.row] in reject.message, reject
    stats = any_index.describe_index_stats()
    assert {name: one.vector_count for name, one in stats.namespaces.items()} == {"shoes": 97}
    fetched = any_index.fetch(ids=["r7"], namespace="shoes").vectors["r7"]
    assert fetched.values == vectors(ROWS)[7]
    assert fetched.metadata == {"number": 7, "color": "red"}


def test_columns_of_other_names(any_index):
    frame = pl.DataFrame(
        {
            "key": range(50),
            "emb": pl.Series(vectors(50), dtype=pl.Array(pl.Float64, DIMENSION)),
            "title": [f"title {number}" for number in range(50)],
            "price": [None if number % 2 else number / 2 for number in range(50)],
        }
    )
    mapping = {"id": "key", "values": "emb", "metadata": ["title", "price"]}
    done = any_index.import_table(frame, columns=mapping, show_progress=False)
    assert done.records_imported == 50 and done.rejects() == []
    fetched = any_index.fetch(ids=["7", "8"]).vectors
    assert fetched["7"].metadata == {"title": "title 7"}
    assert fetched["8"].metadata == {"title": "title 8", "price": 4.0}


def test_metadata_as_a_struct_and_ids_that_are_made(any_index):
    frame = pl.DataFrame(
        {
            "values": vectors(3),
            "metadata": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"a": 3, "b": None}],
        }
    )
    any_index.import_table(frame, id_prefix="made-", show_progress=False)
    fetched = any_index.fetch(ids=["made-0", "made-1", "made-2"]).vectors
    assert [fetched[f"made-{n}"].metadata for n in range(3)] == [{"a": 1, "b": "x"}, {"b": "y"}, {"a": 3}]


def test_what_is_missing_is_told(any_index):
    with pytest.raises(crossbill.PineconeError, match="emb"):
        any_index.import_table(pl.DataFrame({"id": ["a"], "emb": [[1.0]]}), show_progress=False)
    with pytest.raises(crossbill.PineconeTypeError, match="__arrow_c_stream__"):
        any_index.import_table([{"id": "a"}])


def test_abort_ends_at_the_first_bad_row(any_index):
    with pytest.raises(crossbill.ImportFailedError) as raised:
        any_index.import_table(polars(), error_mode="abort", show_progress=False)
    assert raised.value.description.status == "Failed"


def test_an_empty_table(any_index):
    done = any_index.import_table(polars().head(0), show_progress=False)
    assert (done.status, done.records_imported) == ("Completed", 0)


def test_nothing_is_left_in_the_data_directory(index, data: Path):
    index.import_table(polars(), show_progress=False)
    with pytest.raises(crossbill.ImportFailedError):
        index.import_table(polars(), error_mode="abort", show_progress=False)
    with pytest.raises(crossbill.PineconeValueError, match="upsert takes any"):
        index.import_table(polars(), namespace="../up", show_progress=False)
    assert list((data / "scratch" / "tables").iterdir()) == []


def test_a_stream_that_breaks_off_leaves_nothing(index, data: Path):
    pa = pytest.importorskip("pyarrow")
    schema = pa.schema([("id", pa.string()), ("values", pa.list_(pa.float32()))])

    def batches() -> Any:
        yield pa.record_batch([["a"], [[1.0] * DIMENSION]], schema=schema)
        raise OSError("the disk is gone")

    with pytest.raises(crossbill.PineconeValueError, match="the disk is gone"):
        index.import_table(pa.RecordBatchReader.from_batches(schema, batches()))
    assert list((data / "scratch" / "tables").iterdir()) == []


test_a_stream_that_breaks_off_leaves_nothing = pytest.mark.libraries(
    test_a_stream_that_breaks_off_leaves_nothing
)


def test_a_large_table_is_loaded_whole(index):
    import random

    chance = random.Random(5)
    base = pl.Series([[chance.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(1000)])
    frame = pl.DataFrame({"id": [str(n) for n in range(60_000)], "values": pl.concat([base] * 60)})
    done = index.import_table(frame, show_progress=False)
    assert (done.records_imported, done.records_total) == (60_000, 60_000)
    assert index.query(id="59999", top_k=1).matches[0].score == pytest.approx(1.0, abs=1e-4)


def test_only_what_a_server_can_do_is_asked_of_it(server):
    pc = crossbill.Pinecone(host=server.url)
    pc.create_index("asked", dimension=DIMENSION)
    with pytest.raises(crossbill.PineconeValueError, match="dry_run"):
        pc.index("asked").import_table(polars(), dry_run=True)
    pc.delete_index("asked")
