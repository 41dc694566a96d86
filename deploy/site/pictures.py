#!/usr/bin/env python3
"""Makes the pictures of docs/architecture.md from the source.

    python3 deploy/site/pictures.py            writes docs/pictures/*.svg
    python3 deploy/site/pictures.py --check    fails if those that are there are others

crates.svg: which crate uses which, from `cargo metadata`; the questions from ARCHITECTURE.md.
calls.svg: what can be asked of which port, from docs/openapi.json.
disk.svg: what lies where, from the tree in ARCHITECTURE.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
# Tests, benchmarks and chores are no part of the program.
PROGRAM = "crossbill-cli"
BOX, HIGH, GAP_X, GAP_Y, EDGE = 212, 50, 22, 46, 16
STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11.5px; fill: #59636e }
.mono { font-family: ui-monospace, monospace; font-size: 12.5px }
rect { fill: #f6f8fa; stroke: #818b98 }
.group { fill: #ffffff; stroke: #d1d9e0 }
path { fill: none; stroke: #818b98 }
</style>"""


def svg(width: float, height: float, title: str, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(title)}">'
    )
    arrow = (
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8" /></marker></defs>'
    )
    ground = f'<rect width="{width:g}" height="{height:g}" style="fill:#fff;stroke:none" />'
    return "\n".join([head, STYLE, arrow, ground, *parts, "</svg>", ""])


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"{named} />'


def crates() -> str:
    """Layers of crates: each stands below all that use it, near them."""
    uses = dependencies()
    users = {name: [one for one in sorted(uses) if name in direct(one, uses)] for name in uses}
    depth = cache(lambda name: 1 + max((depth(one) for one in users[name]), default=-1))
    layers: dict[int, list[str]] = {}
    for name in sorted(uses):
        layers.setdefault(depth(name), []).append(name)
    column: dict[str, float] = {}
    for level in sorted(layers):
        spread(layers[level], users, column)
    left, right = min(column.values()), max(column.values())
    top = max(layers)
    width = 2 * EDGE + (right - left) * (BOX + GAP_X) + BOX
    place = {
        name: (EDGE + (column[name] - left) * (BOX + GAP_X), EDGE + depth(name) * (HIGH + GAP_Y))
        for name in uses
    }
    asked = questions()
    parts = []
    for name in sorted(uses):
        for target in sorted(direct(name, uses)):
            (x, y), (to_x, to_y) = place[name], place[target]
            begin, end = (x + BOX / 2, y + HIGH), (to_x + BOX / 2, to_y)
            # Straight down past the layers between, then over to it in the last gap.
            turn, bend = end[1] - GAP_Y, GAP_Y / 2
            parts.append(
                f'<path d="M{begin[0]:g} {begin[1]:g}V{turn:g}C{begin[0]:g} {turn + bend:g} '
                f'{end[0]:g} {end[1] - bend:g} {end[0]:g} {end[1]:g}" marker-end="url(#to)" />'
            )
    for name, (x, y) in sorted(place.items()):
        short = name.removeprefix("crossbill-")
        parts.append(box(x, y, BOX, HIGH))
        parts.append(text(x + BOX / 2, y + 21, short, "", "middle"))
        parts.append(text(x + BOX / 2, y + 39, asked.get(short, ""), "small", "middle"))
    return svg(width, 2 * EDGE + (top + 1) * HIGH + top * GAP_Y, "Crates and what they use", parts)


def spread(names: list[str], users: dict[str, list[str]], column: dict[str, float]) -> None:
    """Puts a layer's crates under those that use them, a column apart at least."""

    def wanted(name: str) -> float:
        above = users[name]
        return sum(column[one] for one in above) / len(above) if above else 0.0

    ordered = sorted(names, key=lambda name: (wanted(name), name))
    middle = sum(wanted(name) for name in ordered) / len(ordered)
    for number, name in enumerate(ordered):
        column[name] = middle + number - (len(ordered) - 1) / 2


def dependencies() -> dict[str, set[str]]:
    """The program's crates and which of ours each uses."""
    shown = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    packages = {package["name"]: package for package in json.loads(shown)["packages"]}
    uses: dict[str, set[str]] = {}
    waiting = [PROGRAM]
    while waiting:
        name = waiting.pop()
        if name in uses:
            continue
        uses[name] = {
            one["name"]
            for one in packages[name]["dependencies"]
            if one["kind"] is None and one["name"] in packages
        }
        waiting += uses[name]
    return uses


def direct(name: str, uses: dict[str, set[str]]) -> set[str]:
    """What a crate uses and none of the others that it uses does: the arrows worth drawing."""

    def below(one: str) -> set[str]:
        return uses[one].union(*(below(two) for two in uses[one]))

    return {one for one in uses[name] if not any(one in below(two) for two in uses[name])}


def questions() -> dict[str, str]:
    """What each room of ARCHITECTURE.md answers."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    asked = {}
    for names, question in re.findall(r"^### (`.*`): (.*)$", page, re.M):
        for name in re.findall(r"`([a-z]+)`", names):
            asked[name] = question
    return asked


def calls() -> str:
    """The operations of the OpenAPI document, by port and by what they are about."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    planes: dict[str, dict[str, list[str]]] = {"control plane": {}, "each index": {}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            servers = operation.get("servers") or methods.get("servers") or document["servers"]
            data = any("{host}" in server["url"] for server in servers)
            groups = planes["each index" if data else "control plane"]
            tag = (operation.get("tags") or ["more"])[0]
            groups.setdefault(tag, []).append(f"{method.upper():6} {path}")
    parts, high, line, wide = [], 0.0, 17, 430
    for column, (plane, groups) in enumerate(planes.items()):
        x, y = EDGE + column * (wide + GAP_X), EDGE + 8.0
        port = ":5080" if column == 0 else ":5081 and on, also /data/{index} of :5080"
        parts.append(text(x, y + 6, f"{plane} {port}"))
        y += 18
        for tag, rows in sorted(groups.items()):
            tall = 26 + line * len(rows)
            parts.append(box(x, y, wide, tall, "group"))
            parts.append(text(x + 10, y + 17, tag, "small"))
            for number, row in enumerate(sorted(rows, key=lambda row: row.split()[::-1])):
                method, path = row.split()
                parts.append(text(x + 10, y + 35 + line * number, method, "small"))
                parts.append(text(x + 62, y + 35 + line * number, path, "mono"))
            y += tall + 10
        high = max(high, y)
    return svg(2 * (wide + EDGE) + GAP_X, high + 6, "What can be asked of which port", parts)


def disk() -> str:
    """The tree of the data directory."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    tree = re.search(r"^## On disk$.*?^```[a-z]*\n(.*?)^```$", page, re.M | re.S)
    if not tree:
        sys.exit('ARCHITECTURE.md: no tree under "On disk"')
    parts, line, y = [], 26, EDGE + 14.0
    for row in tree[1].splitlines():
        path, _, what = row.strip().partition("  ")
        deep = 0 if path == "<data>/" else 1
        x = EDGE + 22 * deep
        if deep:
            parts.append(f'<path d="M{x - 12:g} {y - line - 2:g}V{y - 4:g}H{x - 3:g}" />')
        parts.append(text(x, y, path, "mono"))
        parts.append(text(EDGE + 420, y, what.strip(), "small"))
        y += line
    return svg(960, y, "What lies where on the disk", parts)


def main() -> None:
    made = {"crates.svg": crates(), "calls.svg": calls(), "disk.svg": disk()}
    if "--check" in sys.argv:
        there = {path.name: path.read_text() for path in FOLDER.glob("*.svg")}
        other = sorted(name for name in made | there if made.get(name) != there.get(name))
        sys.exit(f"{', '.join(other)}: python3 deploy/site/pictures.py" if other else 0)
    FOLDER.mkdir(exist_ok=True)
    for name, content in made.items():
        (FOLDER / name).write_text(content)


main()
