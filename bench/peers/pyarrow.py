"""The floor: a bare read of all columns of the Parquet files on all threads, into nothing. It
builds no index and answers no query."""

from __future__ import annotations

import pyarrow
import pyarrow.parquet as pq

from harness import BasePeer, in_threads


class Peer(BasePeer):
    def versions(self) -> dict[str, str]:
        return {"pyarrow": pyarrow.__version__}

    def settings(self) -> str:
        return "all columns, a file at a time on each thread"

    def build(self) -> dict[str, float]:
        def read(file: object) -> None:
            for _ in pq.ParquetFile(file).iter_batches(batch_size=16_384, use_threads=False):
                pass

        in_threads(read, self.data.files, self.threads)
        return {}
