"""Makes the tables of docs/compatibility.md from the recorded results.

    python3 tests/clients/table.py            # writes the page
    python3 tests/clients/table.py --check    # fails where the page is out of date
"""

from __future__ import annotations

import sys

from clients import CLIENTS, REPOSITORY, Client, calls, names, recorded

PAGE = REPOSITORY / "docs" / "compatibility.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
WORDS = {"works": "works", "absent": "–", "differs": "differs"}
WORDS |= {"refused": "refused"}


def table(clients: list[Client], kind: str, notes: list[str]) -> list[str]:
    """One table: a row for each call, a column for each client."""
    results = {client.name: recorded(client) for client in clients}
    lines = [
        "| | " + " | ".join(client.title for client in clients) + " |",
        "| --- |" + " --- |" * len(clients),
    ]
    for group, titles in calls(kind).items():
        lines.append(f"| **{group}** |" + " |" * len(clients))
        for name, title in titles.items():
            cells = [cell(results[client.name][name], notes) for client in clients]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def cell(line: dict[str, str], notes: list[str]) -> str:
    word, reason = WORDS[line["result"]], line.get("reason")
    if not reason:
        return word
    if reason not in notes:
        notes.append(reason)
    return f"{word} ({notes.index(reason) + 1})"


def tables() -> str:
    notes: list[str] = []
    lines: list[str] = []
    for title, prefix, kind in [
        ("Python `pinecone`", "python-", "sdk"),
        ("TypeScript `@pinecone-database/pinecone`", "typescript-", "sdk"),
        ("Rust `pinecone-sdk`", "rust-", "sdk"),
        ("Frameworks", "", "framework"),
    ]:
        clients = [
            client
            for client in CLIENTS
            if client.kind == kind and client.name.startswith(prefix)
        ]
        lines += [f"### {title}", "", *table(clients, kind, notes), ""]
    lines += ["The server's own words, or what is different:", ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    counts: dict[str, int] = {}
    for client in CLIENTS:
        for name in names(client.kind):
            result = recorded(client)[name]["result"]
            counts[result] = counts.get(result, 0) + 1
    said = ", ".join(f"{counts[word]} {WORDS[word]}" for word in WORDS if word in counts)
    said = said.replace("–", "not in the client")
    total = sum(counts.values())
    lines += ["", f"{len(CLIENTS)} clients, {total} calls: {said}.", ""]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + "\n" + tables() + "\n" + END + after


if __name__ == "__main__":
    found = PAGE.read_text()
    made = page(found)
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if made == found else f"{PAGE.name} is out of date: run {sys.argv[0]}")
    PAGE.write_text(made)
