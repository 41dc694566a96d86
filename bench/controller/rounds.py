"""The run of one set: builds in turn, one tuning of each peer, then measurements in turn. Whatever
is measured goes into the results at once, so that a broken run keeps what it had."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from controller import places
from controller.catalog import PEERS
from controller.machine import Busy
from controller.places import note
from controller.workers import Open, PeerError, Worker

# A stride up a ladder that gains less than this, twice in a row, has no recall left to gain.
GAIN_MIN = 0.001
STRIDE = 3
# Settings whose cost in the sweep is this close to the least are timed again, so many at most.
CLOSE = 1.25
CLOSE_MAX = 6
CHOICE_PASSES = 3
# Of 1000 buckets: 50 %, 10 %, 1 % and 0.1 % of the records (prepare.py).
FILTERS = [500, 100, 10, 1]


class SetRun:
    """One set with its peers."""

    def __init__(self, name: str, options: Any, save: Callable[[], None]) -> None:
        self.name, self.options, self.save = name, options, save
        self.folder = places.prepare(name)
        self.peers: dict[str, dict[str, Any]] = {
            peer: {"builds": [], "sweeps": {}, "chosen": {}, "measures": [], "filtered": []}
            for peer in options.peers
        }
        self.open = Open(self.folder, options.threads)
        self.most = max(options.recalls)

    def run(self) -> None:
        try:
            if self.options.rounds or self.options.build_rounds:
                self._builds()
            if self.options.rounds:
                for peer in self._answering():
                    self._try(peer, self._tune)
                self._rounds()
                for peer in self._answering():
                    self._try(peer, self._finish)
        finally:
            self.open.close(self.options.keep or self.options.reuse)

    def _try(self, peer: str, step: Callable[..., None], *arguments: Any) -> None:
        """A peer that breaks down is left out from there on, and the results say so."""
        try:
            step(peer, *arguments)
        except PeerError as error:
            note(f"  {peer}: {error}")
            self.peers[peer]["error"] = str(error)
            self.open.drop(peer)
        self.save()

    def _answering(self) -> list[str]:
        return [
            peer
            for peer, found in self.peers.items()
            if PEERS[peer].answers and peer in self.open.works and "error" not in found
        ]

    def _kept(self, peer: str) -> Path:
        """Where what is known of a peer's kept build stands, beside its folder."""
        return places.WORK / self.name / f"{peer}.json"

    def _reuse(self) -> None:
        """Takes the builds that an earlier run kept; ours are always made anew."""
        for peer in self.peers:
            if not peer.startswith("crossbill") and self._kept(peer).exists():
                kept = json.loads(self._kept(peer).read_text())
                self.peers[peer].update(kept["about"], builds=[kept["build"]], reused=True)
                self.open.add(peer, places.WORK / self.name / peer, kept["build"])
                note(f"  {peer}: kept build of {kept['build']['seconds']:.2f} s")

    def _builds(self) -> None:
        if self.options.reuse:
            self._reuse()
        for number in range(max(1, self.options.build_rounds)):
            for peer in turned(list(self.peers), number):
                if "error" not in self.peers[peer] and number < self._builds_wanted(peer):
                    self._try(peer, self._build, number)

    def _builds_wanted(self, peer: str) -> int:
        """Slow builds are repeated less: three times, or not at all where five would take far too
        long."""
        if "reused" in self.peers[peer]:
            return 0
        rounds, builds = max(1, self.options.build_rounds), self.peers[peer]["builds"]
        slowest = max((build["seconds"] for build in builds), default=0.0)
        if slowest > 5 * self.options.slow_build:
            return 1
        return min(rounds, 3) if slowest > self.options.slow_build else rounds

    def _build(self, peer: str, number: int) -> None:
        work = places.WORK / self.name / peer
        shutil.rmtree(work, ignore_errors=True)
        self._kept(peer).unlink(missing_ok=True)
        # Everyone finds the files in memory and no one else's writes under way.
        warm(self.folder)
        os.sync()
        worker = Worker(peer, self.folder, work, self.options.threads)
        try:
            about = worker.ask("about")
            self.peers[peer].update(about)
            busy = Busy()
            build = worker.ask("build")
            build["elsewhere"] = busy.elsewhere(build["cpu_seconds"])
        finally:
            worker.quit()
        self.peers[peer]["builds"].append(build)
        self.open.add(peer, work, build)
        self._kept(peer).write_text(json.dumps({"about": about, "build": build}))
        note(
            f"  build {number + 1} {peer}: {build['seconds']:.2f} s, cpu {build['cpu_seconds']:.2f}"
            f" s, peak {build['rss_peak'] / 1e6:,.0f} MB, disk {build['disk_bytes'] / 1e6:,.0f} MB"
            f" (elsewhere {build['elsewhere']:.2f} cores)"
        )

    def _tune(self, peer: str) -> None:
        worker, found = self.open.get(peer), self.peers[peer]
        found["open"] = worker.opened
        for k in self.options.k:
            tried = found["sweeps"].setdefault(str(k), [])
            for ladder in worker.ask("ladders", k=k):
                self._climb(worker, ladder, k, tried)
            for target in self.options.recalls:
                chosen = self._choose(worker, tried, k, target)
                found["chosen"].setdefault(str(k), {})[str(target)] = chosen
                shown = chosen and f"{chosen['param']} (recall {chosen['recall']:.4f})"
                note(f"  tune {peer} recall@{k} >= {target}: {shown or 'not reached'}")

    def _climb(self, worker: Worker, ladder: list[Any], k: int, tried: list[Any]) -> None:
        """Tries every third setting of a ladder until the highest recall is passed or cannot be,
        then those between the last that missed each target and the first that reached it."""
        cheapest = min((s["cpu_ms"] for s in tried if s["recall"] >= self.most), default=inf)
        found: dict[int, dict[str, Any]] = {}

        def attempt(place: int) -> dict[str, Any]:
            found[place] = worker.ask("sweep", param=ladder[place], k=k)
            tried.append(found[place])
            return found[place]

        before, flat = 0.0, 0
        for place in [*range(0, len(ladder) - 1, STRIDE), len(ladder) - 1]:
            step = attempt(place)
            flat = flat + 1 if step["recall"] - before < GAIN_MIN else 0
            before = step["recall"]
            # Dearer by far than what another ladder took: nothing to be had here.
            if before >= self.most or flat >= 2 or step["cpu_ms"] > 2 * cheapest:
                break
        for target in self.options.recalls:
            reached = [place for place in found if found[place]["recall"] >= target]
            missed = [place for place in found if found[place]["recall"] < target]
            for place in range(max(missed, default=-1) + 1, min(reached, default=0)):
                if place not in found and attempt(place)["recall"] >= target:
                    break

    def _choose(self, worker: Worker, tried: list[Any], k: int, target: float) -> Any:
        """The cheapest setting that reaches the target; those that come close to it in the sweep
        are timed again."""
        passed = [step for step in tried if step["recall"] >= target]
        if not passed:
            return None
        least = min(step["cpu_ms"] for step in passed)
        close = [step for step in passed if step["cpu_ms"] <= CLOSE * least]
        close = sorted(close, key=lambda step: step["cpu_ms"])[:CLOSE_MAX]
        if len(close) == 1:
            return close[0]
        cost = {id(step): inf for step in close}
        for _ in range(CHOICE_PASSES):
            for step in close:
                timed = worker.ask("measure", param=step["param"], k=k, threads=1)
                cost[id(step)] = min(cost[id(step)], timed["cpu_ms"])
        return min(close, key=lambda step: cost[id(step)])

    def _rounds(self) -> None:
        for number in range(self.options.rounds):
            began = time.monotonic()
            for peer in turned(self._answering(), number):
                self._try(peer, self._measure, number)
            note(f"  round {number + 1}: {time.monotonic() - began:.0f} s")

    def _measure(self, peer: str, number: int) -> None:
        worker, found = self.open.get(peer), self.peers[peer]
        for k, targets in found["chosen"].items():
            for target, chosen in targets.items():
                for threads in sorted({1, self.options.threads}):
                    if chosen is None:
                        continue
                    busy = Busy()
                    timed = worker.ask("measure", param=chosen["param"], k=int(k), threads=threads)
                    own = timed["cpu_ms"] * timed["queries"] / 1e3
                    timed["elsewhere"] = busy.elsewhere(own)
                    timed.update(round=number, k=int(k), target=float(target), threads=threads)
                    found["measures"].append(timed)
        if found.get("filters"):
            self._measure_filtered(worker, found, number)

    def _measure_filtered(self, worker: Worker, found: dict[str, Any], number: int) -> None:
        """Filters let through half of the records down to a thousandth; the setting is the one
        chosen without a filter, and of all k the first stands for the others."""
        for target, chosen in found["chosen"][str(self.options.k[0])].items():
            for below in FILTERS if chosen else []:
                timed = worker.ask(
                    "filtered", param=chosen["param"], k=self.options.k[0], below=below
                )
                timed.update(round=number, target=float(target), below=below)
                found["filtered"].append(timed)

    def _finish(self, peer: str) -> None:
        worker, found = self.open.get(peer), self.peers[peer]
        for k, targets in found["chosen"].items():
            for chosen in filter(None, targets.values()):
                chosen["work"] = worker.ask("explain", param=chosen["param"], k=int(k))
        found["memory"] = worker.ask("memory")


def turned(peers: list[str], number: int) -> list[str]:
    """The peers in order, another one first each round."""
    start = number % len(peers) if peers else 0
    return peers[start:] + peers[:start]


def warm(folder: Path) -> None:
    """Reads the set's files once."""
    for path in sorted((folder / "parquet").iterdir()):
        with open(path, "rb", buffering=0) as file:
            while file.read(8 << 20):
                pass
