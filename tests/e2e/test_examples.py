"""The programs in examples/ run as they stand."""

from __future__ import annotations

import subprocess
import sys

import data
from harness import REPOSITORY, clean_environment


def test_quickstart(server, source, pc):
    data.write(source / "quick" / "shoes" / "f.parquet", data.make(1, 500, 32))
    ended = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "examples" / "quickstart.py"),
            f"file://{source}/quick",
            "32",
        ],
        env=clean_environment() | {"PINECONE_CONTROLLER_HOST": server.url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Completed: 100.0 %, 500 records" in ended.stdout
    assert "namespace 'shoes': 500 records" in ended.stdout
    assert "1.0000  r0000000" in ended.stdout
    pc.delete_index("product-search")
