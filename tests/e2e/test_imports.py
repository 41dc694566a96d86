"""What an import makes of its source: layouts, column types, duplicates, bad records and bad
files, each counted and kept with its reason."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data
import harness
from harness import finished

DIMENSION = 4
NAN, INF = float("nan"), float("inf")
GOOD = [1.0, 2.0, 3.0, 4.0]


@pytest.fixture
def folder(source, request):
    """The test's own place below the allowed directory, free of characters of a pattern."""
    return source / re.sub(r"\W+", "-", request.node.name)


def load(index, folder, error_mode="continue"):
    """Imports the folder; gives the import as the client shows it and as the server sends it."""
    started = index.start_import(uri=f"file://{folder}", error_mode=error_mode)
    last = finished(lambda: index.describe_import(id=started.id))
    return last, harness.request(f"{index.host}/bulk/imports/{started.id}")


def rejects(index, id_):
    """All rejects of an import, page by page."""
    found, offset = [], 0
    while True:
        page = harness.request(f"{index.host}/bulk/imports/{id_}/rejects?offset={offset}&limit=7")
        found += page["data"]
        offset += 7
        if offset >= page["total"]:
            assert len(found) == page["total"]
            return found


def counts(stats):
    return {name or "__default__": space.vector_count for name, space in stats.namespaces.items()}


def test_layout(new_index, folder):
    index = new_index(DIMENSION)
    data.write(folder / "top.parquet", data.make(1, 3, DIMENSION, "top"))
    data.write(folder / "__default__" / "d.parquet", data.make(2, 4, DIMENSION, "def"))
    data.write(folder / "one" / "a.parquet", data.make(3, 5, DIMENSION, "a"))
    data.write(folder / "one" / "deep" / "er" / "b.parquet", data.make(4, 6, DIMENSION, "b"))
    data.write(folder / "two words" / "c.parquet", data.make(5, 7, DIMENSION, "c"))
    data.write(folder / "_temporary" / "x.parquet", data.make(6, 8, DIMENSION, "x"))
    (folder / "_SUCCESS").touch()
    (folder / "one" / "notes.txt").write_text("not a record")
    last, seen = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 25), last.error
    stats = counts(index.describe_index_stats())
    assert stats == {"__default__": 7, "one": 11, "two words": 7}
    assert any("notes.txt" in warning or "ignored" in warning for warning in seen["warnings"])


def test_one_file_and_a_pattern(new_index, folder):
    index = new_index(DIMENSION)
    for number in range(4):
        data.write(folder / f"p{number}.parquet", data.make(number, 5, DIMENSION, f"p{number}-"))
    assert load(index, folder / "p1.parquet")[0].records_imported == 5
    assert load(index, folder / "p*.parquet")[0].records_imported == 20
    assert index.describe_index_stats().total_vector_count == 20


@pytest.mark.parametrize(
    "columns",
    [
        "plain", "large", "fixed", "double", "half", "dictionary", "integer ids", "no metadata",
        "struct metadata",
    ],
)  # fmt: skip
def test_column_types(new_index, folder, columns):
    index = new_index(DIMENSION)
    records = data.make(1, 300, DIMENSION)
    records.values = records.values.astype(np.float16).astype(np.float32)
    table = data.table(records)
    lists = table.column("values").combine_chunks()
    change = {
        "large": lambda: table.cast(
            pa.schema(
                [
                    ("id", pa.large_string()),
                    ("values", pa.large_list(pa.float32())),
                    ("metadata", pa.large_string()),
                ]
            )
        ),
        "fixed": lambda: replaced(
            table, "values", pa.FixedSizeListArray.from_arrays(lists.flatten(), DIMENSION)
        ),
        "double": lambda: replaced(table, "values", data.list_array(records.values, pa.float64())),
        "half": lambda: replaced(
            table, "values", data.list_array(records.values.astype(np.float16))
        ),
        "dictionary": lambda: replaced(table, "id", table.column("id").dictionary_encode()),
        "integer ids": lambda: replaced(table, "id", pa.array(range(300), pa.int64())),
        "no metadata": lambda: table.drop_columns(["metadata"]),
        "struct metadata": lambda: replaced(table, "metadata", pa.array(records.metadata)),
    }.get(columns, lambda: table)
    data.write(folder / "f.parquet", change(), rows_per_group=64)
    last, _ = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 300), last.error
    id_ = "17" if columns == "integer ids" else records.ids[17]
    found = index.fetch(ids=[id_]).vectors[id_]
    assert np.array_equal(np.float32(found.values), records.values[17])
    if columns != "no metadata":
        assert found.metadata == records.metadata[17]


def replaced(table, name, column):
    return table.set_column(table.schema.get_field_index(name), name, column)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.6"])
def test_codecs_and_page_versions(new_index, folder, codec, version):
    index = new_index(DIMENSION)
    records = data.make(1, 500, DIMENSION)
    page = "2.0" if version == "2.6" else "1.0"
    options = {"compression": codec, "version": version, "data_page_version": page}
    data.write(folder / "f.parquet", records, rows_per_group=100, data_page_size=512, **options)
    last, _ = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 500), last.error
    digests = records.digests()
    for id_, found in index.fetch(ids=records.ids[::11]).vectors.items():
        assert data.digest(found.values, found.metadata) == digests[id_]


def test_byte_stream_split_and_one_huge_row_group(new_index, folder):
    index = new_index(DIMENSION)
    records = data.make(1, 20_000, DIMENSION)
    split = {"use_dictionary": False, "use_byte_stream_split": ["values.list.element"]}
    data.write(folder / "f.parquet", records, rows_per_group=1_000_000, **split)
    last, _ = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 20_000), last.error


def test_extra_columns_are_ignored_with_a_warning(new_index, folder):
    index = new_index(DIMENSION)
    table = data.table(data.make(1, 10, DIMENSION)).append_column("blob", pa.array(["x"] * 10))
    data.write(folder / "f.parquet", table)
    last, seen = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 10), last.error
    assert any("blob" in warning for warning in seen["warnings"]), seen


def test_the_later_of_two_equal_ids_wins_and_all_adds_up(new_index, folder):
    index = new_index(DIMENSION)
    old, new = data.make(1, 100, DIMENSION), data.make(2, 60, DIMENSION)
    data.write(folder / "ns" / "1.parquet", old)
    data.write(folder / "ns" / "2.parquet", new)
    last, seen = load(index, folder)
    assert last.status == "Completed"
    assert (seen["recordsRead"], seen["recordsTotal"]) == (160, 160)
    assert (seen["recordsImported"], seen["recordsSuperseded"], seen["recordsRejected"]) == (
        100,
        60,
        0,
    )
    stats = index.describe_index_stats()
    assert stats.total_vector_count == 100
    digests = old.digests() | new.digests()
    found = index.fetch(ids=old.ids, namespace="ns").vectors
    assert {id_: data.digest(one.values, one.metadata) for id_, one in found.items()} == digests


def test_an_import_into_a_namespace_with_records_is_an_upsert(new_index, folder):
    index = new_index(DIMENSION)
    before, imported, after = (data.make(seed, 30, DIMENSION) for seed in (1, 2, 3))
    index.upsert(vectors=list(before.vectors()) + [("only-before", GOOD)], namespace="ns")
    data.write(folder / "ns" / "f.parquet", imported)
    assert load(index, folder)[0].status == "Completed"
    index.upsert(vectors=list(after.vectors())[:10], namespace="ns")
    expected = before.digests() | imported.digests()
    expected |= dict(list(after.digests().items())[:10])
    found = index.fetch(ids=before.ids, namespace="ns").vectors
    assert {id_: data.digest(one.values, one.metadata) for id_, one in found.items()} == expected
    assert index.describe_index_stats().total_vector_count == 31


BAD = [
    # (what breaks, id, values, metadata, code, words of the message)
    ("null id", None, GOOD, None, "E_ID_NULL", ["id", "null"]),
    ("empty id", "", GOOD, None, "E_ID_EMPTY", ["id"]),
    ("control character", "a\x00b", GOOD, None, "E_ID_CHARS", ["id"]),
    ("long id", "x" * 513, GOOD, None, "E_ID_LENGTH", ["513", "512"]),
    ("null values", "b1", None, None, "E_VALUES_NULL", ["values", "null"]),
    ("short values", "b2", [1.0, 2.0], None, "E_DIMENSION", ["values", "2", "4"]),
    ("no values", "b3", [], None, "E_DIMENSION", ["values", "0", "4"]),
    ("nan", "b4", [1.0, NAN, 3.0, 4.0], None, "E_NOT_FINITE", ["values", "NaN"]),
    ("infinite", "b5", [1.0, 2.0, INF, 4.0], None, "E_NOT_FINITE", ["values", "inf"]),
    ("zero", "b6", [0.0] * 4, None, "E_ZERO_VECTOR", ["values", "cosine"]),
    ("not json", "b7", GOOD, "{oops", "E_METADATA_JSON", ["metadata"]),
    ("not an object", "b8", GOOD, "[1]", "E_METADATA_", ["metadata"]),
    ("nested", "b9", GOOD, '{"a":{"b":1}}', "E_METADATA_", ["metadata", "a"]),
    ("null value", "b10", GOOD, '{"a":null}', "E_METADATA_", ["metadata", "a"]),
    ("numbers in a list", "b11", GOOD, '{"a":[1]}', "E_METADATA_", ["metadata", "a"]),
    ("large", "b12", GOOD, json.dumps({"a": "x" * 41_000}), "E_METADATA_SIZE", ["metadata"]),
]


def bad_file(folder, bad=BAD):
    """Each bad record between good ones, in two row groups."""
    rows = [("g0", GOOD, '{"ok":true}')]
    for number, (_, id_, values, metadata, _, _) in enumerate(bad):
        rows += [(id_, values, metadata), (f"g{number + 1}", GOOD, None)]
    ids, values, metadata = zip(*rows)
    data.write(
        folder / "ns" / "bad.parquet", data.rows_table(ids, values, metadata), rows_per_group=16
    )
    return len(rows)


def test_every_bad_record_is_kept_with_its_place_and_reason(new_index, folder):
    index = new_index(DIMENSION)
    total = bad_file(folder)
    last, seen = load(index, folder)
    assert last.status == "Completed", last.error
    assert (seen["recordsImported"], seen["recordsRejected"]) == (total - len(BAD), len(BAD))
    assert any("bad.parquet" in warning for warning in seen["warnings"]), seen["warnings"]
    found = rejects(index, last.id)
    assert len(found) == len(BAD)
    for number, (reject, (what, id_, _, _, code, words)) in enumerate(zip(found, BAD)):
        row = 1 + 2 * number
        assert (reject["file"], reject["rowGroup"], reject["row"]) == (
            "ns/bad.parquet",
            row // 16,
            row,
        )
        assert reject["code"].startswith(code), f"{what}: {reject}"
        if id_ and "\x00" not in id_:
            assert reject.get("id", "").startswith(id_[:50]), f"{what}: {reject}"
        for word in words:
            assert word in reject["message"], (
                f"{what}: {word!r} is missing in {reject['message']!r}"
            )
    good = [f"g{number}" for number in range(len(BAD) + 1)]
    assert set(index.fetch(ids=good, namespace="ns").vectors) == set(good)
    assert index.describe_index_stats().total_vector_count == len(good)


@pytest.mark.parametrize("case", BAD, ids=[one[0] for one in BAD])
def test_abort_ends_at_the_first_bad_record_and_names_it(new_index, folder, case):
    index = new_index(DIMENSION)
    bad_file(folder, [case, BAD[0]])
    last, _ = load(index, folder, "abort")
    assert last.status == "Failed"
    for word in ["bad.parquet", *case[5]]:
        assert word in last.error, f"{word!r} is missing in {last.error!r}"


def test_sparse_and_hybrid_imports(new_index, folder):
    sparse = pa.array(
        [{"indices": [1, 9], "values": [0.5, 1.5]}, {"indices": [2], "values": [3.0]}],
        pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))]),
    )
    ids = pa.array(["a", "b"])
    data.write(folder / "sparse" / "f.parquet", pa.table({"id": ids, "sparse_values": sparse}))
    index = new_index(None, "dotproduct", vector_type="sparse")
    last, _ = load(index, folder / "sparse")
    assert (last.status, last.records_imported) == ("Completed", 2), last.error
    answer = index.query(sparse_vector={"indices": [9, 2], "values": [2.0, 0.1]}, top_k=2)
    assert [one.id for one in answer.matches] == ["a", "b"]
    assert answer.matches[0].score == pytest.approx(3.0)

    values = pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32()))
    table = pa.table({"id": ids, "values": values, "sparse_values": sparse})
    data.write(folder / "hybrid" / "f.parquet", table)
    index = new_index(2, "dotproduct")
    last, _ = load(index, folder / "hybrid")
    assert (last.status, last.records_imported) == ("Completed", 2), last.error
    answer = index.query(
        vector=[1.0, 0.0], sparse_vector={"indices": [2], "values": [1.0]}, top_k=2
    )
    assert [(one.id, one.score) for one in answer.matches] == [("b", 3.0), ("a", 1.0)]


def broken_files(folder):
    """Files that cannot be read, each in its own way, by name."""
    whole = data.write(folder / "whole.parquet", data.make(1, 50, DIMENSION)).read_bytes()
    (folder / "whole.parquet").unlink()
    files = {
        "empty.parquet": b"",
        "text.parquet": b"this is no Parquet file, though it is long enough to be one",
        "truncated.parquet": whole[: len(whole) // 2],
        "footer.parquet": whole[:-8] + b"\xff\xff\xff\x7f" + b"PAR1",
        "noise.parquet": whole[:200] + bytes(300) + whole[500:],
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return list(files)


def test_files_that_cannot_be_read_do_not_stop_the_others(new_index, folder):
    index = new_index(DIMENSION)
    good = data.make(1, 40, DIMENSION, "good")
    data.write(folder / "aa-good.parquet", good)
    names = broken_files(folder)
    other = pa.table({"id": ["x"], "embedding": [[1.0] * 4]})
    data.write(folder / "schema.parquet", other)
    last, seen = load(index, folder)
    assert last.status == "Completed", last.error
    assert set(index.fetch(ids=good.ids).vectors) == set(good.ids)
    told = json.dumps(rejects(index, last.id)) + json.dumps(seen["warnings"])
    for name in [*names, "schema.parquet"]:
        assert name in told, f"{name} is not named in {told}"
    assert "embedding" in told


def test_an_import_of_only_broken_files_fails(new_index, folder):
    index = new_index(DIMENSION)
    folder.mkdir()
    names = broken_files(folder)
    last, _ = load(index, folder)
    assert last.status == "Failed"
    assert any(name in last.error for name in names), last.error
    assert index.describe_index_stats().total_vector_count == 0


def test_an_import_whose_records_are_all_rejected_fails(new_index, folder):
    index = new_index(DIMENSION)
    data.write(folder / "wrong.parquet", data.make(1, 30, DIMENSION + 1))
    last, seen = load(index, folder)
    assert last.status == "Failed"
    assert "wrong.parquet" in last.error and "5" in last.error and "4" in last.error
    assert seen["recordsRejected"] == 30


def test_a_directory_without_parquet_fails_and_says_where_it_looked(new_index, folder):
    index = new_index(DIMENSION)
    folder.mkdir()
    (folder / "readme.md").write_text("nothing here")
    for uri in (folder, folder / "missing"):
        last, _ = load(index, uri)
        assert last.status == "Failed"
        assert str(uri) in last.error and "parquet" in last.error.lower()


def test_an_empty_parquet_file_among_others(new_index, folder):
    index = new_index(DIMENSION)
    data.write(folder / "none.parquet", data.make(1, 0, DIMENSION))
    data.write(folder / "some.parquet", data.make(1, 5, DIMENSION))
    last, _ = load(index, folder)
    assert (last.status, last.records_imported) == ("Completed", 5), last.error


def test_several_imports_at_once_all_complete(new_index, folder):
    indexes = [new_index(DIMENSION) for _ in range(3)]
    for number in range(3):
        records = data.make(number, 3_000, DIMENSION, f"n{number}-")
        data.write_split(folder / f"set{number}" / "ns", records, 2)
    started = [
        (index, index.start_import(uri=f"file://{folder}/set{number}").id)
        for index in indexes
        for number in range(3)
    ]
    for index, id_ in started:
        assert finished(lambda: index.describe_import(id=id_)).status == "Completed"
    for index in indexes:
        assert index.describe_index_stats().total_vector_count == 9_000


def test_a_repeated_start_gives_the_first_ones_id(new_index, folder):
    index = new_index(DIMENSION)
    data.write(folder / "f.parquet", data.make(1, 10, DIMENSION))
    call = {"uri": f"file://{folder}"}
    headers = {"Idempotency-Key": "one-and-the-same"}
    ids = {
        harness.request(f"{index.host}/bulk/imports", call, headers=headers)["id"] for _ in range(3)
    }
    assert len(ids) == 1


def test_a_start_that_is_repeated_at_once_is_one_import(new_index, folder):
    """The client repeats a start whose answer was lost."""
    index = new_index(64)
    data.write_split(folder / "ns", data.make(1, 40_000, 64), files=2)
    ids = [index.start_import(uri=f"file://{folder}").id for _ in range(3)]
    assert len(set(ids)) == 1
    assert finished(lambda: index.describe_import(id=ids[0])).status == "Completed"
    assert index.start_import(uri=f"file://{folder}").id != ids[0]


def test_queries_are_answered_and_see_whole_tasks_while_an_import_runs(new_index, folder):
    index = new_index(64)
    before = data.make(1, 200, 64, "before")
    index.upsert(vectors=list(before.vectors()), namespace="live")
    data.write_split(folder / "bulk", data.make(2, 90_000, 64), files=3)
    started = index.start_import(uri=f"file://{folder}")
    counts, answers = set(), 0

    def look():
        nonlocal answers
        for namespace in ("live", "bulk"):
            found = index.query(
                vector=before.values[answers % 200].tolist(), top_k=3, namespace=namespace
            )
            if namespace == "live":
                assert found.matches[0].id == before.ids[answers % 200]
                answers += 1
        stats = index.describe_index_stats()
        assert stats.namespaces["live"].vector_count == 200
        counts.add(stats.namespaces["bulk"].vector_count if "bulk" in stats.namespaces else 0)
        return index.describe_import(id=started.id)

    assert finished(look).status == "Completed"
    look()
    assert answers > 3
    assert counts <= {0, 90_000}, "part of a task was visible"


def test_abort_keeps_what_was_committed_before(new_index, folder):
    index = new_index(DIMENSION)
    good = data.make(1, 100, DIMENSION)
    data.write(folder / "a" / "good.parquet", good)
    data.write(folder / "b" / "bad.parquet", data.make(2, 10, DIMENSION + 1))
    data.write(folder / "c" / "never.parquet", data.make(3, 10, DIMENSION))
    last, seen = load(index, folder, "abort")
    assert last.status == "Failed" and "b/bad.parquet" in last.error
    assert counts(index.describe_index_stats()) == {"a": 100}
    assert seen["recordsImported"] == 100
    assert set(index.fetch(ids=good.ids[:50], namespace="a").vectors) == set(good.ids[:50])


def test_files_from_other_writers_read_alike(new_index, folder):
    """Nested list naming differs between writers: `element`, `item`, `array`."""
    index = new_index(DIMENSION)
    records = data.make(1, 20, DIMENSION)
    folder.mkdir()
    for number, compliant in enumerate([True, False]):
        path = folder / f"w{number}.parquet"
        pq.write_table(data.table(records), path, use_compliant_nested_type=compliant)
    last, seen = load(index, folder)
    assert (last.status, seen["recordsSuperseded"]) == ("Completed", 20), last.error
