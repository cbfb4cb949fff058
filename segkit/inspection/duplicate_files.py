"""Equal image files in two parts, found without decoding and so before the samples are read."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from segkit.data.sources.source import Subset
from segkit.errors import DataError

END = 4096
"""Bytes from the end of a file that are compared first.

There PNG and other formats have a checksum, and JPEG its last pixels.
"""
Key = TypeVar("Key", bound=Hashable)


class Placed(NamedTuple):
    """A sample with an image file of its own, and its part."""

    name: str
    part: str
    source: Any
    """A source with the methods `files` and `image_file`."""


def copied_files(parts: Mapping[str, Subset], seconds: float) -> list[list[Placed]]:
    """Return groups of samples in two parts or more with equal image files.

    Files are compared by size, then by their last bytes, then by all bytes. Sources without
    files, pages of a file, and files that cannot be opened are not compared. Reading all samples
    finds their duplicates, too.

    Args:
        parts: The samples of each part.
        seconds: Time after which the search ends; the groups found so far are not complete.
    """
    until = time.monotonic() + seconds
    everything = list(_placed(parts))
    order = {(placed.name, placed.part): number for number, placed in enumerate(everything)}
    groups = [everything]
    for key in (_size, _end, _content):
        equal = []
        for group in groups:
            equal += _split_by(group, key, until)
        groups = equal
    return sorted(groups, key=lambda group: order[group[0].name, group[0].part])


def _placed(parts: Mapping[str, Subset]) -> Iterable[Placed]:
    for part, subset in parts.items():
        if not hasattr(subset.source, "image_file"):
            continue
        is_page = getattr(subset.source, "is_page", lambda name: False)
        for name in subset.names:
            if not is_page(name):
                yield Placed(name, part, subset.source)


def _split_by(
    group: list[Placed], key: Callable[[Placed], Key], until: float
) -> list[list[Placed]]:
    """Return the samples with equal keys that lie in two parts or more."""
    by_key: dict[Key, list[Placed]] = {}
    for placed in group:
        if time.monotonic() > until:
            return []
        try:
            by_key.setdefault(key(placed), []).append(placed)
        except (OSError, DataError):
            continue
    return [equal for equal in by_key.values() if _is_across_parts(equal)]


def _is_across_parts(group: list[Placed]) -> bool:
    return len({placed.part for placed in group}) > 1


def _size(placed: Placed) -> int:
    found = placed.source.files(placed.name)[0].stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{placed.name}: is not a regular file")
    return int(found.st_size)


def _end(placed: Placed) -> bytes:
    with placed.source.image_file(placed.name).open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - END))
        return bytes(stream.read(END))


def _content(placed: Placed) -> bytes:
    with placed.source.image_file(placed.name).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
