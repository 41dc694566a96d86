"""The command line: what to run, in which order, and where the results go."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from controller import machine, places
from controller.catalog import GROWTH_PEERS, GROWTH_SETS, PEERS, SETS
from controller.places import note
from controller.rounds import SetRun


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Crossbill beside its peers in one run; see bench/README.md."
    )
    add = parser.add_argument
    add("--mode", choices=["standard", "growth"], default="standard", help="growth: one kind of "
        "data in four sizes, recall@10 of 0.95; other defaults for sets, peers, k and recalls")
    add("--sets", type=words, help="default: " + ",".join(SETS))
    add("--peers", type=words, help="default: " + ",".join(PEERS))
    add("--rounds", type=int, default=5, help="measurements of queries; 0: builds only")
    add("--build-rounds", type=int, default=5, help="builds of each peer (at least one is made)")
    add("--slow-build", type=float, default=60, help="seconds from which a build is repeated less")
    add("--recalls", type=lambda text: [float(w) for w in words(text)], help="default: 0.95,0.99")
    add("--k", type=lambda text: [int(word) for word in words(text)], help="default: 10,100")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    add("--out", type=Path, help="default: bench/results/DATE")
    add("--keep", action="store_true", help="keep what the peers built (target/bench-work)")
    add("--reuse", action="store_true", help="take other peers' kept builds, keep all")
    add("--no-build", action="store_true", help="take Crossbill as it is in target/release")
    add("--no-report", action="store_true", help="write results.json only")
    add("--own-python", action="store_true", help="run all with this Python, which has all modules")
    add("--self-test", action="store_true", help="a tiny set and one round, into target/bench")
    options = parser.parse_args()
    grown = options.mode == "growth"
    if options.self_test:
        options.sets, options.rounds, options.build_rounds = ["tiny"], 1, 1
        options.peers = options.peers or ["crossbill", "pyarrow"]
        options.out = options.out or places.WORK.parent / "self-test"
        # Not in the way of another run in this tree.
        places.WORK = options.out / "work"
    options.sets = options.sets or (GROWTH_SETS if grown else SETS)
    options.peers = options.peers or (GROWTH_PEERS if grown else list(PEERS))
    options.recalls = options.recalls or ([0.95] if grown else [0.95, 0.99])
    options.k = options.k or ([10] if grown else [10, 100])
    unknown = [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown peer {unknown[0]!r}, expected some of {', '.join(PEERS)}")
    day = time.strftime("%Y-%m-%d") + ("-growth" if grown else "")
    options.out = options.out or places.RESULTS / day
    return options


def main() -> int:
    options = parse()
    places.own_python = options.own_python
    if not options.no_build and any(peer.startswith("crossbill") for peer in options.peers):
        places.build_crossbill()
    for peer in options.peers:
        places.environment(PEERS[peer].module)
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine.describe(),
        "options": {
            name: getattr(options, name)
            for name in ("threads", "rounds", "build_rounds", "slow_build", "recalls", "k")
        },
        "sets": {},
    }

    def save() -> None:
        part = options.out / "results.json.part"
        part.write_text(json.dumps(results, indent=1) + "\n")
        part.rename(options.out / "results.json")

    for name in options.sets:
        run = SetRun(name, options, save)
        meta = json.loads((run.folder / "meta.json").read_text())
        note(f"\n{name}: {meta['rows']:,} x {meta['dimension']}, {meta['metric']}")
        results["sets"][name] = {"meta": meta, "peers": run.peers}
        run.run()
    save()
    if not options.no_report:
        places.run([places.environment("report"), places.BENCH / "report.py", options.out])
    failed = [
        f"{name}/{peer}"
        for name, found in results["sets"].items()
        for peer, entry in found["peers"].items()
        if "error" in entry
    ]
    if failed:
        note("broke down: " + ", ".join(failed))
    return 1 if failed else 0
