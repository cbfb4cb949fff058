"""YOLO: lines of polygons, which follow the edges of pixels, and data.yaml.

The format has no holes, so a hole is joined to the outline by a cut of no width. segkit reads every
pixel back. Programs that also draw the line of an outline, such as OpenCV's fillPoly, fill the cut
and the pixels along the outline. Source: https://docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import yaml

from segkit.data.polygons import Ring
from segkit.data.rasterise import Size

DESCRIPTION = "data.yaml"
"""The file that describes a data set."""
PIECE = 64
"""Corners of a hole that are compared with a ring at once."""


def polygon_line(number: int, rings: Sequence[Ring], size: Size) -> str:
    """Return the line of a polygon: the class, and the corners as shares of width and height.

    Args:
        number: The number of the class, from 0.
        rings: The outer ring and those of the holes.
        size: Height and width of the image.
    """
    height, width = size
    shares = one_ring(rings) / (width, height)
    words = [f"{share:.10g}" for share in shares.ravel().tolist()]
    return " ".join([str(number), *words])


def description(folders: Mapping[str, str], classes: Sequence[str]) -> str:
    """Return the content of data.yaml.

    Args:
        folders: The folder of images of each part.
        classes: The names of the classes, in the order of their numbers.
    """
    content = {**folders, "names": dict(enumerate(classes))}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def one_ring(rings: Sequence[Ring]) -> np.ndarray:
    """Return the outline of a region and its holes as one ring.

    The ring walks to each hole, around it, and back by the same way, so that the way has no width.

    Args:
        rings: The outer ring and those of the holes.

    Returns:
        Corners (N, 2) of x and y, without the repeated first one.
    """
    ring = np.array(rings[0][:-1], np.int64)
    for hole in rings[1:]:
        corners = np.array(hole[:-1], np.int64)
        place, start = _nearest(ring, corners)
        around = np.concatenate([corners[start:], corners[: start + 1]])
        ring = np.concatenate([ring[: place + 1], around, ring[place:]])
    return ring


def _nearest(ring: np.ndarray, hole: np.ndarray) -> tuple[int, int]:
    """Return the indices of a corner of a ring and of one of a hole that are nearest.

    The corners of a piece of the hole are compared with those of the ring that can be nearer than
    the nearest so far.
    """
    squares = ((ring - hole[0]) ** 2).sum(axis=1)
    found = (int(squares.argmin()), 0)
    smallest = int(squares.min())
    for first in range(0, len(hole), PIECE):
        corners = hole[first : first + PIECE]
        margin = np.sqrt(smallest)
        is_inside = (ring >= corners.min(axis=0) - margin) & (ring <= corners.max(axis=0) + margin)
        candidates = np.flatnonzero(is_inside.all(axis=1))
        if not len(candidates):
            continue
        differences = corners[:, None] - ring[candidates]
        squares = (differences**2).sum(axis=2)
        corner, candidate = np.unravel_index(squares.argmin(), squares.shape)
        if squares[corner, candidate] < smallest:
            smallest = int(squares[corner, candidate])
            found = (int(candidates[candidate]), first + int(corner))
    return found
