"""An import's memory is bounded by --memory-limit, whatever the size of its files.

The usual size is small enough for every run. The full one (1,000,000 x 768, 3 GB of Parquet,
in 1 GiB):

    CROSSBILL_MEMORY_ROWS=1000000 CROSSBILL_MEMORY_LIMIT_MIB=1024 \\
        ./test e2e -k test_memory
"""

from __future__ import annotations

import os
import time

import pytest

import data
from conftest import client, create
from harness import finished

pytestmark = pytest.mark.once

ROWS = int(os.environ.get("CROSSBILL_MEMORY_ROWS", "200000"))
LIMIT_MIB = int(os.environ.get("CROSSBILL_MEMORY_LIMIT_MIB", "512"))
DIMENSION, FILES = 768, 8


def test_peak_memory_of_an_import(own_server, source, tell):
    size = data.write_generated(source / "big" / "all", 1, ROWS, DIMENSION, FILES)
    server = own_server("--memory-limit", f"{LIMIT_MIB}MiB")
    index = create(client(server), "big", DIMENSION)
    began = time.monotonic()
    started = index.start_import(uri=f"file://{source}/big")
    last = finished(lambda: index.describe_import(id=started.id), seconds=3_600)
    seconds = time.monotonic() - began
    assert (last.status, last.records_imported) == ("Completed", ROWS), last.error
    peak = server.memory_peak_bytes()
    tell(
        f"{ROWS:,} x {DIMENSION} ({size / 1e9:.2f} GB in {FILES} files) imported in "
        f"{seconds:.0f} s; peak memory {peak / 2**20:.0f} MiB of {LIMIT_MIB} MiB"
    )
    assert peak <= LIMIT_MIB * 2**20
    answer = index.query(vector=[0.1] * DIMENSION, top_k=5, namespace="all")
    assert len(answer.matches) == 5
