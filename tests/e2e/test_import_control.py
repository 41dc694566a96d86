"""How an import is held in hand: how many errors it may have, its rejects mended and imported
again, dry runs, pausing, and what was loaded before."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import data
import harness
from conftest import client, create
from harness import run

DIMENSION = 4


@pytest.fixture
def folder(source, request):
    """The test's own place below the allowed directory, free of characters of a pattern."""
    return source / re.sub(r"\W+", "-", request.node.name)


def start(index, folder, **body):
    return harness.request(f"{index.host}/bulk/imports", {"uri": f"file://{folder}"} | body)["id"]


def describe(index, id_):
    return harness.request(f"{index.host}/bulk/imports/{id_}")


def ended(index, id_):
    return harness.wait_for(
        lambda: (lambda seen: seen if "finishedAt" in seen else None)(describe(index, id_)),
        120,
        "end of the import",
    )


def load(index, folder, **body):
    return ended(index, start(index, folder, **body))


def write_bad(path, rows, every, prefix="r"):
    """Every so many rows one lacks a component."""
    vectors = [[float(row), 1.0, 2.0, 3.0][: 3 if row % every == 0 else 4] for row in range(rows)]
    ids = [f"{prefix}{row}" for row in range(rows)]
    metadata = [json.dumps({"row": row, "from": prefix}) for row in range(rows)]
    data.write(path, data.rows_table(ids, vectors, metadata), rows_per_group=100)


def test_so_many_errors_and_no_more(new_index, folder):
    index = new_index(DIMENSION, "dotproduct")
    write_bad(folder / "ns" / "a.parquet", 300, 50)
    (folder / "ns" / "b.parquet").write_bytes(b"no Parquet")

    def mode(errors):
        return {"errorMode": {"onError": "continue", "maxErrors": errors}}

    last = load(index, folder, **mode(7))
    assert (last["status"], last["maxErrors"], last["recordsRejected"]) == ("Completed", 7, 6)
    last = load(index, folder, **mode(4))
    assert last["status"] == "Failed"
    assert "found 5 errors, expected at most 4" in last["error"], last["error"]
    assert "ns/a.parquet: row group 0, row 0" in last["error"], last["error"]
    page = harness.request(f"{index.host}{last['rejectsUri']}")
    assert [one.get("row") for one in page["data"]] == [None, 0, 50, 100, 150]
    status, refused = harness.failure(
        f"{index.host}/bulk/imports",
        {"uri": f"file://{folder}", "errorMode": {"onError": "abort", "maxErrors": 1}},
    )
    assert status == 400 and "maxErrors" in refused["message"]


@pytest.mark.once
def test_so_many_errors_on_the_command_line(own_server, source):
    where = ["--server", own_server().url]
    write_bad(source / "cli-errors" / "a.parquet", 100, 10)
    made = run("index", "create", "shop", "--dimension", "4", "--metric", "dotproduct", *where)
    assert made.returncode == 0, made.stderr
    command = ["import", f"file://{source}/cli-errors", "--index", "shop", *where]
    assert run(*command, "--max-errors", "10").returncode == 3
    failed = run(*command, "--max-errors", "9")
    assert failed.returncode == 1
    assert "found 10 errors, expected at most 9" in failed.stdout + failed.stderr


def test_a_dry_run_says_what_the_import_then_says(new_index, folder):
    index = new_index(DIMENSION, "dotproduct")
    for namespace in ("a", "b"):
        write_bad(folder / namespace / "1.parquet", 300, 50, namespace)
        write_bad(folder / namespace / "2.parquet", 100, 30, namespace)
    (folder / "b" / "3.parquet").write_bytes(b"no Parquet")

    def rejects(import_):
        return harness.request(f"{index.host}{import_['rejectsUri']}?records=whole")

    dry = load(index, folder, dryRun=True)
    assert dry["dryRun"] is True and dry["status"] == "Completed", dry
    assert set(dry["estimate"]) == {"seconds", "diskBytes", "diskFreeBytes"}
    assert index.describe_index_stats().total_vector_count == 0
    seen = index.describe_import(id=dry["id"])
    assert (seen.status, seen.records_imported) == ("Completed", dry["recordsImported"])
    real = load(index, folder)
    assert "dryRun" not in real and "estimate" not in real
    same = ("status", "recordsRead", "recordsImported", "recordsSuperseded", "recordsRejected")
    same += ("bytesRead", "filesDone", "warnings", "validationResult")
    assert [dry[field] for field in same] == [real[field] for field in same]
    assert real["recordsSuperseded"] > 0 and real["recordsRejected"] > 0
    assert rejects(dry) == rejects(real)
    stats = index.describe_index_stats()
    assert stats.total_vector_count == dry["recordsImported"]


def whole(index, id_, limit=1000):
    """All rejects with their records whole, page by page."""
    found = []
    while True:
        url = f"{index.host}/bulk/imports/{id_}/rejects?records=whole&limit={limit}"
        page = harness.request(f"{url}&offset={len(found)}")
        found += page["data"]
        if len(found) >= page["total"]:
            return found
        assert page["data"], "a page without rejects before the last one"


def test_records_are_kept_whole_and_shown_short(new_index, folder):
    dimension = 768
    index = new_index(dimension, "dotproduct")
    records = data.make(1, 40, dimension + 1)
    data.write(folder / "f.parquet", records)
    last = load(index, folder)
    assert (last["status"], last["recordsRejected"]) == ("Failed", 40)
    shown = harness.request(f"{index.host}{last['rejectsUri']}?limit=3")["data"]
    assert all(len(one["record"].encode()) <= 1024 for one in shown)
    found = [json.loads(one["record"]) for one in whole(index, last["id"])]
    assert [one["id"] for one in found] == records.ids
    for one, values, metadata in zip(found, records.values, records.metadata):
        assert np.array_equal(np.float32(one["values"]), values)
        assert json.loads(one["metadata"]) == metadata
    url = f"{index.host}/bulk/imports/{last['id']}/rejects?records=all"
    assert harness.failure(url)[0] == 400


@pytest.fixture(params=["server", "embedded"])
def command(request, own_server, tmp_path):
    """Runs commands against a server and against a directory, with an index `shop`."""
    where = ["--server", own_server().url]
    if request.param == "embedded":
        where = ["--data", str(tmp_path / "embedded")]
    made = run("index", "create", "shop", "--dimension", "4", "--metric", "dotproduct", *where)
    assert made.returncode == 0, made.stderr
    return lambda *arguments: run(*arguments, "--index", "shop", *where)


@pytest.mark.once
def test_a_dry_run_on_the_command_line(command, folder, tmp_path):
    folder = folder.parent / f"{folder.name}-{tmp_path.name}"
    write_bad(folder / "f.parquet", 100, 10)
    dry = command("import", str(folder), "--dry-run")
    assert dry.returncode == 3, dry.stderr
    assert "dry run 1 into shop: Completed" in dry.stdout
    assert "read 100 = imported 90 + superseded 0 + rejected 10" in dry.stdout
    assert "nothing was written" in dry.stdout and "of disk" in dry.stdout
    assert json.loads(command("stats", "--json").stdout)["totalVectorCount"] == 0
    assert "nothing is written" in command("imports", "describe", "1").stdout
    assert command("import", str(folder)).returncode == 3
    assert json.loads(command("stats", "--json").stdout)["totalVectorCount"] == 90


@pytest.mark.once
def test_rejects_are_mended_and_imported_again(command, folder, tmp_path):
    """Export, mend, import: at the end every record is there."""
    folder = folder.parent / f"{folder.name}-{tmp_path.name}"
    for namespace in ("a", "b"):
        write_bad(folder / namespace / "f.parquet", 100, 10, namespace)
    (folder / "b" / "no.parquet").write_bytes(b"no Parquet")
    assert command("import", str(folder)).returncode == 3
    mend = folder.parent / f"{folder.name}-mend"
    ended = command("imports", "rejects", "1", "--export", f"{mend}/")
    assert ended.returncode == 0, ended.stderr
    assert "21 rejects written" in ended.stdout and "1 of them" in ended.stderr
    for namespace in ("a", "b"):
        path = mend / namespace / "rejects.parquet"
        table = pq.read_table(path)
        assert table.column("code").to_pylist() == ["E_DIMENSION"] * 10
        mended = [values + [3.0] for values in table.column("values").to_pylist()]
        column = pa.array(mended, table.schema.field("values").type)
        at = table.schema.get_field_index("values")
        pq.write_table(table.set_column(at, "values", column), path)
    assert command("import", str(mend)).returncode == 0
    stats = json.loads(command("stats", "--json").stdout)
    assert {name: one["vectorCount"] for name, one in stats["namespaces"].items()} == {
        "a": 100,
        "b": 100,
    }
    found = command(
        "query", "--id", "a10", "--namespace", "a", "--include-metadata", "--include-values",
        "--top-k", "100", "--json",
    )  # fmt: skip
    matches = {one["id"]: one for one in json.loads(found.stdout)["matches"]}
    assert matches["a10"]["values"] == [10.0, 1.0, 2.0, 3.0]
    assert matches["a10"]["metadata"] == {"row": 10, "from": "a"}
    # A file that is there is never written over.
    assert command("imports", "rejects", "1", "--export", f"{mend}/").returncode == 2


@pytest.mark.once
def test_rejects_are_exported_in_every_format(command, folder, tmp_path):
    folder = folder.parent / f"{folder.name}-{tmp_path.name}"
    nan, inf = float("nan"), float("inf")
    bad = [
        ("x", [1.0, nan, inf, 0.1], '{"a":1}'),
        (None, [1.0] * 4, None),
        ("y", None, "{oops"),
        ("ok", [1.0] * 4, None),
    ]
    data.write(folder / "f.parquet", data.rows_table(*zip(*bad)))
    assert command("import", str(folder)).returncode == 3

    def export(name):
        ended = command("imports", "rejects", "1", "--export", str(tmp_path / name))
        assert ended.returncode == 0, ended.stderr
        return tmp_path / name

    table = pq.read_table(export("r.parquet")).to_pylist()
    assert [one["id"] for one in table] == ["x", None, "y"]
    assert np.array_equal(np.float32(table[0]["values"]), np.float32(bad[0][1]), equal_nan=True)
    assert [one["metadata"] for one in table] == ['{"a":1}', None, "{oops"]
    assert [one["row"] for one in table] == [0, 1, 2]
    lines = [json.loads(line) for line in export("r.jsonl").read_text().splitlines()]
    assert lines[0]["values"] == [1, "NaN", "inf", 0.1]
    assert lines[0]["metadata"] == {"a": 1} and lines[2]["metadata"] == "{oops"
    rows = list(csv.DictReader(export("r.csv").read_text().splitlines()))
    assert [one["code"] for one in rows] == [one["code"] for one in table]
    assert json.loads(rows[0]["record"])["values"] == [1, "NaN", "inf", 0.1]
    assert command("imports", "rejects", "1", "--export", "r.xlsx").returncode == 2


def test_pause_and_resume_across_a_restart(own_server, folder):
    server = own_server(environment={"CROSSBILL_IMPORT_TASK_ROWS": "1000"})
    create(client(server), "shop", 64)
    data.write_split(folder / "long", data.make(1, 60_000, 64), files=30)
    data.write(folder / "short" / "f.parquet", data.make(2, 10, 64, "s"))

    class index:
        host = server.index_url("shop")

    def call(id_, what):
        return harness.request(f"{index.host}/bulk/imports/{id_}/{what}", method="POST")

    long = start(index, folder / "long")
    harness.wait_for(lambda: describe(index, long)["recordsImported"] > 0, 60, "first task")
    assert call(long, "pause") == {}
    seen = describe(index, long)
    assert (seen["status"], seen["paused"]) == ("InProgress", True)
    assert load(index, folder / "short")["status"] == "Completed"
    paused = harness.wait_for(
        lambda: (lambda seen: seen if seen["phase"] == "paused" else None)(describe(index, long)),
        60,
        "end of the tasks under way",
    )
    assert 0 < paused["recordsImported"] < 60_000
    server.restart()
    again = describe(index, long)
    for field in ("status", "paused", "recordsImported", "recordsRead"):
        assert again[field] == paused[field]
    pc_view = client(server).index("shop").describe_import(id=long)
    assert pc_view.status == "InProgress", "the official client reads it"
    assert call(long, "resume") == {}
    last = ended(index, long)
    assert (last["status"], last["recordsImported"]) == ("Completed", 60_000)
    assert "paused" not in last
    status, refused = harness.failure(f"{index.host}/bulk/imports/{long}/pause", method="POST")
    assert status == 412 and "has ended, it is Completed" in refused["message"]
    status, _ = harness.failure(f"{index.host}/bulk/imports/99/pause", method="POST")
    assert status == 404


@pytest.mark.once
def test_pause_and_resume_on_the_command_line(own_server, folder):
    server = own_server(environment={"CROSSBILL_IMPORT_TASK_ROWS": "1000"})
    where = ["--index", "shop", "--server", server.url]
    create(client(server), "shop", 64)
    data.write_split(folder, data.make(1, 60_000, 64), files=30)
    id_ = run("import", f"file://{folder}", "--detach", *where).stdout.strip()
    assert run("imports", "pause", id_, *where).returncode == 0
    assert "paused" in run("imports", "describe", id_, *where).stdout
    assert "paused" in run("imports", "list", *where).stdout
    assert run("imports", "resume", id_, *where).returncode == 0
    assert run("imports", "describe", id_, "--follow", *where).returncode == 0
    refused = run("imports", "pause", id_, *where)
    assert refused.returncode == 1 and "has ended" in refused.stderr


def test_a_directory_that_grows_is_imported_at_the_price_of_its_new_files(new_index, folder):
    index = new_index(DIMENSION, "dotproduct")
    data.write(folder / "a" / "1.parquet", data.make(1, 500, DIMENSION))
    data.write(folder / "b" / "1.parquet", data.make(2, 300, DIMENSION))
    assert load(index, folder)["recordsImported"] == 800
    data.write(folder / "b" / "2.parquet", data.make(3, 40, DIMENSION, "s"))
    last = load(index, folder, skipLoaded=True)
    assert (last["recordsRead"], last["filesSkipped"], last["filesTotal"]) == (40, 2, 1)
    assert last["skipLoaded"] is True
    last = load(index, folder, skipLoaded=True)
    assert (last["status"], last["recordsRead"], last["filesSkipped"]) == ("Completed", 0, 3)
    assert index.describe_index_stats().total_vector_count == 840
    # A file that was written anew is another one; an emptied namespace has nothing.
    data.write(folder / "a" / "1.parquet", data.make(4, 500, DIMENSION))
    index.delete(delete_all=True, namespace="b")
    last = load(index, folder, skipLoaded=True)
    assert (last["recordsRead"], last.get("filesSkipped")) == (840, None)
    assert index.describe_index_stats().total_vector_count == 840


KILLED_AT = ["import.planned:1", "import.commit_after:2", "import.finish_before:1"]
KILLED_AT += ["import.finish_after:1", "manifest.put_after:4"]


@pytest.mark.once
@pytest.mark.parametrize("point", KILLED_AT)
def test_what_was_loaded_is_known_after_a_kill(point, folder, tmp_path):
    folder = folder.parent / f"{folder.name}-{tmp_path.name}"
    where = ["--index", "shop", "--data", str(tmp_path / "data")]
    made = run("index", "create", "shop", "--dimension", str(DIMENSION), *where[2:])
    assert made.returncode == 0, made.stderr
    data.write_split(folder / "a", data.make(1, 500, DIMENSION), files=5)
    command = ["import", str(folder), "--skip-loaded", "--json", *where]
    few = {"CROSSBILL_IMPORT_TASK_ROWS": "100"}
    assert run(*command, CROSSBILL_KILL_AT=point, **few).returncode < 0
    data.write(folder / "a" / "more.parquet", data.make(2, 30, DIMENSION, "s"))
    # What was cut off goes on first, with the files that it had listed, if it has not ended.
    listed = json.loads(run("imports", "list", "--json", *where, **few).stdout)["data"]
    if "finishedAt" not in listed[0]:
        resumed = run(*command, **few)
        assert resumed.returncode == 0, resumed.stderr
    last = json.loads(run(*command, **few).stdout)
    assert (last["recordsRead"], last["filesSkipped"]) == (30, 5), (listed, last)
    stats = json.loads(run("stats", "--json", *where).stdout)
    assert stats["totalVectorCount"] == 530


@pytest.mark.once
def test_quotas_are_named_with_what_was_found(own_server, folder):
    folder = folder.parent / f"{folder.name}-quotas"
    data.write_split(folder / "a", data.make(1, 100, 4), files=3)
    data.write_split(folder / "b", data.make(2, 100, 4, "s"), files=2)
    size = max(path.stat().st_size for path in folder.rglob("*.parquet"))
    for setting, value, found in [
        ("import-files-max", "4", r"files in the import: found 5, expected at most 4"),
        ("import-file-bytes-max", "100B", rf"bytes in a/part-00\d.parquet: found \d+, .* 100"),
        ("import-namespaces-max", "1", r"namespaces in the import: found 2, expected at most 1"),
        ("import-namespace-bytes-max", f"{size + 1}B", r"bytes in namespace \"a\": found \d+,"),
    ]:
        server = own_server(f"--{setting}={value}")
        create(client(server), "shop", 4)

        class index:
            host = server.index_url("shop")

        last = load(index, folder)
        assert (last["status"], last["recordsRead"]) == ("Failed", 0)
        assert re.search(f"{found}.*setting {setting}", last["error"]), last["error"]
        server.kill()
