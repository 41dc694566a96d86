"""The benchmark works: a tiny set, one round, Crossbill in process and the bare read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness import REPOSITORY, clean_environment


@pytest.mark.once
def test_self_test(tmp_path):
    command = [sys.executable, REPOSITORY / "bench" / "run", "--self-test", "--out", tmp_path]
    # What the build left and this environment: nothing is compiled, installed or drawn.
    command += ["--no-build", "--own-python", "--no-report", "--threads", "2"]
    ended = subprocess.run(
        [str(word) for word in command],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    peers = json.loads((tmp_path / "results.json").read_text())["sets"]["tiny"]["peers"]
    ours = peers["crossbill"]
    assert len(ours["builds"]) == 1
    assert len(peers["pyarrow"]["builds"]) == 1
    assert ours["builds"][0]["disk_parts"]["metadata"] > 0
    for k, threads in ((k, threads) for k in (10, 100) for threads in (1, 2)):
        found = [m for m in ours["measures"] if (m["k"], m["threads"]) == (k, threads)]
        assert found, (k, threads)
        assert all(ours["chosen"][str(k)][str(m["target"])]["recall"] >= m["target"] for m in found)
    # Few rows are left of 6,000, and all of them are to be found.
    assert {m["below"] for m in ours["filtered"]} == {500, 100, 10, 1}
    assert all(m["recall"] == 1.0 for m in ours["filtered"] if m["below"] <= 10)
