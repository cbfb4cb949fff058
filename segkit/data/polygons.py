"""Polygons along the edges of pixels. The pixels inside them are exactly those of the mask."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

Point = tuple[int, int]
Ring = list[Point]
"""Corners (x, y); the first corner is repeated at the end. The origin is the upper left corner of
the image, x goes to the right and y down."""
UPPER_LEFT = slice(None, -1)
LOWER_RIGHT = slice(1, None)
"""The pixels before and after each point of the grid, along one axis of a padded array."""


class Outline(NamedTuple):
    """The outer ring of a region, and the rings of its holes."""

    outer: Ring
    holes: list[Ring]
    pixel: Point
    """Row and column of the first pixel of the region."""


def outlines(layer: np.ndarray) -> list[Outline]:
    """Return the polygons of a yes/no mask, one for each region of pixels that touch by sides.

    Rings follow the edges of pixels. They never cross or touch themselves, but two rings may touch
    at a corner. The signed area (shoelace formula) of outer rings is positive and that of holes is
    negative, as in GeoJSON.

    Args:
        layer: (H, W) bool, or 0 and 1.

    Returns:
        The polygons; none for an empty mask.

    >>> outlines(np.array([[0, 1, 1], [0, 0, 1]]))[0].outer
    [(1, 0), (3, 0), (3, 2), (2, 2), (2, 1), (1, 1), (1, 0)]
    """
    _, regions = cv2.connectedComponents(np.ascontiguousarray(layer, np.uint8), connectivity=4)
    corners = corners_of(np.pad(regions, 1))
    return [outline for _, outline in outlines_of_corners(corners)]


def outlines_of_corners(corners: np.ndarray) -> list[tuple[int, Outline]]:
    """Return the number and the polygon of each region, in the order of the numbers.

    Args:
        corners: The corners of all outlines, as `corners_of` returns them.
    """
    polygons: list[tuple[int, Outline]] = []
    last_region = 0
    for region, ring in _cycles(corners):
        if region != last_region:  # the first ring of a region has its upper left corner
            x, y = ring[0]
            polygons.append((region, Outline([], [], (y, x))))
            last_region = region
        _, polygon = polygons[-1]
        for simple_ring in _split_at_repeated_points(ring):
            if signed_area(simple_ring) > 0:
                polygon.outer.extend(simple_ring)
            else:
                polygon.holes.append(simple_ring)
    return polygons


def signed_area(ring: Ring) -> float:
    """Return the area by the shoelace formula, positive if the ring turns from x towards y."""
    doubled = 0
    for (x, y), (next_x, next_y) in pairwise(ring):
        doubled += x * next_y - next_x * y
    return doubled / 2


def corners_of(regions: np.ndarray) -> np.ndarray:
    """Return the corners of all outlines.

    Four pixels meet at each point of the grid. A pixel of a region makes a corner there if it has
    no neighbour at this point (a convex corner). A missing pixel makes a corner if the other three
    belong to the region (a concave corner). Two pixels that meet only at the point make two
    corners.

    Args:
        regions: The number of the region of each pixel, (H, W), 0 outside. Corners are found
            between its pixels, so it has further rows and columns around.

    Returns:
        (N, 5), sorted by the first four columns: region, y, x, whether the horizontal edge leads
        right (1) or left (0), and whether the vertical edge leads down (1) or up (0).
    """
    corners = []
    for down in (0, 1):
        rows = (UPPER_LEFT, LOWER_RIGHT)[down]
        other_rows = (LOWER_RIGHT, UPPER_LEFT)[down]
        for right in (0, 1):
            columns = (UPPER_LEFT, LOWER_RIGHT)[right]
            other_columns = (LOWER_RIGHT, UPPER_LEFT)[right]
            own = regions[rows, columns]
            opposite = regions[other_rows, other_columns]
            beside = regions[rows, other_columns] > 0
            above = regions[other_rows, columns] > 0
            convex = (own > 0) & ~beside & ~above
            concave = (own == 0) & beside & above & (opposite > 0)
            y, x = np.nonzero(convex | concave)
            region = np.where(convex[y, x], own[y, x], opposite[y, x])
            edges = [np.full(len(y), right), np.full(len(y), down)]
            corners.append(np.stack([region, y, x, *edges], axis=1))
    all_corners = np.concatenate(corners)
    return all_corners[np.lexsort(all_corners.T[3::-1])]


def _cycles(corners: np.ndarray) -> Iterator[tuple[int, Ring]]:
    """Yield the region and the corners of each outline. The region is always on the same side.

    The corners of a region in one row are, in pairs, the ends of its horizontal edges. Those in one
    column are the ends of its vertical edges.
    """
    regions, y, x, _, down = corners.T
    by_column = np.lexsort((down, y, x, regions))
    upper_ends = by_column[0::2]
    lower_ends = by_column[1::2]
    vertical = np.empty(len(corners), np.int64)
    vertical[upper_ends] = lower_ends
    vertical[lower_ends] = upper_ends
    other_end = vertical.tolist()
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    visited = bytearray(len(points))
    last_region = 0
    for start, region in enumerate(regions.tolist()):
        if visited[start]:
            continue
        # the outer ring begins to the right, holes begin downwards
        is_horizontal = region != last_region
        last_region = region
        corner = start
        ring = [points[start]]
        while not visited[corner]:
            visited[corner] = 1
            corner = corner ^ 1 if is_horizontal else other_end[corner]
            is_horizontal = not is_horizontal
            ring.append(points[corner])
        yield region, ring


def _split_at_repeated_points(ring: Ring) -> list[Ring]:
    """Cut a ring wherever it reaches a point again; return the simple rings."""
    rings: list[Ring] = []
    path: Ring = []
    position: dict[Point, int] = {}
    for point in ring[:-1]:
        if point in position:
            loop = path[position[point] :]
            rings.append([*loop, point])
            del path[position[point] + 1 :]
            for removed in loop[1:]:
                del position[removed]
        else:
            position[point] = len(path)
            path.append(point)
    return [*rings, [*path, path[0]]]
