"""An embedding without a model: each word adds to a few of 64 dimensions, chosen by its hash. Texts
that share words are near each other, the same on every machine.
"""

from __future__ import annotations

import hashlib
import math

DIMENSION = 64
TEXTS = {
    "cat": "the cat sleeps on the warm sofa",
    "dog": "the dog runs in the wet garden",
    "car": "a red car drives on a long road",
    "train": "a fast train drives on rails of steel",
}


def embed(text: str) -> list[float]:
    values = [0.0] * DIMENSION
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        for byte, sign in zip(digest[:4], digest[4:8], strict=True):
            values[byte % DIMENSION] += 1.0 if sign % 2 else -1.0
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / norm for value in values]


def terms(text: str) -> dict[int, float]:
    """A sparse vector without a model: how often each word occurs, by its hash."""
    counts: dict[int, float] = {}
    for word in text.lower().split():
        index = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        counts[index] = counts.get(index, 0.0) + 1.0
    return counts


class World:
    """A place for the store that calls share."""

    async def close(self) -> None:
        pass
