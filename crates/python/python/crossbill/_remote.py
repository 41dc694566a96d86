"""The transport over HTTP, to a server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crossbill._transport import Answer
from crossbill.exceptions import (
    PineconeConnectionError,
    PineconeTimeoutError,
    PineconeValueError,
    retry_after,
)

if TYPE_CHECKING:
    import urllib3

# Statuses that say: not done, ask again.
_NOT_DONE = frozenset({429, 503})
_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 8.0


class Remote:
    """Connections to one server, kept open and shared by threads."""

    def __init__(
        self,
        host: str,
        headers: Mapping[str, str],
        *,
        timeout: float = 30.0,
        retries: int = 4,
        connections: int = 16,
        ssl_verify: bool = True,
        ssl_ca_certs: str | None = None,
    ) -> None:
        # Here, so that what needs no server starts without it.
        import urllib3

        base = host if "://" in host else f"https://{host}"
        if not base.startswith(("http://", "https://")):
            raise PineconeValueError(f"host is {host!r}, expected http:// or https://")
        self._base = base.rstrip("/")
        self._headers = dict(headers)
        self._timeout = timeout
        self._retries = retries
        self._urllib3 = urllib3
        self._pool: urllib3.PoolManager = urllib3.PoolManager(
            maxsize=connections,
            block=False,
            retries=False,
            cert_reqs="CERT_REQUIRED" if ssl_verify else "CERT_NONE",
            ca_certs=ssl_ca_certs,
        )

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float | None = None,
    ) -> Answer:
        """The server's answer. What the server says it has not done is asked again, a few times;
        so is what only reads, and what never reached it."""
        pause = _PAUSE_SECONDS
        for attempts_left in range(self._retries, -1, -1):
            try:
                answer = self._once(method, target, headers, body, timeout or self._timeout)
            except PineconeConnectionError as error:
                never_there = isinstance(error.__cause__, self._urllib3.exceptions.NewConnectionError)
                if not attempts_left or not (method == "GET" or never_there):
                    raise
                wait = pause
            else:
                if answer.status not in _NOT_DONE or not attempts_left:
                    return answer
                wait = retry_after(answer.headers) or pause
            time.sleep(min(wait, _PAUSE_SECONDS_MAX))
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Answer:
        errors = self._urllib3.exceptions
        try:
            answer = self._pool.request(
                method,
                self._base + target,
                body=body or None,
                headers={**self._headers, **headers},
                timeout=self._urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
                redirect=False,
            )
        except errors.NewConnectionError as error:
            raise PineconeConnectionError(f"no answer from {self._base}: {error}") from error
        except (errors.ReadTimeoutError, errors.ConnectTimeoutError) as error:
            raise PineconeTimeoutError(f"no answer from {self._base} in {timeout} s") from error
        except errors.HTTPError as error:
            raise PineconeConnectionError(f"no answer from {self._base}: {error}") from error
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, named, answer.data)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()
