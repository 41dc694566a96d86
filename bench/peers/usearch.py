"""USearch in process: a graph over vectors of the type that the variant names (f32, bf16), with its
own defaults otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from usearch.index import Index

from harness import STEPS, BasePeer

CONNECTIVITY = 16
EXPANSION_ADD = 128


class Peer(BasePeer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.path = str(self.work / "index.usearch")
        self.index = Index(
            ndim=self.data.dimension,
            metric="cos" if self.data.metric == "cosine" else "l2sq",
            dtype=self.variant,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
        )

    def versions(self) -> dict[str, str]:
        return {"usearch": version("usearch")}

    def settings(self) -> str:
        return f"{self.variant}, connectivity={CONNECTIVITY}, expansion_add={EXPANSION_ADD}"

    def build(self) -> dict[str, float]:
        row = 0
        for batch in self.data.batches():
            keys = np.arange(row, row + len(batch), dtype=np.uint64)
            self.index.add(keys, self.data.vectors(batch), threads=self.threads)
            row += len(batch)
        began = time.perf_counter()
        self.index.save(self.path)
        return {"save": time.perf_counter() - began}

    def open(self) -> None:
        self.index.load(self.path)

    def ladders(self, k: int) -> list[list[Any]]:
        return [[k, *(width for width in STEPS if width > k)]]

    def searcher(self, param: Any, k: int) -> Callable[[np.ndarray], Any]:
        self.index.expansion_search = param
        ask = self.index.search
        return lambda query: ask(query, k, threads=1).keys
