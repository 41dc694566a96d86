#!/usr/bin/env python3
"""Makes the tables of docs/sizing.md from the measured figures in bench/results.

python3 deploy/site/sizing.py            writes them
python3 deploy/site/sizing.py --check    fails if the page has others
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "sizing.md"
# Run, set, peer: what the first table shows, smallest first.
MEASURED = [
    ("growth", "growth-100k", "crossbill"),
    ("wordnet", "wordnet", "crossbill"),
    ("wordnet", "wordnet", "crossbill-f16"),
    ("wordnet", "wordnet", "crossbill-int8"),
    ("glove", "glove", "crossbill"),
    ("growth", "growth-1m", "crossbill"),
    ("synth-1m", "synth-1m", "crossbill"),
    ("growth", "growth-5m", "crossbill"),
]
SIZES = [(100_000, 384), (1_000_000, 384), (1_000_000, 768), (1_000_000, 1536), (10_000_000, 768)]
COMPONENT_BYTES = {"f32": 4, "f16": 2, "int8": 1}
# docs/import.md, Tuning: what an import wants free, as a part of the raw vectors.
IMPORT_DISK = 1.35


def peer(run: str, name: str, kind: str) -> tuple[dict, dict]:
    results = json.loads((ROOT / "bench" / "results" / run / "results.json").read_text())
    return results["sets"][name]["meta"], results["sets"][name]["peers"][kind]


def measured() -> str:
    lines = [
        "| vectors | kept as | disk, MB | import, s | its memory, MB | serving: own + mapped, MB | queries a second | from |",
        "| --- | --- | --: | --: | --: | --: | --: | --- |",
    ]
    for run, name, kind in MEASURED:
        meta, ours = peer(run, name, kind)
        builds, memory = ours["builds"], ours["memory"]
        at_95 = [
            one["qps"]
            for one in ours["measures"]
            if (one["k"], one["target"], one["threads"]) == (10, 0.95, 1)
        ]
        own = median(one["rss_peak"] - one["rss_before"] for one in builds)
        lines.append(
            f"| {meta['rows']:,} × {meta['dimension']} | {kind.partition('-')[2] or 'f32'} "
            f"| {mb(median(one['disk_bytes'] for one in builds))} "
            f"| {median(one['seconds'] for one in builds):.1f} | {mb(own)} "
            f"| {mb(memory['anonymous'])} + {mb(memory['files'])} "
            f"| {f'{median(at_95):,.0f}' if at_95 else ''} "
            f"| [{name}](../bench/results/{run}/README.md) |"
        )
    return "\n".join(lines)


def median_parts(builds: list[dict]) -> dict[str, float]:
    return {
        part: median(build["disk_parts"][part] for build in builds)
        for part in builds[0]["disk_parts"]
    }


def rates() -> dict[str, float]:
    """What a record takes apart from its vector and metadata, from the large sets."""
    codes, ids = [], []
    for run, name, kind in MEASURED:
        meta, ours = peer(run, name, kind)
        if meta["rows"] < 300_000 or kind != "crossbill":
            continue
        parts = median_parts(ours["builds"])
        codes.append(parts["codes"] / meta["rows"] - meta["dimension"] / 8)
        ids.append(parts["ids"] / meta["rows"])
    return {"codes": max(codes), "ids": max(ids)}


def rule() -> str:
    each = rates()
    return (
        f"bytes of a record = components × bytes a component + components ÷ 8 + "
        f"{each['codes']:.0f} + {each['ids']:.0f} + its metadata"
    )


def computed() -> str:
    each = rates()
    extra = round(each["codes"]) + round(each["ids"])
    lines = [
        "| vectors | disk, f32 | f16 | int8 | free for an import, f32 |",
        "| --- | --: | --: | --: | --: |",
    ]
    for rows, dimension in SIZES:
        disk = {
            kind: rows * (dimension * each_byte + dimension / 8 + extra)
            for kind, each_byte in COMPONENT_BYTES.items()
        }
        cells = [f"{disk[kind] / 1e9:.2f} GB" for kind in COMPONENT_BYTES]
        free = rows * dimension * 4 * IMPORT_DISK / 1e9
        lines.append(f"| {rows:,} × {dimension} | {' | '.join(cells)} | {free:.2f} GB |")
    return "\n".join(lines)


def mb(value: float) -> str:
    return f"{value / 1e6:,.0f}"


def page() -> str:
    text = PAGE.read_text()
    for name, made in (("measured", measured()), ("rule", rule()), ("computed", computed())):
        found = re.compile(rf"(<!-- {name}: [^>]* -->\n).*?(<!-- end -->)", re.S)
        text, count = found.subn(lambda match, made=made: match[1] + made + "\n" + match[2], text)
        assert count == 1, f"docs/sizing.md: {count} places for {name}"
    return text


def main() -> None:
    made = page()
    if "--check" in sys.argv:
        sys.exit(0 if made == PAGE.read_text() else "docs/sizing.md: python3 deploy/site/sizing.py")
    PAGE.write_text(made)


main()
