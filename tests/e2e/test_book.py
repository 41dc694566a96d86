"""The site: it is built without a warning, every page and picture is in it, its links lead
somewhere, and what is made from source is what the source gives."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness import REPOSITORY
from pages import DOCS

pytestmark = pytest.mark.once
MDBOOK = REPOSITORY / ".venvs" / "packaging" / "bin" / "mdbook"
SITE = "https://github.com/crossbill-db/crossbill/blob/main/"
MADE = ["deploy/site/pictures.py", "deploy/site/sizing.py"]


class Links(HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.to: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if found.get("id"):
            self.ids.add(found["id"])
        for name in ("href", "src"):
            if tag in ("a", "img") and found.get(name):
                self.to.append(found[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [MDBOOK, "build", "--dest-dir", folder], cwd=REPOSITORY, capture_output=True, text=True
    )
    said = built.stdout + built.stderr
    assert built.returncode == 0, said
    assert not re.search(r"\b(WARN|ERROR)\b", said), said
    return folder


def listed() -> set[str]:
    return set(re.findall(r"\]\(([^)]+\.md)\)", (DOCS / "SUMMARY.md").read_text()))


def test_every_page_is_in_the_site_and_the_list_of_decisions(site):
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"SUMMARY.md"}
    assert listed() == there
    for page in listed():
        html = re.sub(r"README\.md$", "index.md", page).removesuffix(".md") + ".html"
        assert (site / html).exists(), page
    decisions = set(re.findall(r"\]\(([^)]+\.md)\)", (DOCS / "decisions/README.md").read_text()))
    pages = {path.name for path in (DOCS / "decisions").glob("0*.md")}
    assert decisions == pages


def test_links_of_the_site_lead_somewhere(site):
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    broken = []
    outside = 0
    for path, links in pages.items():
        if path.name in ("print.html", "toc.html", "404.html"):
            continue
        for link in links.to:
            target, _, anchor = link.partition("#")
            if target.startswith(SITE):
                outside += 1
                if not (REPOSITORY / target.removeprefix(SITE)).exists():
                    broken.append((path.name, link))
            elif "://" not in target and not target.startswith(("data:", "mailto:")):
                to = (path.parent / unquote(target)).resolve() if target else path
                wanted = pages.get(to)
                if not to.exists() or (anchor and wanted and unquote(anchor) not in wanted.ids):
                    broken.append((path.name, link))
    assert not broken
    # Those that leave docs/ were found and rewritten.
    assert outside > 20


@pytest.mark.parametrize("script", MADE)
def test_what_is_made_from_source_is_what_the_source_gives(script):
    ended = subprocess.run(
        [sys.executable, REPOSITORY / script, "--check"], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_the_check_finds_an_old_picture(tmp_path):
    """The same scripts on a copy whose page and picture are of yesterday."""
    for name in (
        "deploy/site",
        "bench/results",
        "docs",
        "ARCHITECTURE.md",
        "Cargo.toml",
        "Cargo.lock",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name not in ("docs", "deploy/site"):
            (tmp_path / name).symlink_to(REPOSITORY / name)
    for name in ("bench/inprocess", "crates", "xtask"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    for name in ("deploy/site", "docs"):
        subprocess.run(["cp", "-r", REPOSITORY / name, tmp_path / name], check=True)
    picture, page = tmp_path / "docs/pictures/disk.svg", tmp_path / "docs/sizing.md"
    picture.write_text(picture.read_text().replace("scratch/", "scrap/"))
    page.write_text(page.read_text().replace("1,000,000 × 768", "1,000,000 × 769", 1))
    for script in MADE:
        ended = subprocess.run(
            [sys.executable, tmp_path / script, "--check"], capture_output=True, text=True
        )
        assert ended.returncode == 1 and script in ended.stderr, ended.stderr
