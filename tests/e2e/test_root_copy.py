"""`crossbill backup-root`: the whole data directory copied while the official client writes; what
kill -9 in the middle of it leaves; and that the copy serves what was acknowledged."""

from __future__ import annotations

import json
import threading
import urllib.error
from pathlib import Path

import pytest

import data
from conftest import client, create
from harness import Server, failure, request, run, wait_for

DIMENSION = 8


def backup(server: Server, directory: Path, *flags: str, code: int = 0) -> dict:
    ran = run("backup-root", str(directory), "--server", server.url, "--json", *flags)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def scrub(directory: Path, left_over: bool = False) -> None:
    ran = run("doctor", "--data", str(directory), "--scrub-only")
    assert ran.returncode == 0, ran.stdout
    # What was just being committed is left over, as after a kill.
    assert left_over or "warning" not in ran.stdout, ran.stdout


def counts(server: Server, name: str) -> dict[str, int]:
    stats = request(f"{server.url}/data/{name}/describe_index_stats", {})
    return {key: one["vectorCount"] for key, one in stats["namespaces"].items()}


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return tmp_path / "copies"


@pytest.fixture
def server(tmp_path: Path, copies: Path) -> Server:
    source = tmp_path / "source"
    data.write(source / "n/r.parquet", data.make(5, 3000, DIMENSION))
    flags = ["--allow-export-dir", str(copies.parent), "--allow-import-dir", str(source)]
    small = {"CROSSBILL_IMPORT_TASK_ROWS": "200"}
    with Server(tmp_path / "data", *flags, environment=small) as server:
        yield server


def test_a_copy_made_while_a_client_writes_serves_all_that_was_acknowledged(server, copies):
    pc = client(server)
    index = create(pc, "busy", DIMENSION, "euclidean")
    url = f"{server.index_url('busy')}/bulk/imports"
    import_id = request(url, {"uri": f"file://{copies.parent / 'source'}"})["id"]
    pc.backups.create(index_name="busy", name="before")
    acknowledged, stop = [0], threading.Event()

    def write() -> None:
        while not stop.is_set():
            number = acknowledged[0]
            index.upsert(vectors=[(f"w{number:06}", [float(number % 97)] * DIMENSION)])
            acknowledged[0] = number + 1

    writer = threading.Thread(target=write)
    writer.start()
    made = []
    try:
        for _ in range(3):
            wait_for(lambda: acknowledged[0] > 10 * (len(made) + 1), 60, "writes")
            before = acknowledged[0]
            made.append((before, backup(server, copies)))
    finally:
        stop.set()
        writer.join()
    assert made[-1][1]["bytesReused"] > 0
    # The indexes of a copy have the ports of the original.
    assert server.stop() == 0
    for before, copy in made:
        directory = Path(copy["directory"])
        scrub(directory, left_over=True)
        twin = Server(directory, "--allow-import-dir", str(copies.parent / "source"))
        twin.log = copies.parent / "twin.log"
        with twin:
            listed = [f"w{number:06}" for number in range(before)]
            found = client(twin).index("busy").fetch(ids=listed[-50:])
            assert sorted(found.vectors) == listed[-50:]
            assert counts(twin, "busy")["__default__"] >= before
            # The import goes on in the copy, or had ended.
            imports = f"{twin.url}/data/busy/bulk/imports/{import_id}"
            ended = wait_for(
                lambda: (lambda one: one if one["status"] != "InProgress" else None)(
                    request(imports)
                ),
                60,
                "end of the import",
            )
            assert (ended["status"], ended["recordsImported"]) == ("Completed", 3000)
            assert counts(twin, "busy")["n"] == 3000
            backups = request(f"{twin.url}/backups")["data"]
            assert [one["name"] for one in backups] == ["before"]


@pytest.mark.once
@pytest.mark.parametrize(
    "point",
    ["snapshot.started:1", "copy.file_written:1", "copy.file_written:2", "copy.manifest_written:1",
     "copy.finished:1"],
)
def test_a_server_killed_in_the_middle_leaves_no_half_copy(server, copies, point):
    index = create(client(server), "killed", DIMENSION, "euclidean")
    index.upsert(vectors=[(f"r{n}", [float(n)] * DIMENSION) for n in range(50)])
    client(server).backups.create(index_name="killed")
    first = backup(server, copies)
    index.upsert(vectors=[(f"s{n}", [float(n)] * DIMENSION) for n in range(50)])
    server.kill()
    server.start(CROSSBILL_KILL_AT=point)
    try:
        request(f"{server.url}/root-copy", {"uri": f"file://{copies}"})
    except (urllib.error.URLError, ConnectionError):
        pass
    wait_for(lambda: not server.alive(), 60, f"end at {point}")
    for directory in copies.iterdir():
        if directory.name.endswith(".unfinished") and (directory / "copy-unfinished").exists():
            refused = run("stats", "--index", "killed", "--data", str(directory))
            assert refused.returncode == 1
            assert "not finished" in refused.stderr
        elif not directory.name.endswith(".unfinished"):
            scrub(directory)
    assert Path(first["directory"]).is_dir()
    server.start()
    assert list((server.data / "scratch").iterdir()) == []
    again = backup(server, copies)
    assert not list(copies.glob("*.unfinished"))
    scrub(Path(again["directory"]))
    assert server.stop() == 0
    twin = Server(Path(again["directory"]))
    twin.log = copies.parent / "twin.log"
    with twin:
        assert counts(twin, "killed") == {"__default__": 100}


@pytest.mark.once
def test_what_is_refused_and_what_is_cancelled(server, copies, tmp_path):
    assert failure(f"{server.url}/root-copy")[0] == 404
    assert failure(f"{server.url}/root-copy", {"uri": "file:///nowhere"})[0] == 403
    assert failure(f"{server.url}/root-copy", {"uri": f"file://{server.data}/x"})[0] == 403
    assert failure(f"{server.url}/root-copy", {"path": "x"})[0] == 422
    index = create(client(server), "slow", DIMENSION, "euclidean")
    index.upsert(vectors=[(f"r{n}", [float(n)] * DIMENSION) for n in range(100)])
    server.flags += ["--merge-rate", "1000"]
    server.restart()
    request(f"{server.url}/root-copy", {"uri": f"file://{copies}"})
    assert failure(f"{server.url}/root-copy", {"uri": f"file://{copies}"})[0] == 409
    ran = run("backup-root", "--cancel", "--server", server.url)
    assert ran.returncode == 0, ran.stderr
    ended = ("Cancelled", "Failed", "Completed")
    status = wait_for(
        lambda: (lambda s: s if s in ended else None)(request(f"{server.url}/root-copy")["status"]),
        30,
        "end of the copy",
    )
    assert status == "Cancelled"
    # Without a server, the same.
    server.flags = server.flags[:-2]
    assert server.stop() == 0
    ran = run("backup-root", str(copies), "--data", str(server.data), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    scrub(Path(json.loads(ran.stdout)["directory"]))
