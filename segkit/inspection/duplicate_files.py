"""Copies of image files in two parts, found without decoding: long before every sample is read."""

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
"""Bytes from the end of a file that are compared first: there PNG and others keep a check sum, and JPEG its last pixels."""
Key = TypeVar("Key", bound=Hashable)


class Placed(NamedTuple):
    """A sample's image file, and the part that it is in."""

    name: str
    part: str
    source: Any
    """With `files` and `image_file`."""


def copied_files(parts: Mapping[str, Subset], seconds: float) -> list[list[Placed]]:
    """Return groups of samples in two parts or more whose image files are byte for byte the same.

    Only files of one size are opened, and only those with the same end are read. Sources without files, pages of a file,
    files that cannot be opened, and what is left after `seconds` are passed over; reading every sample finds them, too.
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
        if hasattr(subset.source, "image_file"):
            is_page = getattr(subset.source, "is_page", lambda name: False)
            yield from (
                Placed(name, part, subset.source) for name in subset.names if not is_page(name)
            )


def _alike(group: list[Placed], key: Callable[[Placed], Key], until: float) -> list[list[Placed]]:
    """Return those of the group that share a key with one of another part."""
    found: dict[Key, list[Placed]] = {}
    for placed in group:
        if time.monotonic() > until:
            return []
        try:
            found.setdefault(key(placed), []).append(placed)
        except (OSError, DataError):
            continue
    return [alike for alike in found.values() if len({placed.part for placed in alike}) > 1]


def _size(placed: Placed) -> int:
    found = placed.source.files(placed.name)[0].stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{placed.name}: is no file")
    return int(found.st_size)


def _end(placed: Placed) -> bytes:
    with placed.source.image_file(placed.name).open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - END))
        return bytes(stream.read(END))


def _content(placed: Placed) -> bytes:
    with placed.source.image_file(placed.name).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
