"""A full disk, for real: the data directory lies on a small file system of its own.

Needs the right to mount a tmpfs (root, as in most containers of CI); skipped, with the reason said,
where that is refused.
"""

from __future__ import annotations

import os
import re
import subprocess

import numpy as np
import pytest

import data
import harness
from harness import Server, wait_for

pytestmark = pytest.mark.once

DIMENSION = 256
DISK_BYTES = 64 << 20


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here, so none was filled: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def server(disk, source):
    flags = ["--allow-import-dir", str(source)]
    server = Server(disk / "data", *flags, environment={"CROSSBILL_IMPORT_TASK_ROWS": "4000"})
    # What it says must not end on the disk that is full.
    server.log = disk.parent / "server.log"
    with server.start():
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": "full", "dimension": DIMENSION, "metric": "euclidean", "spec": spec}
        harness.request(f"{server.url}/indexes", body)
        yield server
        assert "panicked" not in server.log.read_text(errors="replace"), server.log_tail(60)


class Index:
    def __init__(self, server):
        self.server, self.url = server, server.index_url("full")

    def start(self, folder):
        return harness.request(f"{self.url}/bulk/imports", {"uri": f"file://{folder}"})["id"]

    def describe(self, id_):
        return harness.request(f"{self.url}/bulk/imports/{id_}")

    def ended(self, id_):
        def seen():
            seen = self.describe(id_)
            return seen if "finishedAt" in seen else None

        return wait_for(seen, 120, "end of the import")

    def count(self):
        return harness.request(f"{self.url}/describe_index_stats", {})["totalVectorCount"]

    def nearest(self, values):
        body = {"vector": values.tolist(), "topK": 1}
        return harness.request(f"{self.url}/query", body)["matches"][0]["id"]

    def upsert(self, id_, rows=1):
        vectors = [{"id": f"{id_}{row}", "values": [0.5] * DIMENSION} for row in range(rows)]
        return harness.request(f"{self.url}/vectors/upsert", {"vectors": vectors})


def free(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(path, leave):
    """Takes the disk up to so many bytes."""
    with open(path, "wb") as filler:
        while (left := free(path.parent) - leave) > 0:
            try:
                filler.write(b"\1" * min(left, 1 << 20))
                filler.flush()
            except OSError:
                return


def parts(server):
    return [path for path in server.data.glob("indexes/*/parts/*")]


def test_an_import_that_cannot_fit_is_refused_with_both_figures(server, disk, source):
    small, big = data.make(1, 2_000, DIMENSION), data.make(2, 80_000, DIMENSION)
    data.write_split(source / "full-small", small, files=2)
    data.write_split(source / "full-big", big, files=8)
    index = Index(server)
    assert index.ended(index.start(source / "full-small"))["status"] == "Completed"
    before = free(disk)
    last = index.ended(index.start(source / "full-big"))
    assert (last["status"], last["recordsRead"]) == ("Failed", 0)
    figures = re.search(r"needs about (\d+) bytes of disk, found (\d+) free", last["error"])
    assert figures, last["error"]
    needed, found = map(int, figures.groups())
    assert needed > 80_000 * DIMENSION * 4 and needed > found
    assert abs(found - before) < 1 << 20 and abs(free(disk) - before) < 1 << 20
    assert index.count() == 2_000 and index.nearest(small.values[7]) == small.ids[7]


def test_a_disk_that_fills_up_fails_the_import_and_nothing_else(server, disk, source, tmp_path):
    first, second = data.make(1, 2_000, DIMENSION), data.make(2, 30_000, DIMENSION, "s")
    data.write_split(source / "fills-1", first, files=1)
    data.write_split(source / "fills-2", second, files=10, rows_per_group=1_000)
    index = Index(server)
    assert index.ended(index.start(source / "fills-1"))["status"] == "Completed"
    used, hold, filler = DISK_BYTES - free(disk), tmp_path / "held", disk / "filler"
    server.kill()
    server.start(CROSSBILL_HOLD_AT="import.commit_after:2", CROSSBILL_HOLD_FILE=str(hold))
    id_ = index.start(source / "fills-2")
    wait_for(hold.exists, 120, "second commit")
    fill(filler, leave=1 << 20)
    hold.unlink()
    last = index.ended(id_)
    # Both figures, and the law; what was committed before stays.
    assert last["status"] == "Failed" and "the disk is full" in last["error"], last
    figures = re.search(r"needs about (\d+) bytes of disk, found (\d+) free", last["error"])
    assert figures and int(figures[1]) > int(figures[2]), last["error"]
    read, imported = last["recordsRead"], last["recordsImported"]
    assert read == imported and imported in range(6_000, 30_000) and index.count() == 2_000 + read
    # Answers go on; a write is told why it is refused.
    fill(filler.with_name("more"), leave=0)
    assert index.nearest(first.values[7]) == first.ids[7]
    assert index.nearest(second.values[5]) == second.ids[5]
    refusals = []
    for attempt in range(200):
        try:
            index.upsert(f"u{attempt}-", 20)
        except harness.urllib.error.HTTPError as error:
            refusals.append((error.code, error.read().decode()))
            break
    assert refusals and refusals[0][0] == 507, refusals
    assert "the disk is full" in refusals[0][1], refusals
    held = index.count()
    # Killed and started while the disk is full: it answers.
    server.restart()
    assert index.count() == held and index.describe(id_) == last
    assert index.nearest(second.values[5]) == second.ids[5]
    # With room again all goes on, and what the failed import used is given back.
    for path in (filler, filler.with_name("more")):
        path.unlink()
    assert not list((server.data / "scratch").iterdir())
    committed = imported / len(second) * second.values.nbytes
    assert DISK_BYTES - free(disk) - used < 1.5 * committed + (16 << 20), parts(server)
    index.upsert("after")
    assert index.count() == held + 1
    last = index.ended(index.start(source / "fills-2"))
    assert (last["status"], last["recordsImported"]) == ("Completed", 30_000), last
    assert np.isclose(index.count(), held + 1 + 30_000 - imported)
    assert index.nearest(second.values[29_999]) == second.ids[29_999]
