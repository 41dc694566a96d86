"""The documents as programs: blocks of code by language, and what each page takes for granted before
its first command.

    python3 tests/e2e/pages.py    lists the blocks that are not run in docs/tested.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
TESTED = DOCS / "tested.md"
RUN = ("sh", "python", "http")
PARSED = ("json", "toml", "yaml")
SHOWN = ("text",)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


@dataclass
class Block:
    language: str
    why_not: str | None
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    text = path.read_text()
    found = []
    for match in FENCE.finditer(text):
        language, _, rest = match[1].partition(" ")
        flag = re.fullmatch(r"not-run=([a-z]+)", rest)
        assert flag or not rest, f"{path.name}: ```{match[1]}"
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(language, flag and flag[1], match[2], line))
    return found


def not_run() -> str:
    """docs/tested.md with the list of blocks that are not run as it has to be."""
    lines = ["| page | block | reason |", "| --- | --- | --- |"]
    for path in PAGES:
        for block in blocks(path):
            if block.why_not:
                first = block.text.splitlines()[0].replace("|", "\\|").rstrip(" \\")
                link = f"../{path.name}" if path.parent == REPOSITORY else path.name
                lines.append(f"| [{path.name}]({link}) | `{first}` | `{block.why_not}` |")
    place = re.compile(r"(<!-- blocks: [^>]* -->\n).*?(<!-- end -->)", re.S)
    text, count = place.subn(
        lambda found: found[1] + "\n".join(lines) + "\n" + found[2], TESTED.read_text()
    )
    assert count == 1
    return text


@dataclass
class Page:
    """What is there before a page's first block."""

    # Shell lines that run first.
    setup: str = ""
    # Texts of the page that have to be others here: (expression, replacement), after the common ones.
    instead: list[tuple[str, str]] = field(default_factory=list)
    # Commands that end otherwise than well, as the page says or since the import is over here:
    # arguments and what they say.
    refused: dict[str, str] = field(default_factory=dict)
    # Which stores it wants: s3, gcs, azure; and whether a model server.
    stores: tuple[str, ...] = ()
    models: bool = False
    # The index that requests and `index` in Python go to.
    index: str = "products"


IMPORTED = """
crossbill serve --allow-import-dir "$WORK/data"
crossbill import "file://$WORK/data/embeddings/" --index products --create --dimension 384
"""
CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem "
    "-out chain.pem -days 2 -subj /CN=127.0.0.1 2>/dev/null"
)
ALL = ("s3", "gcs", "azure")
# An import that is over cannot be paused or cancelled; on the page it still runs.
OVER = {"imports pause 1": "has ended", "imports cancel 1": "has ended"}
UUID = r"670e8400-e29b-41d4-a716-446655440000"
# An integration for AWS is one for the store that stands in for it.
S3_HERE = (r"(--kind s3 --region \S+)(?! --endpoint)", r'\1 --endpoint "$S3_URL"')
S3_KEY = (r"(--kind s3 (?:(?!--access-key-id)[^\n#])*?)( +#|\n)", r'\1 --access-key-id "$S3_KEY"\2')


def newest(what: str) -> str:
    """The id of the newest backup or schedule, as shell: the page has an id of elsewhere."""
    ids = "jq --raw-output '.. | .schedule_id? // .backup_id? // .id? // empty'"
    return f'"$(crossbill backups {what} --index products --json | {ids} | head -n 1)"'


# Pages whose blocks of Python other tests run, with what only those have installed.
ELSEWHERE = {"python.md": "tests/python/test_wheel.py"}

SCENES: dict[str, Page] = {
    "README.md": Page(
        setup='mkdir -p "$WORK/data"',
        stores=ALL,
        index="product-search",
        instead=[
            S3_HERE,
            S3_KEY,
            (
                r"pull --from-index product-search --into product-search",
                'pull --control-plane "$URL" --from-index product-search --into pulled --data pulled',
            ),
        ],
        refused={"imports pause 1": "has ended"},
    ),
    "backups.md": Page(
        setup=IMPORTED + "crossbill index create archive --dimension 3",
        instead=[
            (rf"unschedule {UUID}", f"unschedule {newest('schedules')}"),
            (UUID, newest("list")),
            (r"--data \./crossbill-data", '--data "$CROSSBILL_DATA"'),
            # A copy is called after its time.
            (r"\b20\d{6}T\d{9}Z", '"$(ls "$WORK/backup/crossbill" | head -n 1)"'),
        ],
    ),
    "console.md": Page(setup=IMPORTED),
    "doctor.md": Page(
        setup=IMPORTED
        + 'crossbill import "file://$WORK/data/set/" --index a --create --dimension 384 '
        '--columns id=_id,values=emb --data "$WORK/var/lib/crossbill"\n'
        'cp -r "$WORK/var/lib/crossbill" "$WORK/backup/crossbill"\n'
        'echo \'log = "info"\' > "$WORK/etc/crossbill.toml"\ncrossbill stop-the-server',
    ),
    "documents.md": Page(setup="crossbill serve", index="articles"),
    "export.md": Page(
        setup=IMPORTED
        + 'crossbill integrations create backups --kind s3 --region us-east-1 --endpoint "$S3_URL" '
        '--access-key-id "$S3_KEY"',
        stores=("s3",),
        instead=[(r"--data \./crossbill-data", '--data "$CROSSBILL_DATA"')],
    ),
    "grpc.md": Page(
        setup="crossbill serve\ncrossbill index create films --dimension 3\necho local > keys\n"
        + CERTIFICATE,
    ),
    "import-control.md": Page(setup=IMPORTED, stores=("s3",), refused=OVER),
    "import-inputs.md": Page(
        setup="crossbill serve\ncrossbill index create docs --dimension 384",
        stores=("s3",),
        index="docs",
    ),
    "import.md": Page(
        setup="mkdir -p embeddings",
        stores=ALL,
        instead=[
            S3_HERE,
            S3_KEY,
            (r"--data \./crossbill-data", "--data ./without"),
            # The mending itself is the reader's.
            (
                r"(?=crossbill import mend/)",
                'find mend -type f -delete; cp "$WORK/data/embeddings/0.parquet" mend/\n',
            ),
        ],
        refused=OVER,
    ),
    "inference.md": Page(models=True),
    "moving.md": Page(setup=IMPORTED),
    "operations.md": Page(setup=CERTIFICATE),
    "openapi.md": Page(setup="crossbill serve"),
    "python.md": Page(
        setup=IMPORTED + 'cp -r "$WORK/data/embeddings" .',
        instead=[(r"--data \./crossbill-data", '--data "$CROSSBILL_DATA"')],
    ),
    "recipes.md": Page(stores=ALL, instead=[S3_HERE]),
    "start.md": Page(index="films"),
    "tuning.md": Page(),
}


if __name__ == "__main__":
    TESTED.write_text(not_run())
