"""Fixtures for the Python package: data directories, a server of the real binary, and what the
tests need of the end-to-end ones. They run under every Python that is there; those that need
pandas, pyarrow, DuckDB, the official client or a notebook are marked `libraries` and run under
one."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "e2e")]

import crossbill  # noqa: E402
from harness import Server  # noqa: E402

DIMENSION = 8


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "libraries: needs more than pytest and Polars")
    where = Path(crossbill.__file__)
    if "site-packages" not in where.parts:
        raise pytest.UsageError(f"crossbill is {where}, expected the installed wheel")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data *100%"


@pytest.fixture
def pc(data: Path) -> Iterator[crossbill.Pinecone]:
    with crossbill.Pinecone(data=data) as pc:
        yield pc


@pytest.fixture
def index(pc: crossbill.Pinecone) -> crossbill.Index:
    pc.create_index("test", dimension=DIMENSION, metric="cosine")
    return pc.index("test")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server") / "data", "--allow-import-dir", str(source)
    ) as server:
        yield server
        assert server.alive(), server.log_tail()
        server.stop()


def vectors(count: int, seed: int = 1) -> list[list[float]]:
    """The same ones each time, of numbers that a single float holds exactly and shows as they are."""
    chance = random.Random(seed)
    return [[chance.randint(-128, 128) / 64 for _ in range(DIMENSION)] for _ in range(count)]


def records(count: int, seed: int = 1) -> list[dict[str, Any]]:
    return [
        {"id": f"r{number:05}", "values": values, "metadata": {"number": number}}
        for number, values in enumerate(vectors(count, seed))
    ]
