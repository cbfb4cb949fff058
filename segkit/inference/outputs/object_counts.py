"""Count the connected objects of a layer that is read tile by tile."""

from __future__ import annotations

import cv2
import numpy as np


def number_of_objects(layer: np.ndarray) -> int:
    """Return the number of objects of a layer (H, W) bool, which touch by a side or a corner."""
    count, _ = cv2.connectedComponents(layer.view(np.uint8), connectivity=8)
    return int(count) - 1


class ObjectCounter:
    """Counts the objects of a layer, of which one tile at a time is in memory.

    The number of objects is that of the pieces in all tiles less the number of times that two
    pieces were joined. Pieces have numbers from 1; those of the last row above a tile and of the
    last column to the left of it are kept.

    Args:
        width: The width of the layer.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        """The number of objects in the tiles so far."""
        self._pieces = 0
        self._joined: dict[int, int] = {}
        """For a piece that was joined to another one, that one."""
        self._above = np.zeros(width, np.int64)
        self._lowest = np.zeros(width, np.int64)
        """The last row of the tiles beside the current one."""
        self._left = np.zeros(0, np.int64)
        self._top = 0

    def add(self, top: int, left: int, layer: np.ndarray) -> None:
        """Add a tile. Tiles come row by row, and in a row from left to right.

        Args:
            top: The first row of the tile.
            left: Its first column.
            layer: (h, w) bool.
        """
        if top != self._top:
            self._above = self._lowest
            self._lowest = np.zeros_like(self._above)
            self._top = top
        if left == 0:
            self._left = np.zeros(len(layer), np.int64)
        count, found = cv2.connectedComponents(layer.view(np.uint8), connectivity=8)
        pieces = np.where(found > 0, found.astype(np.int64) + self._pieces, 0)
        self._pieces += int(count) - 1
        self.count += int(count) - 1
        right = left + pieces.shape[1]
        self._join_lines(pieces[0], self._above, left)
        self._join_lines(pieces[:, 0], self._left, 0)
        self._lowest[left:right] = pieces[-1]
        self._left = pieces[:, -1].copy()

    def _join_lines(self, line: np.ndarray, other: np.ndarray, offset: int) -> None:
        """Join the pieces of two lines of pixels that touch by sides or corners.

        Args:
            line: The pieces of the first line.
            other: The pieces of the line beside it.
            offset: The place in `other` that is beside the first pixel of `line`.
        """
        for step in (-1, 0, 1):
            places = np.arange(len(line)) + offset + step
            is_inside = (places >= 0) & (places < len(other))
            pairs = np.stack([line[is_inside], other[places[is_inside]]], axis=1)
            touching = pairs[(pairs > 0).all(axis=1)]
            for one, another in np.unique(touching, axis=0).tolist():
                self._join(one, another)

    def _join(self, one: int, another: int) -> None:
        first = self._root(one)
        second = self._root(another)
        if first != second:
            self._joined[first] = second
            self.count -= 1

    def _root(self, piece: int) -> int:
        """Return the piece that stands for all that are joined to a piece."""
        root = piece
        while root in self._joined:
            root = self._joined[root]
        while piece != root:  # shorten the way for the next time
            after = self._joined[piece]
            self._joined[piece] = root
            piece = after
        return root
