"""Copies of image files in two parts, found without decoding: long before every sample is read."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from segkit.data.source import Source, Subset
from segkit.errors import DataError

END = 4096
"""Bytes from the end of a file that are compared first: there PNG and others keep a check sum, and JPEG its last pixels."""
Key = TypeVar("Key", bound=Hashable)


class Placed(NamedTuple):
    """A sample's image file, and the part that it is in."""

    name: str
    part: str
    path: Path
    source: Source


def copied_files(parts: Mapping[str, Subset], seconds: float) -> list[list[Placed]]:
    """Return groups of samples in two parts or more whose image files are byte for byte the same.

    Only files of one size are opened, and only those with the same end are read. Sources without files, files that cannot
    be opened, and what is left after `seconds` are passed over; reading every sample finds them, too.
    """
    until = time.monotonic() + seconds
    everything = list(_placed(parts))
    order = {(placed.name, placed.part): number for number, placed in enumerate(everything)}
    groups = [everything]
    for key in (_size, _end, _content):
        groups = [alike for group in groups for alike in _alike(group, key, until)]
    return sorted(groups, key=lambda group: order[group[0].name, group[0].part])


def _placed(parts: Mapping[str, Subset]) -> Iterable[Placed]:
    for part, subset in parts.items():
        image_file = getattr(subset.source, "image_file", None)
        if image_file is None:
            continue
        for name in subset.names:
            with suppress(DataError):  # one that must not be read
                yield Placed(name, part, image_file(name), subset.source)


def _alike(group: list[Placed], key: Callable[[Path], Key], until: float) -> list[list[Placed]]:
    """Return those of the group that share a key with one of another part."""
    found: dict[Key, list[Placed]] = {}
    for placed in group:
        if time.monotonic() > until:
            return []
        try:
            found.setdefault(key(placed.path), []).append(placed)
        except OSError:
            continue
    return [alike for alike in found.values() if len({placed.part for placed in alike}) > 1]


def _size(path: Path) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path}: is no file")
    return found.st_size


def _end(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - END))
        return stream.read(END)


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
