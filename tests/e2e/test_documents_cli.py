"""Indexes of documents from the command line, on a server and embedded: queries, exports that an import
brings back the same, and rejects that are mended and imported again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from harness import Server, failure, request, run, wait_for

pytestmark = pytest.mark.once

SCHEMA = {
    "fields": {
        "embedding": {"type": "dense_vector", "dimension": 3, "metric": "euclidean"},
        "terms": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {}},
        "body": {"type": "string", "full_text_search": {"language": "en", "stemming": True}},
    }
}
NAMESPACES = {"__default__": 300, "birds": 120}


def document(number: int) -> dict:
    made = {
        "_id": f"doc-{number:03d}",
        "embedding": [number / 8, 1.0, 0.1],
        "title": f"Title {number} of “many” \\ things\n",
        "year": 1900 + number,
        "tags": ["even" if number % 2 == 0 else "odd"],
        "seen": number % 3 == 0,
    }
    if number % 2 == 0:
        made["body"] = f"Crossbills take seeds out of {number} cones"
    if number % 5 == 0:
        made["terms"] = {"indices": [number % 7, 10 + number], "values": [1.5, 0.25]}
    return made


def create(server: Server, name: str) -> str:
    return request(f"{server.url}/indexes", {"name": name, "schema": SCHEMA})["host"]


def fill(host: str) -> None:
    for namespace, count in NAMESPACES.items():
        documents = [document(number) for number in range(count)]
        request(f"{host}/namespaces/{namespace}/documents/upsert", {"documents": documents})


def content(host: str, namespace: str) -> list[dict]:
    ids = [document(number)["_id"] for number in range(500)]
    body = {"ids": ids}
    found = request(f"{host}/namespaces/{namespace}/documents/fetch", body)["documents"]
    return [found[id_] for id_ in sorted(found)]


def lines(path: Path) -> list[dict]:
    with pa.input_stream(path, compression="zstd") as packed:
        return [json.loads(line) for line in packed.read().splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*")}


def crossbill(*arguments: str, code: int = 0) -> str:
    ended = run(*arguments)
    assert ended.returncode == code, (ended.stdout, ended.stderr)
    return ended.stdout if code == 0 else ended.stdout + ended.stderr


def test_exports_come_back_the_same(own_server, tmp_path):
    flags = ["--allow-import-dir", str(tmp_path), "--allow-export-dir", str(tmp_path)]
    server = own_server(*flags)
    host, copy = create(server, "articles"), create(server, "copy")
    fill(host)
    where, out = ["--server", server.url], tmp_path / "out"
    told = crossbill("export", f"file://{out}", "--index", "articles", *where)
    assert "420 of 420 records in 2 files" in told, told
    for namespace, count in NAMESPACES.items():
        found = lines(out / namespace / "part-000000.jsonl.zst")
        assert found == [document(number) for number in range(count)]
        assert content(host, namespace) == found
    manifest = json.loads((out / "_crossbill-export.json").read_text())
    assert manifest["documents"] == {"dense": "embedding", "sparse": "terms"}
    assert [field["name"] for field in manifest["text"]] == ["body", "title"]
    crossbill("import", f"file://{out}", "--index", "copy", *where)
    for namespace in NAMESPACES:
        assert content(copy, namespace) == content(host, namespace)
    crossbill("export", f"file://{tmp_path}/again", "--index", "copy", *where)
    assert files(tmp_path / "again") == files(out)
    assert server.stop() == 0
    embedded = ["--data", str(server.data)]
    only = ["--namespace", "birds"]
    crossbill("export", str(tmp_path / "only"), "--index", "articles", *only, *embedded)
    assert files(tmp_path / "only") == {
        name: held for name, held in files(out).items() if name.startswith("birds/")
    }


@pytest.mark.parametrize(
    "point",
    [
        "export.part_written:1",
        "export.part_recorded:1",
        "export.part_written:2",
        "export.manifest_written:1",
    ],
)
def test_an_export_that_is_killed_goes_on(point, tmp_path):
    server = Server(tmp_path / "data", "--allow-export-dir", str(tmp_path))
    server.start(CROSSBILL_KILL_AT=point)
    host = create(server, "articles")
    fill(host)
    where = ["--server", server.url]
    run("export", f"file://{tmp_path}/out", "--index", "articles", "--detach", *where)
    wait_for(lambda: server.process.poll() is not None, 60, f"kill at {point}")
    assert server.process.returncode == -signal.SIGKILL, server.log_tail()
    server.start()

    def ended():
        export = request(f"{server.index_url('articles')}/bulk/exports/1")
        return export if "finishedAt" in export else None

    export = wait_for(ended, 60, "end of the export")
    assert (export["status"], export["recordsExported"]) == ("Completed", 420), export
    for namespace, count in NAMESPACES.items():
        found = lines(tmp_path / "out" / namespace / "part-000000.jsonl.zst")
        assert found == [document(number) for number in range(count)]
    assert not list((tmp_path / "out").rglob("*.crossbill-part"))
    assert server.stop() == 0


@pytest.mark.parametrize("way", ["directory", "file"])
def test_rejects_are_mended_and_imported_again(way, own_server, source, tmp_path):
    folder = source / f"mended-documents-{way}"
    (folder / "ns").mkdir(parents=True)
    expected = [document(number) for number in range(60)]
    written = [dict(one) for one in expected]
    for one in written[:40:4]:
        one["title"] = 7
    for one in written[1:40:4]:
        one["embedding"] = [1.0]
    for one in written[2:40:4]:
        del one["embedding"]
    written[59]["embedding"] = "none"
    text = "".join(json.dumps(one) + "\n" for one in written) + "{oops\n"
    (folder / "ns" / "a.jsonl").write_text(text)
    server = own_server("--allow-import-dir", str(tmp_path))
    host = create(server, "articles")
    where = ["--index", "articles", "--server", server.url]
    crossbill("import", f"file://{folder}", *where, code=3)
    page = request(f"{host}/bulk/imports/1/rejects?records=whole&limit=100")["data"]
    assert len(page) == 32
    shown = json.loads(page[0]["record"])
    assert shown == written[0], "a refused document keeps its own names"
    mend = tmp_path / "mend"
    target = f"{mend}/" if way == "directory" else str(mend / "ns" / "some.jsonl")
    told = json.loads(crossbill("imports", "rejects", "1", "--export", target, "--json", *where))
    assert (told["rejects"], told["records"], told["unread"]) == (32, 32, 1)
    (path,) = (mend / "ns").glob("*.jsonl")
    mended = []
    for line in path.read_text().splitlines():
        one = json.loads(line)
        reasons = one["_reject"]
        assert reasons["code"].startswith("E_") and reasons["message"]
        if "record" in reasons:
            assert reasons["record"] == "{oops"
            continue
        right = expected[int(one["_id"].split("-")[1])]
        assert set(one) - {"_reject"} <= set(right), one
        wrong = [name for name in right if one.get(name) != right[name]]
        assert wrong in (["title"], ["embedding"]), wrong
        # The reasons stay: an import passes over them.
        mended.append(one | {wrong[0]: right[wrong[0]]})
    path.write_text("".join(json.dumps(one) + "\n" for one in mended))
    again = run("import", f"file://{mend}", *where)
    assert again.returncode == 0 and "imported 31" in again.stdout, again.stdout + again.stderr
    assert content(host, "ns") == expected
    crossbill("imports", "rejects", "1", "--export", str(tmp_path / "r.parquet"), *where, code=2)
    crossbill("imports", "rejects", "1", "--export", str(tmp_path / "r.csv"), *where)
    reserved = {"documents": [document(1) | {"_reject": "x"}]}
    status, answer = failure(f"{host}/namespaces/ns/documents/upsert", reserved)
    assert status == 400 and "reserved" in json.dumps(answer), answer


def test_queries(own_server, tmp_path):
    server = own_server()
    host = create(server, "articles")
    fill(host)
    crossbill("index", "create", "plain", "--dimension", "2", "--server", server.url)

    def ids(*arguments: str, where: list[str]) -> list[str]:
        query = ["query", "--index", "articles", "--json", *arguments, *where]
        return [one["_id"] for one in json.loads(crossbill(*query))["matches"]]

    def check(where: list[str]) -> None:
        dense = ["--vector", "[0.26, 1, 0.1]", "-k", "2"]
        assert ids(*dense, where=where) == ["doc-002", "doc-003"]
        odd = ["--filter", '{"tags": "odd"}']
        assert ids(*dense, *odd, where=where) == ["doc-003", "doc-001"]
        sparse = ["--sparse-vector", '{"indices": [40, 25], "values": [1, 2]}']
        assert ids(*sparse, where=where) == ["doc-015", "doc-030"]
        phrase = ["--text", 'body:"seed out of 42" OR title:77']
        assert set(ids(*phrase, where=where)) == {"doc-042", "doc-077"}
        assert ids(*phrase, "--namespace", "none", where=where) == []
        words = ["--text", "77 OR 42", "--text-field", "title", "-k", "300"]
        assert set(ids(*words, where=where)) == {"doc-042", "doc-077"}
        words = ["--text", "seed 42", "--text-field", "title", "--text-field", "body"]
        assert ids(*words, where=where)[0] == "doc-042"
        matching = ["--filter", '{"body": {"$match_phrase": "42 cone"}}']
        assert ids(*dense, *matching, where=where) == ["doc-042"]
        show = ["query", "--index", "articles", "--text", "title:42", *where]
        rank, score, id_ = crossbill(*show).splitlines()[1].split()
        assert (rank, id_) == ("1", "doc-042") and float(score) > 0
        table = crossbill(*show, "--fields", "year,embedding").splitlines()
        assert table[0].split() == ["rank", "score", "id", "fields"]
        fields = json.loads("{" + table[1].split("{", 1)[1])
        assert fields == {"embedding": [5.25, 1.0, 0.1], "year": 1942}
        table = crossbill(*show, "--include-values", "--include-metadata").splitlines()
        assert table[0].split() == ["rank", "score", "id", "values", "fields"]
        assert "[5.25, 1, 0.1]" in table[1]
        (found,) = json.loads(crossbill(*show, "--include-metadata", "--json"))["matches"]
        expected = document(42)
        del expected["embedding"]
        assert {name: found[name] for name in expected} == expected
        assert "embedding" not in found and found["_score"] > 0
        for arguments, code, message in [
            (["articles", "--id", "doc-001"], 2, "holds documents"),
            (["articles", "--text", "body:("], 1, "without a )"),
            (["articles", "--text", "a", "--vector", "[1]"], 2, "--vector"),
            (["articles", "--vector", "[1]"], 1, "dimension"),
            (["plain", "--text", "a"], 2, "holds vectors"),
            (["plain", "--vector", "[1,1]", "--fields", "a"], 2, "holds vectors"),
        ]:
            told = crossbill("query", "--index", *arguments, *where, code=code)
            assert message in told, told

    check(["--server", server.url])
    assert server.stop() == 0
    check(["--data", str(server.data)])
