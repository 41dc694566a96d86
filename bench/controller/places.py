"""Where things are, and the environments made for them. Changes nothing outside the repository."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BENCH = REPOSITORY / "bench"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
SETS = REPOSITORY / "target" / "bench" / "sets"
WORK = REPOSITORY / "target" / "bench-work"
CACHE = REPOSITORY / "target" / "datasets"
RESULTS = BENCH / "results"
MODULE = TARGET / "release" / "libcrossbill_bench.so"
BINARY = TARGET / "release" / "crossbill"
# Whether this Python stands in for every environment.
own_python = False


def note(text: str) -> None:
    """Says something to who is watching."""
    print(text, file=sys.stderr, flush=True)


def environment(name: str) -> Path:
    """The Python of the environment that holds requirements/NAME.txt and nothing else; made anew
    when that file changes. The list is complete, so nothing beyond it is installed."""
    if own_python:
        return Path(sys.executable)
    wanted = BENCH / "requirements" / f"{name}.txt"
    folder = REPOSITORY / ".venvs" / f"bench-{name}"
    stamp, python = folder / "installed.txt", folder / "bin" / "python"
    if not (stamp.exists() and filecmp.cmp(wanted, stamp, shallow=False)):
        note(f"environment {name}: installing requirements/{name}.txt")
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--no-deps", "-r", wanted])
        shutil.copy(wanted, stamp)
    return python


def run(command: list[object], **options: object) -> None:
    """Runs a step that must succeed; what it prints goes to stderr."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


def prepare(name: str) -> Path:
    """The folder of the prepared set, made where it is missing."""
    folder = SETS / name
    if not (folder / "meta.json").exists():
        if name == "wordnet" and not (CACHE / "wordnet-minilm.npy").exists():
            note("embedding the WordNet glosses; minutes, once")
            run([environment("embed"), BENCH / "embed.py", CACHE / "wordnet-minilm.npy", CACHE])
        note(f"preparing the set {name}")
        shutil.rmtree(folder, ignore_errors=True)
        run([environment("sets"), BENCH / "prepare.py", name, folder, CACHE])
    return folder


def build_crossbill() -> None:
    """The module for Python and the binary, as a user builds them."""
    note("building Crossbill (cargo build --release --workspace)")
    run(["cargo", "build", "--release", "--workspace"], cwd=REPOSITORY)
