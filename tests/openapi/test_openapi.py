"""The server against its own OpenAPI document, by schemathesis: what the document allows and what
it does not is sent to a server with records in it, and every answer must be one that it promises.

A minute or so for each plane. `CROSSBILL_OPENAPI_EXAMPLES=500` makes the long run: so many requests
for each operation and phase.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from collections.abc import Iterator

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))

from harness import Server, request, wait_for  # noqa: E402

SCHEMATHESIS = REPOSITORY / ".venvs" / "schemathesis" / "bin" / "schemathesis"
CONFIG = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = int(os.environ.get("CROSSBILL_OPENAPI_EXAMPLES", "15"))
SECONDS_MAX = 3600 if EXAMPLES > 100 else 600
SEED = 20261128
DIMENSION = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with records, an import, an export and a backup in it."""
    source, exports, key = tmp_path / "source", tmp_path / "exports", tmp_path / "key"
    exports.mkdir()
    key.write_text("local\n")
    write_source(source)
    flags = ["--allow-import-dir", source, "--allow-export-dir", exports, "--api-key-file", key]
    with Server(tmp_path / "data", *map(str, flags)) as server:
        fill(server, source, exports)
        yield server
        assert server.alive(), f"the server ended:\n{server.log_tail()}"
        log = server.log.read_text(errors="replace")
        assert "panicked" not in log, server.log_tail(60)


def write_source(folder: Path) -> None:
    """A Parquet file; the one record that is wrong is rejected."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    columns = {
        "id": [f"r{row}" for row in range(50)],
        "values": pa.array([[1.0, float(row), 0.5] for row in range(49)] + [[1.0]], pa.list_(pa.float32())),
        "metadata": [json.dumps({"row": row, "even": row % 2 == 0}) for row in range(50)],
    }
    pq.write_table(pa.table(columns), folder / "records.parquet")


def fill(server: Server, source: Path, exports: Path) -> None:
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    made = request(
        f"{server.url}/indexes", {"name": "records", "dimension": DIMENSION, "spec": spec}
    )
    host = made["host"]
    vectors = [
        {"id": f"v{n}", "values": [0.1, 0.2, n], "metadata": {"n": n, "kind": "x"}}
        for n in range(1, 31)
    ]
    for namespace in ("", "other"):
        request(f"{host}/vectors/upsert", {"vectors": vectors, "namespace": namespace})
    started = request(f"{host}/bulk/imports", {"uri": f"file://{source}"})
    ended(f"{host}/bulk/imports/{started['id']}")
    started = request(f"{host}/bulk/exports", {"uri": f"file://{exports}/first"})
    ended(f"{host}/bulk/exports/{started['id']}")
    request(f"{server.url}/indexes/records/backups", {"name": "first"})
    spec = {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1"}}
    request(f"{server.url}/indexes", {"name": "pods", "dimension": DIMENSION, "spec": spec})
    request(f"{server.url}/collections", {"name": "copy", "source": "pods"})


def ended(url: str) -> None:
    status = wait_for(
        lambda: (answer := request(url))["status"] not in ("Pending", "InProgress") and answer,
        60,
        f"end of {url}",
    )
    assert status["status"] == "Completed", status


def paths(document: dict, port: str) -> list[str]:
    """The paths of the plane whose usual address has this port; those of indexes are tried at
    their own."""
    return [
        path
        for path, item in document["paths"].items()
        if any(
            port in json.dumps(server)
            for server in item["servers"]
            if "/data/{index}" not in server["url"]
        )
    ]


def run(server: Server, url: str, port: str, tmp_path: Path) -> None:
    document = request(f"{url}/openapi.json")
    chosen = [flag for path in paths(document, port) for flag in ("--include-path", path)]
    assert len(chosen) > 20, chosen
    command = [
        str(SCHEMATHESIS),
        "--config-file",
        str(CONFIG),
        "run",
        f"{url}/openapi.json",
        "--url",
        url,
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        str(SEED),
        "--report",
        "json",
        "--report-json-path",
        str(tmp_path / "report.json"),
        *chosen,
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    print(done.stdout[-20000:], done.stderr[-5000:])
    assert done.returncode == 0, f"schemathesis ended with {done.returncode}"


def test_control_plane(server: Server, tmp_path: Path) -> None:
    run(server, server.url, "5080", tmp_path)


def test_data_plane(server: Server, tmp_path: Path) -> None:
    run(server, server.index_url("records"), "5081", tmp_path)
