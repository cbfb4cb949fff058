"""Polygons of a mask that is read strip by strip, so that it is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from segkit.data.polygons import Outline, corners_of, outlines_of_corners


class ObjectOutlines(NamedTuple):
    """The polygons of a connected object, whose parts may touch at corners only."""

    parts: list[Outline]
    area: int
    """Pixels."""


def outlines_of_strips(strips: Iterable[np.ndarray]) -> Iterator[ObjectOutlines]:
    """Yield the polygons of each object of a yes/no mask.

    An object is a set of pixels that touch by a side or a corner. Its polygons are those of
    `polygons.outlines`. An object is yielded once the strips are past it, so that only the outlines
    of objects in the last row are kept in memory.

    Args:
        strips: The rows of the mask from top to bottom, arrays (h, W) bool of one width.
    """
    unfinished: _Found | None = None
    top = 0
    for strip in strips:
        if unfinished is None:
            unfinished = _nothing(strip.shape[1])
        found = _joined(unfinished, strip, top)
        yield from found.finished()
        unfinished = found.unfinished()
        top += strip.shape[0]
    if unfinished is not None:
        below = np.zeros((1, len(unfinished.last_regions)), bool)
        yield from _joined(unfinished, below, top).finished()


@dataclass(frozen=True, eq=False)
class _Found:
    """Regions (pixels that touch by sides) and objects (also by corners) above some row.

    Both are numbered from 1, and 0 is neither.
    """

    corners: np.ndarray
    """The corners of the regions, as `corners_of` returns them, in any order."""
    owners: np.ndarray
    """The object of each region; the first number is 0."""
    areas: np.ndarray
    """The pixels of each object; the first number is 0."""
    last_regions: np.ndarray
    """The regions in the last row, (W,)."""
    last_objects: np.ndarray
    """The objects in the last row, (W,)."""

    @property
    def goes_on(self) -> np.ndarray:
        """Whether each object is in the last row."""
        found = np.zeros(len(self.areas), bool)
        found[self.last_objects] = True
        found[0] = False
        return found

    def finished(self) -> Iterator[ObjectOutlines]:
        """Yield the objects that are not in the last row."""
        owners = self.owners[self.corners[:, 0]]
        corners = self.corners[~self.goes_on[owners]]
        corners = corners[np.lexsort(corners.T[3::-1])]
        parts: dict[int, list[Outline]] = {}
        for region, outline in outlines_of_corners(corners):
            parts.setdefault(int(self.owners[region]), []).append(outline)
        for number, outlines in parts.items():
            yield ObjectOutlines(outlines, int(self.areas[number]))

    def unfinished(self) -> _Found:
        """Return the objects in the last row, with new numbers."""
        objects = self.goes_on
        regions = objects[self.owners]
        new_objects = np.where(objects, np.cumsum(objects), 0)
        new_regions = np.where(regions, np.cumsum(regions), 0)
        corners = self.corners[regions[self.corners[:, 0]]]
        corners[:, 0] = new_regions[corners[:, 0]]
        owners = new_objects[self.owners[regions]]
        return _Found(
            corners,
            np.concatenate([[0], owners]),
            np.concatenate([[0], self.areas[objects]]),
            new_regions[self.last_regions],
            new_objects[self.last_objects],
        )


def _nothing(width: int) -> _Found:
    none = np.zeros(1, np.int64)
    row = np.zeros(width, np.int64)
    return _Found(np.zeros((0, 5), np.int64), none, none, row, row)


def _joined(above: _Found, strip: np.ndarray, top: int) -> _Found:
    """Return what is in a strip together with the unfinished objects above it.

    Args:
        above: The objects that touch the strip.
        strip: (h, W) bool.
        top: The number of its first row.
    """
    pixels = np.ascontiguousarray(strip, np.uint8)
    region_count, by_side = cv2.connectedComponents(pixels, connectivity=4)
    object_count, by_corner = cv2.connectedComponents(pixels, connectivity=8)
    owners_here = np.zeros(region_count, np.int64)
    owners_here[by_side] = by_corner
    areas_here = np.bincount(by_corner.ravel(), minlength=object_count)
    regions = _after(by_side, len(above.owners) - 1)
    objects = _after(by_corner, len(above.areas) - 1)
    upper = above.last_objects
    lower = objects[0]
    new_regions = _sets(len(above.owners) - 1 + region_count, [(above.last_regions, regions[0])])
    new_objects = _sets(
        len(above.areas) - 1 + object_count,
        [(upper, lower), (upper[1:], lower[:-1]), (upper[:-1], lower[1:])],
    )
    rows = np.concatenate([above.last_regions[None], regions])
    corners = corners_of(np.pad(rows, ((0, 0), (1, 1))))
    corners[:, 1] += top
    corners = np.concatenate([above.corners, corners])
    corners[:, 0] = new_regions[corners[:, 0]]
    all_owners = np.concatenate([above.owners, _after(owners_here, len(above.areas) - 1)[1:]])
    owners = np.zeros(new_regions.max(initial=0) + 1, np.int64)
    owners[new_regions] = new_objects[all_owners]
    all_areas = np.concatenate([above.areas, areas_here[1:]])
    areas = np.bincount(new_objects, weights=all_areas).astype(np.int64)
    return _Found(corners, owners, areas, new_regions[regions[-1]], new_objects[objects[-1]])


def _after(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return numbers from 1 on as numbers from `count` + 1 on; 0 stays 0."""
    return np.where(numbers > 0, numbers.astype(np.int64) + count, 0)


def _sets(count: int, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the set of each number below `count` after pairs are joined (union-find).

    Args:
        count: How many numbers there are; 0 is in no set with others.
        pairs: Numbers that belong together, two arrays (N,) each; 0 is no number.

    Returns:
        The sets are numbered from 1 without gaps; that of 0 is 0.
    """
    parents = np.arange(count)
    for some, others in pairs:
        both = (some > 0) & (others > 0)
        together = np.unique(np.stack([some[both], others[both]], axis=1), axis=0)
        for one, other in together.tolist():
            first = _root(parents, one)
            second = _root(parents, other)
            parents[max(first, second)] = min(first, second)
    while True:
        roots = parents[parents]
        if (roots == parents).all():
            break
        parents = roots
    return np.unique(parents, return_inverse=True)[1]


def _root(parents: np.ndarray, number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = int(parents[number])
    return number
