"""Joins the holes of a polygon to its outline by cuts of no width, for formats without holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segkit.data.polygons import Ring


@dataclass(frozen=True)
class _Cut:
    """A line from the leftmost corner of a hole to the ring on its left, usually horizontal."""

    hole: int
    """The number of the ring of the hole."""
    start: int
    """The index of its leftmost corner."""
    ring: int
    """The number of the other ring."""
    edge: int
    """The index of the corner before the edge that the line meets."""
    point: tuple[float, int]
    """x and y of the place where they meet."""


def one_ring(rings: Sequence[Ring]) -> np.ndarray:
    """Return the outline of a region and its holes as one ring.

    The ring walks to each hole, around it, and back by the same way, so that the way has no width.

    Args:
        rings: The outer ring and those of the holes, with whole numbers; edges may be slanted.

    Returns:
        Corners (N, 2) of x and y, without the repeated first one.
    """
    corners = [ring[:-1] for ring in rings]
    cuts: dict[int, dict[int, list[_Cut]]] = {}
    for cut in _find_cuts(corners):
        cuts.setdefault(cut.ring, {}).setdefault(cut.edge, []).append(cut)
    for number, by_edge in cuts.items():
        for edge, own in by_edge.items():
            _, begin = corners[number][edge]
            _, end = corners[number][(edge + 1) % len(corners[number])]
            own.sort(key=_height, reverse=end < begin)
    points = np.array(list(_walk_all(corners, cuts)), float)
    is_repeated = (points == np.roll(points, 1, axis=0)).all(axis=1)
    ring = points[~is_repeated]
    whole = ring.astype(np.int64)
    if (whole == ring).all():
        return whole
    return ring


def _height(cut: _Cut) -> int:
    """Return the y of a cut, by which the cuts of an edge are sorted."""
    return cut.point[1]


def _walk_all(
    corners: Sequence[Ring], cuts: Mapping[int, Mapping[int, Sequence[_Cut]]]
) -> Iterator[tuple[float, int]]:
    """Yield the points of the outer ring, and those of each hole where its cut begins."""
    walks = [_walk(corners[0], 0, cuts.get(0, {}))]
    while walks:  # no recursion, because holes may be joined to each other in long chains
        step = next(walks[-1], None)
        if step is None:
            walks.pop()
        elif isinstance(step, _Cut):
            walks.append(_walk(corners[step.hole], step.start, cuts.get(step.hole, {})))
        else:
            yield step


def _walk(
    corners: Ring, start: int, cuts: Mapping[int, Sequence[_Cut]]
) -> Iterator[tuple[float, int] | _Cut]:
    """Yield the corners of a ring from one of them to the same, and each cut between its ends."""
    for step in range(len(corners)):
        edge = (start + step) % len(corners)
        yield corners[edge]
        for cut in cuts.get(edge, ()):
            yield cut.point
            yield cut
            yield cut.point
    yield corners[start]


def _find_cuts(corners: Sequence[Ring]) -> Iterator[_Cut]:
    """Yield the cut of each hole.

    It leads to a ring that begins further left, so in the end all lead to the outer ring.
    """
    if len(corners) == 1:
        return
    crossings = _Crossings(corners)
    for hole in range(1, len(corners)):
        leftmost = min(corners[hole])
        start = corners[hole].index(leftmost)
        x, y = leftmost
        found = crossings.left_of(x, y)
        if found is None:  # it touches the leftmost corner of the outer ring
            yield _Cut(hole, start, 0, 0, corners[0][0])
        else:
            ring, edge, meeting = found
            yield _Cut(hole, start, ring, edge, (meeting, y))


class _Crossings:
    """The places where the edges of rings meet the horizontal lines of the grid.

    An edge meets the lines from its upper end to before its lower end.
    """

    def __init__(self, corners: Sequence[Ring]) -> None:
        begins = np.array([point for ring in corners for point in ring], np.int64)
        ends = np.array([point for ring in corners for point in [*ring[1:], ring[0]]], np.int64)
        lengths = [len(ring) for ring in corners]
        rings = np.repeat(np.arange(len(corners)), lengths)
        edges = np.concatenate([np.arange(length) for length in lengths])
        upper = np.minimum(begins[:, 1], ends[:, 1])
        lines = np.abs(ends[:, 1] - begins[:, 1])
        which = np.repeat(np.arange(len(begins)), lines)
        first = np.repeat(np.cumsum(lines) - lines, lines)
        y = upper[which] + np.arange(len(which)) - first
        across, down = (ends - begins)[which].T
        x = begins[which, 0] + (y - begins[which, 1]) * across / down
        in_order = np.lexsort((x, y))
        self.x = x[in_order]
        self.y = y[in_order]
        self.ring = rings[which][in_order]
        self.edge = edges[which][in_order]

    def left_of(self, x: int, y: int) -> tuple[int, int, float] | None:
        """Return the ring, the edge and the x of the last crossing to the left of a place.

        None if there is no crossing.
        """
        first = int(np.searchsorted(self.y, y, "left"))
        after = int(np.searchsorted(self.y, y, "right"))
        found = first + int(np.searchsorted(self.x[first:after], x, "left")) - 1
        if found < first:
            return None
        return int(self.ring[found]), int(self.edge[found]), float(self.x[found])
