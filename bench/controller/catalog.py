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
    "crossbill-f16": Entry("crossbill", "f16"),
    "crossbill-int8": Entry("crossbill", "int8"),
    "crossbill-rest": Entry("crossbill_rest", "plain"),
    "crossbill-sdk": Entry("crossbill_rest", "sdk"),
    "faiss-ivfpqfs": Entry("faiss", "ivfpqfs"),
    "faiss-ivfrabitqfs": Entry("faiss", "ivfrabitqfs"),
    "faiss-ivfflat": Entry("faiss", "ivfflat"),
    "faiss-hnsw32": Entry("faiss", "hnsw32"),
    "hnswlib": Entry("hnswlib"),
    "usearch": Entry("usearch", "f32"),
    "usearch-bf16": Entry("usearch", "bf16"),
    "qdrant-edge": Entry("qdrant_edge", "hnsw"),
    "qdrant-edge-sq": Entry("qdrant_edge", "hnsw_sq"),
    "lancedb-ivfpq": Entry("lancedb", "ivf_pq"),
    "lancedb-ivfrq": Entry("lancedb", "ivf_rq"),
    "chroma": Entry("chroma"),
    "milvus-lite-hnsw": Entry("milvus_lite", "hnsw"),
    "milvus-lite-ivfflat": Entry("milvus_lite", "ivf_flat"),
    "pyarrow": Entry("pyarrow", answers=False),
}
SETS = ["glove", "wordnet", "synth-1m"]
GROWTH_SETS = ["growth-100k", "growth-500k", "growth-1m", "growth-5m"]
GROWTH_PEERS = ["crossbill", "faiss-ivfpqfs"]
