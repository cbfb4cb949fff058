"""Whether the numbers in masks are classes or number single objects of one class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from segkit.task import VOID

TORN = 0.05
"""Share of the numbers that may lie in several pieces: of an object that something hides in its middle, for example."""
MOST_PIXELS = 2**26
"""Larger masks are not looked at."""
CERTAIN = 4
"""Objects in one image from which numbers without gaps are taken for objects where their count differs."""
CERTAIN_ALONE = 16
"""The same for a single mask, or for masks of only two different counts."""
UNCERTAIN = 5
"""Different numbers in all masks from which numbers with gaps are asked about."""


class Objects(NamedTuple):
    """What the numbers of all masks together seem to be."""

    kind: Literal["instances", "unclear"]
    masks: int
    """Masks with an object."""
    objects: int
    touching: int

    def __str__(self) -> str:
        touching = (
            f"; {self.touching} touch another one, and are one piece with it"
            if self.touching
            else ""
        )
        return f"{self.objects:,} numbered objects of one class in {self.masks:,} masks{touching}"


def numbered_objects(
    values: Sequence[Collection[int]], read: Callable[[int], np.ndarray | None]
) -> Objects | None:
    """Return what the numbers in masks seem to be; None if they are classes, or yes and no.

    Masks are read only where their values allow for objects, and no further than to a class in several pieces.

    Args:
        values: The different values of each mask.
        read: Returns the mask of that place in `values`, (H, W) of whole numbers, or None if it cannot be read.
    """
    numbers = [sorted(value for value in found if value != 0) for found in values]
    kind = _possible(values, numbers)
    if kind is None:
        return None
    objects = sum(map(len, numbers))
    torn = 0
    touching = 0
    for place, found in enumerate(numbers):
        if not found:
            continue
        array = read(place)
        if array is None or array.ndim != 2 or array.size > MOST_PIXELS:
            return None
        torn += count_torn(array)
        if torn > TORN * objects:
            return None
        touching += count_touching(array)
    return Objects(kind, sum(map(bool, numbers)), objects, touching)


def _possible(
    values: Sequence[Collection[int]], numbers: Sequence[Sequence[int]]
) -> Literal["instances", "unclear"] | None:
    """Return what the numbers above 0 may be if each is one piece; None for classes, yes and no, and negative values."""
    full = [found for found in numbers if found]
    different = set().union(*full)
    background = sum(0 in found for found in values if any(found))
    if len(different) < 2 or min(different) < 0 or 2 * background < len(full):
        return None
    gapless = all(found[-1] == len(found) for found in full)
    counts = {len(found) for found in full}
    if gapless and _certain(counts, len(full)):
        return "instances"
    if len(counts) > 1 and (gapless or len(different) >= UNCERTAIN):
        return "unclear"
    return None


def _certain(counts: set[int], masks: int) -> bool:
    """Classes that are all in each image have one count; objects have many."""
    if len(counts) >= 3:
        return max(counts) >= CERTAIN
    return max(counts) >= CERTAIN_ALONE and (len(counts) == 2 or masks == 1)


def count_torn(array: np.ndarray) -> int:
    """Return how many numbers above 0 lie in several pieces, diagonal neighbours being connected.

    Where more than `TORN` do, not all of them are counted.
    """
    rows, columns = np.nonzero(array)
    values, place = np.unique(array[rows, columns], return_inverse=True)
    if values.size > array.size // 2:
        return 0
    boxes = np.full((values.size, 4), np.iinfo(np.int64).max)
    for side, coordinates in enumerate((rows, columns, -rows, -columns)):
        np.minimum.at(boxes[:, side], place, coordinates)
    torn = 0
    for value, (top, left, bottom, right) in zip(values.tolist(), boxes.tolist(), strict=True):
        if value == VOID and values.size < VOID:
            continue  # unlabelled, not an object
        inside: Any = (array[top : 1 - bottom, left : 1 - right] == value).view(np.uint8)
        pieces = cv2.connectedComponents(np.ascontiguousarray(inside))[0] - 1
        torn += pieces > 1
        if torn > TORN * values.size + 1:
            break  # classes; the rest changes nothing
    return torn


def count_touching(array: np.ndarray) -> int:
    """Return how many numbers above 0 lie beside another one, diagonally, too."""
    found: set[int] = set()
    neighbours = (
        (array[:, 1:], array[:, :-1]),
        (array[1:], array[:-1]),
        (array[1:, 1:], array[:-1, :-1]),
        (array[1:, :-1], array[:-1, 1:]),
    )
    for one, other in neighbours:
        beside = (one != other) & (one != 0) & (other != 0)
        found.update(np.unique(one[beside]).tolist())
        found.update(np.unique(other[beside]).tolist())
    return len(found)
