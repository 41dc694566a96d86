"""How true an import's progress is: percentComplete and etaSeconds against the time it took.

    python bench/progress.py SET…        # folders of Parquet files, such as target/bench/sets/glove
    python bench/progress.py --binary OTHER SET…

Starts the release binary on a fresh data directory for each set, imports it over REST, asks for its
state every 20 ms and compares: percent with the part of the time that had gone, the estimate of the
time left with what was left. Needs NumPy, such as in .venvs/bench-sets.
"""

import argparse
import json
import pathlib
import shutil
import time

from life import Server

POLL_SECONDS = 0.02


def watched(server, folder):
    """The states of an import: (seconds since its start, percent, estimate of the seconds left)."""
    began, states = time.monotonic(), []
    name = server.start_import(folder)
    while True:
        view = server.call("GET", f"/bulk/imports/{name}")
        states.append((time.monotonic() - began, view["percentComplete"], view.get("etaSeconds")))
        if view["status"] == "Completed":
            return states
        if view["status"] in ("Failed", "Cancelled"):
            raise SystemExit(f"import of {folder}: {view}")
        time.sleep(POLL_SECONDS)


def judge(states):
    took = states[-1][0]
    assert all(a[1] <= b[1] for a, b in zip(states, states[1:])), "percent went back"
    off = max(((percent - 100 * at / took), at, percent) for at, percent, _ in states)
    behind = min(((percent - 100 * at / took), at, percent) for at, percent, _ in states)
    late = [(eta - (took - at)) / took for at, _, eta in states if eta is not None]
    return took, off, behind, late


def shown(found):
    points, at, percent = found
    return f"{points:+5.1f} points (said {percent:4.1f} % after {at:.1f} s)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", default="target/release/crossbill")
    parser.add_argument("--folder", type=pathlib.Path, default="target/progress")
    parser.add_argument("--port", type=int, default=6180)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("sets", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for source in options.sets:
        meta = json.loads((source / "meta.json").read_text())
        for _ in range(options.rounds):
            data = options.folder.resolve() / "data"
            shutil.rmtree(data, ignore_errors=True)
            files = str(source.resolve())
            server = Server(options.binary, str(data), files, options.port, [])
            try:
                server.call("POST", "/indexes", {
                    "name": "progress", "dimension": meta["dimension"], "metric": meta["metric"],
                    "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
                }, port=server.port)
                took, off, behind, late = judge(watched(server, files))
            finally:
                server.stop()
                shutil.rmtree(data, ignore_errors=True)
            print(f"{source.name}: {took:.1f} s; ahead at most {shown(off)}, behind at most "
                  f"{shown(behind)}")
            if late:
                print(f"    time left: from {100 * min(late):+.0f} to {100 * max(late):+.0f} % of "
                      f"the whole off, {len(late)} estimates", flush=True)


if __name__ == "__main__":
    main()
