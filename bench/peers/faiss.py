"""FAISS in process. Variants: ivfflat, ivfpqfs, ivfrabitqfs, hnsw32. The two with codes score the
best candidates again with full vectors held in the index (IndexRefineFlat)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from harness import STEPS, BasePeer, normalise

TRAINING_ROWS_A_LIST = 64
REFINE = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
CANDIDATES_MAX = 1600


class Peer(BasePeer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.cosine = self.data.metric == "cosine"
        self.index: Any = None
        self.path = str(self.work / "index.faiss")
        faiss.omp_set_num_threads(self.threads)

    def versions(self) -> dict[str, str]:
        return {"faiss-cpu": faiss.__version__, "instructions": faiss.get_compile_options().strip()}

    def settings(self) -> str:
        lists, dimension = self.lists(), self.data.dimension
        # Two dimensions a code of 4 bits where there are few, four where there are many.
        codes = dimension // 2 if dimension <= 128 else dimension // 4
        return {
            "ivfflat": f"IVF{lists},Flat",
            "ivfpqfs": f"IVF{lists},PQ{codes}x4fs,RFlat",
            "ivfrabitqfs": f"IVF{lists},RaBitQfs,RFlat",
            "hnsw32": "HNSW32",
        }[self.variant]

    def lists(self) -> int:
        rows = self.data.rows
        return next((n for most, n in ((150_000, 512), (600_000, 1024)) if rows < most), 2048)

    def build(self) -> dict[str, float]:
        marks = [time.perf_counter()]
        vectors = self.data.matrix(self.threads)
        if self.cosine:
            normalise(vectors)
        marks.append(time.perf_counter())
        metric = faiss.METRIC_INNER_PRODUCT if self.cosine else faiss.METRIC_L2
        self.index = faiss.index_factory(self.data.dimension, self.settings(), metric)
        if self.variant.startswith("ivf"):
            wanted = min(TRAINING_ROWS_A_LIST * self.lists(), len(vectors))
            chosen = np.random.default_rng(0).choice(len(vectors), wanted, replace=False)
            self.index.train(vectors[np.sort(chosen)])
        marks.append(time.perf_counter())
        self.index.add(vectors)
        marks.append(time.perf_counter())
        faiss.write_index(self.index, self.path)
        marks.append(time.perf_counter())
        names = ["read", "train", "add", "save"]
        return {name: marks[i + 1] - marks[i] for i, name in enumerate(names)}

    def open(self) -> None:
        self.index = faiss.read_index(self.path)

    def ladders(self, k: int) -> list[list[Any]]:
        probes = [p for p in STEPS if p <= self.lists()]
        match self.variant:
            case "hnsw32":
                return [[k, *(ef for ef in STEPS if ef > k)]]
            case "ivfflat":
                return [probes]
            case _:
                return [[[p, factor] for p in probes] for factor in REFINE if k * factor <= CANDIDATES_MAX]

    def set_threads(self, threads: int) -> None:
        faiss.omp_set_num_threads(1)

    def searcher(self, param: Any, k: int) -> Callable[[np.ndarray], Any]:
        inner = None
        if self.variant == "hnsw32":
            how = faiss.SearchParametersHNSW(efSearch=param)
        elif self.variant == "ivfflat":
            how = faiss.SearchParametersIVF(nprobe=param)
        else:
            inner = faiss.SearchParametersIVF(nprobe=param[0])
            how = faiss.IndexRefineSearchParameters(k_factor=param[1], base_index_params=inner)
        index, cosine = self.index, self.cosine

        def search(query: np.ndarray, inner: Any = inner) -> Any:
            row = query[None]
            if cosine:
                row = row / np.linalg.norm(query)
            return index.search(row, k, params=how)[1][0]

        return search
