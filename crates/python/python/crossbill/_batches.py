"""Many upserts with so many under way at once, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from crossbill._progress import Progress
from crossbill.exceptions import PineconeError
from crossbill.models import BatchError, UpsertResponse

Batch = list[dict[str, Any]]


def in_parallel(
    work: Callable[[int, Batch], None], batches: Iterable[Batch], at_once: int
) -> None:
    """Calls ``work`` for each batch with its number, at most ``at_once`` at a time; no more
    batches are taken than are worked on. The first exception ends it once those under way end."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="crossbill-upsert") as threads:
        under_way: set[Future[None]] = set()
        for number, batch in enumerate(batches):
            if len(under_way) >= at_once:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
            under_way.add(threads.submit(work, number, batch))
        for one in under_way:
            one.result()


def upsert(
    send: Callable[[Batch], int], batches: list[Batch], at_once: int, show_progress: bool
) -> UpsertResponse:
    """Sends each batch; what fails is kept beside what went well."""
    total = sum(len(batch) for batch in batches)
    made = UpsertResponse(total_item_count=total, total_batch_count=len(batches))
    with Progress("Upserting", show_progress, total) as progress:

        def work(number: int, batch: Batch) -> None:
            try:
                stored = send(batch)
            except PineconeError as error:
                with progress.lock:
                    made.errors.append(
                        BatchError(
                            batch_index=number, items=batch, error=error, error_message=str(error)
                        )
                    )
                    made.failed_item_count += len(batch)
            else:
                with progress.lock:
                    made.upserted_count += stored
            progress.add(len(batch))

        in_parallel(work, batches, at_once)
    made.errors.sort(key=lambda error: error.batch_index)
    made.failed_batch_count = len(made.errors)
    made.successful_batch_count = len(batches) - len(made.errors)
    return made
