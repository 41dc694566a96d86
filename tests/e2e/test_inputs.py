"""Goal: an import takes data sets as they are: of any column names, and as JSON lines, Arrow or
NumPy arrays; what it proposes can be pasted; a crash in the middle changes nothing.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

import data
import harness
from harness import finished, request, run

pytestmark = pytest.mark.once
DIMENSION = 8


@pytest.fixture
def folder(source, request):
    """The test's own place below the allowed directory, free of characters of a pattern."""
    place = source / re.sub(r"\W+", "-", request.node.name)
    place.mkdir()
    return place


def start(index, uri, **fields):
    """Starts an import with fields that the client does not know; gives its end."""
    started = request(f"{index.host}/bulk/imports", {"uri": uri} | fields)
    finished(lambda: index.describe_import(id=started["id"]))
    return request(f"{index.host}/bulk/imports/{started['id']}")


def check(index, records, namespace=""):
    digests = records.digests()
    found = {}
    for first in range(0, len(records), 100):
        ids = records.ids[first : first + 100]
        found |= index.fetch(ids=ids, namespace=namespace).vectors
    assert {id_: data.digest(one.values, one.metadata) for id_, one in found.items()} == digests
    stats = index.describe_index_stats().namespaces
    counts = {name or "__default__": one.vector_count for name, one in stats.items()}
    assert counts[namespace or "__default__"] == len(records)


def json_lines(records):
    return "".join(json.dumps(one) + "\n" for one in records.vectors()).encode()


def write_stream(path, table):
    with pa.ipc.new_stream(path, table.schema) as out:
        out.write_table(table, max_chunksize=100)


WRITERS = {
    "f.jsonl": lambda path, records: path.write_bytes(json_lines(records)),
    "f.ndjson": lambda path, records: path.write_bytes(
        json_lines(records).replace(b"\n", b"\r\n\r\n")
    ),
    "f.jsonl.gz": lambda path, records: path.write_bytes(gzip.compress(json_lines(records))),
    "f.jsonl.zst": lambda path, records: path.write_bytes(
        pa.Codec("zstd").compress(json_lines(records), asbytes=True)
    ),
    "f.arrow": lambda path, records: feather.write_feather(
        data.table(records), path, compression="uncompressed", chunksize=70
    ),
    "f.feather": lambda path, records: feather.write_feather(data.table(records), path),
    "f.ipc": lambda path, records: feather.write_feather(
        data.table(records), path, compression="zstd", chunksize=50
    ),
    "f.arrows": lambda path, records: write_stream(path, data.table(records)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats(new_index, folder, name):
    index, records = new_index(DIMENSION), data.make(1, 300, DIMENSION)
    (folder / "shop").mkdir()
    WRITERS[name](folder / "shop" / name, records)
    last = start(index, f"file://{folder}")
    assert (last["status"], last["recordsImported"]) == ("Completed", 300), last.get("error")
    check(index, records, "shop")


def test_arrays(new_index, folder):
    index, records = new_index(DIMENSION), data.make(1, 250, DIMENSION)
    for number, rows in enumerate((slice(0, 100), slice(100, 250))):
        np.save(folder / f"part-{number}.npy", records.values[rows].astype(np.float64))
    refused = start(index, f"file://{folder}")
    assert refused["status"] == "Failed" and "--id-prefix '{file}-'" in refused["error"]
    last = start(index, f"file://{folder}", idPrefix="doc-{file}-")
    assert (last["status"], last["recordsImported"]) == ("Completed", 250), last
    found = index.fetch(ids=["doc-part-1-7"]).vectors["doc-part-1-7"]
    assert np.array_equal(np.float32(found.values), records.values[107])
    # What was loaded before counts among the files whose ids must differ.
    grown = folder / "grown"
    grown.mkdir()
    shutil.copy(folder / "part-0.npy", grown)
    assert start(index, f"file://{grown}", skipLoaded=True)["status"] == "Completed"
    shutil.copy(folder / "part-1.npy", grown)
    refused = start(index, f"file://{grown}", skipLoaded=True)
    assert refused["status"] == "Failed" and "--id-prefix" in refused["error"], refused
    shutil.rmtree(grown)
    alone = start(index, f"file://{folder}/part-0.npy")
    assert (alone["status"], alone["recordsImported"]) == ("Completed", 100), alone
    found = index.fetch(ids=["99"]).vectors["99"]
    assert np.array_equal(np.float32(found.values), records.values[99])


def wild(records):
    """The records with the columns of a public set."""
    fields = {
        name: pa.array([(one or {}).get(name) for one in records.metadata])
        for name in records.metadata[0]
    }
    vectors = data.list_array(records.values, pa.float64())
    return pa.table({"docid": pa.array(records.ids), "emb": vectors} | fields)


def test_what_an_error_proposes_can_be_pasted(own_server, source):
    where = ["--server", own_server().url]
    run("index", "create", "shop", "--dimension", str(DIMENSION), *where)
    records = data.make(1, 300, DIMENSION)
    data.write(source / "proposal" / "f.parquet", wild(records))
    command = ["import", f"file://{source}/proposal", "--index", "shop", *where]
    failed = run(*command)
    assert failed.returncode == 1
    text = re.sub(r"\s+", " ", failed.stdout + failed.stderr)
    flags = re.search(r"in a shell: (--columns \S+?)\)", text)
    assert flags, text
    again = run(*command, *flags[1].split(" "))
    assert again.returncode == 0, again.stderr
    assert "imported 300" in again.stdout
    proposed = re.search(r'with "columns": (\{.*?\}) \(in', text)
    as_json = run(*command, "--columns", proposed[1])
    assert as_json.returncode == 0, as_json.stderr


def test_a_public_set_is_imported_as_it_is(own_server, source):
    """Columns as sets of texts with their embeddings are published, in shards."""
    where = ["--server", (server := own_server()).url]
    run("index", "create", "texts", "--dimension", str(DIMENSION), *where)
    records, folder = data.make(4, 300, DIMENSION), source / "public-set"
    fields = {
        name: [f"{name} {row}: “{row * 7 % 30}”" for row in range(300)]
        for name in ("title", "text", "url")
    }
    fields["text"][5] = None
    table = pa.table(
        {"_id": [f"20231101.simple_{id_}" for id_ in records.ids]}
        | {"url": fields["url"], "title": fields["title"], "text": fields["text"]}
        | {"emb": data.list_array(records.values, pa.float32())}
    )
    for shard in range(3):
        path = folder / f"{shard:04}.parquet"
        data.write(path, table[shard * 100 : (shard + 1) * 100])
    command = ["import", f"file://{folder}", "--index", "texts", *where]
    failed = run(*command)
    assert failed.returncode == 1
    text = re.sub(r"\s+", " ", failed.stdout + failed.stderr)
    assert "--columns id=_id,values=emb,metadata=url+title+text" in text
    mapped = run(*command, "--columns", "id=_id,values=emb,metadata=title+text+url")
    assert mapped.returncode == 0 and "imported 300" in mapped.stdout, mapped.stderr
    from conftest import client

    found = client(server).index("texts").fetch(ids=[f"20231101.simple_{records.ids[5]}"])
    (record,) = found.vectors.values()
    assert record.metadata == {"title": fields["title"][5], "url": fields["url"][5]}
    assert np.array_equal(np.float32(record.values), records.values[5])


def test_rejects_exported_as_lines_are_imported_once_they_are_mended(own_server, source):
    where = ["--index", "shop", "--server", (server := own_server()).url]
    run("index", "create", "shop", "--dimension", str(DIMENSION), *where[2:])
    records, folder = data.make(5, 40, DIMENSION), source / "to-be-mended"
    rows = data.table(records).to_pylist()
    for row in rows[::4]:
        row["values"].pop()
    table = pa.Table.from_pylist(rows, data.table(records).schema)
    data.write(folder / "f.parquet", table)
    (folder / "lines").mkdir()
    assert run("import", f"file://{folder}", *where).returncode == 3
    path = folder / "lines" / "mended.jsonl"
    exported = run("imports", "rejects", "1", "--export", str(path), *where)
    assert exported.returncode == 0, exported.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == records.ids[::4]
    for line, values in zip(lines, records.values[::4]):
        assert line["code"] == "E_DIMENSION"
        line["values"].append(float(values[-1]))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = run("import", f"file://{path}", *where)
    assert again.returncode == 0 and "imported 10" in again.stdout, again.stderr
    from conftest import client

    check(client(server).index("shop"), records)


def test_rejected_lines_of_other_names_are_exported_as_they_stand(own_server, source, tmp_path):
    where = ["--index", "shop", "--server", own_server().url]
    run("index", "create", "shop", "--dimension", str(DIMENSION), *where[2:])
    good, bad = {"_id": "a", "emb": [1.0] * DIMENSION}, '{"_id": "b", "emb": "none"}'
    folder = source / "odd-lines"
    folder.mkdir()
    (folder / "f.jsonl").write_text(json.dumps(good) + "\n" + bad + "\n{oops\n")
    flags = ["--columns", "id=_id,values=emb"]
    assert run("import", f"file://{folder}", *flags, *where).returncode == 3
    path = tmp_path / "rejects.jsonl"
    exported = run("imports", "rejects", "1", "--export", str(path), "--json", *where)
    assert exported.returncode == 0, exported.stderr
    counts = json.loads(exported.stdout)
    assert (counts["rejects"], counts["incomplete"], counts["unread"]) == (2, 0, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["record"] for line in lines] == [bad, "{oops"]


def test_mapped_columns(new_index, folder):
    index, records = new_index(DIMENSION), data.make(1, 300, DIMENSION)
    # Nulls are left out.
    for row in range(4, 300, 4):
        del records.metadata[row]["price"]
    data.write(folder / "f.parquet", wild(records))
    columns = {"id": "docid", "values": "emb", "metadata": ["color", "price", "stock", "sale", "tags"]}
    last = start(index, f"file://{folder}", columns=columns)
    assert (last["status"], last["recordsImported"]) == ("Completed", 300), last.get("error")
    check(index, records)
    wrong = start(index, f"file://{folder}", columns={"id": "docid", "values": "vec"})
    assert wrong["status"] == "Failed"
    assert 'lacks the column "vec" (list of float, mapped to "values")' in wrong["error"]
    assert "start the import with" not in wrong["error"]
    for fields, message in [
        ({"columns": {"vector": "emb"}}, "unknown field"),
        ({"columns": {"id": "a"}, "idPrefix": "b"}, "both given"),
        ({"columns": {"metadata": []}}, "0 names"),
    ]:
        code, body = harness.failure(f"{index.host}/bulk/imports", {"uri": "file:///x"} | fields)
        assert code == 400 and message in json.dumps(body), body


def test_one_format_an_import(new_index, folder):
    index, records = new_index(DIMENSION), data.make(1, 100, DIMENSION)
    np.save(folder / "e.npy", records.values)
    (folder / "f.jsonl").write_bytes(json_lines(records))
    mixed = start(index, f"file://{folder}")
    assert mixed["status"] == "Failed" and "several formats" in mixed["error"]
    chosen = start(index, f"file://{folder}/*.jsonl")
    assert (chosen["status"], chosen["recordsImported"]) == ("Completed", 100), chosen
    data.write(folder / "g.parquet", data.make(2, 50, DIMENSION, "g"))
    beside = start(index, f"file://{folder}")
    assert (beside["status"], beside["recordsImported"]) == ("Completed", 50), beside
    assert any("ignored 2 files" in warning for warning in beside["warnings"])


@pytest.mark.parametrize(
    "point", ["import.planned:1", "import.batch_decoded:2", "import.commit_after:2"]
)
def test_a_mapped_import_of_lines_survives_a_kill(source, tmp_path, point):
    folder, records = source / "killed-lines", data.make(3, 3_000, DIMENSION)
    lines = [
        {"_id": id_, "emb": values.tolist(), **metadata}
        for id_, values, metadata in zip(records.ids, records.values, records.metadata)
    ]
    text = [json.dumps(line) for line in lines]
    # A bad line and a blank one in each file, and files of every packing.
    parts = [text[:1_000], text[1_000:2_000], text[2_000:]]
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(parts):
        content = "\n".join(part[:500] + ["", '{"_id": "bad", "emb": "?"}'] + part[500:]).encode()
        (folder / f"{number}.jsonl").write_bytes(content)
    shutil.move(folder / "1.jsonl", folder / "1.raw")
    (folder / "1.jsonl.gz").write_bytes(gzip.compress((folder / "1.raw").read_bytes()))
    (folder / "1.raw").unlink()
    columns = {"id": "_id", "values": "emb", "metadata": list(records.metadata[0])}
    server = harness.Server(
        tmp_path / "data",
        "--allow-import-dir",
        str(source),
        environment={"CROSSBILL_IMPORT_TASK_ROWS": "600"},
    )
    with server:
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": "kills", "dimension": DIMENSION, "metric": "cosine", "spec": spec}
        request(f"{server.url}/indexes", body)
        server.stop()
        server.start(CROSSBILL_KILL_AT=point)
        try:
            start_body = {"uri": f"file://{folder}", "columns": columns}
            request(f"{server.index_url('kills')}/bulk/imports", start_body)
        except OSError:
            pass
        harness.wait_for(lambda: server.process.poll() is not None, 60, "kill")
        server.start()
        host = server.index_url("kills")
        last = harness.wait_for(
            lambda: (one := request(f"{host}/bulk/imports/1")) and "finishedAt" in one and one,
            120,
            "end of the import",
        )
        counts = [last[name] for name in ("status", "recordsImported", "recordsRejected")]
        assert counts == ["Completed", 3_000, 3], last
        rejected = request(f"{host}/bulk/imports/1/rejects")["data"]
        places = [(one["file"], one["row"], "line 502" in one["message"]) for one in rejected]
        names = ["0.jsonl", "1.jsonl.gz", "2.jsonl"]
        assert places == [(name, 500, True) for name in names], rejected
        from conftest import client

        check(client(server).index("kills"), records)


def test_polars_frames_as_arrow(new_index, folder):
    """What Polars writes: strings as views, lists as large lists."""
    python = harness.REPOSITORY / ".venvs" / "writers" / "bin" / "python"
    script = (
        "import polars as pl, sys; n = range(200);"
        "pl.DataFrame({'id': [f'p{i}' for i in n],"
        " 'values': pl.Series([[i + 1.0] * 8 for i in n], dtype=pl.Array(pl.Float32, 8)),"
        " 'metadata': [f'{{\"n\": {i}}}' for i in n]}).write_ipc(sys.argv[1], compression='lz4')"
    )
    subprocess.run([str(python), "-c", script, str(folder / "f.arrow")], check=True)
    index = new_index(DIMENSION, "euclidean")
    last = start(index, f"file://{folder}")
    assert (last["status"], last["recordsImported"]) == ("Completed", 200), last
    found = index.fetch(ids=["p7"]).vectors["p7"]
    assert found.values == [8.0] * 8 and found.metadata == {"n": 7}
