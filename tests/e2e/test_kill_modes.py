"""Seeded kills of imports whose records are seen all at once: `--atomic` and `--mode replace`.

1. A namespace holds records. An import of more of them is ended by SIGKILL at a drawn point of the
   code.
2. Whoever looks then sees the old records or all new ones, never some of them.
3. The same command goes on and completes. The content is that of an import that nothing
   disturbed, and the tables exported of it are the same byte for byte, with 1 worker and with 16,
   killed or not.

A seed that fails prints itself: `SEED=17 pytest tests/e2e/test_kill_modes.py` runs it alone.
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
from test_kill_seeds import content

pytestmark = pytest.mark.once

DIMENSION = 4
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(24)
MODES = {"atomic": ["--atomic"], "replace": ["--mode", "replace"], "upsert": []}
TASKS = 10
POINTS = {
    "import.planned": 1,
    "import.task_started": TASKS,
    "import.part_published": TASKS,
    "import.commit_before": TASKS,
    "import.commit_after": TASKS,
    "manifest.put_before": TASKS + 4,
    "manifest.put_after": TASKS + 4,
    "import.publish_decided": 1,
    "import.published": 2,
    "import.finish_before": 1,
    "import.finish_after": 1,
    "import.manifest_entries": 1,
    "sweep.before_delete": 1,
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory, source):
    """The source, an index with old records, and the tables of imports that nothing disturbed."""
    folder, place = source / "kill-modes", tmp_path_factory.mktemp("kill-modes")
    old = place / "old"
    for name in ("a", "b"):
        data.write(old / name / "1.parquet", data.make(ord(name) + 50, 300, DIMENSION, "old"))
        first = data.make(ord(name), 600, DIMENSION)
        second = data.make(ord(name) + 100, 400, DIMENSION)
        second.ids = [f"r{row:07d}" for row in range(500, 900)]  # 100 of them replace others
        data.write(folder / name / "1.parquet", first, rows_per_group=200)
        data.write(folder / name / "2.parquet", second, rows_per_group=200)
    template = place / "data"
    where = ["--data", str(template)]
    flags = ["--create", "--dimension", str(DIMENSION), "--metric", "euclidean"]
    assert run("import", str(old), "--index", "kills", *flags, *where).returncode == 0
    expected, seen = {}, {"old": records(where)}
    for mode in MODES:
        for workers in ("1", "16"):
            copy = place / f"{mode}-{workers}"
            shutil.copytree(template, copy)
            ended = load(folder, mode, ["--data", str(copy)], CROSSBILL_IMPORT_WORKERS=workers)
            assert ended.returncode == 0, ended.stderr
            found = tables(place, ["--data", str(copy)])
            assert expected.setdefault(mode, found) == found, f"{mode} with {workers} workers"
            seen[mode] = records(["--data", str(copy)])
    assert expected["atomic"] == expected["upsert"] != expected["replace"]
    assert [len(seen[name]["a"]) for name in ("old", "replace", "atomic")] == [300, 900, 1_200]
    return folder, template, expected, seen


def load(folder, mode, where, **environment):
    return run(
        "import", str(folder), "--index", "kills", "--json", *MODES[mode], *where,
        CROSSBILL_IMPORT_TASK_ROWS="200", **environment,
    )  # fmt: skip


def tables(place, where):
    """What an export writes, by file."""
    out = place / "out"
    shutil.rmtree(out, ignore_errors=True)
    ended = run("export", str(out), "--index", "kills", *where)
    assert ended.returncode == 0, ended.stderr
    return {str(path.relative_to(out)): path.read_bytes() for path in out.glob("*/*.parquet")}


def records(where):
    """What can be queried, by namespace. The unfinished import does not go on by this."""
    return {name: content(where, name) for name in ("a", "b")}


def newest(where):
    return json.loads(run("imports", "list", "--index", "kills", "--json", *where).stdout)["data"][0]


def kill_and_recover(seed, scene, place):
    """Whether the kill took place."""
    folder, _, expected, whole = scene
    where = ["--data", str(place / "data")]
    draw = random.Random(f"kill-modes/{seed}")
    mode = ["atomic", "replace"][seed % 2]
    point, passes = draw.choice(list(POINTS.items()))
    killed = load(
        folder, mode, where,
        CROSSBILL_KILL_AT=f"{point}:{draw.randint(1, passes)}",
        CROSSBILL_IMPORT_WORKERS=draw.choice(["1", "2", "16"]),
    )  # fmt: skip
    was_killed = killed.returncode == -signal.SIGKILL
    assert was_killed or killed.returncode == 0, killed.stderr
    seen = records(where)
    for name, found in seen.items():
        assert found in (whole["old"][name], whole[mode][name]), f"{name}, killed at {point}"
    last = newest(where)
    ends = "cancel" if draw.random() < 0.25 else "complete"
    if last["id"] == "2" and "finishedAt" not in last and ends == "cancel":
        run("imports", "cancel", "2", "--index", "kills", *where)
        if newest(where)["status"] == "Cancelled":
            assert seen == whole["old"] == records(where), f"killed at {point}"
            assert newest(where)["recordsImported"] == 0
            return was_killed
    if last["id"] != "2" or "finishedAt" not in last:
        assert load(folder, mode, where).returncode == 0
    last = newest(where)
    assert (last["id"], last["status"]) == ("2", "Completed"), f"killed at {point}"
    counts = [last[f"records{name}"] for name in ("Read", "Imported", "Superseded", "Rejected")]
    assert counts == [2_000, 1_800, 200, 0], f"killed at {point}"
    assert tables(place, where) == expected[mode], f"killed at {point}"
    shown = run("imports", "manifest", "2", "--index", "kills", "--json", *where)
    told = json.loads(shown.stdout)
    assert (told["settings"]["mode"], told["settings"]["atomic"]) == (
        "replace" if mode == "replace" else "upsert",
        mode == "atomic",
    )
    assert told["counts"]["imported"] == 1_800
    return was_killed


def test_seeded_kills_of_imports_that_are_seen_at_once(scene, tmp_path):
    kills = 0
    for seed in SEEDS:
        shutil.copytree(scene[1], tmp_path / "data")
        try:
            kills += kill_and_recover(seed, scene, tmp_path)
        except AssertionError as error:
            raise AssertionError(f"SEED={seed}: {error}") from error
        shutil.rmtree(tmp_path / "data")
    assert kills >= len(SEEDS) * 0.8, f"only {kills} of {len(SEEDS)} were killed"
