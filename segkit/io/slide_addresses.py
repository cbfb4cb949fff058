"""Addresses of the levels of whole slides, which stand for image files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".svs", ".ndpi", ".scn", ".bif")
"""Suffixes of whole slides of Aperio, Hamamatsu, Leica and Ventana, which are TIFF files."""
ADDRESS = re.compile(
    r"(?P<file>.+)#level_(?P<level>[0-9]{1,3})_of_(?P<pixels>[0-9]{1,4})", re.DOTALL
)
"""A slide, one of its levels, and how many pixels along each side become one."""


class Reading(NamedTuple):
    """How a slide is read."""

    level: int
    """The number of the level, from 0, which is the largest."""
    reduce: int = 1
    """The pixels along each side of which the mean is one pixel of the image."""


def level_path(path: Path, reading: Reading) -> Path:
    """Return the address of a level.

    >>> level_path(Path("a/b.svs"), Reading(1, 2)).name
    'b.svs#level_1_of_2'
    """
    return path.with_name(f"{path.name}#level_{reading.level}_of_{reading.reduce}")


def split_level(path: Path) -> tuple[Path, Reading | None]:
    """Return the slide and how it is read; None for other paths.

    >>> split_level(Path("b.svs#level_1_of_2"))[1], split_level(Path("b.svs"))[1]
    (Reading(level=1, reduce=2), None)
    """
    if "#" not in path.name:
        return path, None
    found = ADDRESS.fullmatch(path.name)
    if found is None or int(found["pixels"]) < 1 or path.exists():
        return path, None
    return path.with_name(found["file"]), Reading(int(found["level"]), int(found["pixels"]))


def is_slide(path: Path) -> bool:
    """Return whether a path is a whole slide by its suffix, or the address of a level."""
    return path.suffix.lower() in SUFFIXES or split_level(path)[1] is not None
