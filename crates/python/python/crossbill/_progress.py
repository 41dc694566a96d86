"""How far something is, for whoever watches: a bar of tqdm where it is installed (in a terminal
or a notebook, as ``tqdm.auto`` finds out), a line now and then on stderr where it is not."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

# Seconds between two lines where there is no bar.
LINE_SECONDS = 5.0


class Progress:
    """Shows ``done`` of ``total`` records until it is left; nothing where it is not wanted."""

    def __init__(self, what: str, wanted: bool, total: int | None = None) -> None:
        self.lock = threading.Lock()
        self._what = what
        self._total = total
        self._done = 0
        self._note = ""
        self._bar = _bar(what, total) if wanted else None
        self._lines = wanted and self._bar is None
        self._line_at = time.monotonic() + LINE_SECONDS

    def add(self, more: int) -> None:
        """So many more are done."""
        with self.lock:
            self._show(self._done + more, self._total, self._note)

    def to(self, done: int, total: int | None, note: str = "") -> None:
        """So many are done in all."""
        with self.lock:
            self._show(done, total, note)

    def _show(self, done: int, total: int | None, note: str) -> None:
        self._total, self._note = total, note
        if self._bar is not None:
            if total is not None and self._bar.total != total:
                self._bar.total = total
                # A notebook's bar is a widget with a maximum of its own.
                if hasattr(self._bar, "reset"):
                    self._bar.reset(total=total)
                    self._bar.update(self._done)
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._done)
        self._done = done
        if self._lines and time.monotonic() >= self._line_at:
            self._line()

    def _line(self) -> None:
        self._line_at = time.monotonic() + LINE_SECONDS
        of = "" if self._total is None else f" of {self._total:,}"
        note = f", {self._note}" if self._note else ""
        print(f"{self._what}: {self._done:,}{of} records{note}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
        elif self._lines:
            self._line()


def _bar(what: str, total: int | None) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=what, unit=" records", unit_scale=True, dynamic_ncols=True)
