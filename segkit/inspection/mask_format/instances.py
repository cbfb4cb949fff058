"""Whether the numbers in masks are classes or number single objects of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class Numbered(NamedTuple):
    """What speaks for numbers of objects in one mask."""

    values: int
    """Different numbers above 0."""
    gapless: bool
    """Whether these are 1, 2, 3, ..."""
    torn: int
    """Numbers that lie in several pieces."""
    touching: int
    """Numbers that lie beside another one. Counted where each number is one piece."""
    background: bool
    """Whether 0 occurs."""


class Objects(NamedTuple):
    """What the numbers of all masks together seem to be."""

    kind: Literal["instances", "unclear"]
    masks: int
    """Masks with an object."""
    objects: int
    touching: int

    def __str__(self) -> str:
        touching = f"; {self.touching} touch another one, and are one piece with it" if self.touching else ""
        return f"{self.objects:,} numbered objects of one class in {self.masks:,} masks{touching}"


def numbered(array: np.ndarray, pixels: Mapping[int, int]) -> Numbered | None:
    """Return what speaks for numbers of objects in a mask (H, W) of these values; None if it was not looked at."""
    values = sorted(value for value in pixels if value != 0)
    if array.ndim != 2 or array.size > MOST_PIXELS or (values and values[0] < 0):
        return None
    gapless = values == list(range(1, len(values) + 1))
    torn = _torn(array) if len(values) > 1 or gapless else 0
    touching = _touching(array) if gapless and torn <= TORN * len(values) else 0
    return Numbered(len(values), gapless, torn, touching, 0 in pixels)


def seems(masks: Sequence[Numbered | None], values: int) -> Objects | None:
    """Return what the numbers of all masks seem to be; None if they are classes, or yes and no.

    Args:
        masks: What was seen of each mask.
        values: Different numbers above 0 in all masks.
    """
    seen = [mask for mask in masks if mask is not None]
    full = [mask for mask in seen if mask.values]
    count = sum(mask.values for mask in full)
    if len(seen) < len(masks) or values < 2 or sum(mask.torn for mask in full) > TORN * count:
        return None
    if sum(mask.background for mask in full) < len(full) / 2:
        return None
    gapless = all(mask.gapless for mask in full)
    counts = {mask.values for mask in full}
    touching = sum(mask.touching for mask in full)
    if gapless and _certain(counts, len(full)):
        return Objects("instances", len(full), count, touching)
    if (gapless and len(counts) > 1) or (not gapless and values >= UNCERTAIN and len(counts) > 1):
        return Objects("unclear", len(full), count, touching)
    return None


def _certain(counts: set[int], masks: int) -> bool:
    """Classes that are all in each image have one count; objects have many."""
    if len(counts) >= 3:
        return max(counts) >= CERTAIN
    return max(counts) >= CERTAIN_ALONE and (len(counts) == 2 or masks == 1)


def _torn(array: np.ndarray) -> int:
    """Return how many numbers above 0 lie in several pieces, diagonal neighbours being connected."""
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


def _touching(array: np.ndarray) -> int:
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
