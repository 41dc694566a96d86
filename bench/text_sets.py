"""Makes the text sets that text.py measures on, from the packages of sparse_sets.py.

    python text_sets.py WORK

makes WORK/<set>.jsonl for each set of SETS, a document a line ({"_id", "body"}), and
WORK/<set>.queries.json, lists of words. Texts are reduced to lower-case words of letters
and digits with one space between them, so that every engine takes them apart alike.
"""

import json
import pathlib
import random
import re
import sys

import sparse_sets

QUERIES = 1000
# Words of a query, chosen from a text that was held out.
QUERY_WORDS = (1, 5)
SEED = 20_241_128
WORD = re.compile(r"[a-z0-9]{1,40}")


def glosses(root):
    return (gloss for _, _, _, gloss in sparse_sets.synsets(root))


def texts(root):
    yield from glosses(root)
    yield from sparse_sets.dictionary(root)
    yield from sparse_sets.documents(root)


SETS = {"glosses": glosses, "texts": texts}


def make(name, work):
    documents, queries = work / f"{name}.jsonl", work / f"{name}.queries.json"
    if queries.exists():
        return documents, queries
    rng = random.Random(SEED)
    kept = [WORD.findall(text.lower()) for text in SETS[name](sparse_sets.fetch(work))]
    kept = [words for words in kept if len(words) >= 3]
    held = set(rng.sample(range(len(kept)), QUERIES))
    with open(documents, "w") as out:
        for row, words in enumerate(kept):
            if row not in held:
                out.write(json.dumps({"_id": str(row), "body": " ".join(words)}) + "\n")
    asked = []
    for row in sorted(held):
        distinct = sorted(set(kept[row]))
        asked.append(rng.sample(distinct, min(len(distinct), rng.randint(*QUERY_WORDS))))
    queries.write_text(json.dumps(asked))
    count = len(kept) - QUERIES
    length = sum(map(len, kept)) / len(kept)
    print(f"{name}: {count:,} texts of {length:.1f} words, {documents.stat().st_size:,} bytes")
    return documents, queries


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        make(name, folder)
