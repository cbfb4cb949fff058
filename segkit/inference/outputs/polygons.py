"""Polygons along the edges of pixels: what lies inside them is the mask again, to the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

Point = tuple[int, int]
Ring = list[Point]
"""Corners (x, y), the first one again at the end; x to the right and y down from the image's upper left corner."""


class Polygon(NamedTuple):
    """The outline of pixels that are connected by sides, and those of its holes."""

    outer: Ring
    holes: list[Ring]
    pixel: Point
    """Row and column of one of its pixels, the first."""


def outlines(layer: np.ndarray) -> list[Polygon]:
    """Return the polygons of a yes/no mask (H, W), one for each region of 4 neighbours; none for an empty mask.

    Rings run along pixel edges and never cross or touch themselves; two may touch at a corner. The signed area of outer
    ones (shoelace formula) is positive, that of holes negative, as GeoJSON wants it.

    >>> outlines(np.array([[0, 1, 1], [0, 0, 1]]))[0].outer
    [(1, 0), (3, 0), (3, 2), (2, 2), (2, 1), (1, 1), (1, 0)]
    """
    _, regions = cv2.connectedComponents(np.ascontiguousarray(layer, np.uint8), connectivity=4)
    corners = _corners(np.pad(regions, 1))
    found: list[Polygon] = []
    last = 0
    for region, ring in _cycles(corners):
        if region != last:  # the first ring of a region holds its upper left corner
            x, y = ring[0]
            found.append(Polygon([], [], (y, x)))
            last = region
        for part in _simple(ring):
            if signed_area(part) > 0:
                found[-1].outer.extend(part)
            else:
                found[-1].holes.append(part)
    return found


def signed_area(ring: Ring) -> float:
    """Return the area by the shoelace formula, positive if the ring turns from x towards y."""
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(ring)) / 2


def _corners(regions: np.ndarray) -> np.ndarray:
    """Return the corners of all outlines, (N, 5): region, y, x, whether its edges lead right (or left), down (or up).

    Around a point of the grid, a pixel of a region that has neither neighbour there is a corner, and so is one that is
    missing among four. Two pixels that meet at the point alone are a corner each. Sorted by the first four columns.
    """
    first, second, inside = slice(None, -1), slice(1, None), regions > 0
    found = []
    for rows, other_rows, down in ((first, second, 0), (second, first, 1)):
        for columns, other_columns, right in ((first, second, 0), (second, first, 1)):
            own, opposite = inside[rows, columns], inside[other_rows, other_columns]
            beside, above = inside[rows, other_columns], inside[other_rows, columns]
            alone = own & ~(beside | above)
            y, x = np.nonzero(alone | (~own & beside & above & opposite))
            region = np.where(
                alone[y, x], regions[rows, columns][y, x], regions[other_rows, other_columns][y, x]
            )
            found.append(
                np.stack([region, y, x, np.full(len(y), right), np.full(len(y), down)], axis=1)
            )
    corners = np.concatenate(found)
    return corners[np.lexsort(corners.T[3::-1])]


def _cycles(corners: np.ndarray) -> Iterator[tuple[int, Ring]]:
    """Yield the region and the corners of each outline, the region always on one side of the way.

    Corners of one region on one row are ends of its horizontal edges in turn, those in one column of its vertical ones.
    """
    region, y, x, _, down = corners.T
    order = np.lexsort((down, y, x, region))
    vertical = np.empty(len(corners), np.int64)
    vertical[order[0::2]], vertical[order[1::2]] = order[1::2], order[0::2]
    across, places, owners = (
        vertical.tolist(),
        list(zip(x.tolist(), y.tolist(), strict=True)),
        region.tolist(),
    )
    seen, last = bytearray(len(places)), 0
    for start, owner in enumerate(owners):
        if seen[start]:
            continue
        horizontal = owner != last  # the outer ring begins to the right, holes begin downwards
        last, at, ring = owner, start, [places[start]]
        while not seen[at]:
            seen[at] = 1
            at = at ^ 1 if horizontal else across[at]
            horizontal = not horizontal
            ring.append(places[at])
        yield owner, ring


def _simple(ring: Ring) -> list[Ring]:
    """Return the rings that a ring consists of if it is cut where it comes to a point again."""
    found: list[Ring] = []
    way: Ring = []
    position: dict[Point, int] = {}
    for point in ring[:-1]:
        if point in position:
            loop = way[position[point] :]
            found.append([*loop, point])
            del way[position[point] + 1 :]
            for passed in loop[1:]:
                del position[passed]
        else:
            position[point] = len(way)
            way.append(point)
    return [*found, [*way, way[0]]]
