"""Tables and plots of one run: reads FOLDER/results.json, writes FOLDER/README.md and *.svg.

    python report.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

US = "crossbill"
COLOURS = plt.get_cmap("tab10").colors


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


class SetReport:
    """One set's part of the page."""

    def __init__(self, name: str, found: dict[str, Any], options: dict[str, Any]) -> None:
        self.name, self.meta, self.options = name, found["meta"], options
        self.peers = {peer: entry for peer, entry in found["peers"].items()}
        self.raw = self.meta["rows"] * self.meta["dimension"] * 4

    def lines(self) -> list[str]:
        meta = self.meta
        title = f"## {self.name}: {meta['rows']:,} × {meta['dimension']}, {meta['metric']}"
        lines = [title, "", *self.imports()]
        for k in self.options["k"]:
            for target in self.options["recalls"]:
                lines += self.queries(k, target)
        for kind, told in (("recall", "recall against speed"), ("import", "import")):
            for path in sorted(self.plots(kind)):
                lines += [f"![{self.name}: {told}]({path})", ""]
        broken = [f"- {p}: {e['error']}" for p, e in self.peers.items() if "error" in e]
        return lines + (["Broke down:", "", *broken, ""] if broken else [])

    def builds(self, peer: str, field: str) -> dict[int, float]:
        return {n: build[field] for n, build in enumerate(self.peers[peer]["builds"])}

    def imports(self) -> list[str]:
        rows = []
        built = [peer for peer, entry in self.peers.items() if entry["builds"]]
        ours = self.builds(US, "seconds") if US in built else {}
        our_cpu = self.builds(US, "cpu_seconds") if US in built else {}
        for peer in sorted(built, key=lambda p: median(self.builds(p, "seconds").values())):
            seconds, cpu = self.builds(peer, "seconds"), self.builds(peer, "cpu_seconds")
            disk = median(self.builds(peer, "disk_bytes").values())
            rows.append(
                [
                    name_of(peer),
                    spread(list(seconds.values())),
                    "kept" if "reused" in self.peers[peer] else str(len(seconds)),
                    times(against(seconds, ours)),
                    spread(list(cpu.values())),
                    times(against(cpu, our_cpu)),
                    f"{self.meta['rows'] / median(seconds.values()):,.0f}",
                    f"{median(self.builds(peer, 'rss_peak').values()) / 1e6:,.0f}",
                    f"{disk / 1e6:,.0f}" if disk else "",
                    f"{disk / self.raw:.2f}" if disk else "",
                    self.peers[peer].get("settings", ""),
                ]
            )
        head = ["import", "seconds", "n", f"× {US}", "CPU s", f"× {US}", "vectors/s"]
        head += ["peak RSS MB", "disk MB", "disk / raw", "settings"]
        return table(head, rows)

    def measures(self, peer: str, k: int, target: float, threads: int) -> list[dict[str, Any]]:
        wanted = (k, target, threads)
        return [
            entry
            for entry in self.peers[peer]["measures"]
            if (entry["k"], entry["target"], entry["threads"]) == wanted
        ]

    def series(self, peer: str, k: int, target: float, threads: int, field: str) -> dict[int, float]:
        return {e["round"]: e[field] for e in self.measures(peer, k, target, threads)}

    def queries(self, k: int, target: float) -> list[str]:
        every = self.options["threads"]
        answered = [peer for peer in self.peers if self.measures(peer, k, target, 1)]
        rows = []

        def speed(peer: str, threads: int) -> dict[int, float]:
            return self.series(peer, k, target, threads, "qps")

        def cost(peer: str) -> dict[int, float]:
            return self.series(peer, k, target, 1, "cpu_ms")

        for peer in sorted(answered, key=lambda p: -median(speed(p, 1).values())):
            chosen = self.peers[peer]["chosen"][str(k)][str(target)]
            field = lambda name: list(self.series(peer, k, target, 1, name).values())  # noqa: E731
            ours = [speed(US, threads) if US in answered else {} for threads in (1, every)]
            rows.append(
                [
                    name_of(peer),
                    json.dumps(chosen["param"]),
                    f"{chosen['recall']:.4f}",
                    spread(list(speed(peer, 1).values()), "{:,.0f}"),
                    times(against(speed(peer, 1), ours[0])),
                    spread(field("p50_ms"), "{:.3f}"),
                    spread(field("p99_ms"), "{:.3f}"),
                    spread(field("cpu_ms"), "{:.3f}"),
                    times(against(cost(peer), cost(US) if US in answered else {})),
                    spread(list(speed(peer, every).values()), "{:,.0f}"),
                    times(against(speed(peer, every), ours[1])),
                    f"{self.peers[peer]['memory']['rss_peak'] / 1e6:,.0f}"
                    if "memory" in self.peers[peer]
                    else "",
                ]
            )
        head = [f"recall@{k} ≥ {target}", "setting", "recall", "QPS, 1 thread", f"× {US}"]
        head += ["p50 ms", "p99 ms", "CPU ms", f"× {US}", f"QPS, {every} threads", f"× {US}", "RSS MB"]
        missed = [
            f"{peer} ({max(step['recall'] for step in entry['sweeps'][str(k)]):.3f})"
            for peer, entry in self.peers.items()
            if entry["chosen"].get(str(k), {}).get(str(target), 0) is None
        ]
        note = [f"Not reached by: {', '.join(missed)}.", ""] if missed else []
        return (table(head, rows) if rows else []) + note + self.work(k, target)

    def work(self, k: int, target: float) -> list[str]:
        """What a query took in its peer's own terms, where it tells."""
        lines = []
        for peer, entry in self.peers.items():
            chosen = entry["chosen"].get(str(k), {}).get(str(target)) or {}
            work = chosen.get("work", {}).items()
            if work:
                forms = [(name, value, ".3g" if value < 10 else ",.0f") for name, value in work]
                told = ", ".join(f"{value:{form}} {name}" for name, value, form in forms)
                lines.append(f"- {peer}, a query on average: {told}")
        return [*lines, ""] if lines else []

    def plots(self, kind: str) -> list[Path]:
        return [Path(f"{self.name}-{kind}-{k}.svg") for k in self.options["k"]] if (
            kind == "recall" and any(entry["sweeps"] for entry in self.peers.values())
        ) else [Path(f"{self.name}-{kind}.svg")] if kind == "import" else []

    def draw(self, folder: Path) -> None:
        for path, k in zip(self.plots("recall"), self.options["k"]):
            self.draw_recall(folder / path, k)
        self.draw_import(folder / self.plots("import")[0])

    def draw_recall(self, path: Path, k: int) -> None:
        figure, axes = plt.subplots(figsize=(7, 4.5))
        for number, (peer, entry) in enumerate(self.peers.items()):
            steps = entry["sweeps"].get(str(k), [])
            curve = frontier([(s["recall"], 1e3 / s["cpu_ms"]) for s in steps if s["recall"] >= 0.7])
            if curve:
                style = {"linewidth": 2.5, "zorder": 3} if peer.startswith(US) else {}
                colour = COLOURS[number % len(COLOURS)]
                axes.plot(*zip(*curve), marker="o", ms=3, label=peer, color=colour, **style)
        axes.set(xlabel=f"recall@{k}", ylabel="queries a second of processor time", yscale="log")
        axes.set_title(f"{self.name}: up and to the right is better")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
        save(figure, path)

    def draw_import(self, path: Path) -> None:
        built = {p: list(self.builds(p, "seconds").values()) for p in self.peers}
        built = {p: seconds for p, seconds in built.items() if seconds}
        order = sorted(built, key=lambda p: -median(built[p]))
        figure, axes = plt.subplots(figsize=(7, 0.8 + 0.35 * len(order)))
        middle = [median(built[peer]) for peer in order]
        errors = [
            [m - min(built[p]) for p, m in zip(order, middle)],
            [max(built[p]) - m for p, m in zip(order, middle)],
        ]
        colours = [COLOURS[3] if peer.startswith(US) else COLOURS[0] for peer in order]
        axes.barh(order, middle, xerr=errors, color=colours)
        axes.set(xscale="log", xlabel="seconds from Parquet to searchable (log)", title=self.name)
        axes.grid(alpha=0.3, axis="x")
        save(figure, path)


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both recall and speed, by recall."""
    best, kept = 0.0, []
    for recall, qps in sorted(points, reverse=True):
        if qps > best:
            best = qps
            kept.append((recall, qps))
    return kept[::-1]


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def head(results: dict[str, Any]) -> list[str]:
    machine, options = results["machine"], results["options"]
    versions: dict[str, str] = {}
    for found in results["sets"].values():
        for entry in found["peers"].values():
            versions.update(entry.get("versions", {}))
    busy = [
        entry["elsewhere"]
        for found in results["sets"].values()
        for peer in found["peers"].values()
        for entry in [*peer["builds"], *peer["measures"]]
    ]
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return [
        f"# Run of {results['began']}",
        "",
        "Made by `bench/run`; what is measured and how: [bench/README.md](../../README.md). "
        "Figures are medians with (least–most); “×” is the median over rounds of the peer's "
        f"figure by that of {US} in the same round.",
        "",
        f"- machine: {machine['processor']}, {machine['cores']} cores "
        f"({' '.join(machine['instructions'])}), {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"{machine['kernel']}, Python {machine['python']}",
        f"- Crossbill at commit {machine['commit']}",
        f"- versions: {told}",
        f"- {options['threads']} threads; {options['build_rounds']} builds and "
        f"{options['rounds']} rounds of queries, peers alternating",
        f"- cores busy with other things meanwhile: {mean(busy):.2f} on average, "
        f"{max(busy):.2f} at most"
        if busy
        else "",
        "",
    ]


def main() -> None:
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    lines = head(results)
    for name, found in results["sets"].items():
        report = SetReport(name, found, results["options"])
        lines += report.lines()
        report.draw(folder)
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"report in {folder / 'README.md'}")


if __name__ == "__main__":
    main()
