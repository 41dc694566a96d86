"""Chroma in process (PersistentClient): a graph over full vectors, ids and metadata in SQLite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings

from harness import STEPS, BasePeer

M = 16
EF_CONSTRUCTION = 100
BATCH_MAX = 5000


class Peer(BasePeer):
    filters = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.client: Any = None
        self.found: Any = None
        self.ef = 0

    def versions(self) -> dict[str, str]:
        return {"chromadb": version("chromadb")}

    def settings(self) -> str:
        return f"max_neighbors={M}, ef_construction={EF_CONSTRUCTION}"

    def connect(self) -> Any:
        quiet = Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(path=str(self.work / "chroma"), settings=quiet)

    def build(self) -> dict[str, float]:
        self.client = self.connect()
        graph = {
            "space": "cosine" if self.data.metric == "cosine" else "l2",
            "max_neighbors": M,
            "ef_construction": EF_CONSTRUCTION,
            "num_threads": self.threads,
        }
        collection = self.client.create_collection(
            "bench", embedding_function=None, configuration={"hnsw": graph}
        )
        for batch in self.data.batches(min(BATCH_MAX, self.client.get_max_batch_size())):
            collection.add(
                ids=batch.column("id").to_pylist(),
                embeddings=self.data.vectors(batch),
                metadatas=[json.loads(text) for text in batch.column("metadata").to_pylist()],
            )
        # The first query takes in what waits in its log.
        began = time.perf_counter()
        collection.query(query_embeddings=self.data.queries[:1], n_results=1, include=[])
        return {"first query": time.perf_counter() - began}

    def open(self) -> None:
        self.client = self.connect()
        self.found = self.client.get_collection("bench", embedding_function=None)

    def ladders(self, k: int) -> list[list[Any]]:
        return [[k, *(ef for ef in STEPS if ef > k)]]

    def searcher(self, param: Any, k: int, below: int | None = None) -> Callable[[np.ndarray], Any]:
        if self.ef != param:
            # Read when the graph is loaded, which the first query after opening does.
            self.found.modify(configuration={"hnsw": {"ef_search": param}})
            self.close()
            self.open()
            self.found.query(query_embeddings=self.data.queries[:1], n_results=1, include=[])
            self.ef = param
        where = None if below is None else {"bucket": {"$lt": below}}
        ask = self.found.query

        def search(query: np.ndarray) -> Any:
            answer = ask(query_embeddings=query[None], n_results=k, where=where, include=[])
            return answer["ids"][0]

        return search

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = self.found = None
