"""Polygons filled by a plain loop over rings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from segkit.data.polygons import Ring


def filled(rings: list[Ring], shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre has an odd number of edges to its left, over all rings: the
    even-odd rule.
    """
    inside = np.zeros(shape, bool)
    for row in range(shape[0]):
        for column in range(shape[1]):
            crossings = 0
            for ring in rings:
                for (x, y), (_, next_y) in pairwise(ring):
                    crossings += min(y, next_y) < row + 0.5 < max(y, next_y) and x < column + 0.5
            inside[row, column] = crossings % 2 == 1
    return inside
