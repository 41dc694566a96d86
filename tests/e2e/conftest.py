"""Fixtures: one server for most tests, servers of their own for those that kill them, the official
client, and an S3 server."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any
from collections.abc import Callable, Iterator

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "examples")]

from pinecone import Pinecone, ServerlessSpec  # noqa: E402

from harness import BINARY, Server  # noqa: E402
from objectstore import ObjectStore  # noqa: E402
from stores import Azurite, FakeGcs  # noqa: E402

NAMES = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "once: not about the client: run under one version of it only"
    )
    if not BINARY.exists():
        raise pytest.UsageError(
            f"{BINARY} is missing: run `cargo build --release`, or set CROSSBILL_BIN"
        )


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory below which the shared server may read imports."""
    return tmp_path_factory.mktemp("source")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Server]:
    """The server that tests share; each makes indexes of its own."""
    data = tmp_path_factory.mktemp("server") / "data"
    with Server(data, "--allow-import-dir", str(source)) as server:
        yield server
        assert server.alive(), f"the server ended during the tests:\n{server.log_tail()}"
        assert "panicked" not in server.log.read_text(errors="replace"), server.log_tail(60)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a measured figure whether or not the test passes."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return tell


@pytest.fixture
def own_server(tmp_path: Path, source: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers for one test, started, with more flags if wanted."""
    made: list[Server] = []

    def make(*flags: str, **options: Any) -> Server:
        data = tmp_path / f"server-{len(made)}" / "data"
        made.append(Server(data, "--allow-import-dir", str(source), *flags, **options))
        return made[-1].start()

    yield make
    for server in made:
        if server.alive():
            server.kill()


def client(server: Server, key: str = "local") -> Pinecone:
    return Pinecone(api_key=key, host=server.url)


def create(pc: Pinecone, name: str, dimension: int, metric: str = "cosine", **options: Any) -> Any:
    """Creates a serverless index as users do, and gives the client's handle by name."""
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    pc.create_index(name=name, dimension=dimension, metric=metric, spec=spec, **options)
    return pc.index(name)


@pytest.fixture(scope="session")
def pc(server: Server) -> Pinecone:
    return client(server)


@pytest.fixture
def new_index(pc: Pinecone) -> Iterator[Callable[..., Any]]:
    """Creates indexes on the shared server and deletes them after the test."""
    made: list[str] = []

    def make(dimension: int = 8, metric: str = "cosine", **options: Any) -> Any:
        made.append(f"test-{next(NAMES)}")
        return create(pc, made[-1], dimension, metric, **options)

    yield make
    for name in made:
        pc.delete_index(name)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("s3"))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture(scope="session")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Speaks the XML interface that Google's has in common with S3, to clients without keys."""
    store = ObjectStore(tmp_path_factory.mktemp("open"), keys=False)
    yield store
    store.close()


@pytest.fixture(scope="session")
def gcs_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    store = FakeGcs(tmp_path_factory.mktemp("gcs"))
    yield store
    store.close()


@pytest.fixture(scope="session")
def azure_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    store = Azurite(tmp_path_factory.mktemp("azure"))
    yield store
    store.close()
