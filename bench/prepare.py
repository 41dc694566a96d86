"""Prepares one set: Parquet files in the import's schema, held-out queries and exact answers.

    python prepare.py NAME OUT_FOLDER CACHE_FOLDER

    glove              English words: GloVe, 340k x 100, cosine (npm)
    wordnet            dictionary glosses embedded with MiniLM, 117k x 384, cosine (embed.py)
    synth-N            seeded generator, N x 768, cosine; N as 250k or 1m
    growth-N           the same, N x 96
    tiny               the same, 6,000 x 32: to try the benchmark itself

OUT_FOLDER gets parquet/part-*.parquet (id: the row number; values; metadata: category and bucket as
JSON), queries.npy, truth_ids.npy (the exact nearest 100 rows of each query), truth_below_B.npy (the
same among rows with bucket < B of 1000, for the first queries) and meta.json, which is written last.
Memory stays bounded for the generated sets: vectors exist block by block.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUERIES = 1000
FILTERED_QUERIES = 200
NEAREST = 100
FILES = 8
ROW_GROUP_ROWS = 16_384
BUCKETS = 1000
# Buckets below these: 50 %, 10 %, 1 % and 0.1 % of the rows.
BELOW = [500, 100, 10, 1]
CATEGORIES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("values", pa.list_(pa.field("item", pa.float32())), nullable=False),
        pa.field("metadata", pa.string()),
    ]
)
Blocks = Callable[[], Iterator[np.ndarray]]


class Mixture:
    """A Gaussian mixture whose spectrum decays, randomly rotated, with a little noise in every
    direction: neighbourhoods of many sizes, and far fewer real dimensions than stored ones, as
    embeddings have. A block depends on its number alone, so any part can be made by itself."""

    def __init__(self, dimension: int, seed: int = 7) -> None:
        self.seed, self.dimension, self.rank = seed, dimension, min(96, dimension)
        rng = np.random.default_rng([seed, dimension])
        self.spectrum = (np.arange(1, self.rank + 1) ** -0.6).astype(np.float32)
        rotated = np.linalg.qr(rng.standard_normal((dimension, self.rank)))[0]
        self.rotation = rotated.T.astype(np.float32)
        clusters = 4000
        self.centres = rng.standard_normal((clusters, self.rank), dtype=np.float32) * self.spectrum
        sizes = np.arange(1, clusters + 1) ** -0.5
        self.sizes = sizes / sizes.sum()

    def block(self, number: int, rows: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, self.dimension, number + 1])
        cluster = rng.choice(len(self.centres), rows, p=self.sizes)
        spread = 0.7 * rng.standard_normal((rows, self.rank), dtype=np.float32) * self.spectrum
        noise = rng.standard_normal((rows, self.dimension), dtype=np.float32)
        values = (self.centres[cluster] + spread) @ self.rotation
        return values + noise * np.float32(0.05 / np.sqrt(self.dimension))


def generated(rows: int, dimension: int) -> tuple[int, np.ndarray, Blocks]:
    """Rows, queries and blocks of the generator's set; block 0 is the queries'."""
    mixture = Mixture(dimension)

    def blocks() -> Iterator[np.ndarray]:
        for number, start in enumerate(range(0, rows, ROW_GROUP_ROWS)):
            yield mixture.block(number + 1, min(ROW_GROUP_ROWS, rows - start))

    return rows, mixture.block(0, QUERIES), blocks


def loaded(vectors: np.ndarray) -> tuple[int, np.ndarray, Blocks]:
    """The same of vectors at hand: queries are drawn from them and left out."""
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 1e-6]
    chosen = np.random.default_rng(1).permutation(len(vectors))[:QUERIES]
    queries, rest = vectors[chosen], np.delete(vectors, chosen, axis=0)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(rest), ROW_GROUP_ROWS):
            yield rest[start : start + ROW_GROUP_ROWS]

    return len(rest), queries, blocks


def open_set(name: str, cache: Path) -> tuple[int, np.ndarray, Blocks]:
    if name == "glove":
        sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "examples")]
        import words

        return loaded(words.load(cache)[1])
    if name == "wordnet":
        return loaded(np.load(cache / "wordnet-minilm.npy"))
    if name == "tiny":
        return generated(6000, 32)
    match = re.fullmatch(r"(synth|growth)-(\d+)(k|m)", name)
    if not match:
        sys.exit(f"unknown set {name!r}: expected glove, wordnet, synth-N, growth-N or tiny")
    rows = int(match[2]) * {"k": 1000, "m": 1_000_000}[match[3]]
    return generated(rows, {"synth": 768, "growth": 96}[match[1]])


def buckets(start: int, rows: int) -> np.ndarray:
    """The bucket of each row: mixed well, so that no order of the rows shows in it."""
    mixed = np.arange(start, start + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(BUCKETS)).astype(np.int64)


def table(start: int, block: np.ndarray) -> pa.Table:
    rows, dimension = block.shape
    offsets = pa.array(np.arange(0, (rows + 1) * dimension, dimension, dtype=np.int32))
    values = pa.ListArray.from_arrays(offsets, pa.array(block.ravel()), type=SCHEMA[1].type)
    metadata = [
        json.dumps({"category": CATEGORIES[bucket % len(CATEGORIES)], "bucket": bucket})
        for bucket in buckets(start, rows).tolist()
    ]
    ids = [str(row) for row in range(start, start + rows)]
    return pa.Table.from_arrays([pa.array(ids), values, pa.array(metadata)], schema=SCHEMA)


def write(folder: Path, rows: int, blocks: Blocks) -> None:
    """Whole row groups in turn to as many files as there are, the later ones the same size."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = -(-rows // ROW_GROUP_ROWS)
    files = min(FILES, groups)
    start, open_number, writer = 0, -1, None
    for group, block in enumerate(blocks()):
        number = group * files // groups
        if number != open_number:
            if writer:
                writer.close()
            path = folder / f"part-{number:05d}.parquet"
            writer = pq.ParquetWriter(
                path, SCHEMA, compression="snappy", use_dictionary=["metadata"]
            )
            open_number = number
        writer.write_table(table(start, block), row_group_size=ROW_GROUP_ROWS)
        start += len(block)
    writer.close()
    if start != rows:
        raise ValueError(f"wrote {start} rows, expected {rows}")


class Nearest:
    """The best rows of each query so far, by cosine."""

    def __init__(self, queries: np.ndarray) -> None:
        self.queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        self.scores = np.full((len(queries), NEAREST), -np.inf, np.float32)
        self.rows = np.full((len(queries), NEAREST), -1, np.int64)

    def see(self, rows: np.ndarray, unit: np.ndarray) -> None:
        if len(rows) == 0:
            return
        scores = self.queries @ unit.T
        if len(rows) > NEAREST:
            top = np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]
            scores, rows = np.take_along_axis(scores, top, 1), rows[top]
        else:
            rows = np.broadcast_to(rows, scores.shape)
        scores = np.concatenate([self.scores, scores], 1)
        rows = np.concatenate([self.rows, rows], 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]
        self.scores = np.take_along_axis(scores, order, 1)
        self.rows = np.take_along_axis(rows, order, 1)


def truths(queries: np.ndarray, blocks: Blocks) -> dict[str, np.ndarray]:
    """The exact answers, by the name of their file; -1 where fewer rows match."""
    nearest = {"truth_ids": Nearest(queries)}
    for below in BELOW:
        nearest[f"truth_below_{below}"] = Nearest(queries[:FILTERED_QUERIES])
    start = 0
    for block in blocks():
        unit = block / np.linalg.norm(block, axis=1, keepdims=True)
        rows, bucket = np.arange(start, start + len(block)), buckets(start, len(block))
        nearest["truth_ids"].see(rows, unit)
        for below in BELOW:
            nearest[f"truth_below_{below}"].see(rows[bucket < below], unit[bucket < below])
        start += len(block)
    return {name: found.rows for name, found in nearest.items()}


def main() -> None:
    name, out, cache = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    rows, queries, blocks = open_set(name, cache)
    write(out / "parquet", rows, blocks)
    np.save(out / "queries.npy", np.ascontiguousarray(queries))
    for file, found in truths(queries, blocks).items():
        np.save(out / f"{file}.npy", found)
    dimension = queries.shape[1]
    meta = {"name": name, "rows": rows, "dimension": dimension, "metric": "cosine"}
    (out / "meta.json").write_text(json.dumps(meta | {"queries": len(queries)}))
    print(f"{name}: {rows:,} x {dimension} and {len(queries):,} queries in {out}")


if __name__ == "__main__":
    main()
