"""Files as the tools that people have write them: pyarrow, pandas, Polars, DuckDB, and a folder as
Spark leaves it. All hold the same records, so that one check fits every one of them.

Run as a program, in the environment of tests/requirements/writers.txt, it writes each case into a
folder of its own: `python writers.py FOLDER`. The tests import it for the names and the records
only, which need no library.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from collections.abc import Callable

ROWS, DIMENSION = 230, 4
COLORS = ["red", "green", "blue", "black", "white"]
CASES: dict[str, Callable[[Path], None]] = {}
#: Cases whose metadata is left out, and those whose ids are the row numbers.
NO_METADATA, NUMBERED = set(), set()


def id_of(row: int) -> str:
    return f"record-{row:05d}"


def vector_of(row: int) -> list[float]:
    """Never zero, and exact in half precision."""
    return [((row * 31 + at * 7) % 97 + 1) / 8 for at in range(DIMENSION)]


def metadata_of(row: int) -> dict[str, Any] | None:
    """None in every tenth row, and some fields missing in others."""
    if row % 10 == 9:
        return None
    fields = {"color": COLORS[row % 5], "price": row % 100 + 0.5, "stock": row % 7}
    if row % 3:
        fields |= {"sale": row % 2 == 0, "tags": [f"t{row % 4}", f"u{row % 6}"]}
    return fields


def case(name: str, *, metadata: bool = True, numbered: bool = False):
    def register(write: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[name] = write
        if not metadata:
            NO_METADATA.add(name)
        if numbered:
            NUMBERED.add(name)
        return write

    return register


def json_of(row: int) -> str | None:
    fields = metadata_of(row)
    return None if fields is None else json.dumps(fields)


# pyarrow


def arrow_table(**changed: Any) -> Any:
    import pyarrow as pa

    rows = range(ROWS)
    columns = {
        "id": pa.array([id_of(row) for row in rows]),
        "values": pa.array([vector_of(row) for row in rows], pa.list_(pa.float32())),
        "metadata": pa.array([json_of(row) for row in rows], pa.string()),
    }
    columns |= changed
    return pa.table({name: column for name, column in columns.items() if column is not None})


def arrow_case(name: str, columns: Callable[[Any], dict[str, Any]] = lambda pa: {}, **options: Any):
    known = {"metadata": options.pop("metadata", True), "numbered": options.pop("numbered", False)}

    @case(f"pyarrow-{name}", **known)
    def write(folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(arrow_table(**columns(pa)), folder / "f.parquet", **options)


for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
    for page in ("1.0", "2.0"):
        arrow_case(
            f"{codec}-pages-{page}", compression=codec, data_page_version=page, data_page_size=256
        )
arrow_case("plain", use_dictionary=False)
arrow_case(
    "delta-and-split",
    use_dictionary=False,
    column_encoding={
        "id": "DELTA_BYTE_ARRAY",
        "values.list.element": "BYTE_STREAM_SPLIT",
        "metadata": "DELTA_LENGTH_BYTE_ARRAY",
    },
    data_page_version="2.0",
)
arrow_case(
    "delta-lengths", use_dictionary=False, column_encoding={"id": "DELTA_LENGTH_BYTE_ARRAY"}
)
arrow_case("dictionary-of-vectors", use_dictionary=True, dictionary_pagesize_limit=512)
arrow_case("groups-of-10", row_group_size=10)
arrow_case("indexed", write_page_index=True, write_page_checksum=True, store_schema=False)
arrow_case("version-1.0", version="1.0", use_compliant_nested_type=False)
arrow_case(
    "large",
    lambda pa: {
        "id": pa.array([id_of(row) for row in range(ROWS)], pa.large_string()),
        "values": pa.array([vector_of(row) for row in range(ROWS)], pa.large_list(pa.float32())),
        "metadata": pa.array([json_of(row) for row in range(ROWS)], pa.large_string()),
    },
)
arrow_case(
    "views", lambda pa: {"id": pa.array([id_of(row) for row in range(ROWS)], pa.string_view())}
)
arrow_case(
    "bytes", lambda pa: {"id": pa.array([id_of(row).encode() for row in range(ROWS)], pa.binary())}
)
arrow_case(
    "categories",
    lambda pa: {
        "id": pa.array([id_of(row) for row in range(ROWS)]).dictionary_encode(),
        "metadata": pa.array([json_of(row) for row in range(ROWS)]).dictionary_encode(),
    },
)
for kind in ("int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
    arrow_case(
        f"id-{kind}",
        lambda pa, kind=kind: {"id": pa.array(range(ROWS), getattr(pa, kind)())},
        numbered=True,
    )
arrow_case(
    "id-int64-delta",
    lambda pa: {"id": pa.array(range(ROWS), pa.int64())},
    use_dictionary=False,
    column_encoding={"id": "DELTA_BINARY_PACKED"},
    numbered=True,
)
for item in ("float16", "float32", "float64"):
    for shape in ("list", "large-list", "fixed-size-list"):
        arrow_case(
            f"{item}-{shape}",
            lambda pa, item=item, shape=shape: {
                "values": pa.array(
                    [vector_of(row) for row in range(ROWS)],
                    {
                        "list": lambda kind: pa.list_(kind),
                        "large-list": lambda kind: pa.large_list(kind),
                        "fixed-size-list": lambda kind: pa.list_(kind, DIMENSION),
                    }[shape](getattr(pa, item)()),
                )
            },
        )
arrow_case(
    "struct-metadata",
    lambda pa: {"metadata": pa.array([metadata_of(row) for row in range(ROWS)])},
)
arrow_case("no-metadata", lambda pa: {"metadata": None}, metadata=False)
arrow_case("null-metadata", lambda pa: {"metadata": pa.nulls(ROWS)}, metadata=False)


@case("pyarrow-nothing-in-some-groups")
def groups_without_rows(folder: Path) -> None:
    import pyarrow.parquet as pq

    table = arrow_table()
    with pq.ParquetWriter(folder / "f.parquet", table.schema) as out:
        for part in (table[:0], table[:100], table[100:100], table[100:], table[:0]):
            out.write_table(part)


@case("pyarrow-empty-file-beside")
def empty_file_beside(folder: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(arrow_table()[:0], folder / "a.parquet")
    pq.write_table(arrow_table(), folder / "b.parquet")


@case("pyarrow-dataset")
def dataset(folder: Path) -> None:
    import pyarrow.dataset as ds

    ds.write_dataset(
        arrow_table(), folder, format="parquet", max_rows_per_file=50, max_rows_per_group=20
    )


@case("spark")
def spark(folder: Path) -> None:
    """The names Spark gives: a marker of success, checksums that are hidden, long part names."""
    import pyarrow.parquet as pq

    job = "6f1c9c6e-0b63-4c0a-8f6c-1f1d2f6f9a10"
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").write_bytes(b"crc\0\0\0\0")
    for number in range(3):
        name = f"part-{number:05d}-{job}-c000.snappy.parquet"
        rows = arrow_table()[number * 80 : (number + 1) * 80]
        pq.write_table(rows, folder / name, flavor="spark", compression="snappy", version="1.0")
        (folder / f".{name}.crc").write_bytes(b"crc\0" + bytes(12))


# pandas


def frame(**changed: Any) -> Any:
    import pandas as pd

    rows = range(ROWS)
    columns = {
        "id": [id_of(row) for row in rows],
        "values": [vector_of(row) for row in rows],
        "metadata": [json_of(row) for row in rows],
    }
    return pd.DataFrame(columns | changed)


@case("pandas")
def pandas(folder: Path) -> None:
    frame().to_parquet(folder / "f.parquet")


@case("pandas-with-index")
def pandas_with_index(folder: Path) -> None:
    frame().sort_values("id", ascending=False).to_parquet(folder / "f.parquet", index=True)


@case("pandas-arrays")
def pandas_arrays(folder: Path) -> None:
    import numpy as np

    arrays = [np.array(vector_of(row), np.float32) for row in range(ROWS)]
    frame(values=arrays).to_parquet(folder / "f.parquet", compression="gzip")


@case("pandas-dicts")
def pandas_dicts(folder: Path) -> None:
    frame(metadata=[metadata_of(row) for row in range(ROWS)]).to_parquet(folder / "f.parquet")


@case("pandas-integer-ids", numbered=True)
def pandas_integer_ids(folder: Path) -> None:
    frame(id=list(range(ROWS))).to_parquet(folder / "f.parquet")


# Polars


def polars_frame(**changed: Any) -> Any:
    import polars as pl

    rows = range(ROWS)
    columns = {
        "id": pl.Series([id_of(row) for row in rows]),
        "values": pl.Series([vector_of(row) for row in rows], dtype=pl.List(pl.Float32)),
        "metadata": pl.Series([json_of(row) for row in rows], dtype=pl.String),
    }
    return pl.DataFrame(columns | changed)


for codec in ("uncompressed", "snappy", "gzip", "brotli", "lz4", "zstd"):

    @case(f"polars-{codec}")
    def polars_codec(folder: Path, codec: str = codec) -> None:
        polars_frame().write_parquet(folder / "f.parquet", compression=codec, row_group_size=70)


@case("polars-arrays")
def polars_arrays(folder: Path) -> None:
    import polars as pl

    values = [vector_of(row) for row in range(ROWS)]
    kind = pl.Array(pl.Float64, DIMENSION)
    frame = polars_frame(values=pl.Series(values, dtype=kind))
    frame.write_parquet(folder / "f.parquet", data_page_size=500)


@case("polars-struct-and-categories")
def polars_struct(folder: Path) -> None:
    import polars as pl

    fields = {
        "color": pl.String,
        "price": pl.Float64,
        "stock": pl.Int64,
        "sale": pl.Boolean,
        "tags": pl.List(pl.String),
    }
    metadata = pl.Series([metadata_of(row) for row in range(ROWS)], dtype=pl.Struct(fields))
    ids = pl.Series([id_of(row) for row in range(ROWS)], dtype=pl.Categorical)
    polars_frame(id=ids, metadata=metadata).write_parquet(folder / "f.parquet")


@case("polars-streamed")
def polars_streamed(folder: Path) -> None:
    polars_frame().lazy().sink_parquet(folder / "f.parquet", row_group_size=33)


# DuckDB


def duck(folder: Path, select: str, options: str, name: str = "f.parquet") -> None:
    import duckdb

    rows = [(id_of(row), vector_of(row), json_of(row)) for row in range(ROWS)]
    with duckdb.connect() as db:
        db.execute("CREATE TABLE source (n BIGINT, id VARCHAR, v FLOAT[], m VARCHAR)")
        db.executemany(
            "INSERT INTO source VALUES (?, ?, ?, ?)",
            [(row, *fields) for row, fields in enumerate(rows)],
        )
        db.execute(f"COPY ({select}) TO '{folder / name}' (FORMAT parquet, {options})")


PLAIN = "SELECT id, v AS values, m AS metadata FROM source ORDER BY n"
for codec in ("uncompressed", "snappy", "gzip", "brotli", "lz4_raw", "zstd"):
    for version in ("V1", "V2"):

        @case(f"duckdb-{codec}-{version}")
        def duck_codec(folder: Path, codec: str = codec, version: str = version) -> None:
            duck(folder, PLAIN, f"CODEC {codec}, PARQUET_VERSION {version}, ROW_GROUP_SIZE 100")


@case("duckdb-arrays-and-struct")
def duck_arrays(folder: Path) -> None:
    structure = json.dumps(
        {
            "color": "VARCHAR",
            "price": "DOUBLE",
            "stock": "BIGINT",
            "sale": "BOOLEAN",
            "tags": ["VARCHAR"],
        }
    )
    duck(
        folder,
        f"SELECT id, v::DOUBLE[{DIMENSION}] AS values, "
        f"from_json(m, '{structure}') AS metadata FROM source ORDER BY n",
        "PARQUET_VERSION V2",
    )


@case("duckdb-json-and-integers", numbered=True)
def duck_json(folder: Path) -> None:
    select = "SELECT n AS id, v AS values, m::JSON AS metadata FROM source ORDER BY n"
    duck(folder, select, "PARQUET_VERSION V2")


@case("duckdb-many-files")
def duck_files(folder: Path) -> None:
    duck(folder, PLAIN, "PER_THREAD_OUTPUT", name="parts")


def main() -> None:
    out = Path(sys.argv[1])
    for name, write in CASES.items():
        folder = out / name
        folder.mkdir(parents=True)
        write(folder)


if __name__ == "__main__":
    main()
