"""Makes a golden data directory: one that the binary of a release wrote, and what that binary
answered about it. Later binaries must open it and answer the same (tests/e2e/test_golden.py).

    CROSSBILL_BIN=/path/to/crossbill python3 tests/golden/make.py tests/golden/2

Needs nothing but Python. docs/upgrade.md says when a new one is due.
"""

from __future__ import annotations

import json
import lzma
import random
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import BINARY, Server, request, run, wait_for  # noqa: E402

# Below the ports that tests give to their own servers: they are stored in the directory.
PORTS_FIRST = 11_811
# More than the rows that are searched without a vector index.
INDEXED_ROWS = 20_100
SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
DOCUMENTS = {
    "fields": {
        "embedding": {"type": "dense_vector", "dimension": 3, "metric": "euclidean"},
        "terms": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {}},
        "body": {"type": "string", "full_text_search": {"language": "en", "stemming": True}},
    }
}
STORAGES = ["f32", "f16", "bf16", "int8"]
# What depends on where a server runs, and estimates that may get better.
HIDDEN = {"host", "port", "size_bytes", "phase", "recordsPerSecond", "etaSeconds"}


def server(data: Path, source: Path, *flags: str) -> Server:
    """A server whose indexes have the ports that the directory says."""
    made = Server(
        data,
        *("--allow-import-dir", str(source), "--allow-export-dir", str(data.parent)),
        *("--import-workers", "1", "--allow-endpoint", "http://127.0.0.1:9"),
        *flags,
    )
    first = str(made.ports + 1)
    # The last flag of a name does not win: the harness's own is replaced.
    plain = made.command
    made.command = lambda: [str(PORTS_FIRST) if part == first else part for part in plain()]
    return made


def data_url(running: Server, index: str) -> str:
    return f"{running.url}/data/{index}"


def post(running: Server, path: str, body: Any, method: str = "POST") -> Any:
    return request(f"{running.url}{path}", body, method)


def rows(draw: random.Random, count: int, dimension: int, prefix: str) -> list[dict[str, Any]]:
    def vector() -> list[float]:
        return [round(draw.uniform(-1, 1), 3) for _ in range(dimension)]

    return [
        {
            "id": f"{prefix}{number:05}",
            "values": vector(),
            "metadata": {"group": number % 5, "name": f"{prefix} {number}", "even": number % 2 == 0},
        }
        for number in range(count)
    ]


def write_lines(path: Path, records: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def ended(running: Server, index: str, job: str, kind: str = "imports") -> Any:
    url = f"{data_url(running, index)}/bulk/{kind}/{job}"

    def look() -> Any:
        seen = request(url)
        return seen if seen["status"] in ("Completed", "Failed", "Cancelled") else None

    return wait_for(look, 120, f"end of {kind} {job} of {index}")


def import_into(running: Server, index: str, folder: Path, **options: Any) -> str:
    body = {"uri": f"file://{folder}", **options}
    return request(f"{data_url(running, index)}/bulk/imports", body)["id"]


def fill(running: Server, source: Path) -> None:
    """Everything that a data directory may hold, by the public API."""
    draw = random.Random(7)
    for storage in STORAGES:
        name = f"dense-{storage}"
        body = {"name": name, "dimension": 8, "metric": "cosine", "spec": SPEC}
        post(running, "/indexes", body | {"vector_storage": storage, "tags": {"kept": storage}})
        url = data_url(running, name)
        request(f"{url}/vectors/upsert", {"vectors": rows(draw, 40, 8, "a")})
        # A flush, tombstones in the segment, and a namespace beside the default one.
        post(running, f"/indexes/{name}/backups", {"name": f"of-{name}", "description": "golden"})
        request(f"{url}/vectors/delete", {"ids": ["a00003", "a00011"]})
        request(f"{url}/vectors/upsert", {"vectors": rows(draw, 6, 8, "a")[4:], "namespace": "other"})
    imports(running, source, draw)
    others(running, draw)
    kept(running, source)
    # What only the logs hold.
    for name in [f"dense-{storage}" for storage in STORAGES]:
        url = data_url(running, name)
        request(f"{url}/vectors/upsert", {"vectors": rows(draw, 3, 8, "tail")})
        request(f"{url}/vectors/update", {"id": "a00005", "setMetadata": {"group": 99}})
        request(f"{url}/vectors/delete", {"filter": {"group": {"$eq": 4}}})


def imports(running: Server, source: Path, draw: random.Random) -> None:
    """Imports of every end: completed with rejects, failed, cancelled, and one that is paused."""
    bad = [{"id": "short", "values": [1.0]}, {"id": "", "values": [0.5] * 8}, {"values": [0.5] * 8}]
    write_lines(source / "good/first.jsonl", rows(draw, 30, 8, "i") + bad)
    write_lines(source / "good/second.jsonl", rows(draw, 10, 8, "i"))
    name = "dense-f32"
    ended(running, name, import_into(running, name, source / "good"))
    ended(running, name, import_into(running, name, source / "good", skipLoaded=True))
    failed = import_into(running, name, source / "good", errorMode={"onError": "abort"})
    assert ended(running, name, failed)["status"] == "Failed"
    ended(running, name, import_into(running, name, source / "good", dryRun=True))
    body = {"name": "indexed", "dimension": 2, "metric": "euclidean", "spec": SPEC}
    post(running, "/indexes", body | {"vector_storage": "int8"})
    # Few different vectors, so that the directory is small when it is packed.
    many = [
        {"id": f"n{number:05}", "values": [number % 40, number // 40 % 3]}
        for number in range(INDEXED_ROWS)
    ]
    write_lines(source / "many/n.jsonl", many)
    ended(running, "indexed", import_into(running, "indexed", source / "many"))


def paused(running: Server, source: Path, draw: random.Random) -> None:
    """An import that shows its records all at once, held in the middle: its segments are staged."""
    for number in range(150):
        write_lines(source / f"staged/waiting/{number:03}.jsonl", rows(draw, 2, 8, f"w{number}-"))
    url = f"{data_url(running, 'dense-int8')}/bulk/imports"
    id_ = import_into(running, "dense-int8", source / "staged", atomic=True)
    wait_for(lambda: request(f"{url}/{id_}").get("recordsUnderWay"), 60, "row", 0.001)
    request(f"{url}/{id_}/pause", {})

    def is_held() -> bool:
        seen = request(f"{url}/{id_}")
        assert seen["status"] == "InProgress", "it was faster than the pause"
        return seen.get("paused", False)

    wait_for(is_held, 60, "pause")


def others(running: Server, draw: random.Random) -> None:
    """Sparse, hybrid, and documents with texts."""

    def terms() -> dict[str, Any]:
        return {"indices": sorted(draw.sample(range(50), 4)), "values": [1.5, 0.5, 0.25, 2.0]}

    post(running, "/indexes", {"name": "sparse", "vector_type": "sparse", "spec": SPEC})
    vectors = [{"id": f"s{number:03}", "sparseValues": terms()} for number in range(60)]
    request(f"{data_url(running, 'sparse')}/vectors/upsert", {"vectors": vectors})
    body = {"name": "hybrid", "dimension": 4, "metric": "dotproduct", "spec": SPEC}
    post(running, "/indexes", body)
    vectors = [row | {"sparseValues": terms()} for row in rows(draw, 50, 4, "h")]
    request(f"{data_url(running, 'hybrid')}/vectors/upsert", {"vectors": vectors})
    post(running, "/indexes", {"name": "documents", "schema": DOCUMENTS})
    words = "quick brown fox lazy dog sun hill pine cone bird wood".split()
    documents = [
        {
            "_id": f"doc-{number:03}",
            "embedding": [float(number), 1.0, 0.0],
            "terms": terms(),
            "title": f"Title number {number}",
            "body": " ".join(draw.choice(words) for _ in range(12)),
            "year": 2000 + number,
        }
        for number in range(40)
    ]
    url = f"{data_url(running, 'documents')}/namespaces/__default__/documents"
    request(f"{url}/upsert", {"documents": documents})
    for name in ["sparse", "hybrid", "documents"]:
        # Makes segments of what is in memory; the backup itself is kept as well.
        post(running, f"/indexes/{name}/backups", {"name": f"of-{name}"})
    request(f"{url}/delete", {"ids": ["doc-007"]})


def kept(running: Server, source: Path) -> None:
    """Backups, restored indexes, a collection's pod, schedules, exports, integrations."""
    backups = request(f"{running.url}/indexes/dense-f32/backups")["data"]
    to = {"name": "restored"}
    post(running, f"/backups/{backups[0]['backup_id']}/create-index", to)
    schedule = {"type": "time-based", "frequency": "monthly"}
    body = {"name": "monthly", "schedule": schedule, "retention": {"expire_after_days": 3000}}
    post(running, "/indexes/dense-f16/backup-schedules", body)
    # Of an index that is gone: its parts stay for the backup.
    request(f"{running.url}/indexes/dense-bf16/backups", {"name": "outlives"})
    export = {"uri": f"file://{source.parent}/exported"}
    url = data_url(running, "dense-int8")
    ended(running, "dense-int8", request(f"{url}/bulk/exports", export)["id"], "exports")
    body = {"name": "gone", "dimension": 2, "metric": "cosine", "spec": SPEC}
    post(running, "/indexes", body)
    vectors = [{"id": "g", "values": [1.0, 2.0]}]
    request(f"{data_url(running, 'gone')}/vectors/upsert", {"vectors": vectors})
    post(running, "/indexes/gone/backups", {"name": "of-gone"})
    request(f"{running.url}/indexes/gone", method="DELETE")
    body = {"id": "minio", "kind": "s3", "endpoint": "http://127.0.0.1:9", "buckets": ["b"]}
    keys = {"access_key_id": "golden", "secret_access_key": "no-secret"}
    request(f"{running.url}/integrations", body | keys)


def clean(answer: Any) -> Any:
    """An answer without what depends on where the server runs."""
    if isinstance(answer, dict):
        if answer.get("status") == "InProgress":
            # How far it is, is counted anew after a start.
            answer = {key: answer[key] for key in ("id", "uri", "paused", "atomic")}
        return {key: clean(value) for key, value in answer.items() if key not in HIDDEN}
    if isinstance(answer, list):
        return [clean(value) for value in answer]
    if isinstance(answer, float):
        # Processors add up in their own order.
        return float(f"{answer:.5g}")
    return answer


def questions(running: Server) -> list[tuple[str, Any]]:
    """What is asked: a path, and a body where it is a POST."""
    names = sorted(index["name"] for index in request(f"{running.url}/indexes")["indexes"])
    asked: list[tuple[str, Any]] = [("/indexes", None), ("/integrations", None)]
    asked += [("/backups?limit=100", None), ("/restore-jobs", None)]
    for name in names:
        base = f"/data/{name}"
        asked += [(f"/indexes/{name}", None), (f"/indexes/{name}/backup-schedules", None)]
        asked += [(f"{base}/describe_index_stats", {}), (f"{base}/namespaces", None)]
        asked += [(f"{base}/bulk/imports", None), (f"{base}/bulk/exports", None)]
        for one in request(f"{running.url}{base}/bulk/imports")["data"]:
            asked.append((f"{base}/bulk/imports/{one['id']}", None))
            asked.append((f"{base}/bulk/imports/{one['id']}/rejects", None))
            if one["status"] != "InProgress":
                asked.append((f"{base}/bulk/imports/{one['id']}/manifest", None))
        if name.startswith(("dense", "restored")):
            ids = request(f"{running.url}{base}/vectors/list?limit=100")["vectors"]
            every = "&".join(f"ids={one['id']}" for one in ids)
            asked.append((f"{base}/vectors/list?limit=100", None))
            asked.append((f"{base}/vectors/fetch?{every}", None))
            query = {"topK": 10, "includeMetadata": True, "vector": [0.5, -0.25] * 4}
            asked.append((f"{base}/query", query))
            asked.append((f"{base}/query", query | {"filter": {"group": {"$in": [1, 99]}}}))
            asked.append((f"{base}/query", query | {"namespace": "other"}))
    asked.append(("/data/indexed/query", {"topK": 5, "id": "n00077", "includeValues": True}))
    asked.append(("/data/indexed/vectors/fetch?ids=n00001&ids=n20099", None))
    terms = {"indices": [3, 17, 29], "values": [1.0, 0.5, 2.0]}
    asked.append(("/data/sparse/query", {"topK": 10, "sparseVector": terms, "includeValues": True}))
    both = {"topK": 10, "vector": [1.0, 0.5, 0.25, 0.125], "sparseVector": terms}
    asked.append(("/data/hybrid/query", both | {"includeMetadata": True}))
    search = "/data/documents/namespaces/__default__/documents/search"
    text = {"score_by": [{"type": "text", "field": "body", "query": "foxes in the woods"}]}
    asked.append((search, text | {"top_k": 10, "include_fields": ["*"]}))
    words = {"score_by": [{"type": "query_string", "query": 'body:"brown fox" OR title:7'}]}
    asked.append((search, words | {"top_k": 10}))
    fetch = "/data/documents/namespaces/__default__/documents/fetch"
    asked.append((fetch, {"ids": ["doc-001", "doc-007", "doc-039"]}))
    return asked


def place(match: dict[str, Any]) -> tuple[float, str]:
    """Of records and of documents, which write it their own way."""
    return -match.get("score", match.get("_score", 0.0)), match.get("id", match.get("_id", ""))


def ask(running: Server, asked: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Each question and its answer, ties of a query in the order of their ids."""
    answers = []
    for path, body in asked:
        answer = clean(request(f"{running.url}{path}", body))
        if isinstance(answer, dict):
            answer.pop("usage", None)
            answer.pop("took", None)
            if isinstance(answer.get("matches"), list):
                answer["matches"].sort(key=place)
                if path == "/data/indexed/query":
                    # Many records lie at the same place: any of them is right.
                    answer["matches"] = [one["score"] for one in answer["matches"]]
        answers.append({"path": path, "body": body, "answer": answer})
    return answers


def make(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, source = Path(folder) / "data", Path(folder) / "source"
        source.mkdir()
        with server(data, source) as running:
            fill(running, source)
            running.stop()
            running.start(CROSSBILL_IMPORT_TASK_ROWS="10")
            paused(running, source, random.Random(8))
            asked = questions(running)
            before = ask(running, asked)
            # As a crash leaves it: with a tail in the logs.
            running.kill()
            running.start()
            after = ask(running, asked)
            for old, new in zip(before, after):
                assert old == new, f"a restart changed an answer: {old}, {new}"
            request(
                f"{data_url(running, 'dense-f32')}/vectors/upsert",
                {"vectors": [{"id": "tail99999", "values": [0.125] * 8}]},
            )
            answers = ask(running, questions(running))
            time.sleep(1)  # For merges: the directory is copied as it lies.
            running.kill()
        shutil.rmtree(data / "scratch")
        out.mkdir(parents=True, exist_ok=True)
        with lzma.open(out / "root.tar.xz", "wb", preset=9 | lzma.PRESET_EXTREME) as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(data, "data")
        (out / "expected.json").write_text(json.dumps(answers, indent=1) + "\n")
    print(f"{out}: {(out / 'root.tar.xz').stat().st_size} bytes of {run('--version').stdout.strip()}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not BINARY.exists():
        sys.exit(f"usage: CROSSBILL_BIN=crossbill {sys.argv[0]} DIRECTORY (binary: {BINARY})")
    make(Path(sys.argv[1]))
