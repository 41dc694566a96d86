"""What Crossbill's segment files consist of, read from their section tables (docs/format.md)."""

from __future__ import annotations

import struct
from pathlib import Path

FORMAT = 1
TAIL = struct.Struct("<QII8x8s")
ENTRY = struct.Struct("<IIQQ8x")
PARTS = {
    "vectors": {2, 3},
    "codes": {15, 16, 17},
    "ids": {4, 5, 6, 7, 18},
    "metadata": {12, 13, 14},
}


def parts(folder: Path) -> dict[str, int]:
    """Bytes of all segments below the folder by what they are for; nothing if one has another
    format than is known here."""
    sizes = dict.fromkeys(PARTS, 0)
    for path in folder.rglob("*.seg"):
        with open(path, "rb") as file:
            file.seek(-TAIL.size, 2)
            table, entries, version, end = TAIL.unpack(file.read())
            if (version, end) != (FORMAT, b"XBILEND\0"):
                return {}
            file.seek(table)
            for _ in range(entries):
                kind, _, _, length = ENTRY.unpack(file.read(ENTRY.size))
                for part, kinds in PARTS.items():
                    sizes[part] += length if kind in kinds else 0
    return sizes
