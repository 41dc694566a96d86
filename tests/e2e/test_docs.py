"""The documents: every crossbill command they show exists, with every flag it shows; every link
leads somewhere."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from harness import REPOSITORY, run

pytestmark = pytest.mark.once

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PAGES = [
    *(page for page in REPOSITORY.glob("[A-Z]*.md") if page.name != "README.md"),
    *(REPOSITORY / "docs" / "decisions").glob("*.md"),
    REPOSITORY / "bench" / "README.md",
]
# An alternative in a synopsis: create|list|test.
ALTERNATIVES = re.compile(r"^[a-z-]+(\|[a-z-]+)+$")


def shown(text: str) -> list[str]:
    """The commands in blocks of code and between backticks."""
    blocks = re.findall(r"^```(?:sh[^\n]*)?\n(.*?)^```$", text.replace("\\\n", ""), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    lines = [re.sub(r"^([A-Z_0-9]+=\S+ )+", "", line.strip()) for line in lines]
    lines = [re.sub(r"^(target/release/|POST.*)", "", line) for line in lines]
    return [line for line in lines if line.startswith("crossbill ")]


@cache
def help_of(*commands: str) -> str | None:
    ended = run(*commands, "--help")
    return ended.stdout if ended.returncode == 0 else None


def check(line: str) -> str | None:
    """What is wrong with a command, if anything."""
    words = shlex.split(line, comments=True)[1:]
    flags = [word.split("=")[0] for word in words if word.startswith("--")]
    commands: list[str] = []
    for word in words:
        names = word.split("|") if ALTERNATIVES.match(word) else [word]
        if not re.fullmatch(r"[a-z][a-z-]*", names[0]) or help_of(*commands, names[0]) is None:
            break
        if help_of(*commands, names[0]) == help_of(*commands):
            break
        for name in names:
            if help_of(*commands, name) is None:
                return f"no command {name}"
        commands.append(names[0])
    if not commands:
        return None if words[0] in ("help", "--help", "…") else f"no command {words[0]}"
    known = set(re.findall(r"--[a-z0-9][a-z0-9-]*", help_of(*commands) or ""))
    missing = [flag for flag in flags if flag not in known and flag != "--s3-"]
    return f"no flag {', '.join(missing)}" if missing else None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_documents_show_exist(path):
    wrong = [(line, problem) for line in shown(path.read_text()) if (problem := check(line))]
    assert not wrong


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, *PAGES], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        page = path.parent / target if target else path
        assert page.exists(), link
        assert not anchor or anchor in anchors(page), link


def test_the_check_finds_what_is_missing():
    assert check("crossbill import ./x --index a --no-such-flag") == "no flag --no-such-flag"
    assert check("crossbill sing") == "no command sing"
    assert check("crossbill imports list|sing") == "no command sing"
    assert len(shown("```\ncrossbill serve\n```\nand `crossbill import x` but crossbill not")) == 2
