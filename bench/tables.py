"""Markdown tables and plots as the report's pages have them; knows no measurement."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

US = "crossbill"
# Dark for the first ten peers, light for the others.
COLOURS = [*plt.get_cmap("tab20").colors[::2], *plt.get_cmap("tab20").colors[1::2]]


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """Median, and from the least to the most where there are several."""
    if len(values) == 1:
        return form.format(values[0])
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(median(values))} ({low}–{high})"


def against(theirs: dict[int, float], ours: dict[int, float]) -> float | None:
    """The median over rounds of theirs by ours in the same round; over all where no round has
    both."""
    both = [theirs[number] / ours[number] for number in theirs if number in ours]
    if both:
        return median(both)
    return median(theirs.values()) / median(ours.values()) if theirs and ours else None


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.0f}×"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; all columns but the first are numbers or settings."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def name_of(peer: str) -> str:
    return f"**{peer}**" if peer.startswith(US) else peer


def figure_of(width: float, height: float) -> Any:
    """A new figure, so many inches, and its axes."""
    return plt.subplots(figsize=(width, height))


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
