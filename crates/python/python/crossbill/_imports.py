"""Imports that are waited for: started, watched, and described once they have ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crossbill._caller import Caller, segment
from crossbill._progress import Progress
from crossbill.exceptions import ImportFailedError, PineconeError, PineconeValueError
from crossbill.models import ImportErrorMode, ImportModel, Reject, StartImportResponse

# Which column holds what: {"id": "docid", "values": "emb", "metadata": ["title", "url"]}.
Columns = Mapping[str, "str | Sequence[str]"]

_FIRST_PAUSE_SECONDS = 0.005
_PAUSE_SECONDS_MAX = 0.5
# How long a cancelled import has to stop.
_STOP_SECONDS_MAX = 60.0
_REJECTS_A_PAGE = 1000

# Fields of a start in Python's spelling, and as they stand in the request.
_MORE = {
    "columns": "columns",
    "id_prefix": "idPrefix",
    "dry_run": "dryRun",
    "skip_loaded": "skipLoaded",
    "mode": "mode",
    "atomic": "atomic",
}


@dataclass(kw_only=True)
class Imported(ImportModel):
    """An import that has ended, with its rejects at hand."""

    _rejects: Any = field(default=None, repr=False, compare=False)

    def rejects(self) -> list[Reject]:
        """The records that were left out, each with its place and the reason."""
        return [] if self._rejects is None else list(self._rejects())

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(name for name in super()._names() if not name.startswith("_"))


def start(
    api: Caller,
    uri: str,
    error_mode: str | ImportErrorMode | None,
    integration_id: str | None,
    **more: Any,
) -> StartImportResponse:
    """Starts an import."""
    body: dict[str, Any] = {"uri": uri}
    if error_mode is not None:
        body["errorMode"] = {"onError": error_word(error_mode)}
    if integration_id is not None:
        body["integrationId"] = integration_id
    for name, value in more.items():
        if name not in _MORE:
            raise PineconeValueError(f"found {name!r}, expected one of {', '.join(_MORE)}")
        if value is not None:
            body[_MORE[name]] = value
    return StartImportResponse.of(api.post("/bulk/imports", body).body)


def error_word(error_mode: str | ImportErrorMode) -> str:
    """``continue`` or ``abort``."""
    try:
        return ImportErrorMode(str(getattr(error_mode, "value", error_mode)).lower()).value
    except ValueError:
        raise PineconeValueError(
            f"error_mode is {error_mode!r}, expected 'continue' or 'abort'"
        ) from None


def rejects(api: Caller, id: str) -> Iterator[Reject]:
    """The records that an import left out, a page at a time."""
    seen = 0
    while True:
        path = f"/bulk/imports/{segment(id)}/rejects"
        body = api.get(path, offset=seen, limit=_REJECTS_A_PAGE).body
        page = [Reject.of(one) for one in body["data"]]
        yield from page
        seen += len(page)
        if not page or seen >= body["total"]:
            return


def wait(api: Caller, id: str, show_progress: bool, cancel: bool = False) -> Imported:
    """Waits for the import's end. With ``cancel``, being interrupted cancels it: what it reads
    is about to go."""
    try:
        ended = _followed(api, id, show_progress)
    except BaseException:
        if cancel:
            _stop(api, id)
        raise
    if ended.status != "Completed":
        said = f": {ended.error}" if ended.error else ""
        raise ImportFailedError(f"import {id} ended as {ended.status}{said}", ended)
    return ended


def _followed(api: Caller, id: str, show_progress: bool) -> Imported:
    pause = _FIRST_PAUSE_SECONDS
    with Progress("Importing", show_progress) as progress:
        while True:
            seen = Imported.of(api.get(f"/bulk/imports/{segment(id)}").body)
            _show(progress, seen)
            if seen.has_ended:
                seen._rejects = lambda: rejects(api, id)
                return seen
            time.sleep(pause)
            pause = min(pause * 1.5, _PAUSE_SECONDS_MAX)


def _show(progress: Progress, seen: ImportModel) -> None:
    total = seen.records_total
    percent = seen.percent_complete or 0.0
    done = seen.records_read if total is None else round(total * percent / 100)
    if seen.has_ended and total is not None and seen.status == "Completed":
        done = total
    progress.to(done, total, f"{seen.records_rejected:,} rejected" if seen.records_rejected else "")


def _stop(api: Caller, id: str) -> None:
    """Cancels, and waits until nothing is read any more."""
    deadline = time.monotonic() + _STOP_SECONDS_MAX
    try:
        api.delete(f"/bulk/imports/{segment(id)}")
        while time.monotonic() < deadline:
            if ImportModel.of(api.get(f"/bulk/imports/{segment(id)}").body).has_ended:
                return
            time.sleep(_PAUSE_SECONDS_MAX / 10)
    except PineconeError:
        # It has ended by itself, or the database was closed: nothing is read then.
        return


def uri_of(path: str | os.PathLike[str]) -> str:
    """A path as an import names it; a URI stays what it is."""
    text = os.fspath(path)
    if "://" in text:
        return text
    path = Path(text).expanduser()
    is_pattern = ("*" in text or "?" in text) and not path.exists()
    # Imports follow no links.
    escaped = quote(str(path.resolve()), safe="/*?[]" if is_pattern else "/")
    return f"file://{escaped}/" if path.is_dir() else f"file://{escaped}"
