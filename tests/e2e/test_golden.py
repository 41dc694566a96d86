"""Data directories that earlier releases wrote (tests/golden): today's binary opens a copy of each,
answers what that release answered, finds nothing wrong with it, and goes on writing to it."""

from __future__ import annotations

import json
import lzma
import sys
import tarfile
from pathlib import Path

import pytest

from harness import REPOSITORY, Server, failure, request, run

GOLDEN = REPOSITORY / "tests" / "golden"
sys.path.insert(0, str(GOLDEN))

import make  # noqa: E402

pytestmark = pytest.mark.once
DIRECTORIES = sorted(folder.parent for folder in GOLDEN.glob("*/root.tar.xz"))


def scrub(data: Path) -> list[str]:
    """What a scrub has to say, but for that all is well."""
    ran = run("doctor", "--data", str(data), "--scrub-only", "--json")
    checks = json.loads(ran.stdout)["checks"]
    assert ran.returncode == 0, checks
    return [one["found"] for one in checks if one["status"] != "ok"]


@pytest.fixture(params=DIRECTORIES, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Server, list[dict]]:
    with lzma.open(request.param / "root.tar.xz") as packed:
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(tmp_path, filter="data")
    source = tmp_path / "source"
    source.mkdir()
    expected = json.loads((request.param / "expected.json").read_text())
    return make.server(tmp_path / "data", source), expected


def check(server: Server, expected: list[dict]) -> None:
    asked = [(one["path"], one["body"]) for one in expected]
    for found, one in zip(make.ask(server, asked), expected):
        assert found == one, one["path"]


def test_there_is_one_of_today():
    assert DIRECTORIES, "tests/golden holds no directory"


def test_a_directory_of_an_earlier_release_reads_as_it_did(golden):
    server, expected = golden
    assert scrub(server.data) == []
    with server:
        check(server, expected)
        assert server.stop() == 0
    assert scrub(server.data) == []
    with server:
        check(server, expected)


def test_a_directory_of_an_earlier_release_goes_on(golden):
    server, expected = golden
    with server:
        names = [one["name"] for one in request(f"{server.url}/indexes")["indexes"]]
        vectors = {"id": "after", "values": [0.5] * 8, "metadata": {"group": 1, "new": True}}
        dense = [name for name in names if name.startswith("dense")]
        for name in dense:
            url = make.data_url(server, name)
            request(f"{url}/vectors/upsert", {"vectors": [vectors]})
            request(f"{url}/vectors/delete", {"ids": ["a00001"]})
            # Flushes: what an old log held becomes a segment of today.
            make.post(server, f"/indexes/{name}/backups", {"name": "after"})
        documents = f"{make.data_url(server, 'documents')}/namespaces/__default__/documents"
        body = {"_id": "after", "embedding": [1.0, 2.0, 3.0], "title": "x", "body": "cranberry"}
        request(f"{documents}/upsert", {"documents": [body]})
        make.post(server, "/indexes/documents/backups", {"name": "after"})
        found = {"score_by": [{"type": "text", "field": "body", "query": "cranberry"}], "top_k": 3}
        assert [one["_id"] for one in request(f"{documents}/search", found)["matches"]] == ["after"]
        # Every old backup can still be restored, with as many records as it says.
        backups = request(f"{server.url}/backups?limit=100")["data"]
        old = [backup for backup in backups if backup.get("name") != "after"]
        assert len(old) >= 8, old
        for number, backup in enumerate(old):
            to = f"again-{number}"
            make.post(server, f"/backups/{backup['backup_id']}/create-index", {"name": to})
            stats = request(f"{make.data_url(server, to)}/describe_index_stats", {})
            assert stats["totalVectorCount"] == backup["record_count"], backup
        # The import that was held in the middle goes on, and finds its source gone.
        held = next(one for one in expected if one["answer"].get("paused"))["path"]
        make.post(server, f"{held}/resume", {})
        ended = make.ended(server, "dense-int8", held.rsplit("/", 1)[1])
        assert ended["status"] == "Failed", ended
        server.kill()
        # Killed while it tidied up after the import; the next start goes on with that.
        cut_off, unnamed = "a write that was cut off left it", "bytes that nothing refers to"
        found = scrub(server.data)
        assert all(cut_off in one or unnamed in one for one in found), found
        server.start()
        for name in dense:
            url = make.data_url(server, name)
            fetched = request(f"{url}/vectors/fetch?ids=after&ids=a00001&ids=a00002")["vectors"]
            assert sorted(fetched) == ["a00002", "after"], name
        untouched = ("/data/sparse", "/data/hybrid", "/data/indexed", "/data/restored")
        check(server, [one for one in expected if one["path"].startswith(untouched)])
        assert failure(f"{server.url}/indexes/gone")[0] == 404
    # It was killed in the middle of what it wrote at the end of the import.
    found = scrub(server.data)
    assert all(cut_off in one for one in found), found
