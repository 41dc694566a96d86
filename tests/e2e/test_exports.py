"""Exports: Parquet that other tools read and that an import brings back the same, from a server and
embedded, and one that is killed goes on where it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import data
from harness import Server, failure, request, run, wait_for

pytestmark = pytest.mark.once

DIMENSION = 8
ROWS = 3_000
NAMESPACES = ["__default__", "shoes", "hats"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A directory of three namespaces, and what they hold by id."""
    folder, expected = tmp_path_factory.mktemp("exports"), {}
    for seed, name in enumerate(NAMESPACES, start=1):
        records = data.make(seed, ROWS, DIMENSION, prefix=f"{name[0]}-")
        data.write_split(folder / name, records, files=2)
        expected[name] = records.digests()
    return folder, expected


def content(folder: Path) -> dict[str, dict[str, str]]:
    """What pyarrow reads below an export: namespace, id, digest."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        rows = pq.read_table(path).to_pylist()
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
        own = found.setdefault(path.parent.name, {})
        for row in rows:
            assert row["id"] not in own
            metadata = json.loads(row["metadata"]) if row["metadata"] else None
            own[row["id"]] = data.digest(row["values"], metadata)
    return found


def tables(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.parquet")}


@pytest.mark.parametrize("way", ["server", "embedded"])
def test_there_and_back(way, own_server, sources, tmp_path):
    folder, expected = sources
    if way == "server":
        allowed = ["--allow-import-dir", str(folder), "--allow-export-dir", str(tmp_path)]
        server = own_server(*allowed, "--allow-import-dir", str(tmp_path))
        where = ["--server", server.url]
    else:
        where = ["--data", str(tmp_path / "data")]

    def crossbill(*arguments: str) -> str:
        ended = run(*arguments, *where)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    create = ["--create", "--dimension", str(DIMENSION)]
    crossbill("import", f"file://{folder}", "--index", "shop", *create)
    out = tmp_path / "out"
    told = crossbill("export", f"file://{out}", "--index", "shop")
    assert "9,000 of 9,000 records in 3 files" in told, told
    assert content(out) == expected
    manifest = json.loads((out / "_crossbill-export.json").read_text())
    assert (manifest["records"], manifest["dimension"]) == (3 * ROWS, DIMENSION)
    assert [one["records"] for one in manifest["files"]] == [ROWS] * 3
    crossbill("import", f"file://{out}", "--index", "copy", *create)
    crossbill("export", f"file://{tmp_path}/again", "--index", "copy")
    assert tables(tmp_path / "again") == tables(out)
    only = json.loads(
        crossbill(
            *("export", str(tmp_path / "only"), "--index", "shop", "--namespace", "hats", "--json")
        )
    )
    assert (only["status"], only["recordsExported"], only["percentComplete"]) == (
        "Completed",
        ROWS,
        100.0,
    )
    assert content(tmp_path / "only") == {"hats": expected["hats"]}
    listed = json.loads(crossbill("exports", "list", "--index", "shop", "--json"))["data"]
    assert [one["id"] for one in listed] == ["2", "1"]
    assert "hats" in listed[0]["namespace"] and listed[0] == only
    again = run("export", f"file://{out}", "--index", "shop", *where)
    assert again.returncode == 1 and "expected an empty or a new directory" in again.stdout


def test_only_where_the_operator_allows(own_server, tmp_path):
    server = own_server("--allow-export-dir", str(tmp_path / "yes"))
    (tmp_path / "yes").mkdir()
    request(
        f"{server.url}/indexes",
        {
            "name": "shop",
            "dimension": DIMENSION,
            "metric": "cosine",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
        },
    )
    exports = f"{server.index_url('shop')}/bulk/exports"
    status, answer = failure(exports, {"uri": f"file://{tmp_path}/no/out"})
    assert (status, "allows" in answer["message"]) == (403, True), answer
    status, answer = failure(exports, {"uri": f"file://{tmp_path}/yes/../no"})
    assert status == 400, answer
    status, answer = failure(exports, {"uri": f"file://{tmp_path}/yes/out", "namespaces": ["a"]})
    assert status == 400 and "namespaces" in answer["message"], answer
    assert failure(f"{exports}/1")[0] == 404
    other = own_server()
    assert run("index", "create", "x", "--sparse", "--server", other.url).returncode == 0
    off = run("export", str(tmp_path / "yes/out"), "--index", "x", "--server", other.url)
    assert off.returncode == 1 and "exports are off" in off.stderr


@pytest.mark.parametrize(
    "point",
    [
        "export.part_written:1",
        "export.part_recorded:1",
        "export.part_written:3",
        "export.part_recorded:3",
        "export.manifest_written:1",
    ],
)
def test_killed_and_gone_on(point, sources, tmp_path):
    folder, expected = sources
    flags = ["--allow-import-dir", str(folder), "--allow-export-dir", str(tmp_path)]
    server = Server(tmp_path / "data", *flags).start(CROSSBILL_KILL_AT=point)
    where = ["--server", server.url]
    create = ["--create", "--dimension", str(DIMENSION)]
    assert run("import", f"file://{folder}", "--index", "shop", *create, *where).returncode == 0
    started = run("export", f"file://{tmp_path}/out", "--index", "shop", "--detach", *where)
    wait_for(lambda: server.process.poll() is not None, 60, f"kill at {point}")
    assert server.process.returncode == -signal.SIGKILL, (started, server.log_tail())
    server.start()

    def ended():
        export = request(f"{server.index_url('shop')}/bulk/exports/1")
        return export if "finishedAt" in export else None

    export = wait_for(ended, 60, "end of the export")
    assert (export["status"], export["recordsExported"]) == ("Completed", 3 * ROWS), export
    assert content(tmp_path / "out") == expected
    assert not list((tmp_path / "out").rglob("*.crossbill-part"))
    assert server.stop() == 0


def test_a_file_of_several_parts_to_buckets_and_back(
    own_server, object_store, azure_store, open_store, tmp_path
):
    """Files over 8 MiB go up in parts; each bucket's export is imported from where it lies. For
    want of a stand-in for Google's that takes its writes, gs:// goes to another store that speaks
    the same XML interface."""
    rows, dimension = 9_000, 400
    records = data.make(7, rows, dimension)
    data.write_split(tmp_path / "in" / "big", records, files=2)
    bucket = object_store.bucket("exports")
    container = azure_store.bucket("exports")
    config = tmp_path / "crossbill.toml"
    open_bucket = open_store.bucket("exports")
    google = f'[[integration]]\nid = "google"\nkind = "gcs"\nendpoint = "{open_store.url}"\n'
    config.write_text(azure_store.table("azure") + google)
    server = own_server(
        *object_store.server_flags(),
        *("--config", str(config), "--allow-import-dir", str(tmp_path / "in")),
        *("--allow-export-uri", f"s3://{bucket}/daily", "--allow-export-uri", f"az://{container}"),
        *("--allow-export-uri", f"gs://{open_bucket}"),
        environment=object_store.server_environment(),
    )
    where = ["--server", server.url]
    create = ["--create", "--dimension", str(dimension)]
    into = run("import", f"file://{tmp_path}/in", "--index", "shop", *create, *where)
    assert into.returncode == 0, into.stderr
    for number, (uri, integration) in enumerate(
        [
            (f"s3://{bucket}/daily/one", []),
            (f"az://{container}/one", ["--integration", "azure"]),
            (f"gs://{open_bucket}/one", ["--integration", "google"]),
        ]
    ):
        out = run("export", uri, "--index", "shop", *integration, *where)
        assert out.returncode == 0 and "9,000 of 9,000 records in 1 files" in out.stdout, (
            out.stdout + out.stderr
        )
        copy = f"copy-{number}"
        back = run("import", uri, "--index", copy, *create, *integration, *where)
        assert back.returncode == 0, back.stdout + back.stderr
        host = server.index_url(copy)
        ids = records.ids[:: rows // 100]
        query = "&".join(f"ids={id_}" for id_ in ids)
        got = request(f"{host}/vectors/fetch?namespace=big&{query}")["vectors"]
        found = {i: data.digest(one["values"], one.get("metadata")) for i, one in got.items()}
        expected = records.digests()
        assert found == {id_: expected[id_] for id_ in ids}
        again = run("export", uri, "--index", "shop", *integration, *where)
        assert again.returncode == 1 and "expected an empty or a new" in again.stdout
    exports = f"{server.index_url('shop')}/bulk/exports"
    assert failure(exports, {"uri": f"s3://{bucket}/elsewhere"})[0] == 403
    assert failure(exports, {"uri": "gs://elsewhere/x"})[0] == 403
    missing = run("export", f"s3://{bucket}/daily/x", "--index", "shop", "--integration", "no", *where)
    assert missing.returncode == 1 and "does not exist" in missing.stderr
