"""What every peer's worker shares: the set on disk, the timing loops, and what the process used.

Needs numpy and pyarrow and nothing of any peer, so that it runs in each peer's own environment. It
knows no peer: a peer is the class `Peer` of a file in peers/, described in bench/README.md.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# The steps that every peer's search setting is tried in, where it counts lists or candidates: no
# peer pays for a coarser choice than another's.
STEPS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 44, 48, 56, 64, 72]
STEPS += [80, 88, 96, 112, 128, 144, 160, 176, 192, 224, 256, 288, 320, 352, 384, 448, 512, 576]
STEPS += [640, 704, 768, 896, 1024, 1280, 1536, 2048, 3072, 4096]
WARM_UP_QUERIES = 100
PASS_SECONDS_MIN = 1.0
PASS_SECONDS_MAX = 10.0
PASS_QUERIES_MIN = 200


class DataSet:
    """One prepared set: its files, its held-out queries and their exact answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta = json.loads((folder / "meta.json").read_text())
        self.rows: int = self.meta["rows"]
        self.dimension: int = self.meta["dimension"]
        self.metric: str = self.meta["metric"]
        self.source = folder / "parquet"
        self.files = sorted(self.source.glob("*.parquet"))
        self.queries = np.load(folder / "queries.npy")
        self.truth = np.load(folder / "truth_ids.npy")

    def truth_below(self, bucket: int) -> np.ndarray:
        """The exact answers of the first queries among records with a lower bucket; -1 fills up."""
        return np.load(self.folder / f"truth_below_{bucket}.npy")

    def batches(self, rows: int = 16_384) -> Iterator[pa.RecordBatch]:
        """The records in order, as batches of id, values and metadata."""
        for file in self.files:
            yield from pq.ParquetFile(file).iter_batches(batch_size=rows)

    def vectors(self, batch: pa.RecordBatch) -> np.ndarray:
        """The vectors of a batch without a copy, one row a record."""
        return batch.column("values").flatten().to_numpy().reshape(-1, self.dimension)

    def matrix(self, threads: int) -> np.ndarray:
        """All vectors in one float32 matrix, the files read by `threads` threads."""
        counts = [pq.read_metadata(file).num_rows for file in self.files]
        starts = [0, *itertools.accumulate(counts)]
        matrix = np.empty((starts[-1], self.dimension), np.float32)

        def read(number: int) -> None:
            row = starts[number]
            for batch in pq.ParquetFile(self.files[number]).iter_batches(
                batch_size=16_384, columns=["values"], use_threads=False
            ):
                matrix[row : row + len(batch)] = self.vectors(batch)
                row += len(batch)

        in_threads(read, range(len(self.files)), threads)
        return matrix


def in_threads(work: Callable[[Any], None], items: Any, threads: int) -> None:
    """Calls `work` with every item from `threads` threads; raises what one of them raised."""
    waiting, lock, errors = iter(items), threading.Lock(), []

    def run() -> None:
        try:
            while not errors:
                with lock:
                    item = next(waiting, waiting)
                if item is waiting:
                    return
                work(item)
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            errors.append(error)

    crew = [threading.Thread(target=run) for _ in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if errors:
        raise errors[0]


def normalise(matrix: np.ndarray) -> np.ndarray:
    """Scales each row to length 1 in place, block by block to need no second matrix."""
    for start in range(0, len(matrix), 65_536):
        block = matrix[start : start + 65_536]
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-30)
    return matrix


def recall(found: list[Any], truth: np.ndarray, k: int) -> float:
    """The part of the true k nearest that was found, over all queries."""
    wanted = [set(row[:k][row[:k] >= 0].tolist()) for row, _ in zip(truth, found)]
    hits = sum(len(set(map(int, ids)) & nearest) for ids, nearest in zip(found, wanted))
    return hits / sum(map(len, wanted))


class Status:
    """Memory and processor time of a process, as the kernel counts them."""

    @staticmethod
    def bytes(field: str, pid: int | str = "self") -> int:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    @staticmethod
    def cpu_seconds(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(folder: Path) -> int:
    """Bytes that the files below the folder occupy."""
    files = (file.stat() for file in folder.rglob("*") if file.is_file())
    return sum(stat.st_blocks * 512 for stat in files)


def sweep(peer: Any, data: DataSet, param: Any, k: int, seconds_max: float) -> dict[str, Any]:
    """Recall and rough cost of one setting: each query once, from one thread. A slow peer is
    asked fewer queries. Counted in processor time, which other work on the machine hardly moves."""
    peer.set_threads(1)
    search = peer.searcher(param, k)
    found, began, cpu = [], time.perf_counter(), peer.cpu_seconds()
    for query in data.queries:
        found.append(search(query))
        if time.perf_counter() - began > seconds_max and len(found) >= PASS_QUERIES_MIN:
            break
    cpu = peer.cpu_seconds() - cpu
    return {
        "param": param,
        "recall": recall(found, data.truth, k),
        "cpu_ms": cpu * 1e3 / len(found),
        "queries": len(found),
    }


def filtered(peer: Any, data: DataSet, param: Any, k: int, below: int) -> dict[str, Any]:
    """Recall and latency, from one thread, of queries for records with a bucket below `below`."""
    peer.set_threads(1)
    truth = data.truth_below(below)
    search = peer.searcher(param, k, below)
    queries = data.queries[: len(truth)]
    reached = recall([search(query) for query in queries], truth, k)
    return {"recall": reached, **timed(peer, search, queries, 1)}


def measure(peer: Any, data: DataSet, param: Any, k: int, threads: int) -> dict[str, Any]:
    """Latency of single queries and queries a second, from `threads` threads."""
    peer.set_threads(threads)
    return timed(peer, peer.searcher(param, k), data.queries, threads)


def timed(peer: Any, search: Any, queries: np.ndarray, threads: int) -> dict[str, Any]:
    """Each thread asks one query after another; over the queries again until a second has
    passed."""
    for query in queries[:WARM_UP_QUERIES]:
        search(query)
    numbers, spans, count = itertools.count(), [], len(queries)
    ready = threading.Barrier(threads + 1)

    def run() -> None:
        clock, own = time.perf_counter, []
        ready.wait()
        began = clock()
        while True:
            number = next(numbers)
            start = clock()
            asked = start - began
            if (number >= count and asked > PASS_SECONDS_MIN) or (
                number >= PASS_QUERIES_MIN and asked > PASS_SECONDS_MAX
            ):
                break
            search(queries[number % count])
            own.append(clock() - start)
        spans.append(own)

    crew = [threading.Thread(target=run) for _ in range(threads)]
    for thread in crew:
        thread.start()
    cpu = peer.cpu_seconds()
    began = time.perf_counter()
    ready.wait()
    for thread in crew:
        thread.join()
    seconds = time.perf_counter() - began
    cpu = peer.cpu_seconds() - cpu
    latencies = np.concatenate([np.array(own) for own in spans]) * 1e3
    return {
        "queries": len(latencies),
        "qps": len(latencies) / seconds,
        "p50_ms": float(np.percentile(latencies, 50)),
        "p99_ms": float(np.percentile(latencies, 99)),
        "cpu_ms": cpu * 1e3 / len(latencies),
    }


class BasePeer:
    """What a peer has unless it says otherwise. `data` is the set, `work` the folder for its
    files, `threads` how many it may use to build."""

    # Whether `searcher` takes `below`: then only records count whose metadata has a lower bucket.
    filters = False

    def __init__(self, data: DataSet, work: Path, threads: int, variant: str) -> None:
        self.data, self.work, self.threads, self.variant = data, work, threads, variant

    def versions(self) -> dict[str, str]:
        """Versions of what it is made of."""
        return {}

    def settings(self) -> str:
        """How it is built, in its own terms."""
        return ""

    def build(self) -> dict[str, float]:
        """From the Parquet files to an index that is saved below `work`; seconds of its steps."""
        raise NotImplementedError

    def open(self) -> None:
        """Opens what `build` saved."""

    def ladders(self, k: int) -> list[list[Any]]:
        """Search settings to try: lists, each from the cheapest setting to the dearest."""
        return []

    def set_threads(self, threads: int) -> None:
        """How many threads will ask at once; each query should use one."""

    def disk_parts(self) -> dict[str, int]:
        """Bytes on disk by what they are for, where its files tell."""
        return {}

    def searcher(self, param: Any, k: int) -> Callable[[np.ndarray], Any]:
        """What answers one query (float32 vector) with the row numbers of the nearest k."""
        raise NotImplementedError

    def explain(self, param: Any, k: int) -> dict[str, float]:
        """What a query costs in the peer's own terms, where it tells."""
        return {}

    def pids(self) -> list[int]:
        """Processes whose memory and time count beside this one."""
        return []

    def cpu_seconds(self) -> float:
        return time.process_time() + sum(Status.cpu_seconds(pid) for pid in self.pids())

    def close(self) -> None:
        """Ends what `open` or `build` started."""
