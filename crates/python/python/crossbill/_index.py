"""The data plane: the records of one index, its namespaces and its imports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crossbill import _batches, _imports, _remote_table
from crossbill._caller import Caller, listed, segment
from crossbill._embedded import Embedded
from crossbill._imports import Columns, Imported
from crossbill.exceptions import PineconeTypeError, PineconeValueError
from crossbill.models import (
    DescribeIndexStatsResponse,
    FetchByMetadataResponse,
    FetchResponse,
    ImportErrorMode,
    ImportList,
    ImportModel,
    ListNamespacesResponse,
    ListResponse,
    NamespaceDescription,
    Pagination,
    QueryResponse,
    Reject,
    SparseValues,
    StartImportResponse,
    UpdateResponse,
    UpsertResponse,
    Vector,
)

# Requests of one call that are under way at once, at most.
CONCURRENCY_MAX = 64


class Index:
    """One index. Made by ``Pinecone.index``; safe to use from several threads."""

    def __init__(self, api: Caller, name: str, host: str, embedded: Embedded | None) -> None:
        self._api = api
        self._embedded = embedded
        self.name = name
        self.host = host

    # --- Records

    def upsert(
        self,
        vectors: Sequence[Any],
        namespace: str = "",
        batch_size: int | None = None,
        show_progress: bool = True,
        max_concurrency: int = 8,
        timeout: float | None = None,
    ) -> UpsertResponse:
        """Stores records; they are on disk when this returns.

        A record is a ``Vector``, a dictionary with its fields, or a tuple of id, values and
        perhaps metadata. Without ``batch_size`` all go in one request; with it, in requests of
        so many, ``max_concurrency`` of them at once; what failed stands in ``errors`` then.
        """
        records = [_record(one) for one in vectors]
        if batch_size is None:
            return self._upsert(records, namespace, timeout)
        if batch_size < 1 or not 1 <= max_concurrency <= CONCURRENCY_MAX:
            raise PineconeValueError(
                f"batch_size is {batch_size} and max_concurrency {max_concurrency}, expected "
                f"at least 1, and 1 to {CONCURRENCY_MAX}"
            )
        batches = [records[at : at + batch_size] for at in range(0, len(records), batch_size)]
        return _batches.upsert(
            lambda batch: self._upsert(batch, namespace, timeout).upserted_count,
            batches,
            max_concurrency,
            show_progress,
        )

    def _upsert(
        self, records: list[dict[str, Any]], namespace: str, timeout: float | None = None
    ) -> UpsertResponse:
        called = self._api.post(
            "/vectors/upsert", {"vectors": records, "namespace": namespace}, timeout
        )
        return UpsertResponse.of(called.body, response_info=called.info)

    def query(
        self,
        *,
        top_k: int,
        vector: Sequence[float] | None = None,
        id: str | None = None,
        namespace: str = "",
        filter: Mapping[str, Any] | None = None,
        include_values: bool = False,
        include_metadata: bool = False,
        sparse_vector: SparseValues | Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **more: Any,
    ) -> QueryResponse:
        """The ``top_k`` records nearest to a vector, or to the record ``id``.

        ``more`` goes into the request as it is (``recall=0.99``, for example).
        """
        body = _given(
            topK=top_k,
            includeValues=include_values,
            includeMetadata=include_metadata,
            namespace=namespace,
            vector=None if vector is None else listed(vector),
            id=id,
            filter=filter,
            sparseVector=_sparse(sparse_vector),
            **more,
        )
        called = self._api.post("/query", body, timeout)
        return QueryResponse.of(called.body, response_info=called.info)

    def fetch(
        self, *, ids: Sequence[str], namespace: str = "", timeout: float | None = None
    ) -> FetchResponse:
        """Records by their ids; those that are not there are left out."""
        wanted = [ids] if isinstance(ids, str) else list(ids)
        called = self._api.get("/vectors/fetch", timeout, ids=wanted, namespace=namespace)
        return FetchResponse.of(called.body, response_info=called.info)

    def fetch_by_metadata(
        self,
        *,
        filter: Mapping[str, Any],
        namespace: str = "",
        limit: int | None = None,
        pagination_token: str | None = None,
        timeout: float | None = None,
    ) -> FetchByMetadataResponse:
        """One page of the records that a filter matches."""
        body = _given(
            filter=filter, namespace=namespace, limit=limit, paginationToken=pagination_token
        )
        called = self._api.post("/vectors/fetch_by_metadata", body, timeout)
        return FetchByMetadataResponse.of(called.body, response_info=called.info)

    def update(
        self,
        id: str | None = None,
        *,
        values: Sequence[float] | None = None,
        sparse_values: SparseValues | Mapping[str, Any] | None = None,
        set_metadata: Mapping[str, Any] | None = None,
        namespace: str = "",
        filter: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> UpdateResponse:
        """Changes a record, or the metadata of all that a filter matches."""
        body = _given(
            id=id,
            values=None if values is None else listed(values),
            sparseValues=_sparse(sparse_values),
            setMetadata=set_metadata,
            namespace=namespace,
            filter=filter,
            dryRun=dry_run or None,
        )
        called = self._api.post("/vectors/update", body, timeout)
        return UpdateResponse.of(called.body, response_info=called.info)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        delete_all: bool = False,
        filter: Mapping[str, Any] | None = None,
        namespace: str = "",
        timeout: float | None = None,
    ) -> None:
        """Deletes records: by their ids, by a filter, or all of a namespace."""
        wanted = [ids] if isinstance(ids, str) else ids
        body = _given(
            ids=None if wanted is None else list(wanted),
            deleteAll=delete_all or None,
            filter=filter,
            namespace=namespace,
        )
        self._api.post("/vectors/delete", body, timeout)

    def list_paginated(
        self,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        pagination_token: str | None = None,
        namespace: str = "",
        timeout: float | None = None,
    ) -> ListResponse:
        """One page of ids, in their order."""
        called = self._api.get(
            "/vectors/list",
            timeout,
            prefix=prefix,
            limit=limit,
            paginationToken=pagination_token,
            namespace=namespace,
        )
        return ListResponse.of(called.body, response_info=called.info)

    def list(
        self,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        namespace: str = "",
        timeout: float | None = None,
    ) -> Iterator[ListResponse]:
        """All ids, page by page of ``limit``."""
        token: str | None = None
        while True:
            page = self.list_paginated(
                prefix=prefix,
                limit=limit,
                pagination_token=token,
                namespace=namespace,
                timeout=timeout,
            )
            if page.vectors:
                yield page
            token = page.pagination.next if page.pagination else None
            if token is None:
                return

    def describe_index_stats(
        self, *, filter: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> DescribeIndexStatsResponse:
        """How many records there are, by namespace."""
        called = self._api.post("/describe_index_stats", _given(filter=filter), timeout)
        return DescribeIndexStatsResponse.of(called.body, response_info=called.info)

    # --- Namespaces

    def create_namespace(
        self, *, name: str, schema: Mapping[str, Any] | None = None
    ) -> NamespaceDescription:
        """Makes an empty namespace."""
        called = self._api.post("/namespaces", _given(name=name, schema=schema))
        return NamespaceDescription.of(called.body)

    def describe_namespace(self, *, name: str) -> NamespaceDescription:
        """A namespace and how many records it has."""
        return NamespaceDescription.of(self._api.get(f"/namespaces/{segment(name)}").body)

    def delete_namespace(self, *, name: str, timeout: float | None = None) -> None:
        """Deletes a namespace with all its records."""
        self._api.delete(f"/namespaces/{segment(name)}", timeout)

    def list_namespaces_paginated(
        self,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        pagination_token: str | None = None,
    ) -> ListNamespacesResponse:
        """One page of namespaces."""
        called = self._api.get(
            "/namespaces", prefix=prefix, limit=limit, paginationToken=pagination_token
        )
        return ListNamespacesResponse.of(called.body)

    def list_namespaces(
        self, *, prefix: str | None = None, limit: int | None = None
    ) -> Iterator[ListNamespacesResponse]:
        """All namespaces, page by page."""
        token: str | None = None
        while True:
            page = self.list_namespaces_paginated(
                prefix=prefix, limit=limit, pagination_token=token
            )
            yield page
            token = page.pagination.next if page.pagination else None
            if token is None:
                return

    # --- Imports

    def start_import(
        self,
        uri: str,
        *,
        error_mode: str | ImportErrorMode | None = None,
        integration_id: str | None = None,
        **more: Any,
    ) -> StartImportResponse:
        """Starts an import of the files at ``uri`` and gives its id.

        ``more`` are the fields that docs/import-control.md and docs/import-inputs.md describe, in
        Python's spelling: ``columns=…``, ``id_prefix=…``, ``dry_run=True``, ``mode="replace"``.
        """
        return _imports.start(self._api, uri, error_mode, integration_id, **more)

    def describe_import(self, id: str | int) -> ImportModel:
        """How far an import is."""
        return ImportModel.of(self._api.get(_import(id)).body)

    def cancel_import(self, id: str | int) -> None:
        """Cancels an import; what it has loaded by then stays."""
        self._api.delete(_import(id))

    def list_imports_paginated(
        self, *, limit: int | None = None, pagination_token: str | None = None
    ) -> ImportList:
        """One page of imports, newest first."""
        body = self._api.get("/bulk/imports", limit=limit, paginationToken=pagination_token).body
        imports = [ImportModel.of(one) for one in body.get("data", [])]
        token = body.get("pagination")
        return ImportList(imports, pagination=Pagination.of(token) if token else None)

    def list_imports(
        self, *, limit: int | None = None, pagination_token: str | None = None
    ) -> Iterator[ImportModel]:
        """All imports, newest first, asked for in pages of ``limit``."""
        while True:
            page = self.list_imports_paginated(limit=limit, pagination_token=pagination_token)
            yield from page
            pagination_token = page.pagination.next if page.pagination else None
            if pagination_token is None:
                return

    def import_rejects(self, id: str | int) -> Iterator[Reject]:
        """The records that an import left out, in the order of its source."""
        return _imports.rejects(self._api, str(id))

    def import_path(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Columns | None = None,
        error_mode: str | ImportErrorMode = ImportErrorMode.CONTINUE,
        integration_id: str | None = None,
        show_progress: bool = True,
        **more: Any,
    ) -> Imported:
        """Imports a directory, a file or a pattern of files (or a URI) and waits for the end.

        In process any path that the process may read will do. Through a server it is a path of
        the server's machine, below a directory that its operator allows.

        Raises ``ImportFailedError`` where the import does not complete. Ctrl-C ends the waiting,
        not the import.
        """
        uri = _imports.uri_of(path)
        id = self.start_import(
            uri,
            error_mode=error_mode,
            integration_id=integration_id,
            columns=columns,
            **more,
        ).id
        return _imports.wait(self._api, id, show_progress)

    def import_table(
        self,
        table: Any,
        *,
        namespace: str = "",
        columns: Columns | None = None,
        error_mode: str | ImportErrorMode = ImportErrorMode.CONTINUE,
        show_progress: bool = True,
        **more: Any,
    ) -> Imported:
        """Imports a table: a DataFrame of pandas or Polars, a table or reader of pyarrow, a
        relation of DuckDB, or whatever else has ``__arrow_c_stream__``.

        In process this is an import like one of files: bad rows are left out and stand in
        ``rejects()``, the rest is indexed at once. Through a server the rows are upserted in
        batches; docs/python.md says what differs.

        Raises ``ImportFailedError`` where the import does not complete.
        """
        if not hasattr(table, "__arrow_c_stream__"):
            raise PineconeTypeError(
                f"found a table of type {type(table).__name__}, expected one with "
                "__arrow_c_stream__: pandas 2.2, Polars, pyarrow, DuckDB"
            )
        if self._embedded is None:
            return _remote_table.upsert(
                self, table, namespace, columns, error_mode, show_progress, more
            )
        laid = self._embedded.write_table(table, namespace)
        try:
            started = self.start_import(laid.uri, error_mode=error_mode, columns=columns, **more)
            return _imports.wait(self._api, started.id, show_progress, cancel=True)
        finally:
            laid.remove()

    def close(self) -> None:
        """Nothing to do: the ``Pinecone`` that made it holds what is to be closed."""

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<crossbill.Index {self.name!r}>"


def _record(one: Any) -> dict[str, Any]:
    """A record as it stands in a request."""
    if isinstance(one, Vector):
        return _given(
            id=one.id,
            values=listed(one.values) or None,
            sparseValues=_sparse(one.sparse_values),
            metadata=one.metadata,
        )
    if isinstance(one, Mapping):
        made = {("sparseValues" if name == "sparse_values" else name): value for name, value in one.items()}
        if made.get("values") is not None:
            made["values"] = listed(made["values"])
        made["sparseValues"] = _sparse(made.get("sparseValues"))
        return _given(**made)
    if isinstance(one, tuple) and 2 <= len(one) <= 3:
        return _given(id=one[0], values=listed(one[1]), metadata=one[2] if len(one) == 3 else None)
    raise PineconeTypeError(
        f"found a record of type {type(one).__name__}, expected a Vector, a dictionary, or a "
        "tuple of id, values and perhaps metadata"
    )


def _sparse(sparse: SparseValues | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if sparse is None:
        return None
    return {"indices": listed(sparse["indices"]), "values": listed(sparse["values"])}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _import(id: str | int) -> str:
    if not isinstance(id, (str, int)) or id == "":
        raise PineconeValueError(f"the import's id is {id!r}, expected what start_import gave")
    return f"/bulk/imports/{segment(str(id))}"
