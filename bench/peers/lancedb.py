"""LanceDB in process (variants ivf_pq, ivf_rq): inverted lists with product codes of 8 bits or
one-bit codes, candidates scored again from the full vectors on disk. Stores ids and metadata as
Crossbill does, with an index on the field that the filtered queries use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lancedb import index as indexes

from harness import STEPS, BasePeer

REFINE = [2, 4, 8, 16]
CANDIDATES_MAX = 1600


class Peer(BasePeer):
    filters = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.distance = "cosine" if self.data.metric == "cosine" else "l2"
        self.folder = str(self.work / "lance")
        self.table: Any = None

    def versions(self) -> dict[str, str]:
        return {"lancedb": version("lancedb")}

    def lists(self) -> int:
        rows = self.data.rows
        return next((n for most, n in ((150_000, 256), (600_000, 512)) if rows < most), 1024)

    def parts(self) -> int:
        """Pieces of a product code."""
        dimension = self.data.dimension
        return dimension // 4 if dimension <= 128 else dimension // 8

    def settings(self) -> str:
        if self.variant == "ivf_pq":
            return f"IVF{self.lists()}, PQ{self.parts()}x8"
        return f"IVF{self.lists()}, RQ of 1 bit"

    def build(self) -> dict[str, float]:
        marks = [time.perf_counter()]
        # An index needs lists of a fixed size; relabelling them copies nothing.
        schema = pa.schema(
            [
                ("id", pa.string()),
                ("values", pa.list_(pa.float32(), self.data.dimension)),
                ("metadata", pa.string()),
                ("bucket", pa.int64()),
            ]
        )

        def relabelled() -> Iterator[pa.RecordBatch]:
            for batch in self.data.batches():
                metadata = batch.column("metadata")
                bucket = pc.extract_regex(metadata, r'"bucket": (?P<bucket>\d+)').field("bucket")
                values = batch.column("values").flatten()
                values = pa.FixedSizeListArray.from_arrays(values, self.data.dimension)
                columns = [batch.column("id"), values, metadata, bucket.cast(pa.int64())]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, relabelled())
        database = lancedb.connect(self.folder)
        self.table = database.create_table("bench", data=reader, schema=schema)
        marks.append(time.perf_counter())
        common = {"distance_type": self.distance, "num_partitions": self.lists()}
        if self.variant == "ivf_pq":
            how = indexes.IvfPq(num_sub_vectors=self.parts(), **common)
        else:
            how = indexes.IvfRq(**common)
        self.table.create_index("values", config=how)
        marks.append(time.perf_counter())
        self.table.create_scalar_index("bucket")
        marks.append(time.perf_counter())
        names = ["store", "index", "index of metadata"]
        return {name: marks[i + 1] - marks[i] for i, name in enumerate(names)}

    def open(self) -> None:
        self.table = lancedb.connect(self.folder).open_table("bench")

    def ladders(self, k: int) -> list[list[Any]]:
        probes = [p for p in STEPS if p <= self.lists()]
        return [[[p, factor] for p in probes] for factor in REFINE if k * factor <= CANDIDATES_MAX]

    def searcher(self, param: Any, k: int, below: int | None = None) -> Callable[[np.ndarray], Any]:
        probes, factor = param
        table, distance = self.table, self.distance
        where = None if below is None else f"bucket < {below}"

        def search(query: np.ndarray) -> Any:
            asked = table.search(query, vector_column_name="values").distance_type(distance)
            asked = asked.nprobes(probes).refine_factor(factor).limit(k).select(["id", "_distance"])
            if where:
                # More lists where those hold fewer than k that pass, as without a setting.
                asked = asked.minimum_nprobes(probes).maximum_nprobes(0)
                asked = asked.where(where, prefilter=True)
            return asked.to_arrow()["id"].to_pylist()

        return search
