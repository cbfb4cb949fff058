"""Blend windows row by row in little memory, to the same sums as `tiles.predict_tiled`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from segkit.inference.tiles import gaussian, starts


class WindowGrid(NamedTuple):
    """Where the windows of an image begin, as `tiles.cover` places them."""

    height: int
    width: int
    tile: int
    """Height and width of a window, less where the image ends."""
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @classmethod
    def over(cls, height: int, width: int, tile: int, overlap: float, align: int) -> WindowGrid:
        """Return the grid that covers an image; the arguments are those of `tiles.cover`.

        >>> grid = WindowGrid.over(100, 90, 64, 0.25, 16)
        >>> grid.tops, grid.lefts
        ((0, 48), (0, 32))
        """
        tops = starts(height, tile, overlap, align)
        lefts = starts(width, tile, overlap, align)
        return cls(height, width, tile, tuple(tops), tuple(lefts))

    def window_rows(self, row: int) -> slice:
        """Return the pixel rows of a row of windows."""
        return slice(self.tops[row], min(self.tops[row] + self.tile, self.height))

    def window_columns(self, left: int) -> slice:
        """Return the pixel columns of the windows that begin at `left`."""
        return slice(left, min(left + self.tile, self.width))

    def band(self, row: int) -> slice:
        """Return the pixel rows that are final after a row of windows: no later row covers them."""
        ends = [*self.tops[1:], self.height]
        return slice(self.tops[row], ends[row])

    def carried(self, row: int) -> int:
        """Return the number of pixel rows that a row of windows shares with the next one."""
        return self.window_rows(row).stop - self.band(row).stop


class Carried(Protocol):
    """The sums that a row of windows leaves for the next one, in a file or in memory."""

    @property
    def rows(self) -> int:
        """Number of pixel rows of the next row of windows that have sums."""

    @property
    def channels(self) -> int:
        """Number of classes, and one channel for the weights."""

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels) float32."""


class CarriedInMemory:
    """`Carried` as one array, which is filled from left to right."""

    def __init__(self, rows: int, width: int, channels: int) -> None:
        self.rows = rows
        self.channels = channels
        self._sums = np.empty((rows, width, channels), np.float32)
        self._end = 0

    def write(self, sums: np.ndarray) -> None:
        """Append columns (rows, n, channels)."""
        begin = self._end
        self._end = begin + sums.shape[1]
        self._sums[:, begin : self._end] = sums

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels) float32."""
        return self._sums[:, columns]


def row_probabilities(
    grid: WindowGrid,
    row: int,
    windows: Iterable[np.ndarray],
    above: Carried,
    write_below: Callable[[np.ndarray], None],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the final probabilities of a row of windows from left to right.

    Args:
        grid: The windows of the image.
        row: The index of the row.
        windows: The probabilities (h, w, classes) of its windows, from left to right.
        above: The sums of the row before. They are read only if there is one.
        write_below: Receives the sums for the next row, (rows, n, classes + 1), from left to right.

    Yields:
        The columns, and their probabilities (rows, n, classes) float32.
    """
    rows = grid.window_rows(row)
    height = rows.stop - rows.start
    band = grid.band(row)
    final = band.stop - band.start

    def initial_sums(columns: slice) -> np.ndarray:
        width = columns.stop - columns.start
        sums = np.zeros((height, width, above.channels), np.float32)
        if row > 0:
            sums[: above.rows] = above.read(columns)
        return sums

    for columns, sums in blend_row(grid.lefts, grid.width, grid.tile, windows, initial_sums):
        yield columns, mean(sums[:final])
        write_below(sums[final:])


def blend_row(
    lefts: Sequence[int],
    width: int,
    tile: int,
    windows: Iterable[np.ndarray],
    initial_sums: Callable[[slice], np.ndarray],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the sums of a row of windows from left to right, with one window's width in memory.

    Sums (h, n, classes + 1) are the weighted probabilities, and in the last channel the weights.

    Args:
        lefts: Where the windows begin.
        width: Width of the image.
        tile: Height and width of a window, less where the image ends.
        windows: The probabilities (h, w, classes) of each window.
        initial_sums: Returns the sums (h, n, classes + 1) that the rows above left in some columns,
            or zeros.

    Yields:
        The columns and their sums. Together the columns are all `width`.
    """
    weights = gaussian(tile, tile)
    sums: np.ndarray | None = None
    end = 0
    next_lefts = [*lefts[1:], width]
    for left, next_left, window in zip(lefts, next_lefts, windows, strict=False):
        new_end = left + window.shape[1]
        new_sums = initial_sums(slice(end, new_end))
        end = new_end
        sums = new_sums if sums is None else np.concatenate([sums, new_sums], axis=1)
        weight = weights[: window.shape[0], : window.shape[1]]
        sums[..., :-1] += window * weight
        sums[..., -1:] += weight
        final = next_left - left
        yield slice(left, next_left), sums[:, :final]
        sums = sums[:, final:]


def mean(sums: np.ndarray) -> np.ndarray:
    """Return the probabilities (h, n, classes) of sums (h, n, classes + 1)."""
    return sums[..., :-1] / sums[..., -1:]
