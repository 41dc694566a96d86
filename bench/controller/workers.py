"""Workers: a process for each peer and set, in the peer's own environment, spoken to in JSON
lines. Those that answer queries stay open between rounds while there is memory for all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from controller import machine, places
from controller.catalog import PEERS

# Left free for everything else on the machine.
RESERVE = 2 << 30
QUIT_SECONDS_MAX = 60


class PeerError(Exception):
    """A peer could not do what it was asked."""


class Worker:
    """One running process."""

    def __init__(self, peer: str, folder: Path, work: Path, threads: int) -> None:
        entry = PEERS[peer]
        python = places.environment(entry.module)
        words = [python, places.BENCH / "worker.py", entry.module, entry.variant, folder, work]
        self.log = places.WORK / f"{peer}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*map(str, words), str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=variables(threads),
            )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Sends a command and waits for its answer."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            raise PeerError(f"{do}: the process ended with code {code}; see {self.log}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{do}: {answer['error']}; see {self.log}")
        return answer["result"]

    def quit(self) -> None:
        """Closes the peer and ends the process."""
        try:
            if self.process.poll() is None:
                self.ask("close")
                self.process.stdin.close()
            self.process.wait(QUIT_SECONDS_MAX)
        except (PeerError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def variables(threads: int) -> dict[str, str]:
    """The environment of a worker: so many threads for whatever reads such a setting. Waiting
    threads sleep: an idle worker must not spin beside the next peer, and on a machine that does
    other things too a spinning FAISS takes up to ten times its time."""
    ours = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKIO_WORKER_THREADS": str(threads),
        "LANCE_CPU_THREADS": str(threads),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CROSSBILL_BENCH_MODULE": str(places.MODULE),
        "CROSSBILL_BENCH_BINARY": str(places.BINARY),
        "CROSSBILL_BENCH_COMMIT": machine.commit(),
    }
    return {**os.environ, **ours}


class Open:
    """The workers of one set that can answer; the one not used for longest is closed where memory
    runs short and opened again when its turn comes."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self.works: dict[str, Path] = {}
        self.needs: dict[str, int] = {}
        self.workers: dict[str, Worker] = {}

    def add(self, peer: str, work: Path, build: dict[str, Any]) -> None:
        self.works[peer] = work
        # As much as its files, and never more than building took.
        self.needs[peer] = min(build["rss_peak"], int(1.5 * build["disk_bytes"]) + (256 << 20))

    def get(self, peer: str) -> Worker:
        if peer in self.workers:
            self.workers[peer] = self.workers.pop(peer)
            return self.workers[peer]
        while self.workers and machine.memory()[1] < self.needs[peer] + RESERVE:
            self.drop(next(iter(self.workers)))
        worker = Worker(peer, self.folder, self.works[peer], self.threads)
        self.workers[peer] = worker
        worker.opened = worker.ask("open")
        return worker

    def drop(self, peer: str) -> None:
        if peer in self.workers:
            self.workers.pop(peer).quit()

    def close(self, keep: bool) -> None:
        for peer in list(self.workers):
            self.drop(peer)
        if not keep:
            for work in self.works.values():
                shutil.rmtree(work, ignore_errors=True)
                work.with_name(work.name + ".json").unlink(missing_ok=True)
