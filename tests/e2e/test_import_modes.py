"""How an import's records are seen: mode `replace`, `atomic`; and its completion manifest."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
import pytest

import data
import harness
from conftest import client, create
from harness import run
from test_import_control import describe, load, start, write_bad

DIMENSION = 4


@pytest.fixture
def folder(source, request):
    """The test's own place below the allowed directory, free of characters of a pattern."""
    return source / re.sub(r"\W+", "-", request.node.name)


def manifest(index, id_, limit=1000):
    """All pages of a manifest as one."""
    url = f"{index.host}/bulk/imports/{id_}/manifest?limit={limit}"
    whole = harness.request(url)
    while "nextOffset" in whole:
        page = harness.request(f"{url}&offset={whole.pop('nextOffset')}")
        whole["files"] += page["files"]
        whole["parts"] += page["parts"]
        whole |= {key: page[key] for key in ("nextOffset",) if key in page}
    return whole


def test_a_manifest_is_audited(new_index, folder):
    index = new_index(DIMENSION, "dotproduct")
    write_bad(folder / "a" / "1.parquet", 300, 50)
    write_bad(folder / "b" / "1.parquet", 120, 40, prefix="s")
    (folder / "b" / "2.parquet").write_bytes(b"no Parquet")
    last = load(index, folder)
    told = manifest(index, last["id"])
    assert told == manifest(index, last["id"], limit=2), "whatever the page"
    counts = told["counts"]
    assert counts["read"] == counts["imported"] + counts["superseded"] + counts["rejected"] == 420
    assert (counts["imported"], counts["rejected"]) == (411, 9)
    rejects = harness.request(f"{index.host}/bulk/imports/{last['id']}/rejects?limit=1000")["data"]
    codes = {}
    for reject in rejects:
        codes.setdefault(reject["code"], [0, 0])["row" not in reject] += 1
    assert {one["code"]: [one["records"], one["files"]] for one in told["rejects"]} == codes
    assert [one["path"] for one in told["files"]] == ["a/1.parquet", "b/1.parquet", "b/2.parquet"]
    for file in told["files"]:
        path = folder / file["path"]
        assert file["bytes"] == path.stat().st_size and file["etag"]
        if file["state"] == "read":
            assert file["rows"] == file["rowsRead"] == pq.read_metadata(path).num_rows
    assert told["files"][2]["state"] == "broken"
    assert told["files"][2]["code"] == "E_FILE_NOT_PARQUET"
    assert sum(part["rows"] for part in told["parts"]) == counts["imported"]
    assert all(re.fullmatch("[0-9a-f]{8}", part["checksum"]) for part in told["parts"])
    # The settings start the same import again.
    again = harness.request(f"{index.host}/bulk/imports", told["settings"])
    harness.wait_for(lambda: "finishedAt" in describe(index, again["id"]), 60, "its end")
    assert manifest(index, again["id"])["counts"] == counts
    url = f"{index.host}/bulk/imports"
    assert harness.failure(f"{url}/99/manifest")[0] == 404
    assert harness.failure(f"{url}/{last['id']}/manifest?limit=1001")[0] == 400


def test_a_replacement_is_seen_when_it_is_whole(new_index, folder):
    index = new_index(DIMENSION, "euclidean")
    data.write(folder / "old" / "ns" / "1.parquet", data.make(1, 500, DIMENSION, "old"))
    data.write(folder / "new" / "ns" / "1.parquet", data.make(2, 700, DIMENSION, "new"))
    load(index, folder / "old")
    last = load(index, folder / "new", mode="replace")
    assert (last["status"], last["mode"], last["recordsImported"]) == ("Completed", "replace", 700)
    ids = [one["id"] for one in index_ids(index)]
    assert len(ids) == 700 and all(id_.startswith("new") for id_ in ids)
    for body, word in [
        ({"mode": "insert"}, 'expected \\"upsert\\" or \\"replace\\"'),
        ({"mode": "merge"}, "mode is"),
        ({"mode": "replace", "skipLoaded": True}, "skipLoaded beside mode"),
    ]:
        status, answer = harness.failure(
            f"{index.host}/bulk/imports", {"uri": f"file://{folder}/new"} | body
        )
        assert status == 400 and word in json.dumps(answer), answer


def index_ids(index):
    page = harness.request(f"{index.host}/vectors/list?namespace=ns&limit=100")
    found = page["vectors"]
    while token := page.get("pagination", {}).get("next"):
        page = harness.request(
            f"{index.host}/vectors/list?namespace=ns&limit=100&paginationToken={token}"
        )
        found += page["vectors"]
    return found


def test_an_atomic_import_that_is_cancelled_leaves_nothing(own_server, folder):
    server = own_server(environment={"CROSSBILL_IMPORT_TASK_ROWS": "1000"})
    create(client(server), "shop", 64)
    data.write_split(folder / "ns", data.make(1, 60_000, 64), files=30)

    class index:
        host = server.index_url("shop")

    id_ = start(index, folder, atomic=True)
    harness.wait_for(lambda: describe(index, id_).get("recordsUnderWay"), 60, "first rows")
    assert describe(index, id_)["recordsImported"] == 0
    harness.request(f"{index.host}/bulk/imports/{id_}", method="DELETE")
    seen = describe(index, id_)
    assert (seen["status"], seen["recordsImported"], seen["atomic"]) == ("Cancelled", 0, True)
    stats = harness.request(f"{index.host}/describe_index_stats", {})
    assert stats["totalVectorCount"] == 0
    where = ["--index", "shop", "--server", server.url]
    ended = run("import", f"file://{folder}", "--atomic", *where)
    assert ended.returncode == 0, ended.stderr
    assert "yes: all is seen" in run("imports", "describe", "2", *where).stdout
    assert "60,000" in run("imports", "manifest", "2", *where).stdout
