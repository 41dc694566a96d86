"""Full-text search against peers: import time, bytes on disk, latency and exactness, side by side.

    python text.py WORK [--sets glosses,texts] [--engines crossbill,rest,...] [--rounds 5]

Each engine runs in a process of its own, which answers the same queries one after another
on one thread; the engines take turns, round by round. Ours is the example `text_search`
of crates/db in process, and the server behind its REST API:

    cargo build --release -p crossbill-db --examples
    cargo build --release
    python -m venv WORK/venv-tantivy && WORK/venv-tantivy/bin/pip install tantivy
    python -m venv WORK/venv-lancedb && WORK/venv-lancedb/bin/pip install lancedb pyarrow

SQLite's FTS5 is in Python's own sqlite3. A peer whose venv is missing is left out. This script
needs numpy. TEXT.md says what each figure holds.
"""

import argparse
import http.client
import importlib.metadata
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from sparse import Process, say

TOP_K = 10
BATCH = 10_000
K1, B = 1.2, 0.75
ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def documents_of(path):
    with open(path) as lines:
        for line in lines:
            document = json.loads(line)
            yield int(document["_id"]), document["body"]


class Sqlite:
    """FTS5 of SQLite, without the texts (`content=''`): as an index beside them."""

    def __init__(self, path, folder):
        import sqlite3

        self.version = sqlite3.sqlite_version
        self.db = sqlite3.connect(folder / "t.db")
        self.db.execute(
            "CREATE VIRTUAL TABLE t USING fts5(body, content='', tokenize=\"unicode61\")"
        )
        with self.db:
            self.db.executemany("INSERT INTO t(rowid, body) VALUES (?, ?)", documents_of(path))
        with self.db:
            self.db.execute("INSERT INTO t(t) VALUES ('optimize')")

    def prepare(self, words):
        return (" OR ".join(f'"{word}"' for word in words),)

    def search(self, query):
        sql = f"SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT {TOP_K}"
        return self.db.execute(sql, query).fetchall()

    def ids(self, found):
        return [row[0] for row in found]


class Tantivy:
    """tantivy behind its Python module: its own segments, merged by its own policy."""

    def __init__(self, path, folder):
        import tantivy

        self.tantivy, self.version = tantivy, importlib.metadata.version("tantivy")
        schema = tantivy.SchemaBuilder()
        schema.add_unsigned_field("id", stored=True)
        schema.add_text_field("body", stored=False, index_option="position")
        self.index = tantivy.Index(schema.build(), path=str(folder))
        writer = self.index.writer(heap_size=256_000_000, num_threads=2)
        for row, body in documents_of(path):
            writer.add_document(tantivy.Document(id=row, body=body))
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()
        self.version += f" ({self.searcher.num_segments} segments)"

    def prepare(self, words):
        return self.index.parse_query(" ".join(words), ["body"])

    def search(self, query):
        hits = self.searcher.search(query, TOP_K, count=False).hits
        return [self.searcher.doc(address) for _, address in hits]

    def ids(self, found):
        return [document["id"][0] for document in found]


class Lance:
    """LanceDB's own full-text index."""

    def __init__(self, path, folder):
        import lancedb
        import pyarrow as pa

        self.version = importlib.metadata.version("lancedb")
        rows = list(documents_of(path))
        table = pa.table(
            {
                "id": pa.array([row for row, _ in rows], pa.int64()),
                "body": pa.array([body for _, body in rows], pa.string()),
            }
        )
        self.table = lancedb.connect(str(folder)).create_table("t", table)
        self.table.create_fts_index(
            "body",
            use_tantivy=False,
            with_position=True,
            stem=False,
            remove_stop_words=False,
            ascii_folding=False,
        )
        self.table.wait_for_index([one.name for one in self.table.list_indices()])

    def prepare(self, words):
        return " ".join(words)

    def search(self, query):
        found = self.table.search(query, query_type="fts").select(["id", "_score"]).limit(TOP_K)
        return found.to_arrow()["id"]

    def ids(self, found):
        return found.to_pylist()


class Rest:
    """Our server, asked over one connection that is kept; its import of the file."""

    def __init__(self, path, folder):
        self.version = "0.1.0"
        first = random.randrange(20_000, 30_000)
        command = [
            *(str(TARGET / "crossbill"), "serve", "--listen", f"127.0.0.1:{first}"),
            *("--index-port-first", str(first + 1), "--data", str(folder)),
            *("--allow-import-dir", str(path.parent)),
        ]
        silent = subprocess.DEVNULL
        self.server = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
        self.connection = http.client.HTTPConnection("127.0.0.1", first, timeout=600)
        fields = {"body": {"type": "string", "full_text_search": {}}}
        made = self.patiently("/indexes", {"name": "t", "schema": {"fields": fields}})
        self.connection = http.client.HTTPConnection(made["host"].split("//")[1], timeout=600)
        id_ = self.call("/bulk/imports", {"uri": f"file://{path}"})["id"]
        while "finishedAt" not in (seen := self.call(f"/bulk/imports/{id_}")):
            time.sleep(0.02)
        assert seen["status"] == "Completed", seen

    def patiently(self, path, body):
        for _ in range(200):
            try:
                return self.call(path, body)
            except ConnectionError:
                self.connection.close()
                time.sleep(0.05)
        raise RuntimeError("the server does not answer")

    def call(self, path, body=None):
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "Api-Key": "local"}
        self.connection.request("GET" if body is None else "POST", path, content, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)

    def prepare(self, words):
        clause = {"type": "text", "fields": ["body"], "query": " ".join(words)}
        return {"score_by": [clause], "top_k": TOP_K, "include_fields": []}

    def search(self, body):
        return self.call("/namespaces/__default__/documents/search", body)["matches"]

    def ids(self, found):
        return [int(one["_id"]) for one in found]

    def begin(self):
        """A connection that waited for the others' turns may be closed."""
        self.connection.close()

    def cpu_ns(self):
        """Processor time of the server; its client's is not in it."""
        fields = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def close(self):
        self.server.terminate()
        self.server.wait()


ENGINES = {"rest": Rest, "sqlite": Sqlite, "tantivy": Tantivy, "lancedb": Lance}


def work_as(name, documents, queries):
    """What an engine's process does; the protocol is that of `text_search`."""
    documents = pathlib.Path(documents)
    # Beside the set, so that it stands on the same disk.
    with tempfile.TemporaryDirectory(dir=documents.parent) as folder:
        start, cpu = time.perf_counter(), time.process_time()
        engine = ENGINES[name](documents, pathlib.Path(folder))
        built = time.perf_counter() - start
        cpu_ns = getattr(engine, "cpu_ns", time.process_time_ns)
        built_cpu = cpu_ns() / 1e9 - (0 if hasattr(engine, "cpu_ns") else cpu)
        size = sum(f.stat().st_size for f in pathlib.Path(folder).rglob("*") if f.is_file())
        facts = {"version": engine.version, "build_s": built, "build_cpu_s": built_cpu}
        say(facts | {"bytes": size})
        asked = [engine.prepare(words) for words in json.loads(pathlib.Path(queries).read_text())]
        for line in sys.stdin:
            getattr(engine, "begin", lambda: None)()
            if line.strip() == "run":
                times, cpu = [], cpu_ns()
                for query in asked:
                    start = time.perf_counter_ns()
                    engine.search(query)
                    times.append(time.perf_counter_ns() - start)
                say({"ns": times, "cpu_ns": cpu_ns() - cpu})
            else:
                say({"answers": [engine.ids(engine.search(query)) for query in asked]})
        getattr(engine, "close", lambda: None)()


def oracle(documents, queries):
    """For each query the scores of all texts by BM25, in double precision with the true lengths."""
    import numpy as np

    ids, lengths, postings = [], [], {}
    for at, (row, body) in enumerate(documents_of(documents)):
        words, counts = body.split(), {}
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        ids.append(row)
        lengths.append(len(words))
        for word, count in counts.items():
            postings.setdefault(word, []).append((at, count))
    lengths = np.array(lengths, float)
    norm = K1 * (1 - B + B * lengths / lengths.mean())
    for words in queries:
        scores = np.zeros(len(ids))
        for word in words:
            found = np.array(postings.get(word, []), int).reshape(-1, 2)
            with_it = len(found)
            idf = np.log(1 + (len(ids) - with_it + 0.5) / (with_it + 0.5))
            rows, counts = found[:, 0], found[:, 1]
            scores[rows] += idf * (K1 + 1) * counts / (counts + norm[rows])
        best = np.sort(scores[scores > 0])[::-1][:TOP_K]
        rows = np.flatnonzero(scores >= (best[-1] * (1 - 1e-6) if len(best) else np.inf))
        yield len(best), {ids[row] for row in rows}


def recall(answers, expected):
    """The part of the best that was found; of equal scores any counts."""
    found = sum(len(set(ids) & best) for ids, (_, best) in zip(answers, expected))
    return found / sum(count for count, _ in expected)


def command_of(engine, work, documents, queries):
    if engine == "crossbill":
        target = TARGET / "examples/text_search"
        return [str(target), str(documents), str(queries), str(TOP_K)] if target.exists() else None
    own = work / f"venv-{engine}/bin/python"
    if not own.exists() and engine not in ("rest", "sqlite"):
        return None
    python = own if own.exists() else sys.executable
    return [str(python), __file__, "--worker", engine, str(documents), str(queries)]


def measure(name, work, engines, rounds):
    import numpy as np
    import text_sets

    documents, asked = text_sets.make(name, work)
    queries = json.loads(asked.read_text())
    count = sum(1 for _ in open(documents))
    commands = {engine: command_of(engine, work, documents, asked) for engine in engines}
    # One build at a time, all of the machine to it; then the engines take turns.
    running = {engine: Process(command) for engine, command in commands.items() if command}
    expected = list(oracle(documents, queries))
    recalls = {e: recall(p.ask("answers")["answers"], expected) for e, p in running.items()}
    times, cpu = {engine: [] for engine in running}, {engine: [] for engine in running}
    for _ in range(rounds):
        for engine, process in running.items():
            answer = process.ask("run")
            times[engine].append(np.array(answer["ns"]) / 1e3)
            cpu[engine].append(answer["cpu_ns"] / len(answer["ns"]) / 1e3)
    print(f"\n### {name}: {count:,} texts, {documents.stat().st_size / count:.0f} bytes each\n")
    print(f"load {os.getloadavg()[0]:.1f} at the end, on {os.cpu_count()} cores\n")
    print("| engine | import s | import CPU s | bytes a text | CPU µs | QPS | p50 µs | p99 µs | recall@10 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for engine, process in running.items():
        own, facts = times[engine], process.facts
        spread = [1e6 / t.mean() for t in own]
        p50, p99 = (np.median([np.percentile(t, p) for t in own]) for p in (50, 99))
        print(
            f"| {engine} {facts['version']} | {facts['build_s']:.2f} | {facts['build_cpu_s']:.2f} "
            f"| {facts['bytes'] / count:.0f} | {np.median(cpu[engine]):.0f} "
            f"| {np.median(spread):,.0f} ({min(spread):,.0f}–{max(spread):,.0f}) "
            f"| {p50:,.0f} | {p99:,.0f} | {recalls[engine]:.4f} |",
            flush=True,
        )
        process.close()


def main():
    if sys.argv[1:2] == ["--worker"]:
        return work_as(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--sets", default="glosses,texts")
    parser.add_argument("--engines", default=",".join(["crossbill", *ENGINES]))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.sets.split(","):
        measure(name, options.work.resolve(), options.engines.split(","), options.rounds)


if __name__ == "__main__":
    main()
