"""Makes the sparse sets that sparse.py measures on, from packaged texts.

Sources are the Debian packages wordnet-base (117,000 short glosses), dict-gcide
(a dictionary of 1913) and linux-doc (documentation as reStructuredText), fetched
with apt-get and unpacked, not installed. It writes nothing but below the folder
it is given, and knows nothing of engines.

    python sparse_sets.py WORK

makes WORK/<set>.npz for each set of SETS: CSR arrays of records and of queries.
"""

import gzip
import pathlib
import re
import subprocess
import sys

import numpy as np

QUERIES = 1000
SEED = 20_240_901
PACKAGES = ["wordnet-base", "dict-gcide", "linux-doc"]
WORD = re.compile(r"[a-z][a-z0-9]+")
STOP = set(
    """a about after all also an and any are as at be been but by can could did do does
    for from had has have he her him his how if in into is it its may more most no nor not
    of on one only or other out over s she should so some such t than that the their them
    then there these they this those to too under up upon very was we were what when where
    which while who will with would you your""".split()
)


def fetch(work):
    """Unpacks the packages; the folder they stand in."""
    root = work / "packages"
    if not (root / "done").exists():
        root.mkdir(parents=True, exist_ok=True)
        names = [linux_doc() if name == "linux-doc" else name for name in PACKAGES]
        subprocess.run(["apt-get", "download", *names], cwd=root, check=True)
        for package in sorted(root.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        (root / "done").touch()
    return root


def linux_doc():
    """The package that holds the documents: linux-doc only depends on it."""
    shown = subprocess.run(
        ["apt-cache", "depends", "linux-doc"], check=True, capture_output=True, text=True
    ).stdout
    return re.search(r"linux-doc-[\d.]+", shown).group()


def stem(word):
    """Cuts plurals and the like; crude, but the same for records and queries."""
    for ending, rest in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + rest
    return word


def words(text):
    return [stem(word) for word in WORD.findall(text.lower()) if word not in STOP]


def synsets(root):
    """(key, lemmas, hypernym keys, gloss) of each synset."""
    for part in ("noun", "verb", "adj", "adv"):
        with open(root / f"usr/share/wordnet/data.{part}", encoding="latin-1") as lines:
            for line in lines:
                if line.startswith("  "):
                    continue
                facts, gloss = line.split(" | ", 1)
                fields = facts.split()
                count = int(fields[3], 16)
                lemmas = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
                pointers = fields[5 + 2 * count :]
                hypernyms = [
                    (pointers[i + 2], pointers[i + 1])
                    for i in range(0, 4 * int(fields[4 + 2 * count]), 4)
                    if pointers[i] in ("@", "@i", "&", "\\")
                ]
                yield (fields[2], fields[0]), lemmas, hypernyms, gloss


def dictionary(root):
    """The entries of the dictionary: a head word at the margin, the rest indented."""
    with gzip.open(
        root / "usr/share/dictd/gcide.dict.dz", "rt", encoding="utf-8", errors="replace"
    ) as lines:
        entry = []
        for line in lines:
            if line[:1].strip() and entry:
                yield " ".join(entry)
                entry = []
            entry.append(line.strip())
        yield " ".join(entry)


def documents(root):
    """The paragraphs of the documentation."""
    for path in sorted(root.glob("usr/share/doc/linux-doc*/Documentation/**/*.rst.gz")):
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as text:
            yield from re.split(r"\n\s*\n", text.read())


def bm25(counts, k1=1.2, b=0.75):
    """Records weighed by term frequency, and the idf that queries carry."""
    lengths = np.array([sum(row.values()) for row in counts])
    mean = lengths.mean()
    df = {}
    for row in counts:
        for word in row:
            df[word] = df.get(word, 0) + 1
    rows = []
    for row, length in zip(counts, lengths):
        norm = k1 * (1 - b + b * length / mean)
        rows.append({word: tf * (k1 + 1) / (tf + norm) for word, tf in row.items()})
    n = len(counts)
    idf = {word: np.log(1 + (n - d + 0.5) / (d + 0.5)) for word, d in df.items()}
    return rows, idf


def counted(tokens):
    row = {}
    for word in tokens:
        row[word] = row.get(word, 0) + 1
    return row


def split(rows, rng):
    """Queries are records held out."""
    held = set(rng.choice(len(rows), QUERIES, replace=False).tolist())
    return [r for i, r in enumerate(rows) if i not in held], [rows[i] for i in sorted(held)]


def bm25_set(texts):
    rows = [counted(words(text)) for text in texts]
    rows = [row for row in rows if len(row) >= 3]
    records, queries = split(rows, np.random.default_rng(SEED))
    records, idf = bm25(records)
    # A query is at most 32 words of the text held out, each once.
    queries = [{w: idf[w] for w in list(q)[:32] if w in idf} for q in queries]
    return records, [q for q in queries if q]


def glosses(root):
    return bm25_set(gloss for _, _, _, gloss in synsets(root))


def texts(root):
    def every():
        yield from (gloss for _, _, _, gloss in synsets(root))
        yield from dictionary(root)
        yield from documents(root)

    return bm25_set(every())


def expanded(root):
    """Glosses with the words of related synsets, weighed down: vectors of the
    length and the smooth weights that learned sparse encoders give."""
    known = {key: (lemmas, up, gloss) for key, lemmas, up, gloss in synsets(root)}
    raw = []
    for lemmas, up, gloss in known.values():
        row = {}

        def add(text, weight, row=row):
            for word in words(text):
                row[word] = row.get(word, 0.0) + weight

        add(gloss, 1.0)
        add(" ".join(lemmas), 1.5)
        for key in up:
            if key in known:
                add(" ".join(known[key][0]), 0.75)
                add(known[key][2], 0.4)
                for above in known[key][1]:
                    if above in known:
                        add(" ".join(known[above][0]), 0.3)
                        add(known[above][2], 0.15)
        if row:
            raw.append(row)
    _, idf = bm25(raw)
    rows = [{w: np.log1p(tf) * np.sqrt(idf[w]) for w, tf in row.items()} for row in raw]
    return split(rows, np.random.default_rng(SEED))


SETS = {"glosses": glosses, "expanded": expanded, "texts": texts}


def arrays(rows, numbers):
    starts = np.zeros(len(rows) + 1, np.int64)
    starts[1:] = np.cumsum([len(row) for row in rows])
    indices = np.empty(starts[-1], np.uint32)
    values = np.empty(starts[-1], np.float32)
    for at, row in zip(starts, rows):
        entries = sorted((numbers[word], weight) for word, weight in row.items())
        indices[at : at + len(row)] = [entry[0] for entry in entries]
        values[at : at + len(row)] = [entry[1] for entry in entries]
    return starts, indices, values


def make(name, work):
    path = work / f"{name}.npz"
    if path.exists():
        return path
    records, queries = SETS[name](fetch(work))
    numbers = {w: i for i, w in enumerate(sorted({w for row in records for w in row}))}
    queries = [{w: v for w, v in q.items() if w in numbers} for q in queries]
    r, q = arrays(records, numbers), arrays([q for q in queries if q], numbers)
    np.savez(path, starts=r[0], indices=r[1], values=r[2], query_starts=q[0],
             query_indices=q[1], query_values=q[2])
    print(f"{name}: {len(r[0]) - 1:,} records of {r[0][-1] / (len(r[0]) - 1):.1f} terms, "
          f"{len(q[0]) - 1:,} queries of {q[0][-1] / (len(q[0]) - 1):.1f}, "
          f"{len(numbers):,} different terms")
    return path


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        make(name, folder)
