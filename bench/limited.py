"""Serving within little memory: queries under a control group's limit and without one.

    sudo python bench/limited.py target/bench/sets/synth-1m      # needs numpy, Linux, root

Imports a prepared set, then starts the server twice on it with nothing in the page cache: once as
it is, once in a memory control group that may hold a quarter of the raw vectors, page cache and
mapped files included. Each time one client asks all held-out queries, twice: the second round is
what is printed. docs/vector-storage.md has figures.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import statistics
import stat
import time

import numpy

from life import Server

PORT = 6380


def control_group(name):
    """A memory control group of ours: its folder and the file of its limit. Version 2, or 1."""
    root = pathlib.Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        (root / "cgroup.subtree_control").write_text("+memory")
        return root / name, "memory.max", "memory.peak"
    return root / "memory" / name, "memory.limit_in_bytes", "memory.max_usage_in_bytes"


def inside(folder, group, binary):
    """A program that is the server in the control group."""
    script = folder / "inside.sh"
    script.write_text(f'#!/bin/sh\necho $$ > {group}/cgroup.procs\nexec {binary} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def resident(pid):
    """Bytes resident, and those of them that are anonymous."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon")]


def asked(server, bodies, truth, k):
    connection = http.client.HTTPConnection("127.0.0.1", server.index_port, timeout=600)
    headers = {"Content-Type": "application/json", "Api-Key": "local"}
    took, found = [], 0
    for body, nearest in zip(bodies, truth):
        began = time.perf_counter()
        connection.request("POST", "/query", body, headers)
        answer = json.loads(connection.getresponse().read())
        took.append((time.perf_counter() - began) * 1000)
        found += len({match["id"] for match in answer["matches"]} & nearest)
    return took, found / (k * len(bodies))


def report(what, server, bodies, truth, k):
    for _ in range(2):
        took, recall = asked(server, bodies, truth, k)
    whole, own = resident(server.process.pid)
    took.sort()
    print(f"{what:28} {1000 * len(took) / sum(took):7.0f} queries/s  p50 {statistics.median(took):6.2f} ms"
          f"  p99 {took[len(took) * 99 // 100]:6.2f} ms  recall {recall:.4f}  resident {whole >> 20} MiB,"
          f" of it not mapped {own >> 20} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("set", type=pathlib.Path)
    parser.add_argument("--binary", default="target/release/crossbill")
    parser.add_argument("--folder", type=pathlib.Path, default="target/limited")
    parser.add_argument("--part", type=float, default=0.25, help="of the raw vectors' bytes")
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    meta = json.loads((options.set / "meta.json").read_text())
    raw = meta["rows"] * meta["dimension"] * 4
    queries = numpy.load(options.set / "queries.npy")
    truth = [set(map(str, row[: options.k])) for row in numpy.load(options.set / "truth_ids.npy")]
    bodies = [json.dumps({"vector": q.tolist(), "topK": options.k}) for q in queries]
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data, source = str(folder / "data"), str(options.set.resolve())
    binary = str(pathlib.Path(options.binary).resolve())
    server = Server(binary, data, source, PORT, [])
    server.call("POST", "/indexes", {
        "name": "limited", "dimension": meta["dimension"], "metric": meta["metric"],
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    }, port=PORT)
    name = server.start_import(options.set.resolve() / "parquet")
    while not server.import_ended(name):
        time.sleep(0.2)
    server.stop()
    group, limit, peak = control_group("crossbill-limited")
    group.mkdir(exist_ok=True)
    try:
        for what, program in [
            ("without a limit", binary), (f"{raw * options.part / 2**20:.0f} MiB at most", None),
        ]:
            os.sync()
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
            if program is None:
                (group / limit).write_text(str(int(raw * options.part)))
                program = inside(folder, group, binary)
            server = Server(program, data, source, PORT, [])
            report(what, server, bodies, truth, options.k)
            server.stop()
        print(f"raw vectors {raw >> 20} MiB; the group's peak {int((group / peak).read_text()) >> 20} MiB")
    finally:
        server.process.kill()
        time.sleep(0.5)
        group.rmdir()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
