"""Query latency while a namespace lives: idle, during imports, upserts and merges.

Starts the release binary on a fresh data directory, imports a set of vectors, and lets one client
ask one query after another while other things happen. What it prints is described in LIFE.md.
Needs numpy and pyarrow.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import threading
import time

import numpy
import pyarrow
import pyarrow.parquet

ROWS_PER_FILE = 125_000
CENTRES = 2000


def vectors(rng, centres, rows):
    """Vectors around common centres, so that near neighbours are worth finding."""
    noise = rng.standard_normal((rows, centres.shape[1]), dtype=numpy.float32)
    return centres[rng.integers(0, len(centres), rows)] + numpy.float32(0.6) * noise


def write_set(folder, prefix, rows, dimension, seed):
    """A directory of Parquet files with `rows` records."""
    folder.mkdir(parents=True)
    centres = numpy.random.default_rng(1).standard_normal((CENTRES, dimension), dtype=numpy.float32)
    rng = numpy.random.default_rng(seed)
    for first in range(0, rows, ROWS_PER_FILE):
        count = min(ROWS_PER_FILE, rows - first)
        values = pyarrow.array(vectors(rng, centres, count).ravel())
        values = pyarrow.FixedSizeListArray.from_arrays(values, dimension)
        numbers = range(first, first + count)
        table = pyarrow.table({
            "id": [f"{prefix}{number:08d}" for number in numbers],
            "values": values.cast(pyarrow.list_(pyarrow.float32())),
            "metadata": [json.dumps({"n": number % 100}) for number in numbers],
        })
        path = folder / f"{first:09d}.parquet"
        pyarrow.parquet.write_table(table, path, row_group_size=25_000)


class Server:
    """The release binary on a data directory of its own."""

    def __init__(self, binary, data, source, port, options):
        self.port, self.index_port = port, port + 1
        command = [
            binary, "serve", "--data", data, "--allow-import-dir", source,
            "--listen", f"127.0.0.1:{port}", "--index-port-first", str(port + 1),
            "--log", "warn,crossbill_db=debug", *options,
        ]
        self.log = open(pathlib.Path(data).with_suffix(".log"), "wb")
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        for _ in range(200):
            try:
                self.call("GET", "/indexes", port=port)
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server did not start")

    def call(self, method, path, body=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.index_port, timeout=600)
        headers = {"Content-Type": "application/json", "Api-Key": "local"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else None

    def start_import(self, folder):
        started = self.call("POST", "/bulk/imports", {"uri": f"file://{folder}"})
        return started["id"]

    def import_ended(self, name):
        view = self.call("GET", f"/bulk/imports/{name}")
        if view["status"] in ("Failed", "Cancelled"):
            raise SystemExit(f"import {name}: {view}")
        return view["status"] == "Completed"

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def wait_quiet(self):
        """Until background work is done: three seconds of almost no CPU time. How long it took."""
        began, quiet = time.monotonic(), 0
        while quiet < 3:
            before = self.cpu_seconds()
            time.sleep(1)
            quiet = quiet + 1 if self.cpu_seconds() - before < 0.05 else 0
        return time.monotonic() - began - 3

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class Asking:
    """One client that asks one query after another until told to stop."""

    def __init__(self, port, namespace, queries):
        self.port, self.took_ms, self.stop = port, [], threading.Event()
        self.bodies = [
            json.dumps({"vector": query, "topK": 10, "namespace": namespace}) for query in queries
        ]
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.began

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", "Api-Key": "local"}
        number = 0
        while not self.stop.is_set():
            began = time.perf_counter()
            connection.request("POST", "/query", self.bodies[number % len(self.bodies)], headers)
            answer = connection.getresponse()
            answer.read()
            self.took_ms.append((time.perf_counter() - began) * 1000)
            assert answer.status == 200, answer.status
            number += 1


def report(what, asking, idle=None, note=""):
    """Prints a line; gives the 99th percentile."""
    took = sorted(asking.took_ms)
    p50, p99 = statistics.median(took), took[len(took) * 99 // 100]
    ratio = f"  p99 {p99 / idle:4.1f} x idle" if idle else ""
    print(f"{what:34} {len(took):6} queries  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  "
          f"max {took[-1]:7.1f} ms{ratio}  {note}", flush=True)
    return p99


def write_on(port, namespace, dimension, seconds, rate, counted):
    """Upserts of 100 new records at most `rate` records a second; in a process of its own."""
    rng = numpy.random.default_rng(os.getpid())
    rows = vectors(rng, rng.standard_normal((CENTRES, dimension), dtype=numpy.float32), 2000)
    texts = [json.dumps([round(float(value), 4) for value in row]) for row in rows]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "Api-Key": "local"}
    began, written = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        records = ",".join(
            f'{{"id":"w{written + number:08d}","values":{texts[(written + number) % 2000]}}}'
            for number in range(100)
        )
        body = f'{{"namespace":"{namespace}","vectors":[{records}]}}'
        connection.request("POST", "/vectors/upsert", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        written += 100
        ahead = written / rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    counted.value = written


def asked_during_import(server, folder, namespace, queries):
    began = time.monotonic()
    with Asking(server.index_port, namespace, queries) as asking:
        name = server.start_import(folder)
        while not server.import_ended(name):
            time.sleep(0.2)
    return asking, time.monotonic() - began


def asked_during_upserts(server, namespace, queries, dimension, seconds, rate):
    counted = multiprocessing.Value("q", 0)
    arguments = (server.index_port, namespace, dimension, seconds, rate, counted)
    writer = multiprocessing.Process(target=write_on, args=arguments)
    with Asking(server.index_port, namespace, queries) as asking:
        writer.start()
        writer.join()
    return asking, counted.value / seconds


def asked_for(server, namespace, queries, seconds):
    with Asking(server.index_port, namespace, queries) as asking:
        time.sleep(seconds)
    return asking


def asked_idle(server, what, queries, seconds):
    """With nothing else going on: the 99th percentile that all others are compared with."""
    before = server.cpu_seconds()
    asking = asked_for(server, "base", queries, seconds)
    cpu_ms = (server.cpu_seconds() - before) * 1000 / len(asking.took_ms)
    return report(what, asking, note=f"{cpu_ms:.2f} ms of CPU a query")


def delete_half(server, namespace):
    """Deletes by filter while queries are asked; seconds it took."""
    body = {"filter": {"n": {"$lt": 50}}, "namespace": namespace}
    began = time.monotonic()
    server.call("POST", "/vectors/delete", body)
    return time.monotonic() - began


def measure(server, source, options):
    server.call("POST", "/indexes", {
        "name": "life", "dimension": options.dimension, "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    }, port=server.port)
    rng = numpy.random.default_rng(1)
    centres = rng.standard_normal((CENTRES, options.dimension), dtype=numpy.float32)
    queries = vectors(numpy.random.default_rng(9), centres, 500).tolist()
    name, began = server.start_import(source / "first"), time.monotonic()
    while not server.import_ended(name):
        time.sleep(0.2)
    print(f"first import: {options.rows} records in {time.monotonic() - began:.1f} s")
    report("right after it", asked_for(server, "base", queries, 3))
    print(f"background work went on for {server.wait_quiet():.0f} s")
    idle = asked_idle(server, "idle", queries, options.seconds)
    asking, took = asked_during_import(server, source / "other", "base", queries)
    report("import into another namespace", asking, idle, f"{took:.1f} s")
    server.wait_quiet()
    asking, took = asked_during_import(server, source / "more", "base", queries)
    report("import into the same namespace", asking, idle, f"{took:.1f} s")
    asking = asked_for(server, "base", queries, 5)
    report("while its segments are merged", asking, idle)
    server.wait_quiet()
    idle = asked_idle(server, "idle, twice the records", queries, options.seconds)
    for rate in options.rates:
        asking, reached = asked_during_upserts(
            server, "base", queries, options.dimension, options.seconds * 2, rate
        )
        report(f"upserts, {rate} a second wanted", asking, idle, f"{reached:.0f} a second reached")
        server.wait_quiet()
    with Asking(server.index_port, "base", queries) as asking:
        took = delete_half(server, "base")
        time.sleep(2)
    report("deleting half of them by filter", asking, idle, f"{took:.2f} s for the deletion")
    left = server.call("POST", "/describe_index_stats", {})["namespaces"]["base"]["vectorCount"]
    print(f"{left} records are left")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/crossbill")
    parser.add_argument("--folder", type=pathlib.Path, default="target/life")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rates", type=int, nargs="*", default=[500, 1_000_000])
    parser.add_argument("--port", type=int, default=6080)
    parser.add_argument("options", nargs="*", help="further options of the server, after --")
    options = parser.parse_args()
    folder = options.folder.resolve()
    source = folder / f"source-{options.rows}-{options.dimension}"
    if not source.exists():
        for seed, (name, namespace) in enumerate(
            [("first", "base"), ("other", "other"), ("more", "base")], start=2
        ):
            write_set(source / name / namespace, name[0], options.rows, options.dimension, seed)
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    server = Server(options.binary, str(data), str(source), options.port, options.options)
    try:
        measure(server, source, options)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
