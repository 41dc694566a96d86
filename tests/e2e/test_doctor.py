"""`crossbill doctor` where only the real thing will do: a disk that is full, a bucket of a real
object store, and a server that imports meanwhile."""

from __future__ import annotations

import json

import pytest

import data
import harness
from harness import Server, run, wait_for
from test_disk_full import disk  # noqa: F401  (a fixture)

pytestmark = pytest.mark.once


def doctor(folder, *flags: str, code: int) -> list[dict]:
    ran = run("doctor", "--data", str(folder), "--json", *flags)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)["checks"]


def told(checks: list[dict], name: str, status: str) -> str:
    found = [one["found"] for one in checks if (one["check"], one["status"]) == (name, status)]
    assert found, f"no {status} of {name} in {checks}"
    return "\n".join(found)


def test_a_full_disk_is_a_problem(disk):  # noqa: F811
    folder = disk / "data"
    folder.mkdir()
    flags = ("--listen", "127.0.0.1:0", "--memory-limit", "512MiB")
    checks = doctor(folder, *flags, code=1)
    told(checks, "disk", "problem")  # 64 MiB are never enough
    told(checks, "sync", "ok")
    told(checks, "file system", "warning")  # a tmpfs
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    assert "the disk is full" in told(doctor(folder, *flags, code=1), "sync", "problem")
    assert list(folder.iterdir()) == []


def test_a_scrub_beside_an_import_finds_nothing(tmp_path):
    source = tmp_path / "source"
    records = data.make(5, 20_000, 16)
    data.write(source / "r.parquet", records)
    flags = ("--allow-import-dir", str(source))
    small = {"CROSSBILL_IMPORT_TASK_ROWS": "500"}
    with Server(tmp_path / "data", *flags, environment=small) as server:
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": "busy", "dimension": 16, "metric": "euclidean", "spec": spec}
        harness.request(f"{server.url}/indexes", body)
        url = f"{server.index_url('busy')}/bulk/imports"
        ends = []
        for _ in range(3):
            id_ = harness.request(url, {"uri": f"file://{source}"})["id"]
            status = lambda: harness.request(f"{url}/{id_}")["status"]  # noqa: B023, E731
            while status() not in ("Completed", "Failed"):
                checks = doctor(tmp_path / "data", "--scrub-only", code=0)
                assert "beside the server" in told(checks, "scrub", "ok")
            ends.append(status())
        assert ends == ["Completed"] * 3
        wait_for(server.alive, 1, "server")
    checks = doctor(tmp_path / "data", "--scrub-only", code=0)
    assert "beside" not in told(checks, "scrub", "ok")
