"""Durable upserts a second: Crossbill over gRPC beside Qdrant Edge with its log switched on.

    python bench/upserts.py                     # needs numpy, pinecone and qdrant-edge-py
    python bench/upserts.py --binary OTHER --records 20000 --rounds 5

One client upserts the same records batch after batch, each time into an empty index; the engines
take turns. What the figures hold stands in UPSERTS.md.
"""

import argparse
import pathlib
import shutil
import statistics
import time

import numpy
import pinecone
import qdrant_edge
from pinecone.grpc import GrpcIndex

from life import Server

PORT = 6280


class Crossbill:
    """The server on loopback, by the official client's gRPC: an answer comes once the batch is on disk."""

    def __init__(self, options, folder):
        self.server = Server(
            options.binary, str(folder), str(folder.parent), PORT,
            ["--request-bytes-max", str(64 << 20)],
        )
        self.server.call("POST", "/indexes", {
            "name": "upserts", "dimension": options.dimension, "metric": "cosine",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
        }, port=PORT)
        host = f"127.0.0.1:{self.server.index_port}"
        self.index = GrpcIndex(host=host, api_key="local", secure=False)

    def records(self, vectors, first):
        return [
            pinecone.Vector(id=f"r{first + row}", values=vector.tolist(), metadata={"n": row})
            for row, vector in enumerate(vectors)
        ]

    def upsert(self, records):
        self.index.upsert(vectors=records, show_progress=False)

    def count(self):
        return self.index.describe_index_stats().total_vector_count

    def close(self):
        self.index.close()
        self.server.stop()


class Qdrant:
    """The engine of Qdrant in process, with its write-ahead log; `flushes` after each batch or never."""

    flushes = True

    def __init__(self, options, folder):
        size, distance = options.dimension, qdrant_edge.Distance.Cosine
        self.shard = qdrant_edge.EdgeShard.create(str(folder), qdrant_edge.EdgeConfig(
            vectors=qdrant_edge.EdgeVectorParams(size=size, distance=distance),
            wal_enabled=True,
        ))

    def records(self, vectors, first):
        return [
            qdrant_edge.Point(first + row, vector, {"n": row}) for row, vector in enumerate(vectors)
        ]

    def upsert(self, records):
        self.shard.update(qdrant_edge.UpdateOperation.upsert_points(records))
        if self.flushes:
            self.shard.flush()

    def count(self):
        return self.shard.info().points_count

    def close(self):
        self.shard.close()


class QdrantLog(Qdrant):
    flushes = False


ENGINES = {
    "crossbill, gRPC": Crossbill,
    "qdrant-edge, log, flushed each batch": Qdrant,
    "qdrant-edge, log": QdrantLog,
}


def upserted(engine, options, vectors, batch):
    """Records a second of one run; the folder is made for it."""
    folder = options.folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    running = ENGINES[engine](options, folder)
    batches = [
        running.records(vectors[first : first + batch], first)
        for first in range(0, len(vectors), batch)
    ]
    began = time.perf_counter()
    for records in batches:
        running.upsert(records)
    seconds = time.perf_counter() - began
    count = running.count()
    running.close()
    shutil.rmtree(folder, ignore_errors=True)
    if count != len(vectors):
        raise SystemExit(f"{engine}: {count} records of {len(vectors)} are there")
    return len(vectors) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", default="target/release/crossbill")
    parser.add_argument("--folder", type=pathlib.Path, default="target/upserts")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--batches", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    rng = numpy.random.default_rng(1)
    vectors = rng.standard_normal((options.records, options.dimension), dtype=numpy.float32)
    print("| batch | engine | records a second | × crossbill |\n| --- | --- | --- | --- |")
    for batch in options.batches:
        rates = {engine: [] for engine in ENGINES}
        for _ in range(options.rounds):
            for engine, found in rates.items():
                found.append(upserted(engine, options, vectors, batch))
        ours = rates["crossbill, gRPC"]
        for engine, found in rates.items():
            ratio = statistics.median(rate / own for rate, own in zip(found, ours))
            middle = statistics.median(found)
            print(f"| {batch} | {engine} | {middle:,.0f} ({min(found):,.0f}–{max(found):,.0f}) "
                  f"| {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
