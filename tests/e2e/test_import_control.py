"""How an import is held in hand: how many errors it may have, its rejects mended and imported
again, dry runs, pausing, and what was loaded before."""

from __future__ import annotations

import json
import re

import pytest

import data
import harness
from harness import finished, run

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
