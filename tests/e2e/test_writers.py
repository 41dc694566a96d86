"""Goal: the same records, as each of the tools that people have writes them, are imported alike.

Method: tests/e2e/writers.py writes one folder per case with the real libraries, in an environment
of its own; each is imported through the official client and every record is compared.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import writers
from harness import REPOSITORY, clean_environment, finished

pytestmark = pytest.mark.once
PYTHON = Path(
    os.environ.get(
        "CROSSBILL_WRITERS", REPOSITORY / ".venvs" / "writers" / "bin" / "python"
    )
)


@pytest.fixture(scope="module")
def written(source):
    """All cases, each in a folder of its own."""
    out = source / "writers"
    made = subprocess.run(
        [str(PYTHON), writers.__file__, str(out)],
        capture_output=True,
        text=True,
        timeout=600,
        env=clean_environment(),
    )
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="module")
def index(server):
    """One index for all cases: each goes to a namespace of its own."""
    from conftest import client, create

    pc = client(server)
    yield create(pc, "writers", writers.DIMENSION, "euclidean")
    pc.delete_index("writers")


@pytest.fixture(scope="module")
def imported(written, index):
    """All cases in one import, a namespace each."""
    started = index.start_import(uri=f"file://{written}", error_mode="continue")
    last = finished(lambda: index.describe_import(id=started.id))
    assert last.status == "Completed", last.error
    return last


@pytest.mark.parametrize("case", writers.CASES)
def test_what_other_tools_write_is_read_alike(imported, index, case):
    numbered = case in writers.NUMBERED
    ids = [str(row) if numbered else writers.id_of(row) for row in range(writers.ROWS)]
    found = {}
    for first in range(0, writers.ROWS, 100):
        found |= index.fetch(ids=ids[first : first + 100], namespace=case).vectors
    assert len(found) == writers.ROWS
    for row, id_ in enumerate(ids):
        record = found[id_]
        expected = None if case in writers.NO_METADATA else writers.metadata_of(row)
        assert np.array_equal(np.float32(record.values), np.float32(writers.vector_of(row)))
        assert (record.metadata or None) == expected, id_
    stats = index.describe_index_stats().namespaces[case]
    assert stats.vector_count == writers.ROWS


def test_nothing_was_refused(imported):
    assert imported.records_imported == writers.ROWS * len(writers.CASES)
