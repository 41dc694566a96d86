"""Sparse search against peers: build time, latency and exactness, side by side.

    python sparse.py WORK [--sets glosses,expanded,texts] [--peers qdrant,milvus] [--rounds 5]

Each engine runs in a process of its own, which answers the same queries one after
another on one thread; the engines take turns, round by round. Ours is the example
`sparse_queries` of crates/engine (cargo build --release -p crossbill-engine --examples).
A peer is measured where WORK/venv-<peer> has it, and left out elsewhere:

    python -m venv WORK/venv-qdrant && WORK/venv-qdrant/bin/pip install qdrant-edge-py numpy
    python -m venv WORK/venv-milvus && WORK/venv-milvus/bin/pip install "pymilvus[milvus-lite]" numpy

This script needs numpy and scipy. SPARSE.md says what each figure holds.
"""

import argparse
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import tempfile
import time

TOP_K = 10
BATCH = 4096
ROOT = pathlib.Path(__file__).resolve().parent.parent


def rows_of(data, prefix=""):
    starts = data[prefix + "starts"]
    indices, values = data[prefix + "indices"], data[prefix + "values"]
    for start, end in zip(starts[:-1], starts[1:]):
        yield indices[start:end].tolist(), values[start:end].tolist()


class Qdrant:
    """The engine of Qdrant in process. The index is built by optimize()."""

    queries = None

    def __init__(self, data, folder):
        import qdrant_edge as qe

        self.qe, self.version = qe, importlib.metadata.version("qdrant-edge-py")
        config = qe.EdgeConfig(
            vectors={},
            sparse_vectors={"s": qe.EdgeSparseVectorParams()},
            wal_enabled=False,
            optimizers=qe.EdgeOptimizersConfig(
                default_segment_number=1, max_segment_size=16_000_000, indexing_threshold=1000
            ),
        )
        self.shard = qe.EdgeShard.create(str(folder), config)
        points = []
        for row, (indices, values) in enumerate(rows_of(data)):
            vector = qe.SparseVector(indices=indices, values=values)
            points.append(qe.Point(row, {"s": vector}, {}))
            if len(points) == BATCH:
                self.shard.update(qe.UpdateOperation.upsert_points(points))
                points = []
        if points:
            self.shard.update(qe.UpdateOperation.upsert_points(points))
        self.shard.flush()
        self.shard.optimize()
        self.shard.flush()
        info = self.shard.info()
        self.version += f" ({info.segments_count} segments)"

    def prepare(self, indices, values):
        qe = self.qe
        vector = qe.SparseVector(indices=indices, values=values)
        query = qe.Query.Nearest(vector, using="s")
        return qe.QueryRequest(limit=TOP_K, query=query)

    def search(self, request):
        return self.shard.query(request)

    def pairs(self, found):
        return [[hit.id, hit.score] for hit in found]


class Milvus:
    """Milvus Lite behind its client, which talks to it over a local socket. It is
    asked the first queries only: it is slow enough to be measured by these."""

    queries = 50

    def __init__(self, data, folder):
        from pymilvus import DataType, MilvusClient

        self.version = importlib.metadata.version("milvus-lite")
        self.client = MilvusClient(str(folder / "m.db"))
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
        self.client.create_collection("t", schema=schema)
        batch = []
        for row, (indices, values) in enumerate(rows_of(data)):
            batch.append({"id": row, "s": dict(zip(indices, values))})
            if len(batch) == BATCH:
                self.client.insert("t", batch)
                batch = []
        if batch:
            self.client.insert("t", batch)
        self.client.flush("t")
        params = self.client.prepare_index_params()
        params.add_index("s", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        self.client.create_index("t", params)
        self.client.load_collection("t")

    def prepare(self, indices, values):
        return dict(zip(indices, values))

    def search(self, query):
        return self.client.search(
            "t", data=[query], anns_field="s", limit=TOP_K, search_params={"metric_type": "IP"}
        )

    def pairs(self, found):
        return [[hit["id"], hit["distance"]] for hit in found[0]]


PEERS = {"qdrant": Qdrant, "milvus": Milvus}


def work_as(peer, path):
    """What a peer's process does; the protocol is that of `sparse_queries`."""
    import numpy as np

    data = dict(np.load(path))
    # Beside the set, so that it stands on the same disk.
    with tempfile.TemporaryDirectory(dir=pathlib.Path(path).parent) as folder:
        start = time.perf_counter()
        engine = PEERS[peer](data, pathlib.Path(folder))
        built = time.perf_counter() - start
        size = sum(f.stat().st_size for f in pathlib.Path(folder).rglob("*") if f.is_file())
        say({"version": engine.version, "build_s": built, "bytes": size})
        queries = [engine.prepare(*query) for query in rows_of(data, "query_")]
        queries = queries[: engine.queries]
        for line in sys.stdin:
            if line.strip() == "run":
                times, cpu = [], time.process_time_ns()
                for query in queries:
                    start = time.perf_counter_ns()
                    engine.search(query)
                    times.append(time.perf_counter_ns() - start)
                say({"ns": times, "cpu_ns": time.process_time_ns() - cpu})
            else:
                say({"answers": [engine.pairs(engine.search(query)) for query in queries]})


def say(what):
    print(json.dumps(what), flush=True)


class Process:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = self.hear()

    def hear(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.process.args[0]} ended")

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def write_rows(path, data, prefix):
    import numpy as np

    starts = data[prefix + "starts"].astype("<u8")
    with open(path, "wb") as file:
        file.write(np.uint64(len(starts) - 1).tobytes() + starts.tobytes())
        file.write(data[prefix + "indices"].astype("<u4").tobytes())
        file.write(data[prefix + "values"].astype("<f4").tobytes())
    return path


def oracle(data):
    """For each query the exact scores of the best, in double precision."""
    import numpy as np
    import scipy.sparse as sp

    width = int(max(data["indices"].max(), data["query_indices"].max())) + 1

    def matrix(prefix):
        starts = data[prefix + "starts"]
        parts = (data[prefix + "values"].astype("f8"), data[prefix + "indices"].astype("i8"), starts)
        return sp.csr_matrix(parts, shape=(len(starts) - 1, width))

    records, queries = matrix(""), matrix("query_")
    scores = []
    for at in range(0, queries.shape[0], 100):
        products = (queries[at : at + 100] @ records.T).tocsr()
        for row in range(products.shape[0]):
            values = products.data[products.indptr[row] : products.indptr[row + 1]]
            columns = products.indices[products.indptr[row] : products.indptr[row + 1]]
            best = np.sort(values)[::-1][:TOP_K]
            scores.append((best, dict(zip(columns.tolist(), values.tolist()))))
    return scores


def exactness(answers, expected):
    """The part of the best found, any of equal scores counting; and the largest
    relative error of a score."""
    found, wanted, error = 0, 0, 0.0
    for pairs, (best, scores) in zip(answers, expected):
        wanted += len(best)
        for row, score in pairs:
            exact = scores.get(int(row), 0.0)
            found += exact >= best[-1] * (1 - 1e-6)
            error = max(error, abs(score - exact) / abs(exact) if exact else 1.0)
    return found / wanted, error


def measure(name, work, peers, rounds):
    import numpy as np
    import sparse_sets

    path = sparse_sets.make(name, work)
    data = dict(np.load(path))
    files = [write_rows(work / f"{name}{p}.bin", data, p) for p in ("", "query_")]
    target = ROOT / "target/release/examples/sparse_queries"
    commands = {"crossbill": [str(target), *map(str, files), str(TOP_K)]}
    for peer in peers:
        python = work / f"venv-{peer}/bin/python"
        if python.exists():
            commands[peer] = [str(python), __file__, "--worker", peer, str(path)]
    # One build at a time, all of the machine to it; then the engines take turns.
    running = {engine: Process(command) for engine, command in commands.items()}
    expected = oracle(data)
    checked = {e: exactness(p.ask("answers")["answers"], expected) for e, p in running.items()}
    times, cpu = {engine: [] for engine in running}, {engine: [] for engine in running}
    for _ in range(rounds):
        for engine, process in running.items():
            answer = process.ask("run")
            times[engine].append(np.array(answer["ns"]) / 1e3)
            cpu[engine].append(answer["cpu_ns"] / len(answer["ns"]) / 1e3)
    print(f"\n### {name}: {len(data['starts']) - 1:,} records\n")
    print("| engine | queries | build s | bytes a record | CPU µs | QPS | p50 µs | p99 µs |"
          " recall@10 | score error |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for engine, process in running.items():
        own = times[engine]
        qps = np.median([1e6 / t.mean() for t in own])
        spread = [1e6 / t.mean() for t in own]
        p50, p99 = (np.median([np.percentile(t, p) for t in own]) for p in (50, 99))
        recall, error = checked[engine]
        size = process.facts["bytes"] / (len(data["starts"]) - 1)
        print(
            f"| {engine} {process.facts['version']} | {len(own[0])} | {process.facts['build_s']:.2f} | {size:.0f} "
            f"| {np.median(cpu[engine]):.1f} | {qps:,.0f} ({min(spread):,.0f}–{max(spread):,.0f}) | {p50:.1f} | {p99:.1f} "
            f"| {recall:.4f} | {error:.0e} |",
            flush=True,
        )
        process.close()


def main():
    if sys.argv[1:2] == ["--worker"]:
        return work_as(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--sets", default="glosses,expanded,texts")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.sets.split(","):
        measure(name, options.work.resolve(), options.peers.split(","), options.rounds)


if __name__ == "__main__":
    main()
