"""Crossbill in process: the database of the server without the server, through its public API. The
module is built from bench/inprocess of this tree. Variants say how full vectors are kept; without
one they are kept as f32."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import numpy as np

import segments
from harness import BasePeer

RECALLS = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96]
RECALLS += [0.97, 0.975, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999]
# The server's own default is a quarter of the machine's memory.
MEMORY_PART = 4


def load() -> Any:
    """The module, from where cargo leaves it."""
    path = os.environ["CROSSBILL_BENCH_MODULE"]
    loader = ExtensionFileLoader("crossbill_bench", path)
    module = module_from_spec(spec_from_loader("crossbill_bench", loader))
    loader.exec_module(module)
    return module


class Peer(BasePeer):
    filters = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.module = load()
        self.folder = self.work / "data"
        self.store: Any = None
        self.open_threads = 0
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.memory = int(os.environ.get("CROSSBILL_BENCH_MEMORY", installed // MEMORY_PART))

    def versions(self) -> dict[str, str]:
        return {"crossbill": f"{self.module.VERSION} ({os.environ['CROSSBILL_BENCH_COMMIT']})"}

    def settings(self) -> str:
        kept = f"vectors as {self.variant}" if self.variant else "defaults"
        return f"{kept}; memory limit {self.memory >> 20} MiB"

    def build(self) -> dict[str, float]:
        self.use(self.threads)
        self.store.create(self.data.dimension, self.data.metric, self.variant or "f32")
        done = self.store.import_from(Path(self.data.source).resolve().as_uri())
        if done.records != self.data.rows:
            raise ValueError(f"imported {done.records} records, expected {self.data.rows}")
        return {}

    def open(self) -> None:
        self.use(self.threads)

    def use(self, threads: int) -> None:
        """Opens with so many threads: one query may be spread over all that the database has."""
        if threads != self.open_threads:
            self.close()
            self.store = self.module.Store(str(self.folder), threads, self.memory)
            self.open_threads = threads

    def ladders(self, k: int) -> list[list[Any]]:
        return [RECALLS]

    def set_threads(self, threads: int) -> None:
        self.use(threads)

    def searcher(self, param: Any, k: int, below: int | None = None) -> Callable[[np.ndarray], Any]:
        search = self.store.search
        wanted = None if below is None else json.dumps({"bucket": {"$lt": below}})
        return lambda query: search(query.tobytes(), k, param, None, wanted)

    def disk_parts(self) -> dict[str, int]:
        return segments.parts(self.folder)

    def explain(self, param: Any, k: int) -> dict[str, float]:
        works = [self.store.stats(query.tobytes(), k, param) for query in self.data.queries[:200]]
        names = ["cells", "codes", "reranked", "segments"]
        return {name: float(np.mean([getattr(work, name) for work in works])) for name in names}

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store, self.open_threads = None, 0
