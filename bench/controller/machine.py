"""What the run ran on, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from controller.places import REPOSITORY

FLAGS = ["sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni", "asimd"]


def describe() -> dict[str, Any]:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = set((re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M) or [""] * 2)[1].split())
    return {
        "processor": model[1] if model else platform.machine(),
        "instructions": [flag for flag in FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory()[0],
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": commit(),
    }


def commit() -> str:
    def git(*words: str) -> str:
        asked = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True)
        return asked.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+changes" if changed else "")


def memory() -> tuple[int, int]:
    """Bytes installed and bytes that can be had now."""
    text = Path("/proc/meminfo").read_text()
    fields = re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", text, re.M)
    sizes = {name: int(size) * 1024 for name, size in fields}
    return sizes["MemTotal"], sizes["MemAvailable"]


class Busy:
    """Processor time that went elsewhere, in cores on average, since this was made."""

    def __init__(self) -> None:
        self.began = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        idle = fields[3] + fields[4]
        tick = os.sysconf("SC_CLK_TCK")
        # Guest time is counted in user time already.
        return (sum(fields[:8]) - idle) / tick, float(Path("/proc/uptime").read_text().split()[0])

    def elsewhere(self, own_seconds: float) -> float:
        busy, now = self._now()
        span = max(now - self.began[1], 1e-3)
        return max(0.0, (busy - self.began[0] - own_seconds) / span)
