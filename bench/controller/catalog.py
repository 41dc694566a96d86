"""The peers and the sets of the standard run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One peer as run: its file in peers/ (and requirements/), and the variant it is told."""

    module: str
    variant: str = ""
    answers: bool = True


PEERS = {
    "crossbill": Entry("crossbill"),
    "crossbill-rest": Entry("crossbill_rest", "plain"),
    "crossbill-sdk": Entry("crossbill_rest", "sdk"),
    "faiss-ivfpqfs": Entry("faiss", "ivfpqfs"),
    "faiss-ivfrabitqfs": Entry("faiss", "ivfrabitqfs"),
    "faiss-ivfflat": Entry("faiss", "ivfflat"),
    "faiss-hnsw32": Entry("faiss", "hnsw32"),
    "hnswlib": Entry("hnswlib"),
    "pyarrow": Entry("pyarrow", answers=False),
}
SETS = ["glove", "wordnet", "synth-1m"]
