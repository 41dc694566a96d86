"""How long a cancel takes in each phase of an import of many vectors.

    python bench/cancel.py                                   # 200,000 records of 768 components
    python bench/cancel.py --rows 1000000 --dimension 96 --rounds 60

Starts the release binary on a fresh data directory, makes a set, and imports it again and again,
each time cancelling at another moment, spread over the whole of an import. Two times are told for
each phase that the import said it was in:

  answered   from the request to its answer; from then on the import is described as Cancelled
  stopped    from the request until nothing works for it any more: its threads have ended, the
             threads that build are idle, and the scratch space is empty

Linux only (it looks into /proc). Needs numpy and pyarrow.
"""

import argparse
import os
import pathlib
import random
import shutil
import time

from life import Server, write_set

TICK_SECONDS = 0.01
# Idle for so long is idle.
QUIET_SECONDS = 0.1


def threads(server):
    """Name and processor ticks of each thread."""
    found = {}
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            fields = (task / "stat").read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue  # It ended meanwhile.
        found[task.name] = (name, int(fields[11]) + int(fields[12]))
    return found


def stopped(server, scratch, began):
    """Seconds from `began` until nothing works for an import any more."""
    busy_at, before = time.monotonic(), None
    while time.monotonic() - busy_at < QUIET_SECONDS:
        now = threads(server)
        working = [name for name, _ in now.values() if name.startswith("import-")]
        ticks = {task: ticks for task, (name, ticks) in now.items()
                 if name.startswith(("crossbill-build", "crossbill-import"))}
        if working or ticks != before or os.listdir(scratch):
            busy_at = time.monotonic()
        before = ticks
        time.sleep(TICK_SECONDS)
    return busy_at - began


def state(server, name):
    return server.call("GET", f"/bulk/imports/{name}")


def whole_import(server, source):
    """Seconds that an import takes which nobody cancels."""
    began = time.monotonic()
    name = server.start_import(source)
    while not server.import_ended(name):
        time.sleep(TICK_SECONDS)
    return time.monotonic() - began


def fresh_index(server, options):
    if server.call("GET", "/indexes", port=server.port)["indexes"]:
        server.call("DELETE", "/indexes/cancel", port=server.port)
    made = server.call("POST", "/indexes", {
        "name": "cancel", "dimension": options.dimension, "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    }, port=server.port)
    server.index_port = int(made["host"].rsplit(":", 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", default="target/release/crossbill")
    parser.add_argument("--folder", type=pathlib.Path, default="target/cancel")
    parser.add_argument("--port", type=int, default=6190)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    write_set(folder / "source" / "big", "r", options.rows, options.dimension, 1)
    source, scratch = str(folder / "source"), folder / "data" / "scratch"
    server = Server(options.binary, str(folder / "data"), source, options.port, [])
    worst, draw = {}, random.Random(1)
    try:
        fresh_index(server, options)
        took = whole_import(server, source)
        print(f"{options.rows} x {options.dimension}: an import takes {took:.1f} s", flush=True)
        for number in range(options.rounds):
            fresh_index(server, options)
            name = server.start_import(source)
            time.sleep(took * (number + draw.random()) / options.rounds)
            phase, began = state(server, name)["phase"], time.monotonic()
            server.call("DELETE", f"/bulk/imports/{name}")
            answered = time.monotonic() - began
            ended = state(server, name)
            if ended["status"] == "Cancelled":
                times = (answered, stopped(server, scratch, began))
                so_far = worst.setdefault(phase, [0, (0, 0)])
                worst[phase] = [so_far[0] + 1, tuple(map(max, so_far[1], times))]
                print(f"  {phase:9} answered {times[0]:6.3f} s  stopped {times[1]:6.3f} s",
                      flush=True)
        print("worst:")
        for phase, (count, (answered, ended)) in worst.items():
            print(f"  {phase:9} of {count:2}: answered {answered:6.3f} s  stopped {ended:6.3f} s")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
