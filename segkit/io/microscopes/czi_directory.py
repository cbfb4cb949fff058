"""Checks the directory of a CZI file, because libCZI crashes on a damaged one."""

from __future__ import annotations

import struct
from pathlib import Path

MOST_DIMENSIONS = 26
"""The dimensions that a tile may have; libCZI has memory for so many and some more."""
SEGMENT = struct.Struct("<16sqq")
"""The beginning of a segment: its name, and its size as allocated and as used."""
DIRECTORY_POSITION = SEGMENT.size + 52
"""The place in the file of the position of the directory."""
ENTRIES = SEGMENT.size + 128
"""The place of the first entry in the segment of the directory."""
ENTRY = struct.Struct("<2s26xi")
"""The schema of an entry, and its number of dimensions."""
SCHEMA = b"DV"
DIMENSION_BYTES = 20


def check_directory(path: Path) -> None:
    """Check that no entry of the directory has more dimensions than libCZI has memory for.

    Other damage is left to libCZI, which finds it.

    Args:
        path: The file.

    Raises:
        ValueError: If an entry has too many dimensions.
    """
    for count in _dimensions_of_entries(_read_directory(path)):
        if not 0 <= count <= MOST_DIMENSIONS:
            raise ValueError(f"a tile of it has {count} dimensions")


def _read_directory(path: Path) -> bytes:
    """Return the segment of the directory, as far as the file holds it."""
    with path.open("rb") as stream:
        stream.seek(DIRECTORY_POSITION)
        position = int.from_bytes(stream.read(8), "little")
        size = path.stat().st_size
        if not 0 < position <= size - SEGMENT.size:
            return b""
        stream.seek(position)
        _, allocated, used = SEGMENT.unpack(stream.read(SEGMENT.size))
        stream.seek(position)
        most = size - position
        wanted = SEGMENT.size + max(allocated, used)
        return stream.read(max(0, min(wanted, most)))


def _dimensions_of_entries(directory: bytes) -> list[int]:
    """Return the number of dimensions of each entry, as far as entries follow each other."""
    if len(directory) < ENTRIES:
        return []
    count = int.from_bytes(directory[SEGMENT.size : SEGMENT.size + 4], "little")
    found = []
    place = ENTRIES
    while len(found) < count and place + ENTRY.size <= len(directory):
        schema, dimensions = ENTRY.unpack_from(directory, place)
        if schema != SCHEMA:
            break
        found.append(dimensions)
        place += ENTRY.size + DIMENSION_BYTES * max(0, dimensions)
    return found
