"""kill -9 in the middle of an import of JSON lines into an index of documents.

The server is ended at a named point of the code, or at a random time, and started again; the import
goes on by itself. In the end every document is there once, whole, as the source's order gives it;
the counts add up; each word finds the documents that have it, once, with the scores of BM25 over
all of them; sparse vectors find theirs.

Random times come from SEED (default 1), which is printed.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import shutil
import time

import pytest

from harness import Server, request
from test_documents import bm25
from test_kill import end_of_import, start_import, wait_for_kill

pytestmark = pytest.mark.once

SEED = int(os.environ.get("SEED", "1"))
NAME = "kills"
SCHEMA = {
    "fields": {
        "embedding": {"type": "dense_vector", "dimension": 4, "metric": "cosine"},
        "terms": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {}},
        "body": {"type": "string", "full_text_search": {"language": "en", "stemming": True}},
    }
}
NAMESPACES, LINES, AGAIN, BAD = 3, 500, 60, 12
WORDS = [f"word{number}" for number in range(40)]
POINTS = [
    "import.planned:1",
    "import.task_started:2",
    "import.batch_decoded:3",
    "import.rejects_written:2",
    "import.segment_built:1",
    "import.segment_built:4",
    "import.part_published:3",
    "import.commit_before:2",
    "import.commit_after:2",
    "import.commit_after:5",
    "import.finish_before:1",
    "manifest.put_before:3",
    "manifest.put_after:3",
]


def document(rng: random.Random, id_: str) -> dict:
    made = {
        "_id": id_,
        "embedding": [rng.randint(1, 99) / 4 for _ in range(4)],
        "title": " ".join(rng.choices(WORDS, k=rng.randint(1, 12))),
        "year": rng.randint(1990, 2030),
    }
    if rng.random() < 0.7:
        made["terms"] = {"indices": [rng.randint(0, 9), 10 + rng.randint(0, 9)], "values": [1.0, 0.5]}
    if rng.random() < 0.8:
        made["body"] = f"Running {made['title']}, and the {id_}"
    return made


@pytest.fixture(scope="module")
def scene(tmp_path_factory, source):
    """The source, its documents by namespace, and a data directory with an empty index."""
    folder, expected = source / "kill-documents", {}
    for number in range(NAMESPACES):
        rng, name = random.Random(number), f"ns{number}"
        files = [
            [document(rng, f"d{row:04d}") for row in range(LINES)],
            # Some of them come again and replace those before.
            [document(rng, f"d{row:04d}") for row in range(LINES - AGAIN, 2 * LINES - AGAIN)],
        ]
        expected[name] = {one["_id"]: one for file in files for one in file}
        (folder / name).mkdir(parents=True)
        for at, file in enumerate(files):
            lines = [json.dumps(one) for one in file]
            for bad in range(BAD):
                lines.insert(bad * 20, json.dumps(document(rng, f"bad{bad}") | {"title": 7}))
            text = "".join(f"{line}\n" for line in lines).encode()
            if at == 0:
                (folder / name / "0.jsonl").write_bytes(text)
            else:
                (folder / name / "1.jsonl.gz").write_bytes(gzip.compress(text))
    template = tmp_path_factory.mktemp("kill-documents") / "data"
    with Server(template) as server:
        request(f"{server.url}/indexes", {"name": NAME, "schema": SCHEMA})
        assert server.stop() == 0
    return folder, expected, template


@pytest.fixture
def server(scene, source, tmp_path):
    """A server over a fresh copy of the empty index; small tasks, so that an import has many."""
    shutil.copytree(scene[2], tmp_path / "data")
    flags = ["--allow-import-dir", str(source)]
    server = Server(tmp_path / "data", *flags, environment={"CROSSBILL_IMPORT_TASK_ROWS": "300"})
    yield server
    if server.alive():
        server.kill()
    shutil.rmtree(tmp_path / "data")


def call(server: Server, namespace: str, name: str, body: dict) -> dict:
    return request(f"{server.index_url(NAME)}/namespaces/{namespace}/documents/{name}", body)


def content(server: Server, namespace: str) -> dict[str, dict]:
    """Every document by the ids that a listing gives."""
    found: dict[str, dict] = {}
    body: dict = {"limit": 100}
    while True:
        page = call(server, namespace, "list", body)
        ids = [one["_id"] for one in page["documents"]]
        assert not set(ids) & set(found), "an id is listed twice"
        got = call(server, namespace, "fetch", {"ids": ids})["documents"] if ids else {}
        assert sorted(got) == sorted(ids)
        found |= got
        if "pagination" not in page:
            return found
        body = {"pagination_token": page["pagination"]["next"]}


def check(server: Server, expected: dict[str, dict[str, dict]]) -> None:
    """Everything is there exactly once, and is found."""
    last = end_of_import(server)
    assert last["status"] == "Completed", last
    counts = {
        name: last[f"records{name}"] for name in ("Read", "Imported", "Superseded", "Rejected")
    }
    assert counts == {
        "Read": NAMESPACES * 2 * (LINES + BAD),
        "Imported": NAMESPACES * (2 * LINES - AGAIN),
        "Superseded": NAMESPACES * AGAIN,
        "Rejected": NAMESPACES * 2 * BAD,
    }
    stats = request(f"{server.index_url(NAME)}/describe_index_stats", {})
    assert stats["totalVectorCount"] == NAMESPACES * (2 * LINES - AGAIN)
    for namespace, documents in expected.items():
        assert content(server, namespace) == documents
        for word in (WORDS[3], "running d0441"):
            for field in ("title", "body"):
                check_word(server, namespace, documents, field, word)
        sparse = {
            "type": "sparse_vector",
            "fields": ["terms"],
            "sparse_values": {"indices": [3, 14], "values": [1.0, 4.0]},
        }
        body = {"score_by": [sparse], "top_k": 10_000}
        found = [one["_id"] for one in call(server, namespace, "search", body)["matches"]]
        has = lambda one: set(one.get("terms", {}).get("indices", [])) & {3, 14}  # noqa: E731
        assert sorted(found) == sorted(id_ for id_, one in documents.items() if has(one))


def check_word(server, namespace, documents, field, word) -> None:
    by = {"type": "text", "fields": [field], "query": word}
    answer = call(server, namespace, "search", {"score_by": [by], "top_k": 10_000})["matches"]
    found = {one["_id"]: one["_score"] for one in answer}
    assert len(found) == len(answer), "a document is found twice"
    # A field that is absent is a text without words.
    texts = {id_: one.get(field, "") for id_, one in documents.items()}
    if field == "body":
        texts = {id_: text.replace("Running", "run") for id_, text in texts.items()}
        word = word.replace("running", "run")
    scores = bm25(word, texts)
    assert found.keys() == scores.keys()
    assert all(math.isclose(found[id_], scores[id_], rel_tol=1e-4) for id_ in scores)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(scene, server, point):
    folder, expected, _ = scene
    server.start(CROSSBILL_KILL_AT=point)
    start_import(server, f"file://{folder}")
    wait_for_kill(server)
    server.start()
    check(server, expected)


@pytest.mark.parametrize("run", range(4))
def test_killed_at_random_times(scene, server, run):
    folder, expected, _ = scene
    print(f"SEED={SEED}")
    random_ = random.Random(f"{SEED}/{run}")
    server.start()
    assert start_import(server, f"file://{folder}")
    for _ in range(random_.randint(1, 3)):
        time.sleep(random_.uniform(0, 0.3))
        server.kill()
        server.start()
    check(server, expected)
