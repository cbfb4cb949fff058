"""Whether the numbers in masks are classes, or single objects of one class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from segkit.task import VOID

TORN = 0.05
"""Largest share of objects in several pieces, such as objects with something in front of them."""
MOST_PIXELS = 2**26
"""Masks with more pixels are not analysed."""
CERTAIN = 4
"""Objects in one image from which numbers without gaps are objects, if the counts differ."""
CERTAIN_ALONE = 16
"""The same for a single mask, or for masks with only two different counts."""
UNCERTAIN = 5
"""Different numbers in all masks from which numbers with gaps may be objects."""


class Objects(NamedTuple):
    """The numbers of all masks together, if they may be single objects."""

    kind: Literal["instances", "unclear"]
    masks: int
    """Number of masks with an object."""
    objects: int
    """Number of objects."""
    touching: int
    """Number of objects that touch another one."""

    def __str__(self) -> str:
        text = f"{self.objects:,} numbered objects of one class in {self.masks:,} masks"
        if self.touching:
            text += f"; {self.touching} touch another object, and form one piece with it"
        return text


def numbered_objects(
    values: Sequence[Collection[int]], read: Callable[[int], np.ndarray | None]
) -> Objects | None:
    """Return the objects if the numbers in the masks may be single objects.

    Masks are read only if their values allow for objects, and only until a class with several
    pieces is found.

    Args:
        values: The different values of each mask.
        read: Returns the mask with this index in `values`, (H, W) of whole numbers, or None if it
            cannot be read.

    Returns:
        The objects; None if the numbers are classes, or yes and no.
    """
    numbers = [sorted(value for value in found if value != 0) for found in values]
    kind = _possible_kind(values, numbers)
    if kind is None:
        return None
    objects = sum(map(len, numbers))
    torn = 0
    touching = 0
    for index, found in enumerate(numbers):
        if not found:
            continue
        mask = read(index)
        if mask is None or mask.ndim != 2 or mask.size > MOST_PIXELS:
            return None
        torn += count_torn(mask)
        if torn > TORN * objects:
            return None
        touching += count_touching(mask)
    return Objects(kind, sum(map(bool, numbers)), objects, touching)


def _possible_kind(
    values: Sequence[Collection[int]], numbers: Sequence[Sequence[int]]
) -> Literal["instances", "unclear"] | None:
    """Return what the numbers above 0 may be, if each of them is one connected piece."""
    full = [found for found in numbers if found]
    different = set().union(*full)
    with_background = sum(0 in found for found in values if any(found))
    if len(different) < 2 or min(different) < 0 or 2 * with_background < len(full):
        return None
    without_gaps = all(found[-1] == len(found) for found in full)
    counts = {len(found) for found in full}
    if without_gaps and _counts_are_of_objects(counts, len(full)):
        return "instances"
    if len(counts) > 1 and (without_gaps or len(different) >= UNCERTAIN):
        return "unclear"
    return None


def _counts_are_of_objects(counts: set[int], masks: int) -> bool:
    """Classes that all occur in each image have one count; objects have many different counts."""
    if len(counts) >= 3:
        return max(counts) >= CERTAIN
    return max(counts) >= CERTAIN_ALONE and (len(counts) == 2 or masks == 1)


def count_torn(mask: np.ndarray) -> int:
    """Return how many numbers above 0 have several pieces; diagonal neighbours are connected.

    The count stops above a share of `TORN`.

    Args:
        mask: (H, W) of whole numbers. Void is not counted.
    """
    rows, columns = np.nonzero(mask)
    values, place = np.unique(mask[rows, columns], return_inverse=True)
    if values.size > mask.size // 2:
        return 0
    boxes = np.full((values.size, 4), np.iinfo(np.int64).max)
    for side, coordinates in enumerate((rows, columns, -rows, -columns)):
        np.minimum.at(boxes[:, side], place, coordinates)
    torn = 0
    for value, (top, left, bottom, right) in zip(values.tolist(), boxes.tolist(), strict=True):
        if value == VOID and values.size < VOID:
            continue
        inside: Any = (mask[top : 1 - bottom, left : 1 - right] == value).view(np.uint8)
        pieces = cv2.connectedComponents(np.ascontiguousarray(inside))[0] - 1
        torn += pieces > 1
        if torn > TORN * values.size + 1:
            break
    return torn


def count_touching(mask: np.ndarray) -> int:
    """Return how many numbers above 0 have another one as a neighbour, also diagonally.

    Args:
        mask: (H, W) of whole numbers.
    """
    found: set[int] = set()
    neighbours = (
        (mask[:, 1:], mask[:, :-1]),
        (mask[1:], mask[:-1]),
        (mask[1:, 1:], mask[:-1, :-1]),
        (mask[1:, :-1], mask[:-1, 1:]),
    )
    for one, other in neighbours:
        beside = (one != other) & (one != 0) & (other != 0)
        found.update(np.unique(one[beside]).tolist())
        found.update(np.unique(other[beside]).tolist())
    return len(found)
