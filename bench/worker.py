"""One peer on one set, as a process of its own that the controller drives: a JSON object a line in,
one out. Whatever a library prints goes to stderr, so that stdout carries answers only.

    python worker.py PEER VARIANT SET_FOLDER WORK_FOLDER THREADS
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import harness  # noqa: E402
from harness import DataSet, Status, disk_bytes  # noqa: E402


class Worker:
    """The peer and what may be asked of it: each public method is a command."""

    def __init__(self, name: str, variant: str, folder: Path, work: Path, threads: int) -> None:
        self.data, self.work = DataSet(folder), work
        module = importlib.import_module(f"peers.{name}")
        self.peer = module.Peer(self.data, work, threads, variant)

    def about(self) -> dict[str, Any]:
        return {
            "versions": self.peer.versions(),
            "settings": self.peer.settings(),
            "filters": self.peer.filters,
        }

    def build(self) -> dict[str, Any]:
        self.work.mkdir(parents=True)
        cpu, began = self.peer.cpu_seconds(), time.perf_counter()
        before = self._memory("VmRSS")
        steps = self.peer.build()
        seconds = time.perf_counter() - began
        return {
            "seconds": seconds,
            "cpu_seconds": self.peer.cpu_seconds() - cpu,
            "rss_before": before,
            "rss_peak": self._memory("VmHWM"),
            "disk_bytes": disk_bytes(self.work),
            "disk_parts": self.peer.disk_parts(),
            "steps": steps or {},
        }

    def open(self) -> dict[str, Any]:
        began = time.perf_counter()
        self.peer.open()
        return {"seconds": time.perf_counter() - began, "rss": self._memory("VmRSS")}

    def ladders(self, k: int) -> list[Any]:
        return self.peer.ladders(k)

    def sweep(self, param: Any, k: int, seconds_max: float = 10.0) -> dict[str, Any]:
        return harness.sweep(self.peer, self.data, param, k, seconds_max)

    def measure(self, param: Any, k: int, threads: int) -> dict[str, Any]:
        return harness.measure(self.peer, self.data, param, k, threads)

    def filtered(self, param: Any, k: int, below: int) -> dict[str, Any]:
        return harness.filtered(self.peer, self.data, param, k, below)

    def explain(self, param: Any, k: int) -> dict[str, float]:
        return self.peer.explain(param, k)

    def memory(self) -> dict[str, int]:
        fields = {"rss_peak": "VmHWM", "rss": "VmRSS", "anonymous": "RssAnon", "files": "RssFile"}
        return {name: self._memory(field) for name, field in fields.items()}

    def close(self) -> None:
        self.peer.close()

    def _memory(self, field: str) -> int:
        # Where a server does the work, the client's memory is not counted.
        pids = self.peer.pids() or ["self"]
        return sum(Status.bytes(field, pid) for pid in pids)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, variant, folder, work, threads = sys.argv[1:]
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(name, variant, Path(folder), Path(work), int(threads))
            result = getattr(worker, request.pop("do"))(**request)
            answer = {"result": result}
        except Exception as error:  # noqa: BLE001 - the controller decides what to do
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
