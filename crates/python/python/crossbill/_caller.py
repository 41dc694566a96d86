"""Requests and answers of the REST API, over any transport: JSON in, JSON out, errors raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from crossbill._transport import Answer, Transport
from crossbill.exceptions import PineconeError, PineconeTypeError, of_answer
from crossbill.models import ResponseInfo

_HEADERS = {"Content-Type": "application/json", "X-Pinecone-Api-Version": "2025-10"}
_JSON_ROUGHLY = "numbers, strings, booleans, lists and objects"


class Caller:
    """Calls below one path of a transport."""

    def __init__(self, transport: Transport, prefix: str = "") -> None:
        self.transport = transport
        self._prefix = prefix

    def below(self, prefix: str) -> Caller:
        """The same transport, further down."""
        return Caller(self.transport, self._prefix + prefix)

    def get(self, path: str, timeout: float | None = None, **query: Any) -> Called:
        """``GET``; what is ``None`` is left out of the query, lists are repeated."""
        given = [(name, value) for name, value in query.items() if value is not None]
        tail = f"?{urlencode(given, doseq=True, quote_via=quote)}" if given else ""
        return self._call("GET", path + tail, None, timeout)

    def post(self, path: str, body: Any = None, timeout: float | None = None) -> Called:
        """``POST`` with a JSON body, or one that is JSON text already."""
        return self._call("POST", path, {} if body is None else body, timeout)

    def patch(self, path: str, body: Any) -> Called:
        """``PATCH`` with a JSON body."""
        return self._call("PATCH", path, body, None)

    def delete(self, path: str, timeout: float | None = None) -> Called:
        """``DELETE``."""
        return self._call("DELETE", path, None, timeout)

    def _call(self, method: str, target: str, body: Any, timeout: float | None) -> Called:
        content = b"" if body is None else body if isinstance(body, bytes) else encoded(body)
        answer = self.transport.send(method, self._prefix + target, _HEADERS, content, timeout)
        return Called(answer)


class Called:
    """An answer that is no error, its body parsed."""

    def __init__(self, answer: Answer) -> None:
        body = _parsed(answer)
        if answer.status >= 300:
            raise of_answer(answer.status, answer.headers, body)
        if answer.body and body is None:
            raise PineconeError(f"the answer with status {answer.status} is not JSON")
        self.body: Any = {} if body is None else body
        self.info = ResponseInfo(raw_headers=dict(answer.headers))


def segment(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")


def encoded(body: Any) -> bytes:
    """``body`` as JSON. Arrays (of numpy, say) are lists, floats of numpy are floats."""
    try:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise PineconeTypeError(f"{error}; expected {_JSON_ROUGHLY}") from None
    return text.encode("utf-8", "surrogatepass")


def listed(values: Sequence[float] | Any) -> Any:
    """A vector as a list, whatever kind of sequence it was."""
    made = getattr(values, "tolist", None)
    if made is not None:
        return made()
    return values if isinstance(values, list) else list(values)


def _plain(value: Any) -> Any:
    for name in ("tolist", "item"):
        made = getattr(value, name, None)
        if made is not None:
            return made()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, range)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _parsed(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.body else None
    except ValueError:
        return None
