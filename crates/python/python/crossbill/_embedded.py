"""The transport that is its own server: a data directory, opened in this process."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from crossbill import _native
from crossbill._transport import Answer
from crossbill.exceptions import EmbeddedError, PineconeValueError

# What is open and must be closed before the interpreter goes.
_OPEN: weakref.WeakSet[Embedded] = weakref.WeakSet()


class Embedded:
    """An open data directory. It belongs to this process until it is closed."""

    def __init__(self, data: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        self._process = os.getpid()
        try:
            self._database = _native.Database(os.fspath(data), flags(settings))
        except ValueError as error:
            raise PineconeValueError(str(error)) from None
        except OSError as error:
            raise EmbeddedError(str(error)) from None
        _OPEN.add(self)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float | None = None,
    ) -> Answer:
        """The answer of the server's own router."""
        try:
            status, named, content = self._database.request(
                method, target, list(headers.items()), body
            )
        except ValueError as error:
            raise PineconeValueError(str(error)) from None
        except RuntimeError as error:
            raise EmbeddedError(str(error)) from None
        return Answer(status, dict(named), content)

    def write_table(self, table: Any, namespace: str) -> _native.Table:
        """Lays a table down where an import can read it."""
        try:
            return self._database.write_table(table, namespace)
        except ValueError as error:
            raise PineconeValueError(str(error)) from None
        except (OSError, RuntimeError) as error:
            raise EmbeddedError(str(error)) from None

    def close(self) -> None:
        """Ends background work at a safe point and gives the directory free."""
        if self._process == os.getpid():
            _OPEN.discard(self)
            self._database.close()


def flags(settings: Mapping[str, Any]) -> Sequence[str]:
    """Settings as the flags of ``crossbill serve``: ``memory_limit="2GiB"`` is
    ``--memory-limit=2GiB``, a list gives its flag several times, ``True`` a flag alone."""
    made: list[str] = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            made.append(flag)
            continue
        several = isinstance(value, (list, tuple))
        made.extend(f"{flag}={one}" for one in (value if several else [value]))
    return made


@atexit.register
def _close_all() -> None:
    for embedded in list(_OPEN):
        embedded.close()
