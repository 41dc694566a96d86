"""Milvus Lite through its client, which speaks gRPC with a server in threads of this process.
Variants: hnsw, ivf_flat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from harness import STEPS, BasePeer

M = 16
EF_CONSTRUCTION = 100
BATCH = 4096
NAME = "bench"


class Peer(BasePeer):
    filters = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.client: Any = None
        self.metric = "COSINE" if self.data.metric == "cosine" else "L2"

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("milvus-lite", "pymilvus")}

    def lists(self) -> int:
        rows = self.data.rows
        return next((n for most, n in ((150_000, 512), (600_000, 1024)) if rows < most), 2048)

    def settings(self) -> str:
        if self.variant == "hnsw":
            return f"HNSW, M={M}, efConstruction={EF_CONSTRUCTION}"
        return f"IVF_FLAT, nlist={self.lists()}"

    def connect(self) -> None:
        self.client = MilvusClient(str(self.work / "milvus.db"))

    def build(self) -> dict[str, float]:
        marks = [time.perf_counter()]
        self.connect()
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("values", DataType.FLOAT_VECTOR, dim=self.data.dimension)
        schema.add_field("category", DataType.VARCHAR, max_length=64)
        schema.add_field("bucket", DataType.INT64)
        self.client.create_collection(NAME, schema=schema)
        for batch in self.data.batches(BATCH):
            ids, vectors = batch.column("id").to_pylist(), self.data.vectors(batch)
            fields = map(json.loads, batch.column("metadata").to_pylist())
            rows = [{"id": i, "values": v, **f} for i, v, f in zip(ids, vectors, fields)]
            self.client.insert(NAME, rows)
        self.client.flush(NAME)
        marks.append(time.perf_counter())
        how = self.client.prepare_index_params()
        kind, params = "IVF_FLAT", {"nlist": self.lists()}
        if self.variant == "hnsw":
            kind, params = "HNSW", {"M": M, "efConstruction": EF_CONSTRUCTION}
        how.add_index("values", index_type=kind, metric_type=self.metric, params=params)
        self.client.create_index(NAME, how)
        self.client.load_collection(NAME)
        marks.append(time.perf_counter())
        return {"store": marks[1] - marks[0], "index": marks[2] - marks[1]}

    def open(self) -> None:
        self.connect()
        self.client.load_collection(NAME)

    def ladders(self, k: int) -> list[list[Any]]:
        if self.variant == "hnsw":
            return [[k, *(ef for ef in STEPS if ef > k)]]
        return [[p for p in STEPS if p <= self.lists()]]

    def searcher(self, param: Any, k: int, below: int | None = None) -> Callable[[np.ndarray], Any]:
        key = "ef" if self.variant == "hnsw" else "nprobe"
        how = {"params": {key: param}, "metric_type": self.metric}
        where = "" if below is None else f"bucket < {below}"
        ask = self.client.search

        def search(query: np.ndarray) -> list[str]:
            answer = ask(NAME, data=[query], limit=k, filter=where, search_params=how)
            return [hit["id"] for hit in answer[0]]

        return search

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None
