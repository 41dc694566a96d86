"""Crossbill in this process, on a directory and without a server: a table of pandas becomes an
index with a progress bar, and is queried.

    pip install crossbill tqdm pandas pyarrow
    python3 examples/embedded.py ./crossbill-data

With `crossbill.Pinecone(host="http://127.0.0.1:5080")` the same program asks a server.
"""

import random
import sys

import pandas as pd

import crossbill

DIMENSION = 64


def embeddings(count: int) -> pd.DataFrame:
    """Made up here; yours come from a model."""
    chance = random.Random(1)
    return pd.DataFrame(
        {
            "word": [f"word-{number}" for number in range(count)],
            "embedding": [[chance.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(count)],
            "length": [len(f"word-{number}") for number in range(count)],
        }
    )


with crossbill.Pinecone(data=sys.argv[1]) as pc:
    if not pc.has_index("words"):
        pc.create_index("words", dimension=DIMENSION, metric="cosine")
    index = pc.index("words")

    columns = {"id": "word", "values": "embedding", "metadata": ["length"]}
    done = index.import_table(embeddings(1000), columns=columns)
    print(f"{done.records_imported:,} records, {done.records_rejected} rejected")
    for reject in done.rejects():
        print(f"row {reject.row}: {reject.message}")

    found = index.query(id="word-7", top_k=3, include_metadata=True)
    print("nearest to word-7:", ", ".join(match.id for match in found.matches))
