"""Checks the entries of the tiles of a CZI file, because libCZI crashes on damaged ones."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

MOST_DIMENSIONS = 26
"""The dimensions that a tile may have; libCZI has memory for so many and some more."""
SEGMENT = struct.Struct("<16sqq")
"""The beginning of a segment: its name, and its size as allocated and as used."""
POSITION_OF_DIRECTORY = SEGMENT.size + 52
"""The place in the file where the position of the directory is stated."""
ENTRIES = SEGMENT.size + 128
"""The place of the first entry in the segment of the directory."""
ENTRY_OF_TILE = SEGMENT.size + 16
"""The place of the entry in the segment of a tile, which repeats that of the directory."""
ENTRY = struct.Struct("<2s4xq14xi")
"""The schema of an entry, the position of the tile, and the number of its dimensions."""
SCHEMA = b"DV"
BYTES_OF_DIMENSION = 20


class Entry(NamedTuple):
    """What an entry states about a tile."""

    position: int
    dimensions: int


def check_tiles(path: Path) -> None:
    """Check that no tile has more dimensions than libCZI has memory for.

    Other damage is left to libCZI, which finds it. A file is checked once, until it changes.

    Args:
        path: The file.

    Raises:
        ValueError: If a tile has too many dimensions.
    """
    status = path.stat()
    _check_version(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _check_version(path: Path, size: int, _changed: int) -> None:
    """Check a file of a size and a time of change, by which its check is found again."""
    with path.open("rb") as stream:
        for entry in _entries(_read_directory(stream, size)):
            _check_count(entry)
            stream.seek(entry.position + ENTRY_OF_TILE)
            content = stream.read(ENTRY.size)
            if len(content) == ENTRY.size and content.startswith(SCHEMA):
                _check_count(_parse_entry(content, 0))


def _check_count(entry: Entry) -> None:
    if not 0 <= entry.dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"a tile of it has {entry.dimensions} dimensions")


def _read_directory(stream: BinaryIO, size: int) -> bytes:
    """Return the segment of the directory, as far as the file holds it."""
    stream.seek(POSITION_OF_DIRECTORY)
    position = int.from_bytes(stream.read(8), "little")
    if not 0 < position <= size - SEGMENT.size:
        return b""
    stream.seek(position)
    _, allocated, used = SEGMENT.unpack(stream.read(SEGMENT.size))
    stream.seek(position)
    wanted = SEGMENT.size + max(allocated, used)
    return stream.read(max(0, min(wanted, size - position)))


def _entries(directory: bytes) -> Iterator[Entry]:
    """Yield the entries, as far as they follow each other."""
    count = int.from_bytes(directory[SEGMENT.size : SEGMENT.size + 4], "little")
    place = ENTRIES
    for _ in range(count):
        if not directory.startswith(SCHEMA, place) or place + ENTRY.size > len(directory):
            return
        entry = _parse_entry(directory, place)
        yield entry
        place += ENTRY.size + BYTES_OF_DIMENSION * entry.dimensions


def _parse_entry(content: bytes, place: int) -> Entry:
    _, position, dimensions = ENTRY.unpack_from(content, place)
    return Entry(max(0, position), dimensions)
