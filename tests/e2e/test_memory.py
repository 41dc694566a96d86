"""An import's memory is bounded by --memory-limit, whatever the size of its files; so is that of an
import of long texts, half of whose words are nowhere else.

The usual size is small enough for every run. The full one (1,000,000 x 768, 3 GB of Parquet,
in 1 GiB):

    CROSSBILL_MEMORY_ROWS=1000000 CROSSBILL_MEMORY_LIMIT_MIB=1024 \\
        ./test e2e -k test_memory
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest

import data
from conftest import client, create
from harness import finished, request, wait_for

pytestmark = pytest.mark.once

ROWS = int(os.environ.get("CROSSBILL_MEMORY_ROWS", "200000"))
LIMIT_MIB = int(os.environ.get("CROSSBILL_MEMORY_LIMIT_MIB", "512"))
DIMENSION, FILES = 768, 8
TEXTS = int(os.environ.get("CROSSBILL_MEMORY_TEXTS", "2000"))
TEXT_WORDS, COMMON_WORDS = 9_000, 20_000


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


def write_texts(folder, texts: int) -> int:
    """JSON lines of texts nearly as long as they may be: every other word is nowhere else."""
    rng, written = random.Random(3), 0
    common = [f"c{rng.randrange(16**6):x}" for _ in range(COMMON_WORDS)]
    for number in range(FILES):
        (folder / "all").mkdir(parents=True, exist_ok=True)
        with open(folder / "all" / f"part-{number}.jsonl", "w") as out:
            for row in range(texts * number // FILES, texts * (number + 1) // FILES):
                words = rng.choices(common, k=TEXT_WORDS // 2)
                words += [f"{row:x}x{word:x}" for word in range(TEXT_WORDS // 2)]
                rng.shuffle(words)
                out.write(json.dumps({"_id": f"t{row}", "body": " ".join(words), "n": row}) + "\n")
            written += out.tell()
    return written


def test_peak_memory_of_texts(own_server, source, tmp_path, tell):
    size = write_texts(source / "texts", TEXTS)
    allowed = ["--allow-export-dir", str(tmp_path)]
    server = own_server("--memory-limit", f"{LIMIT_MIB}MiB", *allowed)
    schema = {"fields": {"body": {"type": "string", "full_text_search": {}}}}
    host = request(f"{server.url}/indexes", {"name": "texts", "schema": schema})["host"]
    began = time.monotonic()

    def ended(kind: str, uri: str):
        path = f"{host}/bulk/{kind}/{request(f'{host}/bulk/{kind}', {'uri': uri})['id']}"
        done = wait_for(lambda: (seen := request(path)).get("finishedAt") and seen, 1_800, "end")
        assert done["status"] == "Completed", done
        return done

    done = ended("imports", f"file://{source}/texts")
    assert (done["recordsImported"], done["recordsRejected"]) == (TEXTS, 0), done
    seconds, peak = time.monotonic() - began, server.memory_peak_bytes()
    out = ended("exports", f"file://{tmp_path}/out")
    assert out["recordsExported"] == TEXTS
    # The export reads mapped files, whose pages count here though they can be given back.
    after = server.memory_peak_bytes()
    tell(
        f"{TEXTS:,} texts of {TEXT_WORDS:,} words ({size / 1e6:.0f} MB) imported in "
        f"{seconds:.0f} s; peak memory {peak / 2**20:.0f} MiB, with an export into "
        f"{out['filesWritten']} files {after / 2**20:.0f} MiB of {LIMIT_MIB} MiB"
    )
    assert peak <= LIMIT_MIB * 2**20
    search = f"{host}/namespaces/all/documents/search"
    for word, expected in [("7x11", ["t7"]), (f"{TEXTS - 1:x}x0", [f"t{TEXTS - 1}"])]:
        by = {"type": "query_string", "query": word}
        found = request(search, {"score_by": [by], "top_k": 10})["matches"]
        assert [one["_id"] for one in found] == expected
