"""What calls take and give, with the attributes that the official client's objects have.

Each is a dataclass whose fields can also be read as ``answer["matches"]`` and that
``to_dict()`` turns into plain values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeVar

M = TypeVar("M", bound="Model")


class Model:
    """Dictionary-like reading of a dataclass, and its making from an answer's JSON."""

    # Fields whose values are models: alone, in a list, or in an object by name.
    _models: ClassVar[Mapping[str, type[Model]]] = {}
    # Whether names on the wire are in camel case, or as here.
    _camel: ClassVar[bool] = True

    @classmethod
    def of(cls: type[M], wire: Mapping[str, Any], **more: Any) -> M:
        """Makes one of JSON; what it does not know is left out."""
        given: dict[str, Any] = {}
        for name in cls._names():
            value = wire.get(_camel(name) if cls._camel else name)
            if value is not None:
                inner = cls._models.get(name)
                given[name] = value if inner is None else _made(inner, value)
        return cls(**given, **more)

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in dataclasses.fields(cls))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {name: _plain(getattr(self, name)) for name in self._names()}

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or ``default`` where there is no such field."""
        return getattr(self, name) if name in self._names() else default

    def __getitem__(self, name: Any) -> Any:
        if name not in self._names():
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._names()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _made(inner: type[Model], value: Any) -> Any:
    if isinstance(value, list):
        return [inner.of(one) for one in value]
    if issubclass(inner, _ByName):
        return {name: inner.of(one) for name, one in value.items()}
    return inner.of(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


class _ByName(Model):
    """A model that stands in objects under its name."""


class ImportErrorMode(str, Enum):
    """What a bad record does to its import."""

    CONTINUE = "continue"
    ABORT = "abort"


@dataclass(kw_only=True)
class ResponseInfo(Model):
    """The headers of an answer, and what they say."""

    raw_headers: dict[str, str] = field(default_factory=dict)

    @property
    def request_id(self) -> str | None:
        """What the server's log has the request under."""
        return self.raw_headers.get("x-pinecone-request-id")

    @property
    def lsn_committed(self) -> int | None:
        """The number of the write that this was."""
        return self._number("x-pinecone-lsn-committed")

    @property
    def lsn_reconciled(self) -> int | None:
        """The number of the last write that this read has seen."""
        return self._number("x-pinecone-lsn-reconciled")

    def is_reconciled(self, target_lsn: int) -> bool:
        """Whether this read has seen the write ``target_lsn``."""
        seen = self.lsn_reconciled
        return seen is not None and seen >= target_lsn

    def _number(self, name: str) -> int | None:
        text = self.raw_headers.get(name, "")
        return int(text) if text.isdecimal() else None


# --- Records


@dataclass
class SparseValues(Model):
    """A sparse vector: which entries are not zero, and what they are."""

    indices: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> SparseValues:
        """Made of ``{"indices": …, "values": …}``."""
        return cls(list(given["indices"]), list(given["values"]))


@dataclass
class Vector(_ByName):
    """A record."""

    id: str
    values: list[float] = field(default_factory=list)
    sparse_values: SparseValues | None = None
    metadata: dict[str, Any] | None = None
    _models = {"sparse_values": SparseValues}


@dataclass
class ScoredVector(Model):
    """A record that a query found."""

    id: str
    score: float = 0.0
    values: list[float] = field(default_factory=list)
    sparse_values: SparseValues | None = None
    metadata: dict[str, Any] | None = None
    _models = {"sparse_values": SparseValues}


@dataclass(kw_only=True)
class Usage(Model):
    """What a call is counted as."""

    read_units: int | None = None
    write_units: int | None = None


@dataclass(kw_only=True)
class Pagination(Model):
    """The token of the next page."""

    next: str | None = None


@dataclass(kw_only=True)
class BatchError(Model):
    """A batch that was not stored, and why."""

    batch_index: int
    items: list[dict[str, Any]]
    error: Exception
    error_message: str


@dataclass(kw_only=True)
class UpsertResponse(Model):
    """How many records were stored; with ``batch_size``, also which were not."""

    upserted_count: int = 0
    response_info: ResponseInfo | None = None
    total_item_count: int = 0
    failed_item_count: int = 0
    total_batch_count: int = 0
    successful_batch_count: int = 0
    failed_batch_count: int = 0
    errors: list[BatchError] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether a batch was not stored."""
        return bool(self.errors)

    @property
    def failed_items(self) -> list[dict[str, Any]]:
        """The records of the batches that were not stored."""
        return [item for error in self.errors for item in error.items]


@dataclass(kw_only=True)
class QueryResponse(Model):
    """The nearest records, nearest first."""

    matches: list[ScoredVector] = field(default_factory=list)
    namespace: str = ""
    usage: Usage | None = None
    response_info: ResponseInfo | None = None
    _models = {"matches": ScoredVector, "usage": Usage}


@dataclass(kw_only=True)
class FetchResponse(Model):
    """Records by their ids."""

    vectors: dict[str, Vector] = field(default_factory=dict)
    namespace: str = ""
    usage: Usage | None = None
    response_info: ResponseInfo | None = None
    _models = {"vectors": Vector, "usage": Usage}


@dataclass(kw_only=True)
class FetchByMetadataResponse(FetchResponse):
    """Records by their ids, one page of them."""

    pagination: Pagination | None = None
    _models = {"vectors": Vector, "usage": Usage, "pagination": Pagination}


@dataclass(kw_only=True)
class UpdateResponse(Model):
    """How many records an update by filter matched."""

    matched_records: int | None = None
    response_info: ResponseInfo | None = None


@dataclass(kw_only=True)
class ListItem(Model):
    """A record's id."""

    id: str | None = None


@dataclass(kw_only=True)
class ListResponse(Model):
    """One page of ids."""

    vectors: list[ListItem] = field(default_factory=list)
    pagination: Pagination | None = None
    namespace: str = ""
    usage: Usage | None = None
    response_info: ResponseInfo | None = None
    _models = {"vectors": ListItem, "pagination": Pagination, "usage": Usage}

    def __iter__(self) -> Iterator[ListItem]:
        return iter(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(kw_only=True)
class NamespaceSummary(_ByName):
    """A namespace in an index's figures."""

    vector_count: int = 0


@dataclass(kw_only=True)
class DescribeIndexStatsResponse(Model):
    """An index's figures."""

    namespaces: dict[str, NamespaceSummary] = field(default_factory=dict)
    dimension: int | None = None
    index_fullness: float = 0.0
    total_vector_count: int = 0
    metric: str | None = None
    vector_type: str | None = None
    memory_fullness: float | None = None
    storage_fullness: float | None = None
    response_info: ResponseInfo | None = None
    _models = {"namespaces": NamespaceSummary}


@dataclass(kw_only=True)
class NamespaceFieldConfig(_ByName):
    """Whether filters may name a field."""

    filterable: bool = False


@dataclass(kw_only=True)
class NamespaceSchema(Model):
    """The fields that a namespace was made with."""

    fields: dict[str, NamespaceFieldConfig] = field(default_factory=dict)
    _models = {"fields": NamespaceFieldConfig}


@dataclass(kw_only=True)
class IndexedFields(Model):
    """The names of the fields that filters may name."""

    fields: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class NamespaceDescription(Model):
    """A namespace."""

    name: str = ""
    record_count: int = 0
    schema: NamespaceSchema | None = None
    indexed_fields: IndexedFields | None = None
    size_bytes: int = 0
    _models = {"schema": NamespaceSchema, "indexed_fields": IndexedFields}
    _camel = False


@dataclass(kw_only=True)
class ListNamespacesResponse(Model):
    """One page of namespaces."""

    namespaces: list[NamespaceDescription] = field(default_factory=list)
    pagination: Pagination | None = None
    total_count: int = 0
    _models = {"namespaces": NamespaceDescription, "pagination": Pagination}
    _camel = False

    def __iter__(self) -> Iterator[NamespaceDescription]:
        return iter(self.namespaces)

    def __len__(self) -> int:
        return len(self.namespaces)


# --- Indexes


@dataclass
class ServerlessSpec(Model):
    """Where an index is to be. A Crossbill server is where it is: the words are only kept."""

    cloud: str = "aws"
    region: str = "us-east-1"

    def asdict(self) -> dict[str, Any]:
        """As it stands in a request."""
        return {"serverless": {"cloud": _word(self.cloud), "region": _word(self.region)}}


@dataclass(kw_only=True)
class ServerlessSpecInfo(Model):
    """Where an index was said to be."""

    cloud: str = ""
    region: str = ""
    read_capacity: dict[str, Any] | None = None
    source_collection: str | None = None
    schema: dict[str, Any] | None = None
    _camel = False


@dataclass(kw_only=True)
class IndexSpec(Model):
    """Where an index was said to be, by kind."""

    serverless: ServerlessSpecInfo | None = None
    pod: dict[str, Any] | None = None
    byoc: dict[str, Any] | None = None
    _models = {"serverless": ServerlessSpecInfo}
    _camel = False


@dataclass(kw_only=True)
class IndexStatus(Model):
    """Whether an index answers."""

    ready: bool = False
    state: str = ""


@dataclass(kw_only=True)
class IndexModel(Model):
    """An index."""

    name: str
    dimension: int | None = None
    metric: str = ""
    vector_type: str = "dense"
    host: str = ""
    status: IndexStatus = field(default_factory=IndexStatus)
    spec: IndexSpec = field(default_factory=IndexSpec)
    deletion_protection: str = "disabled"
    tags: dict[str, str] | None = None
    embed: dict[str, Any] | None = None
    _models = {"status": IndexStatus, "spec": IndexSpec}
    _camel = False


class IndexList:
    """All indexes."""

    def __init__(self, indexes: list[IndexModel]) -> None:
        self.indexes = indexes

    def names(self) -> list[str]:
        """Their names."""
        return [one.name for one in self.indexes]

    def to_dict(self) -> dict[str, Any]:
        """All of them as plain values."""
        return {"indexes": [one.to_dict() for one in self.indexes]}

    def __iter__(self) -> Iterator[IndexModel]:
        return iter(self.indexes)

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, position: int) -> IndexModel:
        return self.indexes[position]

    def __repr__(self) -> str:
        return f"IndexList({self.names()})"


# --- Imports


@dataclass(kw_only=True)
class StartImportResponse(Model):
    """The id of an import that was started."""

    id: str


@dataclass(kw_only=True)
class ImportModel(Model):
    """An import: what the official client shows of one, and what Crossbill adds."""

    id: str
    uri: str = ""
    status: str = ""
    created_at: str = ""
    finished_at: str | None = None
    percent_complete: float | None = None
    records_imported: int | None = None
    error: str | None = None
    records_rejected: int = 0
    records_superseded: int = 0
    records_read: int = 0
    records_total: int | None = None
    records_per_second: float | None = None
    eta_seconds: float | None = None
    phase: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self.status in ("Completed", "Failed", "Cancelled")


@dataclass(kw_only=True)
class Reject(Model):
    """A record that an import left out: where it stood, and why."""

    file: str = ""
    row_group: int | None = None
    row: int | None = None
    id: str | None = None
    code: str = ""
    column: str | None = None
    message: str = ""
    record: str | None = None


class ImportList:
    """One page of imports."""

    def __init__(
        self, imports: list[ImportModel], *, pagination: Pagination | None = None
    ) -> None:
        self._imports = imports
        self.pagination = pagination

    def to_dict(self) -> dict[str, Any]:
        """All of them as plain values."""
        made: dict[str, Any] = {"data": [one.to_dict() for one in self._imports]}
        if self.pagination is not None:
            made["pagination"] = self.pagination.to_dict()
        return made

    def __iter__(self) -> Iterator[ImportModel]:
        return iter(self._imports)

    def __len__(self) -> int:
        return len(self._imports)

    def __getitem__(self, position: int) -> ImportModel:
        return self._imports[position]

    def __repr__(self) -> str:
        return f"ImportList({[(one.id, one.status) for one in self._imports]})"


def _word(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
