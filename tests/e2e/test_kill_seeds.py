"""One hundred seeded kills of an import, cheap enough for every run.

1. A seed draws a named point of the code (plan, read, train, build, commit, finish) and a pass of
   it. `crossbill import --data` is ended there by SIGKILL (the binary is built with the feature
   `kill-points`); now and then the recovery is killed as well.
2. The same command is given again. It goes on where the kill left off.
3. Every record is there exactly once, with the values that the source's order gives it; the
   rejects are all found; the counts are those of an import that nothing disturbed.

A seed that fails prints itself: `SEED=17 pytest tests/e2e/test_kill_seeds.py` runs it alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal

import pytest

import data
from harness import run

pytestmark = pytest.mark.once

DIMENSION = 4
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(100)
TASKS = 12
# The points in the order an import passes them, and how often at most.
POINTS = {
    "import.record_written": 1,
    "import.listed": 1,
    "import.planned": 1,
    "import.task_started": TASKS,
    "import.batch_decoded": TASKS,
    "import.build_started": TASKS,
    "import.segment_built": TASKS,
    "import.part_published": TASKS,
    "import.rejects_written": 3,
    "import.commit_before": TASKS,
    "import.commit_after": TASKS,
    "manifest.put_before": TASKS + 3,
    "manifest.put_after": TASKS + 3,
    "import.finish_before": 1,
    "import.finish_after": 1,
    "import.manifest_entries": 1,
    "import.manifest_written": 1,
}
# Behind these the import has ended: the same command would start another one.
ENDED = {"import.finish_after", "import.manifest_entries", "import.manifest_written"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory, source):
    """The source, what each namespace must hold in the end, and a directory with an empty index."""
    folder, expected = source / "kill-seeds", {}
    for name in ("a", "b"):
        first, second, _ = data.write_small(folder / name, DIMENSION)
        expected[name] = first.digests() | second.digests()
    # One row group is one task, large enough for cells to be trained.
    big = data.make(7, 21_000, DIMENSION)
    data.write(folder / "big" / "1.parquet", big, rows_per_group=30_000)
    template = tmp_path_factory.mktemp("kill-seeds") / "data"
    flags = ["--dimension", str(DIMENSION), "--metric", "euclidean", "--data", str(template)]
    assert run("index", "create", "kills", *flags).returncode == 0
    return folder, expected, big, template


def command(folder, where, **environment):
    return run(
        "import", str(folder), "--index", "kills", "--json", *where,
        CROSSBILL_IMPORT_TASK_ROWS="200", **environment,
    )  # fmt: skip


def content(where, namespace):
    flags = ["--include-values", "--include-metadata", "--top-k", "10000", "--json"]
    vector = json.dumps([0.0] * DIMENSION)
    ended = run(
        "query", "--index", "kills", "--namespace", namespace, "--vector", vector, *flags, *where
    )
    assert ended.returncode == 0, ended.stderr
    matches = json.loads(ended.stdout)["matches"]
    found = {one["id"]: data.digest(one["values"], one.get("metadata")) for one in matches}
    assert len(found) == len(matches), "an id is found twice"
    return found


def check_manifest(where, last):
    """It is there, whenever the kill came, and says what the import came to."""
    told = json.loads(run("imports", "manifest", "1", "--index", "kills", "--json", *where).stdout)
    assert told["status"] == last["status"]
    for name in ("Read", "Imported", "Superseded", "Rejected"):
        assert told["counts"][name.lower()] == last[f"records{name}"], told["counts"]
    assert sum(one["rowsRead"] for one in told["files"]) == last["recordsRead"]
    assert {one["state"] for one in told["files"]} == {"read"}
    assert told["rejects"] == [{"code": "E_DIMENSION", "records": 20, "files": 0}]
    assert told["partsTotal"] == len(told["parts"]) > 0


def kill_and_recover(seed, scene, where):
    """Whether the first kill took place; the second run must end as if none had."""
    folder, expected, big, _ = scene
    draw = random.Random(f"kill/{seed}")
    point, passes = draw.choice(list(POINTS.items()))
    killed = command(folder, where, CROSSBILL_KILL_AT=f"{point}:{draw.randint(1, passes)}")
    was_killed = killed.returncode == -signal.SIGKILL
    assert was_killed or killed.returncode == 3, killed.stderr
    if was_killed and point not in ENDED and draw.random() < 0.2:
        again, passes = draw.choice(list(POINTS.items()))
        command(folder, where, CROSSBILL_KILL_AT=f"{again}:{draw.randint(1, passes)}")
    listed = json.loads(run("imports", "list", "--index", "kills", "--json", *where).stdout)["data"]
    if not (listed and "finishedAt" in listed[0]):
        assert command(folder, where).returncode == 3
    [last] = json.loads(run("imports", "list", "--index", "kills", "--json", *where).stdout)["data"]
    assert last["status"] == "Completed", last
    counts = [last[f"records{name}"] for name in ("Read", "Imported", "Superseded", "Rejected")]
    assert counts == [23_020, 22_800, 200, 20], f"killed at {point}: {counts}"
    stats = json.loads(run("stats", "--index", "kills", "--json", *where).stdout)["namespaces"]
    assert {name: one["vectorCount"] for name, one in stats.items()} == {
        "a": 900,
        "b": 900,
        "big": 21_000,
    }
    for namespace, records in expected.items():
        assert content(where, namespace) == records, f"killed at {point}"
    digests = big.digests().items()
    assert content(where, "big").items() <= digests, f"killed at {point}"
    page = run("imports", "rejects", last["id"], "--index", "kills", "--json", *where).stdout
    places = [(one["file"], one["row"]) for one in json.loads(page)["data"]]
    assert places == [(f"{name}/3.parquet", row) for name in "ab" for row in range(10)]
    check_manifest(where, last)
    return was_killed


def test_one_hundred_seeded_kills(scene, tmp_path):
    kills = 0
    for seed in SEEDS:
        shutil.copytree(scene[3], tmp_path / "data")
        try:
            kills += kill_and_recover(seed, scene, ["--data", str(tmp_path / "data")])
        except AssertionError as error:
            raise AssertionError(f"SEED={seed}: {error}") from error
        shutil.rmtree(tmp_path / "data")
    assert kills >= len(SEEDS) * 0.9, f"only {kills} of {len(SEEDS)} were killed"
