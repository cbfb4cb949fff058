"""Polygons of a mask that is read strip by strip, so that it is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from segkit.data.polygons import Outline, corners_of, outlines_of_corners


class ObjectOutlines(NamedTuple):
    """The polygons of a connected object, whose parts may touch at corners only."""

    parts: list[Outline]
    area: int
    """Pixels."""


def outlines_of_strips(strips: Iterable[np.ndarray]) -> list[ObjectOutlines]:
    """Return the polygons of the objects of a yes/no mask.

    An object is a set of pixels that touch by a side or a corner. Its polygons are those of
    `polygons.outlines`. The memory depends on the length of the outlines, not on the area.

    Args:
        strips: The rows of the mask from top to bottom, arrays (h, W) bool of one width.

    Returns:
        The objects, in the order of the first row of their first polygon.
    """
    regions = _Sets()
    objects = _Sets()
    object_of_region: list[np.ndarray] = [np.zeros(1, np.int64)]
    areas: list[np.ndarray] = [np.zeros(1, np.int64)]
    corners: list[np.ndarray] = []
    above: _Labelled | None = None
    top = 0
    for strip in strips:
        labelled = _label(strip, regions, objects)
        object_of_region.append(labelled.object_of_region)
        areas.append(labelled.areas)
        if above is None:
            above = _nothing(strip.shape[1])
        _join(above, labelled, regions, objects)
        corners.append(_corners_below(above.regions, labelled.regions, top))
        top += strip.shape[0]
        above = labelled.last_row()
    if above is None:
        return []
    corners.append(_corners_below(above.regions, _nothing(above.regions.shape[1]).regions, top))
    owners = objects.roots()[np.concatenate(object_of_region)]
    found = outlines_of_corners(_with_roots(np.concatenate(corners), regions.roots()))
    return _grouped(found, owners, np.concatenate(areas))


class _Labelled(NamedTuple):
    """Rows with the numbers of regions (neighbours by sides) and of objects (also by corners)."""

    regions: np.ndarray
    """(h, W) int64; 0 outside."""
    objects: np.ndarray
    object_of_region: np.ndarray
    """The object of each region of these rows."""
    areas: np.ndarray
    """The pixels of each region of these rows."""

    def last_row(self) -> _Labelled:
        return self._replace(regions=self.regions[-1:], objects=self.objects[-1:])


def _nothing(width: int) -> _Labelled:
    empty = np.zeros((1, width), np.int64)
    return _Labelled(empty, empty, np.zeros(0, np.int64), np.zeros(0, np.int64))


def _label(strip: np.ndarray, regions: _Sets, objects: _Sets) -> _Labelled:
    """Return the numbers of the regions and objects of a strip, which no other strip has."""
    pixels = np.ascontiguousarray(strip, np.uint8)
    count, by_side = cv2.connectedComponents(pixels, connectivity=4)
    object_count, by_corner = cv2.connectedComponents(pixels, connectivity=8)
    first_region = regions.add(count - 1)
    first_object = objects.add(object_count - 1)
    owners = np.zeros(count, np.int64)
    owners[by_side] = by_corner
    areas = np.bincount(by_side.ravel(), minlength=count)
    return _Labelled(
        np.where(by_side > 0, by_side.astype(np.int64) + first_region - 1, 0),
        np.where(by_corner > 0, by_corner.astype(np.int64) + first_object - 1, 0),
        owners[1:] + first_object - 1,
        areas[1:],
    )


def _join(above: _Labelled, below: _Labelled, regions: _Sets, objects: _Sets) -> None:
    """Join what touches across the border of two strips."""
    upper = above.regions[-1]
    lower = below.regions[0]
    regions.join(upper, lower)
    upper = above.objects[-1]
    lower = below.objects[0]
    objects.join(upper, lower)
    objects.join(upper[1:], lower[:-1])
    objects.join(upper[:-1], lower[1:])


def _corners_below(above: np.ndarray, rows: np.ndarray, top: int) -> np.ndarray:
    """Return the corners from the upper edge of rows to the upper edge of the last one."""
    together = np.concatenate([above[-1:], rows])
    found = corners_of(np.pad(together, ((0, 0), (1, 1))))
    found[:, 1] += top
    return found


def _with_roots(corners: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Return corners with the final numbers of their regions, in the order of `corners_of`."""
    corners[:, 0] = roots[corners[:, 0]]
    return corners[np.lexsort(corners.T[3::-1])]


def _grouped(
    outlines: Iterable[tuple[int, Outline]], owners: np.ndarray, areas: np.ndarray
) -> list[ObjectOutlines]:
    """Return the polygons of each object.

    Args:
        outlines: The number of a region and its polygon.
        owners: The object of each region.
        areas: The pixels of each region of one strip.
    """
    parts: dict[int, list[Outline]] = {}
    for region, outline in outlines:
        parts.setdefault(int(owners[region]), []).append(outline)
    pixels = np.bincount(owners, weights=areas, minlength=1)
    return [ObjectOutlines(found, int(pixels[number])) for number, found in parts.items()]


class _Sets:
    """Numbers from 1 in sets that are joined (union-find)."""

    def __init__(self) -> None:
        self._parents: list[int] = [0]

    def add(self, count: int) -> int:
        """Add some numbers, each in a set of its own; return the first."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return first

    def join(self, some: np.ndarray, others: np.ndarray) -> None:
        """Join the sets of pairs of numbers (N,); 0 is no number."""
        pairs = np.stack([some, others], axis=1)[(some > 0) & (others > 0)]
        for one, other in np.unique(pairs, axis=0).tolist():
            first = self._root(one)
            second = self._root(other)
            self._parents[max(first, second)] = min(first, second)

    def roots(self) -> np.ndarray:
        """Return the smallest number of the set of each number, and 0 for 0."""
        return np.array([self._root(number) for number in range(len(self._parents))], np.int64)

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number
