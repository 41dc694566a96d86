"""Tables and plots of one run: reads FOLDER/results.json, writes FOLDER/README.md and *.svg.

    python report.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

import growth
from tables import COLOURS, US, against, figure_of, name_of, save, spread, table, times

BUCKETS = 1000


class SetReport:
    """One set's part of the page."""

    def __init__(self, name: str, found: dict[str, Any], options: dict[str, Any]) -> None:
        self.name, self.meta, self.options = name, found["meta"], options
        self.peers = {peer: entry for peer, entry in found["peers"].items()}
        self.raw = self.meta["rows"] * self.meta["dimension"] * 4

    def lines(self) -> list[str]:
        meta = self.meta
        title = f"## {self.name}: {meta['rows']:,} × {meta['dimension']}, {meta['metric']}"
        lines = [title, "", "### Import", "", *self.imports(), *self.disk()]
        lines += self.picture("import")
        for k in self.options["k"]:
            for target in self.options["recalls"]:
                lines += self.queries(k, target)
            lines += self.picture(f"recall-{k}") if self.swept() else []
        broken = [f"- {p}: {e['error']}" for p, e in self.peers.items() if "error" in e]
        lines += [*self.filtered(), *self.memory()]
        return lines + (["Broke down:", "", *broken, ""] if broken else [])

    def picture(self, kind: str) -> list[str]:
        return [f"![{self.name}: {kind}]({self.name}-{kind}.svg)", ""]

    def swept(self) -> bool:
        return any(entry["sweeps"] for entry in self.peers.values())

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

    def disk(self) -> list[str]:
        """What Crossbill's files hold: the libraries keep neither ids nor metadata."""
        lines = []
        for peer, entry in self.peers.items():
            parts = entry["builds"][-1].get("disk_parts") if entry["builds"] else None
            if parts:
                told = ", ".join(f"{name} {size / 1e6:,.1f}" for name, size in parts.items())
                bare = sum(parts.values()) - parts.get("metadata", 0)
                lines.append(
                    f"- {peer}, MB on disk: {told}; without metadata {bare / self.raw:.2f} of the "
                    "raw vectors"
                )
        return [*lines, ""] if lines else []

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
        """From one thread and from all: two tables, the fastest first."""
        every = self.options["threads"]
        lines = [f"### recall@{k} ≥ {target}", "", *self.speeds(k, target, 1)]
        if every > 1:
            lines += self.speeds(k, target, every)
        missed = [
            f"{peer} ({max(step['recall'] for step in entry['sweeps'][str(k)]):.3f})"
            for peer, entry in self.peers.items()
            if entry["chosen"].get(str(k), {}).get(str(target), 0) is None
        ]
        if missed:
            lines += [f"Not reached by: {', '.join(missed)}.", ""]
        return lines + self.work(k, target) if len(lines) > 2 else []

    def speeds(self, k: int, target: float, threads: int) -> list[str]:
        def speed(peer: str) -> dict[int, float]:
            return self.series(peer, k, target, threads, "qps")

        def cost(peer: str) -> dict[int, float]:
            return self.series(peer, k, target, threads, "cpu_ms")

        answered = [peer for peer in self.peers if self.measures(peer, k, target, threads)]
        ours, our_cost = (speed(US), cost(US)) if US in answered else ({}, {})
        rows = []
        for peer in sorted(answered, key=lambda p: -median(speed(p).values())):
            chosen = self.peers[peer]["chosen"][str(k)][str(target)]
            p50, p99 = (
                list(self.series(peer, k, target, threads, name).values())
                for name in ("p50_ms", "p99_ms")
            )
            rows.append(
                [
                    name_of(peer),
                    spread(list(speed(peer).values()), "{:,.0f}"),
                    times(against(speed(peer), ours)),
                    spread(p50, "{:.3f}"),
                    spread(p99, "{:.3f}"),
                    spread(list(cost(peer).values()), "{:.3f}"),
                    times(against(cost(peer), our_cost)),
                    f"{chosen['recall']:.4f}",
                    json.dumps(chosen["param"]),
                ]
            )
        head = [f"{threads} thread{'s' if threads > 1 else ''}", "QPS", f"× {US}", "p50 ms"]
        head += ["p99 ms", "CPU ms", f"× {US}", "recall", "setting"]
        return table(head, rows) if rows else []

    def filtered(self) -> list[str]:
        """What a filter does to recall and latency, for those that take one."""
        k, lines = self.options["k"][0], []
        for target in self.options["recalls"]:
            rows = []
            for peer, entry in self.peers.items():
                found = [e for e in entry.get("filtered", []) if e["target"] == target]
                if not found:
                    continue
                names = ("p50_ms", "p99_ms", "cpu_ms")
                base = {n: self.series(peer, k, target, 1, n) for n in names}
                recall = entry["chosen"][str(k)][str(target)]["recall"]
                told = [spread(list(base[n].values()), "{:.3f}") for n in base]
                rows.append([name_of(peer), "100 %", f"{recall:.4f}", *told[:2], "", told[2], ""])
                for below in sorted({e["below"] for e in found}, reverse=True):
                    mine = [e for e in found if e["below"] == below]
                    at = {n: {e["round"]: e[n] for e in mine} for n in base}
                    told = [spread(list(at[n].values()), "{:.3f}") for n in base]
                    ratios = [times(against(at[n], base[n])) for n in ("p50_ms", "cpu_ms")]
                    part, recall = f"{100 * below / BUCKETS:g} %", median(e["recall"] for e in mine)
                    row = ["", part, f"{recall:.4f}", *told[:2], ratios[0], told[2], ratios[1]]
                    rows.append(row)
            head = [f"recall@{k} ≥ {target}", "let through", "recall", "p50 ms", "p99 ms"]
            head += ["× unfiltered", "CPU ms", "× unfiltered"]
            lines += table(head, rows) if rows else []
        return ["### With a filter", "", *lines] if lines else []

    def memory(self) -> list[str]:
        names = ("rss_peak", "rss", "anonymous", "files")
        rows = [
            [name_of(peer), f"{entry['open']['seconds']:.2f}"]
            + [f"{entry['memory'][n] / 1e6:,.0f}" for n in names]
            for peer, entry in self.peers.items()
            if "memory" in entry
        ]
        head = ["peer", "seconds to open", "peak RSS MB", "RSS MB", "anonymous", "mapped files"]
        return ["### Memory after the queries", "", *table(head, rows)] if rows else []

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

    def draw(self, folder: Path) -> None:
        for k in self.options["k"] if self.swept() else []:
            self.draw_recall(folder / f"{self.name}-recall-{k}.svg", k)
        self.draw_import(folder / f"{self.name}-import.svg")

    def draw_recall(self, path: Path, k: int) -> None:
        figure, axes = figure_of(7, 4.5)
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
        axes.legend(fontsize=7, loc="lower left")
        save(figure, path)

    def draw_import(self, path: Path) -> None:
        built = {p: list(self.builds(p, "seconds").values()) for p in self.peers}
        built = {p: seconds for p, seconds in built.items() if seconds}
        order = sorted(built, key=lambda p: -median(built[p]))
        figure, axes = figure_of(7, 0.8 + 0.35 * len(order))
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
    lines += growth.section(folder, results)
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"report in {folder / 'README.md'}")


if __name__ == "__main__":
    main()
