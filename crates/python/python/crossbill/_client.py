"""The control plane: indexes are made, listed and deleted here, and opened for their records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from crossbill._caller import Caller, segment
from crossbill._embedded import Embedded
from crossbill._index import Index
from crossbill._remote import Remote
from crossbill._transport import Transport
from crossbill.exceptions import NotFoundError, PineconeValueError
from crossbill.models import IndexList, IndexModel

DEFAULT_HOST = "http://127.0.0.1:5080"


class Pinecone:
    """A database: in this process, or behind a server's address.

    Args:
        api_key: The key that the server wants; one without keys takes any.
        host: The server's control plane. Without it and without ``data``, the variables
            ``PINECONE_CONTROLLER_HOST`` and ``CROSSBILL_SERVER`` are looked at, then
            ``http://127.0.0.1:5080`` is asked.
        data: A directory, made where it is missing: the database is then this process itself,
            and no server is asked. Not together with ``host``.
        additional_headers: Sent with every request.
        timeout: Seconds that a server has for an answer.
        ssl_verify: Whether a server's certificate is checked.
        ssl_ca_certs: A file with the certificates to check it against.
        settings: With ``data``: settings of ``crossbill serve`` by their names, such as
            ``memory_limit="2GiB"``, ``threads=4``, ``embedding_url=…`` or ``config="cb.toml"``.

    It is a context manager. Without one, ``close()`` ends it; so does the interpreter's end.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        host: str | None = None,
        data: str | os.PathLike[str] | None = None,
        additional_headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        ssl_verify: bool = True,
        ssl_ca_certs: str | None = None,
        **settings: Any,
    ) -> None:
        self._embedded: Embedded | None = None
        self._others: list[Transport] = []
        self._connect: dict[str, Any] = {
            "timeout": timeout,
            "ssl_verify": ssl_verify,
            "ssl_ca_certs": ssl_ca_certs,
        }
        self._headers = dict(additional_headers or {})
        if data is not None:
            if host is not None:
                raise PineconeValueError("found both data and host, expected one of them")
            self._embedded = Embedded(data, settings)
            self._transport: Transport = self._embedded
        else:
            if settings:
                names = ", ".join(settings)
                raise PineconeValueError(f"found {names} without data: a server has its own settings")
            key = api_key or os.environ.get("PINECONE_API_KEY")
            if key:
                self._headers["Api-Key"] = key
            self._transport = Remote(host or _usual_host(), self._headers, **self._connect)
        self._api = Caller(self._transport)

    def create_index(
        self,
        name: str,
        spec: Any = None,
        dimension: int | None = None,
        metric: str | None = None,
        timeout: int | None = None,
        deletion_protection: str | None = None,
        vector_type: str | None = None,
        tags: Mapping[str, str] | None = None,
        **more: Any,
    ) -> IndexModel:
        """Makes an index; it takes records when this returns.

        ``spec`` may be left out: an index is where its server is. ``more`` goes into the request
        as it is (``vector_storage="int8"``, ``schema=…``; docs/vector-storage.md).
        """
        given = {
            "name": name,
            "dimension": dimension,
            "metric": _word(metric),
            # A request with a schema says in its own way where the index is to be.
            "spec": None if spec is None and "schema" in more else _spec(spec),
            "deletion_protection": _word(deletion_protection),
            "vector_type": _word(vector_type),
            "tags": None if tags is None else dict(tags),
            **more,
        }
        body = {field: value for field, value in given.items() if value is not None}
        return IndexModel.of(self._api.post("/indexes", body).body)

    def describe_index(self, name: str) -> IndexModel:
        """The index."""
        return IndexModel.of(self._api.get(_path(name)).body)

    def list_indexes(self) -> IndexList:
        """All indexes."""
        found = self._api.get("/indexes").body.get("indexes", [])
        return IndexList([IndexModel.of(one) for one in found])

    def has_index(self, name: str) -> bool:
        """Whether there is an index of this name."""
        try:
            self.describe_index(name)
        except NotFoundError:
            return False
        return True

    def configure_index(
        self,
        name: str,
        deletion_protection: str | None = None,
        tags: Mapping[str, str] | None = None,
        **more: Any,
    ) -> IndexModel:
        """Changes an index's deletion protection and tags; a tag that is ``""`` is removed."""
        given = {
            "deletion_protection": _word(deletion_protection),
            "tags": None if tags is None else dict(tags),
            **more,
        }
        body = {field: value for field, value in given.items() if value is not None}
        return IndexModel.of(self._api.patch(_path(name), body).body)

    def delete_index(self, name: str, timeout: int | None = None) -> None:
        """Deletes an index and all that it holds; it is gone when this returns."""
        self._api.delete(_path(name))

    def index(self, name: str = "", *, host: str = "") -> Index:
        """The index's records, by its name or by its own host."""
        if host and self._embedded is None:
            other = Remote(host, self._headers, **self._connect)
            self._others.append(other)
            return Index(Caller(other), name, host, None)
        if host:
            name = next((one.name for one in self.list_indexes() if one.host == host), "")
        if not name:
            found = f"the host {host!r}, which no index has" if host else "neither name nor host"
            raise PineconeValueError(f"found {found}, expected an index's name")
        described = self.describe_index(name)
        below = self._api.below(f"/data/{segment(name)}")
        return Index(below, name, described.host, self._embedded)

    # The name that older versions of the official client have for it.
    Index = index

    def close(self) -> None:
        """Lets go of the directory or of the connections; the second time does nothing."""
        for transport in [self._transport, *self._others]:
            transport.close()

    def __enter__(self) -> Pinecone:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<crossbill.Pinecone {'embedded' if self._embedded else 'remote'}>"


def _usual_host() -> str:
    variables = ("PINECONE_CONTROLLER_HOST", "CROSSBILL_SERVER")
    return next((os.environ[name] for name in variables if os.environ.get(name)), DEFAULT_HOST)


def _path(name: str) -> str:
    if not name:
        raise PineconeValueError("the index's name is empty")
    return f"/indexes/{segment(name)}"


def _word(value: Any) -> Any:
    return getattr(value, "value", value)


def _spec(spec: Any) -> Any:
    made = getattr(spec, "asdict", None)
    if made is not None:
        return made()
    return {"serverless": {"cloud": "aws", "region": "us-east-1"}} if spec is None else spec
