"""How a request reaches the API: one method, whatever carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """An answer as it stood on the wire; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries requests to a database."""

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float | None = None,
    ) -> Answer:
        """The answer to one request; ``target`` is the path with its query."""

    def close(self) -> None:
        """Lets go of what is held; the second time does nothing."""
