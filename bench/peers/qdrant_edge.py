"""Qdrant Edge, the engine of Qdrant in process. Variants: hnsw (full vectors), hnsw_sq (8-bit codes,
scored again). One segment; metadata is stored, with an index on the field that the filtered
queries use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import qdrant_edge as qdrant

from harness import STEPS, BasePeer

M = 16
EF_CONSTRUCT = 100
BATCH = 2048
OVERSAMPLING = 2.0
# A segment of less has no graph; that of the tiny set has none.
GRAPH_FROM_KB = 1000


class Peer(BasePeer):
    filters = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.folder = self.work / "shard"
        self.shard: Any = None

    def versions(self) -> dict[str, str]:
        return {"qdrant-edge-py": version("qdrant-edge-py")}

    def settings(self) -> str:
        codes = ", int8, rescored twice as many" if self.variant == "hnsw_sq" else ""
        return f"m={M}, ef_construct={EF_CONSTRUCT}{codes}"

    def config(self) -> Any:
        cosine = self.data.metric == "cosine"
        codes = None
        if self.variant == "hnsw_sq":
            codes = qdrant.ScalarQuantizationConfig(type=qdrant.ScalarType.Int8, quantile=0.99)
        return qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(
                size=self.data.dimension,
                distance=qdrant.Distance.Cosine if cosine else qdrant.Distance.Euclid,
            ),
            hnsw_config=qdrant.HnswIndexConfig(
                m=M,
                ef_construct=EF_CONSTRUCT,
                full_scan_threshold=GRAPH_FROM_KB,
                max_indexing_threads=self.threads,
            ),
            quantization_config=codes,
            wal_enabled=False,
            optimizers=qdrant.EdgeOptimizersConfig(
                default_segment_number=1,
                max_segment_size=100_000_000,
                indexing_threshold=GRAPH_FROM_KB,
            ),
        )

    def build(self) -> dict[str, float]:
        self.folder.mkdir()
        marks = [time.perf_counter()]
        self.shard = qdrant.EdgeShard.create(str(self.folder), self.config())
        change, row = qdrant.UpdateOperation, 0
        self.shard.update(change.create_field_index("bucket", qdrant.PayloadSchemaType.Integer))
        for batch in self.data.batches(BATCH):
            vectors = self.data.vectors(batch)
            metadata = map(json.loads, batch.column("metadata").to_pylist())
            points = [
                qdrant.Point(row + place, vectors[place], fields)
                for place, fields in enumerate(metadata)
            ]
            self.shard.update(change.upsert_points(points))
            row += len(points)
        self.shard.flush()
        marks.append(time.perf_counter())
        self.shard.optimize()
        self.shard.flush()
        marks.append(time.perf_counter())
        indexed = self.shard.info().indexed_vectors_count
        if row * self.data.dimension * 4 > GRAPH_FROM_KB * 1024 and indexed < row:
            raise ValueError(f"{indexed} vectors of {row} are in the graph")
        return {"store": marks[1] - marks[0], "index": marks[2] - marks[1]}

    def open(self) -> None:
        self.shard = qdrant.EdgeShard.load(str(self.folder))

    def ladders(self, k: int) -> list[list[Any]]:
        return [[k, *(ef for ef in STEPS if ef > k)]]

    def searcher(self, param: Any, k: int, below: int | None = None) -> Callable[[np.ndarray], Any]:
        again = None
        if self.variant == "hnsw_sq":
            again = qdrant.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
        params, condition = qdrant.SearchParams(hnsw_ef=param, quantization=again), None
        if below is not None:
            wanted = qdrant.FieldCondition(key="bucket", range=qdrant.RangeFloat(lt=below))
            condition = qdrant.Filter(must=[wanted])
        ask = self.shard.search

        def search(query: np.ndarray) -> list[int]:
            nearest = qdrant.Query.Nearest(query)
            request = qdrant.SearchRequest(query=nearest, limit=k, params=params, filter=condition)
            return [point.id for point in ask(request)]

        return search

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()
            self.shard = None
