"""What the mask files of an opened data set hold, in words, and masks read once for this and for the survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.source import Subset
from segkit.inspection.mask_format.contents import Stored, describe_kinds, look_at_all, objects_in
from segkit.inspection.mask_format.instances import Objects

MOST_VALUES = 24
"""Values or colours that are listed."""


class FirstLook(NamedTuple):
    """What the mask files of a data set hold."""

    words: str
    """Kinds, values, and how these are read; "" if there are no mask files."""
    objects: Objects | None = None
    """What their numbers seem to be; None if they are classes, or yes and no."""


def first_look(
    data: DataConfig, parts: Mapping[str, Subset], done: Callable[[], None] = lambda: None
) -> FirstLook:
    """Read the mask files of all parts, call `done` after each, and return what they hold.

    The parts' sources read what fits into memory no second time.
    """
    paths = mask_files_of(parts)
    looked = look_at_all(paths, done, data.pages)
    take_over(
        parts,
        {
            path: found.array
            for path, found in zip(paths, looked, strict=True)
            if found.array is not None
        },
    )
    objects = None if data.mask_ids == "classes" else objects_in(paths, looked)
    if objects and objects.kind == "unclear":
        objects = None
    words = [describe_kinds(looked), _values(looked), str(objects or ""), _read_by(data)]
    return FirstLook("; ".join(word for word in words if word), objects)


def mask_files_of(parts: Mapping[str, Subset]) -> list[Path]:
    """Return the mask files of the samples of all parts that have files of their own."""
    subsets = [(subset.source, subset.names) for subset in parts.values()]
    pairs = [
        source.pairs[name]
        for source, names in subsets
        if isinstance(source, FolderSource)
        for name in names
    ]
    return list(dict.fromkeys(path for pair in pairs for path in pair.masks.values()))


def take_over(parts: Mapping[str, Subset], kept: dict[Path, np.ndarray]) -> None:
    """Give masks that were read, as they are stored, to the sources that would read them again; these empty `kept`."""
    for subset in parts.values():
        if isinstance(subset.source, FolderSource):
            subset.source.kept = kept


def _values(looked: list[Stored]) -> str:
    colours = any(stored.form == "colours" for stored in looked)
    pixels: Counter[int] = Counter()
    for stored in looked:
        if (stored.form == "colours") == colours:
            pixels.update(stored.pixels)
    shown = [f"#{value:06x}" if colours else str(value) for value in sorted(pixels)[:MOST_VALUES]]
    more = f", ... ({len(pixels)} in all)" if len(pixels) > MOST_VALUES else ""
    return f"{'colours' if colours else 'values'} {', '.join(shown)}{more}" if pixels else ""


def _read_by(data: DataConfig) -> str:
    """Return in words what the config says of values."""
    if data.mask_threshold is not None:
        return f"yes from {data.mask_threshold} on"
    if data.mask_ids == "instances":
        return "any number above 0 is the object"
    meant = data.mask_values or data.mask_colours or {}
    return ", ".join(f"{value} is {name}" for value, name in meant.items())
