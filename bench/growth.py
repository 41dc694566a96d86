"""The report's part on one kind of data in several sizes: how import time and latency grow."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tables import COLOURS, figure_of, name_of, save, spread, table

SETS_MIN = 3


class Curve:
    """One peer over the sizes."""

    def __init__(self, peer: str, sets: list[dict[str, Any]], options: dict[str, Any]) -> None:
        self.peer, self.points, self.latency = peer, [], []
        k, target = options["k"][0], options["recalls"][0]
        for found in sets:
            entry, rows = found["peers"].get(peer, {}), found["meta"]["rows"]
            if entry.get("builds"):
                self.points.append((rows, [build["seconds"] for build in entry["builds"]]))
            took = [
                measure["p50_ms"]
                for measure in entry.get("measures", [])
                if (measure["k"], measure["target"], measure["threads"]) == (k, target, 1)
            ]
            if took:
                self.latency.append((rows, took))

    def fit(self) -> tuple[float, float]:
        """Seconds at the start and seconds a row of the line whose relative errors are least."""
        rows, seconds = self.middles()
        design = np.stack([np.ones_like(rows), rows], axis=1) / seconds[:, None]
        start, slope = np.linalg.lstsq(design, np.ones_like(rows), rcond=None)[0]
        return float(start), float(slope)

    def middles(self) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.array([rows for rows, _ in self.points], float),
            np.array([median(seconds) for _, seconds in self.points]),
        )

    def lines(self, head: list[str]) -> list[str]:
        start, slope = self.fit()
        latency, rows = dict(self.latency), []
        for count, seconds in self.points:
            line = start + slope * count
            rows.append(
                [
                    f"{count:,}",
                    spread(seconds),
                    f"{median(seconds) / count * 1e6:.2f}",
                    f"{line:.2f}",
                    f"{median(seconds) / line - 1:+.1%}",
                    spread(latency[count], "{:.3f}") if count in latency else "",
                ]
            )
        far = max(abs(median(seconds) / (start + slope * n) - 1) for n, seconds in self.points)
        told = f"{start:.2f} s + {slope * 1e6:.2f} s a million rows"
        title = f"{name_of(self.peer)}: {told}; at most {far:.1%} from the line."
        return [title, "", *table(head, rows)]


def section(folder: Path, results: dict[str, Any]) -> list[str]:
    """Nothing unless the run had three sizes or more."""
    sets = [found for name, found in results["sets"].items() if name.startswith("growth-")]
    sets.sort(key=lambda found: found["meta"]["rows"])
    options = results["options"]
    peers = list(dict.fromkeys(peer for found in sets for peer in found["peers"]))
    curves = [Curve(peer, sets, options) for peer in peers]
    curves = [curve for curve in curves if len(curve.points) >= SETS_MIN]
    if not curves:
        return []
    asked = f"p50 ms at recall@{options['k'][0]} ≥ {options['recalls'][0]}"
    head = ["rows", "import seconds", "seconds a million", "line", "from the line", asked]
    lines = ["## Growth", "", "The line is the one whose relative errors are least.", ""]
    for curve in curves:
        lines += curve.lines(head)
    draw_import(curves, folder / "growth-import.svg")
    lines += ["![import seconds by rows](growth-import.svg)", ""]
    if any(curve.latency for curve in curves):
        draw_latency(curves, folder / "growth-latency.svg", asked)
        lines += ["![latency by rows](growth-latency.svg)", ""]
    return lines


def draw_import(curves: list[Curve], path: Path) -> None:
    figure, axes = figure_of(7, 4.5)
    for number, curve in enumerate(curves):
        rows, seconds = curve.middles()
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(rows, seconds, "o", color=colour, label=curve.peer)
        start, slope = curve.fit()
        axes.plot(rows, start + slope * rows, "--", color=colour, linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds to import")
    finish(figure, axes, path)


def draw_latency(curves: list[Curve], path: Path, asked: str) -> None:
    figure, axes = figure_of(7, 4.5)
    for number, curve in enumerate(curves):
        if curve.latency:
            rows, took = zip(*curve.latency)
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(rows, [median(ms) for ms in took], "o-", color=colour, label=curve.peer)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel=asked)
    finish(figure, axes, path)


def finish(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    save(figure, path)
