"""Every client makes every call of `calls.json` in its own environment, and the results are those
that are recorded and that docs/compatibility.md shows.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import clients  # noqa: E402
import table  # noqa: E402

CASES = [
    pytest.param(client, name, id=f"{client.name}-{name}")
    for client in clients.chosen()
    for name in clients.names(client.kind)
]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory):
    """Runs each client once, when the first of its calls is asked for."""

    @cache
    def of(client: clients.Client):
        return clients.run(client, tmp_path_factory.mktemp(client.name))

    return of


@pytest.mark.parametrize(("client", "name"), CASES)
def test_call(results, client: clients.Client, name: str) -> None:
    got = results(client)
    assert name in got, f"{client.name} did not report {name}"
    assert got[name]["result"] != "fails", got[name].get("reason")
    assert got[name] == clients.recorded(client)[name]


@pytest.mark.parametrize("client", clients.CLIENTS, ids=lambda client: client.name)
def test_every_call_is_recorded(client: clients.Client) -> None:
    assert list(clients.recorded(client)) == clients.names(client.kind)


def test_the_page_shows_what_is_recorded() -> None:
    text = table.PAGE.read_text()
    assert table.page(text) == text, "run python3 tests/clients/table.py"
