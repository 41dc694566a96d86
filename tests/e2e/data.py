"""Makes every input of the end-to-end tests: records, Parquet files good and bad, all seeded.

Nothing here knows the server; a test that needs a new shape of file adds its maker here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLORS = ["red", "green", "blue", "black", "white"]


@dataclass
class Records:
    """Records as columns: `values` has one float32 row per id."""

    ids: list[str]
    values: np.ndarray
    metadata: list[dict[str, Any] | None]

    def __len__(self) -> int:
        return len(self.ids)

    def vectors(self) -> Iterator[dict[str, Any]]:
        """The records in the shape that the client's `upsert` takes."""
        for id_, values, metadata in zip(self.ids, self.values, self.metadata):
            record: dict[str, Any] = {"id": id_, "values": values.tolist()}
            if metadata is not None:
                record["metadata"] = metadata
            yield record

    def digests(self) -> dict[str, str]:
        """What identifies each record's content, by id."""
        return {
            id_: digest(values, metadata)
            for id_, values, metadata in zip(self.ids, self.values, self.metadata)
        }


def digest(values: Sequence[float], metadata: dict[str, Any] | None) -> str:
    """A hash of a record's values (as float32) and metadata (numbers as float64)."""
    content = hashlib.sha256(np.asarray(values, "<f4").tobytes())
    numbers_as_floats = {
        key: float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else value
        for key, value in (metadata or {}).items()
    }
    content.update(json.dumps(numbers_as_floats, sort_keys=True).encode())
    return content.hexdigest()


def make(seed: int, rows: int, dimension: int, prefix: str = "r") -> Records:
    """Records of a product shop: gaussian vectors, metadata of every type that filters know."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, dimension), dtype=np.float32)
    metadata: list[dict[str, Any] | None] = [
        {
            "color": COLORS[row % len(COLORS)],
            "price": round(float(row % 100) + 0.5, 2),
            "stock": row % 7,
            "sale": row % 3 == 0,
            "tags": [f"t{row % 4}", f"u{row % 6}"],
        }
        for row in range(rows)
    ]
    return Records([f"{prefix}{row:07d}" for row in range(rows)], values, metadata)


def list_array(values: np.ndarray, item: pa.DataType | None = None) -> pa.Array:
    """A list column of equally long rows."""
    rows, dimension = values.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * dimension)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.ListArray.from_arrays(offsets, flat.cast(item) if item is not None else flat)


def table(records: Records) -> pa.Table:
    """The import schema: id, values, metadata (JSON text, null where there is none)."""
    metadata = [None if entry is None else json.dumps(entry) for entry in records.metadata]
    return pa.table(
        {
            "id": pa.array(records.ids, pa.string()),
            "values": list_array(records.values),
            "metadata": pa.array(metadata, pa.string()),
        }
    )


def write(
    path: Path, content: Records | pa.Table, rows_per_group: int = 2_000, **options: Any
) -> Path:
    """Writes one Parquet file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = table(content) if isinstance(content, Records) else content
    pq.write_table(content, path, row_group_size=rows_per_group, **options)
    return path


def write_split(folder: Path, records: Records, files: int, **options: Any) -> None:
    """Writes the records, in order, into `files` Parquet files."""
    for number, rows in enumerate(np.array_split(np.arange(len(records)), files)):
        first, last = int(rows[0]), int(rows[-1]) + 1
        part = Records(
            records.ids[first:last], records.values[first:last], records.metadata[first:last]
        )
        write(folder / f"part-{number:03d}.parquet", part, **options)


def rows_table(
    ids: Sequence[Any], values: Sequence[Any], metadata: Sequence[str | None] | None = None
) -> pa.Table:
    """A table row by row, where a row may break any rule (null, ragged, not finite)."""
    columns = {
        "id": pa.array(ids, pa.string()),
        "values": pa.array(values, pa.list_(pa.float32())),
    }
    if metadata is not None:
        columns["metadata"] = pa.array(metadata, pa.string())
    return pa.table(columns)


def write_generated(folder: Path, seed: int, rows: int, dimension: int, files: int) -> int:
    """Streams a big seeded set into `files` Parquet files without ever holding one of them, and
    returns the bytes written. Vectors have a few thousand loose clusters, as embeddings do."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((2_048, dimension), dtype=np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [("id", pa.string()), ("values", pa.list_(pa.float32())), ("metadata", pa.string())]
    )
    first, written = 0, 0
    for number in range(files):
        last = rows * (number + 1) // files
        path = folder / f"part-{number:03d}.parquet"
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as out:
            for start in range(first, last, 8_192):
                ids = range(start, min(start + 8_192, last))
                values = centres[rng.integers(len(centres), size=len(ids))]
                values += 0.5 * rng.standard_normal(values.shape, dtype=np.float32)
                metadata = [f'{{"n":{row},"color":"{COLORS[row % 5]}"}}' for row in ids]
                out.write_table(
                    pa.table(
                        [
                            pa.array([f"g{row:08d}" for row in ids]),
                            list_array(values),
                            pa.array(metadata),
                        ],
                        schema=schema,
                    )
                )
        first, written = last, written + path.stat().st_size
    return written


def write_small(folder: Path, dimension: int) -> tuple[Records, Records, list[tuple]]:
    """Three files of a namespace named by one letter: records, others of which 100 replace records
    of the first file, and ten that must be rejected."""
    seed = ord(folder.name)
    first, second = make(seed, 600, dimension), make(seed + 100, 400, dimension)
    second.ids = [f"r{row:07d}" for row in range(500, 900)]
    write(folder / "1.parquet", first, rows_per_group=200)
    write(folder / "2.parquet", second, rows_per_group=200)
    bad = [(f"bad{row}", [1.0] * (dimension + 1), None) for row in range(10)]
    write(folder / "3.parquet", rows_table(*zip(*bad)))
    return first, second, bad


def exact_scores(metric: str, query: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Scores as the API defines them: cosine similarity, dot product, squared distance."""
    query, values = query.astype(np.float64), values.astype(np.float64)
    if metric == "cosine":
        return values @ query / (np.linalg.norm(values, axis=1) * np.linalg.norm(query))
    if metric == "dotproduct":
        return values @ query
    return ((values - query) ** 2).sum(axis=1)


def nearest(metric: str, query: np.ndarray, values: np.ndarray, top_k: int) -> np.ndarray:
    """The rows nearest to the query, nearest first."""
    scores = exact_scores(metric, query, values)
    return np.argsort(scores if metric == "euclidean" else -scores, kind="stable")[:top_k]


def nearest_of_each(metric: str, queries: np.ndarray, values: np.ndarray, top_k: int) -> np.ndarray:
    """The rows nearest to each query, in no order, by one product of matrices."""
    if metric == "cosine":
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
    scores = queries @ values.T
    if metric == "euclidean":
        scores = 2 * scores - (values**2).sum(axis=1)
    return np.argpartition(-scores, top_k, axis=1)[:, :top_k]
