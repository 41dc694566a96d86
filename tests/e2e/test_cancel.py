"""Forty seeded cancels of an import in all of its phases.

1. A seed draws a phase (plan, read, train, build, commit, finish), a named point of the code in it,
   and whether the cancel comes while a thread is held right there (the binary is built with the
   feature `kill-points`) or some moments after it went on.
2. The import is cancelled over REST. The very next description says Cancelled, unless the import
   had ended before.
3. What is there is exactly what the first so many rows of the source make, in order: read =
   imported + superseded + rejected, every record and reject of those rows and none of the others;
   also after the threads have ended, and after a restart. Nothing temporary is left on the disk.

No time is asserted; each seed's times stand in target/test-logs/cancel.jsonl. A seed that fails
prints itself: `SEED=17 pytest tests/e2e/test_cancel.py` runs it alone. The worst times with much
data are measured by bench/cancel.py.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

import data
import harness
from faultproxy import Fault, FaultProxy
from harness import REPOSITORY, Server, run, wait_for
from objectstore import KEY_ID, REGION, SECRET

pytestmark = pytest.mark.once

DIMENSION = 96
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(40)
REPORT = REPOSITORY / "target" / "test-logs" / "cancel.jsonl"
SMALL_TASKS, BIG_ROWS = 12, 30_000
# The points of each phase, and from which to which pass of them.
PHASES = {
    "plan": {"import.listed": (1, 1), "import.planned": (1, 1)},
    "read": {"import.task_started": (1, SMALL_TASKS + 1), "import.batch_decoded": (1, 14)},
    "train": {"import.build_started": (SMALL_TASKS - 1, SMALL_TASKS - 1)},
    "build": {"import.build_started": (1, 8), "import.segment_built": (1, 11),
              "import.part_published": (1, 11), "import.rejects_written": (1, 2)},
    "commit": {"import.commit_before": (1, 13), "manifest.put_before": (1, 15),
               "manifest.put_after": (1, 15), "import.commit_after": (1, 13)},
    "finish": {"import.finish_before": (1, 1), "import.finish_after": (1, 1)},
}  # fmt: skip


class Source:
    """The files in the order of their rows, and what the first so many rows make."""

    def __init__(self, folder):
        self.folder, self.rows, self.ends = folder, [], []
        for name in ("a", "b"):
            first, second, bad = data.write_small(folder / name, DIMENSION)
            for records in (first, second):
                self.add(name, list(records.digests().items()), 200)
            self.add(name, [(id_, None) for id_, _, _ in bad], 200)
        # One row group is one task, large enough for its training to take a while.
        big = data.make(7, BIG_ROWS, DIMENSION)
        data.write(folder / "big" / "1.parquet", big, rows_per_group=BIG_ROWS)
        self.add("big", list(big.digests().items()), BIG_ROWS)
        assert len(self.ends) == SMALL_TASKS + 1

    def add(self, namespace, rows, rows_per_task):
        for first in range(0, len(rows), rows_per_task):
            task = rows[first : first + rows_per_task]
            self.rows += [(namespace, id_, digest) for id_, digest in task]
            self.ends.append(len(self.rows))

    def after(self, read):
        """What the first rows leave: records by namespace, how many are replaced, how many bad."""
        found, rejected = {}, 0
        for namespace, id_, digest in self.rows[:read]:
            if digest is None:
                rejected += 1
            else:
                found.setdefault(namespace, {})[id_] = digest
        kept = sum(len(records) for records in found.values())
        return found, read - rejected - kept, rejected


@pytest.fixture(scope="module")
def scene(tmp_path_factory, source):
    template = tmp_path_factory.mktemp("cancel") / "data"
    flags = ["--dimension", str(DIMENSION), "--metric", "euclidean", "--data", str(template)]
    assert run("index", "create", "cancels", *flags).returncode == 0
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("")
    return Source(source / "cancels"), template


def import_threads(server):
    """The names of the threads that work for an import only."""
    names = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            continue  # It ended meanwhile.
    return [name for name in names if name.startswith("import-")]


def leftovers(server, source, read):
    """Files of tasks that are not committed, and whatever lies in the scratch space."""
    committed = sum(end <= read for end in source.ends)
    found = [path for path in (server.data / "scratch").iterdir()]
    for path in server.data.glob("indexes/*/parts/*"):
        task = re.match(r"imp-\d+-(\d+)-", path.name)
        if task and int(task[1]) >= committed:
            found.append(path)
    for path in server.data.glob("indexes/*/imports/*/rejects/*"):
        if int(path.name.split(".")[0]) >= committed:
            found.append(path)
    return found


def content(url, namespace):
    body = {"vector": [0.0] * DIMENSION, "topK": 10_000, "namespace": namespace}
    body |= {"includeValues": True, "includeMetadata": True}
    matches = harness.request(f"{url}/query", body)["matches"]
    found = {one["id"]: data.digest(one["values"], one.get("metadata")) for one in matches}
    assert len(found) == len(matches), "an id is found twice"
    return found


def check(url, source, seen):
    """The index holds what the rows that were read make, and no more."""
    names = ("Read", "Imported", "Superseded", "Rejected")
    read, *counts = [seen[f"records{name}"] for name in names]
    assert read in [0, *source.ends], f"{read} rows are no whole number of tasks"
    expected, superseded, rejected = source.after(read)
    assert counts == [sum(map(len, expected.values())), superseded, rejected], seen
    stats = harness.request(f"{url}/describe_index_stats", {})["namespaces"]
    held = {name: one["vectorCount"] for name, one in stats.items() if one["vectorCount"]}
    assert held == {name: len(records) for name, records in expected.items()}
    for namespace, records in expected.items():
        found = content(url, namespace)
        if namespace == "big":
            assert found.items() <= records.items()
        else:
            assert found == records, f"namespace {namespace}"
    page = harness.request(f"{url}/bulk/imports/{seen['id']}/rejects")
    assert page["total"] == rejected


def cancel(url, id_, held, draw):
    """Cancels it: seconds until the answer, and the description that came right after."""
    answered = {}

    def ask():
        began = time.monotonic()
        assert harness.request(f"{url}/bulk/imports/{id_}", method="DELETE") == {}
        answered["seconds"] = time.monotonic() - began
        answered["seen"] = harness.request(f"{url}/bulk/imports/{id_}")

    if held is None:
        ask()
        return answered
    # Some points are inside of what a cancel waits for: it is let go soon after.
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(draw.uniform(0.05, 0.2))
    held.unlink()
    asking.join()
    return answered


def one_cancel(seed, scene, folder):
    source, template = scene
    draw = random.Random(f"cancel/{seed}")
    phase = list(PHASES)[seed % len(PHASES)]
    point, (first, last) = draw.choice(list(PHASES[phase].items()))
    passes = draw.randint(first, last)
    shutil.copytree(template, folder / "data")
    hold = folder / "held"
    # What is there is read with one query, whose answer may be larger than the service's.
    flags = ["--allow-import-dir", str(source.folder), "--limit", "query-answer-bytes=100000000"]
    server = Server(folder / "data", *flags, environment={
        "CROSSBILL_IMPORT_TASK_ROWS": "200", "CROSSBILL_IMPORT_WORKERS": "2",
    })  # fmt: skip
    held_at = {"CROSSBILL_HOLD_AT": f"{point}:{passes}", "CROSSBILL_HOLD_FILE": str(hold)}
    with server.start(**held_at):
        url = server.index_url("cancels")
        start = {"uri": f"file://{source.folder}"}
        id_ = harness.request(f"{url}/bulk/imports", start)["id"]
        wait_for(hold.exists, 120, f"pass {passes} of {point}")
        while_held = draw.random() < 0.5
        if not while_held:
            hold.unlink()
            time.sleep(draw.uniform(0, 0.3))
        answered = cancel(url, id_, hold if while_held else None, draw)
        seen, began = answered["seen"], time.monotonic()
        assert seen["status"] in ("Cancelled", "Completed"), seen
        assert "error" not in seen
        check(url, source, seen)
        wait_for(lambda: not import_threads(server), 120, "end of the import's threads")
        wait_for(lambda: not leftovers(server, source, seen["recordsRead"]), 120, "sweep")
        stopped = time.monotonic() - began
        assert harness.request(f"{url}/bulk/imports/{id_}") == seen, "it changed after its end"
        check(url, source, seen)
        server.restart()
        url = server.index_url("cancels")
        assert harness.request(f"{url}/bulk/imports/{id_}") == seen
        check(url, source, seen)
        # Waited for: a merge of what stayed may have a file of its own there.
        wait_for(lambda: not leftovers(server, source, seen["recordsRead"]), 120, "sweep")
        if seed % 8 == 0:
            # The same again, to the end: it makes up for all that is missing.
            id_ = harness.request(f"{url}/bulk/imports", start)["id"]
            last = wait_for(
                lambda: (lambda seen: seen if "finishedAt" in seen else None)(
                    harness.request(f"{url}/bulk/imports/{id_}")
                ),
                120,
                "end of the second import",
            )
            assert (last["status"], last["recordsRead"]) == ("Completed", len(source.rows))
            check(url, source, last)
    with open(REPORT, "a") as report:
        report.write(json.dumps({
            "seed": seed, "phase": phase, "point": f"{point}:{passes}", "held": while_held,
            "status": seen["status"], "read": seen["recordsRead"],
            "answered_seconds": round(answered["seconds"], 3),
            "checked_and_stopped_seconds": round(stopped, 3),
        }) + "\n")  # fmt: skip
    return phase, answered["seconds"], seen["status"]


def test_forty_seeded_cancels_in_every_phase(scene, tmp_path, tell):
    times, cancelled = {}, 0
    for seed in SEEDS:
        try:
            phase, seconds, status = one_cancel(seed, scene, tmp_path)
        except AssertionError as error:
            raise AssertionError(f"SEED={seed}: {error}") from error
        times[phase] = max(times.get(phase, 0), seconds)
        cancelled += status == "Cancelled"
        shutil.rmtree(tmp_path / "data")
        (tmp_path / "data.log").unlink()
        (tmp_path / "held").unlink(missing_ok=True)
    assert cancelled >= len(SEEDS) // 2, f"only {cancelled} of {len(SEEDS)} were cancelled"
    worst = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in times.items())
    tell(f"longest answer to a cancel (held up to 0.2 s on purpose): {worst}")


@pytest.mark.parametrize("stalled", ["list", "footer", "data"])
def test_a_source_that_says_nothing_more_does_not_hold_a_cancel(
    stalled, own_server, object_store, tmp_path, tell
):
    folder = tmp_path / "set"
    # Large enough for its rows to be more than the end of the file that holds the footer.
    data.write_split(folder, data.make(1, 20_000, DIMENSION), files=2)
    uri = object_store.upload(object_store.bucket(f"stalls-{stalled}"), folder, "set")
    proxy = FaultProxy(object_store.url.split("//")[1])
    stalls = []

    def schedule(method, path):
        is_file = ".parquet" in path
        nth = sum(".parquet" in path for _, path, _ in proxy.seen)
        due = {"list": not is_file, "footer": is_file, "data": is_file and nth >= 2}[stalled]
        if due:
            stalls.append(path)
        return Fault("stall", part=0.3) if due else None

    proxy.start(schedule)
    flags = [f"--s3-endpoint={proxy.url}", "--s3-path-style=true", f"--s3-region={REGION}"]
    flags += [f"--s3-access-key-id={KEY_ID}", f"--s3-secret-access-key={SECRET}"]
    server = own_server(*flags, "--source-attempt-timeout=10m")
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    body = {"name": "stalls", "dimension": DIMENSION, "metric": "euclidean", "spec": spec}
    harness.request(f"{server.url}/indexes", body)
    url = server.index_url("stalls")
    id_ = harness.request(f"{url}/bulk/imports", {"uri": uri})["id"]
    wait_for(lambda: stalls, 60, "stalled request")
    began = time.monotonic()
    seen = cancel(url, id_, None, random.Random(1))["seen"]
    answered = time.monotonic() - began
    assert seen["status"] == "Cancelled" and seen["recordsRead"] == 0, seen
    wait_for(lambda: not import_threads(server), 60, "end of the import's threads")
    wait_for(lambda: not list((server.data / "scratch").iterdir()), 60, "sweep")
    took = time.monotonic() - began
    tell(f"stalled at the {stalled}: cancel answered in {answered:.2f} s, all ended in {took:.2f} s")
    # Its threads are free for others.
    proxy.start(lambda method, path: None)
    id_ = harness.request(f"{url}/bulk/imports", {"uri": uri})["id"]
    wait_for(
        lambda: harness.request(f"{url}/bulk/imports/{id_}")["status"] == "Completed",
        120,
        "end of the second import",
    )
    proxy.close()
