#!/usr/bin/env python3
"""A preprocessor of mdBook: a link that leaves docs/ leads to the repository, for the site has only
docs/; one to a README.md leads to index.html, as mdBook calls it. The pages themselves keep links that
work in the repository.
"""

import json
import posixpath
import re
import sys

REPOSITORY = "https://github.com/crossbill-db/crossbill/blob/main/"
OUT = re.compile(r"(?<!!)\]\((\.\./[^)\s]+)\)")
README = re.compile(r"(\]\((?:[^)\s:]*/)?)README\.md(?=[)#])")


def main() -> None:
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0)
    _, book = json.load(sys.stdin)
    for item in book.get("items", book.get("sections", [])):
        rewrite(item)
    json.dump(book, sys.stdout)


def rewrite(item: object) -> None:
    if not isinstance(item, dict) or "Chapter" not in item:
        return
    chapter = item["Chapter"]
    here = posixpath.dirname("docs/" + (chapter["path"] or ""))
    text = OUT.sub(lambda link: outside(link[0], here, link[1]), chapter["content"])
    chapter["content"] = README.sub(r"\1index.md", text)
    for inner in chapter["sub_items"]:
        rewrite(inner)


def outside(whole: str, here: str, target: str) -> str:
    path = posixpath.normpath(posixpath.join(here, target))
    return whole if path.startswith("docs/") else f"]({REPOSITORY}{path})"


main()
