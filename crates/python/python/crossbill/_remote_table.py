"""Tables through a server: their rows as upserts, several batches at once. What the server
refuses is halved until the bad record stands alone, and becomes a reject."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from crossbill import _native
from crossbill._batches import in_parallel
from crossbill._caller import encoded
from crossbill._imports import Columns, Imported, error_word
from crossbill._progress import Progress
from crossbill.exceptions import ApiError, ImportFailedError, PineconeError, PineconeValueError
from crossbill.models import ImportErrorMode, Reject

if TYPE_CHECKING:
    from crossbill._index import Index

# What one request may carry, a little below the server's bounds.
BATCH_RECORDS = 500
BATCH_BYTES = 1_500_000
AT_ONCE = 8
# Statuses that say the records are at fault, not the server.
_AT_FAULT = (400, 413, 422)
_ROLES = ("id", "values", "sparse_values", "metadata")


@dataclass(frozen=True)
class _Row:
    number: int
    id: str
    content: bytes


class _Stop(Exception):
    """A bad record under ``abort``."""


def upsert(
    index: Index,
    table: Any,
    namespace: str,
    columns: Columns | None,
    error_mode: str | ImportErrorMode,
    show_progress: bool,
    more: Mapping[str, Any],
) -> Imported:
    """Stores the table's rows and says how many there were, as an import would."""
    prefix = more.get("id_prefix")
    asked = [name for name, value in more.items() if value is not None and name != "id_prefix"]
    if asked:
        raise PineconeValueError(
            f"found {', '.join(asked)}, which a table cannot have through a server: write Parquet "
            "where the server reads it and use import_path"
        )
    work = _Upserts(index, namespace, abort=error_word(error_mode) == "abort")
    rows = _native.Rows(table)
    mapping = _Mapping(rows.columns(), columns or {}, prefix)
    try:
        with Progress("Upserting", show_progress, _length(table)) as work.progress:
            in_parallel(work.send, _batched(_records(rows, mapping, work)), AT_ONCE)
    except _Stop as stop:
        ended = work.ended("Failed", str(stop))
        raise ImportFailedError(f"the table was not loaded: {stop}", ended) from None
    except ValueError as error:
        if isinstance(error, PineconeError):
            raise
        raise PineconeValueError(str(error)) from None
    return work.ended("Completed", None)


class _Upserts:
    """What becomes of the rows."""

    def __init__(self, index: Index, namespace: str, abort: bool) -> None:
        self._api = index._api
        self._head = b'{"namespace":' + encoded(namespace) + b',"vectors":['
        self._abort = abort
        self._began = _now()
        self._stored = 0
        self._rejects: list[Reject] = []
        self.progress = Progress("", False)

    def send(self, number: int, rows: list[Any]) -> None:
        """Stores the rows but those that cannot be."""
        body = self._head + b",".join(row.content for row in rows) + b"]}"
        try:
            self._api.post("/vectors/upsert", body)
        except ApiError as error:
            if error.status_code not in _AT_FAULT:
                raise
            if len(rows) == 1:
                row = rows[0]
                self.reject(row.number, row.id, error.message)
                self.progress.add(1)
                return
            half = len(rows) // 2
            self.send(number, rows[:half])
            self.send(number, rows[half:])
            return
        with self.progress.lock:
            self._stored += len(rows)
        self.progress.add(len(rows))

    def reject(self, number: int, id: str | None, message: str) -> None:
        """Leaves a row out, or ends it all."""
        if self._abort:
            raise _Stop(f"row {number}: {message}")
        with self.progress.lock:
            self._rejects.append(
                Reject(file="table", row=number, id=id, code="refused", message=message)
            )

    def ended(self, status: str, error: str | None) -> Imported:
        """All of it, as an import that has ended."""
        rejects = sorted(self._rejects, key=lambda reject: reject.row or 0)
        read = self._stored + len(rejects)
        ended = Imported(
            id="",
            uri="table",
            status=status,
            error=error,
            created_at=self._began,
            finished_at=_now(),
            percent_complete=100.0 if status == "Completed" else 0.0,
            records_imported=self._stored,
            records_rejected=len(rejects),
            records_read=read,
            records_total=read,
            phase="done",
        )
        ended._rejects = lambda: rejects
        return ended


class _Mapping:
    """Which columns hold what, as docs/import-inputs.md has it."""

    def __init__(self, found: list[str], columns: Columns, prefix: str | None) -> None:
        unknown = [name for name in columns if name not in _ROLES]
        if unknown:
            raise PineconeValueError(
                f"columns has {', '.join(unknown)}, expected some of {', '.join(_ROLES)}"
            )
        self._names: dict[str, Any] = {role: columns.get(role, role) for role in _ROLES}
        self._prefix = prefix
        for role, name in self._names.items():
            several = isinstance(name, (list, tuple))
            missing = [one for one in (name if several else [name]) if one not in found]
            needed = role in columns or (role == "id" and prefix is None)
            if missing and needed:
                raise PineconeValueError(
                    f"the table has no column {', '.join(missing)} for {role}, found "
                    f"{', '.join(found)}; columns= says which column holds what"
                )
        if not {self._names["values"], self._names["sparse_values"]} & set(found):
            raise PineconeValueError(
                f"the table has neither values nor sparse_values, found {', '.join(found)}; "
                "columns= says which column holds what"
            )

    def record(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        """The record in a row, as an upsert has it."""
        id = f"{self._prefix}{number}" if self._prefix is not None else row[self._names["id"]]
        if isinstance(id, bytes):
            id = id.decode("utf-8", "replace")
        if id is None:
            raise ValueError("id is null, expected a string or a whole number")
        made: dict[str, Any] = {"id": str(id)}
        for role, field in (("values", "values"), ("sparse_values", "sparseValues")):
            value = row.get(self._names[role])
            if value is not None:
                made[field] = value
        metadata = self._metadata(row)
        if metadata:
            made["metadata"] = metadata
        return made

    def _metadata(self, row: Mapping[str, Any]) -> Any:
        name = self._names["metadata"]
        if isinstance(name, (list, tuple)):
            return {one: row[one] for one in name if row[one] is not None}
        value = row.get(name)
        if isinstance(value, (str, bytes)):
            try:
                return json.loads(value)
            except ValueError as error:
                raise ValueError(f"metadata is not JSON: {error}") from None
        if isinstance(value, Mapping):
            return {field: inner for field, inner in value.items() if inner is not None}
        return value


def _records(rows: _native.Rows, mapping: _Mapping, work: _Upserts) -> Iterator[_Row]:
    number = 0
    for slice in rows:
        for row in slice:
            try:
                record = mapping.record(row, number)
                content = encoded(record)
            except (ValueError, TypeError) as error:
                work.reject(number, None, str(error))
                work.progress.add(1)
            else:
                yield _Row(number, record["id"], content)
            number += 1


def _batched(rows: Iterator[_Row]) -> Iterator[list[Any]]:
    batch: list[_Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) >= BATCH_RECORDS or size + len(row.content) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.content) + 1
    if batch:
        yield batch


def _length(table: Any) -> int | None:
    """How many rows a table has, where it says so without counting them."""
    for length in ("num_rows", "height"):
        rows = getattr(table, length, None)
        if isinstance(rows, int):
            return rows
    return len(table) if type(table).__module__.split(".")[0] == "pandas" else None


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
