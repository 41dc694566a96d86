"""kill -9 at named points and at random times, then a restart.

1. An import is killed at a named point of the code (the binary is built with the feature
   `kill-points`, which ends the process by SIGKILL at the n-th pass of the point that
   CROSSBILL_KILL_AT names) or at a random time. The server is started again; the import goes on by
   itself; at the end every record is there exactly once, with the values that the source's order
   gives it, and the counts add up to those of an import that nothing disturbed.
2. The same with a second kill during the recovery.
3. A stream of upserts, updates and deletes is killed. After the restart every acknowledged write is
   there, and the one request whose answer was lost happened as a whole or not at all.

Random times come from SEED (default 1), which is printed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
import urllib.error
from typing import Any

import pytest

import data
from harness import Server, request, wait_for

pytestmark = pytest.mark.once

SEED = int(os.environ.get("SEED", "1"))
DIMENSION = 16
NAMESPACES = 5
ROWS_READ = NAMESPACES * (900 + 600 + 60)
IMPORT_POINTS = [
    (point, occurrence)
    for point, occurrences in {
        "import.record_written": [1],
        "import.planned": [1],
        "import.task_started": [1, 4, 9],
        "import.batch_decoded": [1, 5, 14],
        "import.rejects_written": [1, 3, 5],
        "import.segment_built": [1, 4, 9],
        "import.part_published": [1, 4, 9],
        "import.commit_before": [1, 4, 9],
        "import.commit_after": [1, 4, 9],
        "import.finish_before": [1],
        "import.finish_after": [1],
        "manifest.put_before": [1, 6],
        "manifest.put_after": [1, 6],
    }.items()
    for occurrence in occurrences
]
DOUBLE_POINTS = [
    ("import.part_published:2", "sweep.before_delete:1"),
    ("import.commit_before:3", "import.task_started:1"),
    ("import.commit_after:3", "import.commit_before:1"),
    ("manifest.put_before:3", "manifest.put_after:1"),
]
STREAM_POINTS = [
    "wal.append_before:7",
    "wal.append_written:7",
    "wal.append_written:31",
    "wal.synced:7",
    "wal.synced:31",
    "flush.started:1",
    "flush.part_published:1",
    "flush.committed:1",
    "manifest.put_before:1",
]


def url(server: Server) -> str:
    return server.index_url("kills")


@pytest.fixture(scope="module")
def scene(tmp_path_factory, source):
    """The source, what the index must hold in the end, and a data directory with an empty index."""
    expected = {}
    for number in range(NAMESPACES):
        name, folder = f"ns{number}", source / "kills" / f"ns{number}"
        first = data.make(number, 900, DIMENSION)
        second = data.make(100 + number, 600, DIMENSION)
        second.ids = [f"r{row:07d}" for row in range(700, 1_300)]  # 200 of them replace others
        data.write(folder / "1.parquet", first, rows_per_group=200)
        data.write(folder / "2.parquet", second, rows_per_group=200)
        bad = [(f"bad{row}", [1.0] * (DIMENSION + 1), None) for row in range(10)]
        good = [(f"late{row:02d}", [float(row + 1)] * DIMENSION, None) for row in range(50)]
        data.write(folder / "3.parquet", data.rows_table(*zip(*(bad + good))), rows_per_group=30)
        expected[name] = first.digests() | second.digests()
        expected[name] |= {id_: data.digest(values, None) for id_, values, _ in good}
    template = tmp_path_factory.mktemp("template") / "data"
    with Server(template) as server:
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        index = {"name": "kills", "dimension": DIMENSION, "metric": "cosine", "spec": spec}
        request(f"{server.url}/indexes", index)
        assert server.stop() == 0
    return source / "kills", expected, template


@pytest.fixture
def server(scene, source, tmp_path):
    """A server over a fresh copy of the empty index; small tasks, so that an import has many."""
    shutil.copytree(scene[2], tmp_path / "data")
    flags = ["--allow-import-dir", str(source)]
    server = Server(tmp_path / "data", *flags, environment={"CROSSBILL_IMPORT_TASK_ROWS": "600"})
    yield server
    if server.alive():
        server.kill()
    shutil.rmtree(tmp_path / "data")


def start_import(server: Server, uri: str) -> bool:
    """Whether the start was answered; a kill may cut the answer off."""
    try:
        request(f"{url(server)}/bulk/imports", {"uri": uri})
        return True
    except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
        return False


def wait_for_kill(server: Server, seconds: float = 60) -> None:
    def killed_or_done() -> bool:
        if server.process.poll() is not None:
            return True
        try:
            listed = request(f"{url(server)}/bulk/imports")["data"]
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
            return False
        assert not listed or "finishedAt" not in listed[0], (
            "the import ended and the point was not met"
        )
        return False

    wait_for(killed_or_done, seconds, "kill", pause_seconds=0.05)
    assert server.process.returncode == -signal.SIGKILL, server.log_tail()


def end_of_import(server: Server) -> dict[str, Any]:
    """The only import, once it has ended."""
    host = url(server)

    def ended() -> dict[str, Any] | None:
        listed = request(f"{host}/bulk/imports")["data"]
        assert len(listed) == 1, listed
        return listed[0] if "finishedAt" in listed[0] else None

    return wait_for(ended, 120, "end of the import")


def content(host: str, namespace: str) -> dict[str, str]:
    """Every id that `list` gives, with a hash of the record that `fetch` gives for it."""
    found: dict[str, str] = {}
    token = ""
    while True:
        page = request(f"{host}/vectors/list?namespace={namespace}&limit=100{token}")
        ids = [one["id"] for one in page["vectors"]]
        assert not set(ids) & set(found), "an id is listed twice"
        query = "&".join(f"ids={id_}" for id_ in ids)
        records = (
            request(f"{host}/vectors/fetch?namespace={namespace}&{query}")["vectors"] if ids else {}
        )
        assert sorted(records) == sorted(ids)
        found |= {
            id_: data.digest(one["values"], one.get("metadata")) for id_, one in records.items()
        }
        if "pagination" not in page:
            return found
        token = f"&paginationToken={page['pagination']['next']}"


def check_import(server: Server, expected: dict[str, dict[str, str]]) -> None:
    """Everything is there exactly once, and the counts add up."""
    last = end_of_import(server)
    assert last["status"] == "Completed", last
    counts = {
        name: last[f"records{name}"] for name in ("Read", "Imported", "Superseded", "Rejected")
    }
    assert counts == {
        "Read": ROWS_READ,
        "Imported": NAMESPACES * 1_350,
        "Superseded": NAMESPACES * 200,
        "Rejected": NAMESPACES * 10,
    }
    host = url(server)
    stats = request(f"{host}/describe_index_stats", {})
    assert {name: one["vectorCount"] for name, one in stats["namespaces"].items()} == {
        name: len(records) for name, records in expected.items()
    }
    for namespace, records in expected.items():
        assert content(host, namespace) == records
    rejected = request(f"{host}/bulk/imports/{last['id']}/rejects?limit=100")
    assert rejected["total"] == NAMESPACES * 10
    places = [(one["file"], one["row"]) for one in rejected["data"]]
    assert places == [(f"ns{n}/3.parquet", row) for n in range(NAMESPACES) for row in range(10)]
    ids = [f"r{row:07d}" for row in range(0, 1_300, 130)]
    for id_ in ids:  # each record is its own nearest, once
        matches = request(f"{host}/query", {"id": id_, "topK": 5, "namespace": "ns0"})["matches"]
        assert [one["id"] for one in matches].count(id_) == 1 and matches[0]["id"] == id_


def test_an_import_that_nothing_disturbs(scene, server):
    folder, expected, _ = scene
    server.start()
    assert start_import(server, f"file://{folder}")
    check_import(server, expected)


@pytest.mark.parametrize(("point", "occurrence"), IMPORT_POINTS)
def test_killed_at_a_point_of_an_import(scene, server, point, occurrence):
    folder, expected, _ = scene
    server.start(CROSSBILL_KILL_AT=f"{point}:{occurrence}")
    start_import(server, f"file://{folder}")
    wait_for_kill(server)
    server.start()
    check_import(server, expected)


@pytest.fixture(scope="module")
def uploaded(scene, object_store):
    return object_store.upload(object_store.bucket("kills"), scene[0], "set")


@pytest.mark.parametrize(
    "point", ["import.planned:1", "import.batch_decoded:9", "import.commit_after:5"]
)
def test_killed_while_it_reads_from_s3(scene, server, object_store, uploaded, point):
    server.flags += object_store.server_flags()
    server.environment |= object_store.server_environment()
    server.start(CROSSBILL_KILL_AT=point)
    start_import(server, uploaded)
    wait_for_kill(server)
    server.start()
    check_import(server, scene[1])


@pytest.mark.parametrize(("first", "second"), DOUBLE_POINTS)
def test_killed_again_while_it_recovers(scene, server, first, second):
    folder, expected, _ = scene
    server.start(CROSSBILL_KILL_AT=first)
    start_import(server, f"file://{folder}")
    wait_for_kill(server)
    server.launch(CROSSBILL_KILL_AT=second)
    wait_for(lambda: server.process.poll() is not None, 60, "second kill")
    assert server.process.returncode == -signal.SIGKILL, server.log_tail()
    server.start()
    check_import(server, expected)


@pytest.mark.parametrize("run", range(8))
def test_killed_at_random_times(scene, server, run):
    folder, expected, _ = scene
    print(f"SEED={SEED}")
    random_ = random.Random(f"{SEED}/{run}")
    server.start()
    assert start_import(server, f"file://{folder}")
    for _ in range(random_.randint(1, 3)):
        time.sleep(random_.uniform(0, 0.4))
        server.kill()
        server.start()
    check_import(server, expected)


def test_killed_while_a_cancel_is_under_way(scene, server):
    folder, expected, _ = scene
    server.start()
    assert start_import(server, f"file://{folder}")
    request(f"{url(server)}/bulk/imports/1", method="DELETE")
    server.restart()
    last = end_of_import(server)
    assert last["status"] == "Cancelled", last
    stats = request(f"{url(server)}/describe_index_stats", {})
    assert stats["totalVectorCount"] == last["recordsImported"]
    for namespace, records in expected.items():
        # The import stopped in the middle: a record may be the one that a later file replaces.
        replaced = data.make(int(namespace[2:]), 900, DIMENSION).digests().items()
        assert content(url(server), namespace).items() <= records.items() | replaced


class Stream:
    """Writes to one namespace, request after request, and remembers what was acknowledged."""

    def __init__(self, host: str, seed: int):
        self.random = random.Random(seed)
        self.connection = http.client.HTTPConnection(host.removeprefix("http://"), timeout=30)
        self.acknowledged: dict[str, tuple[float, ...]] = {}
        self.in_doubt: dict[str, tuple[float, ...]] | None = None

    def send(self) -> bool:
        """One write; false once the server is gone. `in_doubt` is then the state if it happened."""
        after = dict(self.acknowledged)
        kind = self.random.random()
        if kind < 0.8 or not after:
            path, body = self.upsert(after)
        elif kind < 0.9:
            ids = self.random.sample(sorted(after), min(20, len(after)))
            path, body = "/vectors/delete", {"ids": ids, "namespace": "s"}
            for id_ in ids:
                del after[id_]
        else:
            id_ = self.random.choice(sorted(after))
            after[id_] = tuple(float(self.random.randint(1, 99)) for _ in range(DIMENSION))
            path, body = "/vectors/update", {"id": id_, "values": after[id_], "namespace": "s"}
        self.in_doubt = after
        try:
            headers = {"Content-Type": "application/json", "Api-Key": "local"}
            self.connection.request("POST", path, json.dumps(body), headers)
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status == 200, answer.status
        self.acknowledged, self.in_doubt = after, None
        return True

    def upsert(self, after: dict[str, tuple[float, ...]]) -> tuple[str, dict[str, Any]]:
        batch = {
            f"s{row:05d}": tuple(float(self.random.randint(1, 99)) for _ in range(DIMENSION))
            for row in self.random.sample(range(16_000), 500)
        }
        after |= batch
        vectors = [{"id": id_, "values": values} for id_, values in batch.items()]
        return "/vectors/upsert", {"vectors": vectors, "namespace": "s"}


def check_stream(server: Server, stream: Stream) -> None:
    found = content(url(server), "s")
    states = [stream.acknowledged] + ([stream.in_doubt] if stream.in_doubt is not None else [])
    hashed = [{id_: data.digest(values, None) for id_, values in state.items()} for state in states]
    assert found in hashed, "not the acknowledged state, nor that with the last request"
    stats = request(f"{url(server)}/describe_index_stats", {})
    assert stats["totalVectorCount"] == len(found)


@pytest.mark.parametrize("point", STREAM_POINTS)
def test_killed_at_a_point_of_an_upsert_stream(server, point):
    server.start(CROSSBILL_KILL_AT=point)
    stream = Stream(url(server), SEED)
    requests = 0
    while stream.send():
        requests += 1
        assert requests < 200, "the point was not met"
    wait_for(lambda: server.process.poll() is not None, 30, "kill")
    assert server.process.returncode == -signal.SIGKILL, server.log_tail()
    server.start()
    check_stream(server, stream)


@pytest.mark.parametrize("run", range(5))
def test_an_upsert_stream_killed_at_random_times(server, run):
    print(f"SEED={SEED}")
    random_ = random.Random(f"{SEED}/stream/{run}")
    server.start()
    stream = Stream(url(server), SEED + run)
    killer = threading.Timer(random_.uniform(0.05, 2.0), server.kill)
    killer.start()
    while stream.send():
        pass
    killer.join()
    server.start()
    check_stream(server, stream)


@pytest.mark.parametrize("point", ["catalog.commit_before:1", "catalog.commit_after:1"])
def test_killed_while_an_index_is_created(server, point):
    server.start(CROSSBILL_KILL_AT=point)
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    body = {"name": "second", "dimension": 2, "metric": "cosine", "spec": spec}
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        request(f"{server.url}/indexes", body)
    wait_for(lambda: server.process.poll() is not None, 30, "kill")
    server.start()
    names = [one["name"] for one in request(f"{server.url}/indexes")["indexes"]]
    assert names in (["kills"], ["kills", "second"])
    if "second" not in names:
        request(f"{server.url}/indexes", body)
    host = server.index_url("second")
    request(f"{host}/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2]}]})
    assert request(f"{host}/describe_index_stats", {})["totalVectorCount"] == 1
