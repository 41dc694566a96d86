"""hnswlib in process: a graph over full vectors, M = 16, ef_construction = 100."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import hnswlib
import numpy as np

from harness import STEPS, BasePeer

M = 16
EF_CONSTRUCTION = 100


class Peer(BasePeer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        space = "cosine" if self.data.metric == "cosine" else "l2"
        self.index = hnswlib.Index(space=space, dim=self.data.dimension)
        self.path = str(self.work / "index.bin")

    def versions(self) -> dict[str, str]:
        return {"hnswlib": version("hnswlib")}

    def settings(self) -> str:
        return f"M={M}, ef_construction={EF_CONSTRUCTION}"

    def build(self) -> dict[str, float]:
        self.index.init_index(
            max_elements=self.data.rows, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1
        )
        row = 0
        for batch in self.data.batches():
            ids = np.arange(row, row + len(batch))
            self.index.add_items(self.data.vectors(batch), ids, num_threads=self.threads)
            row += len(batch)
        began = time.perf_counter()
        self.index.save_index(self.path)
        return {"save": time.perf_counter() - began}

    def open(self) -> None:
        self.index.load_index(self.path, max_elements=self.data.rows)

    def ladders(self, k: int) -> list[list[Any]]:
        return [[k, *(ef for ef in STEPS if ef > k)]]

    def searcher(self, param: Any, k: int) -> Callable[[np.ndarray], Any]:
        self.index.set_ef(param)
        ask = self.index.knn_query
        return lambda query: ask(query, k, num_threads=1)[0][0]
