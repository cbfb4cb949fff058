"""Blend windows row by row with the memory of a few windows, to the same sums as `tiles.predict_tiled`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from segkit.inference.tiles import gaussian, starts


class Grid(NamedTuple):
    """Where windows of `tile` pixels begin in an image, as `tiles.cover` places them."""

    height: int
    width: int
    tile: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @classmethod
    def over(cls, height: int, width: int, tile: int, overlap: float, align: int) -> Grid:
        """Return the grid that covers an image.

        >>> Grid.over(100, 90, 64, 0.25, 16).tops, Grid.over(100, 90, 64, 0.25, 16).lefts
        ((0, 48), (0, 32))
        """
        tops, lefts = starts(height, tile, overlap, align), starts(width, tile, overlap, align)
        return cls(height, width, tile, tuple(tops), tuple(lefts))

    def window_rows(self, row: int) -> slice:
        """Return the pixel rows of a row of windows."""
        return slice(self.tops[row], min(self.tops[row] + self.tile, self.height))

    def window_columns(self, left: int) -> slice:
        """Return the pixel columns of the windows that begin at `left`."""
        return slice(left, min(left + self.tile, self.width))

    def band(self, row: int) -> slice:
        """Return the pixel rows that are final after a row of windows: those that no later row touches."""
        return slice(
            self.tops[row], self.tops[row + 1] if row + 1 < len(self.tops) else self.height
        )

    def carried(self, row: int) -> int:
        """Return how many pixel rows below its band a row of windows has in common with the next."""
        return self.window_rows(row).stop - self.band(row).stop


class Carried(Protocol):
    """The sums that a row of windows leaves to the next one, in a file or in memory."""

    @property
    def rows(self) -> int:
        """How many pixel rows of the next row of windows have sums."""

    @property
    def channels(self) -> int:
        """Classes, and one for the weights."""

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels) float32."""


class CarriedInMemory:
    """`Carried` as one array, which grows from left to right."""

    def __init__(self, rows: int, width: int, channels: int) -> None:
        self.rows = rows
        self.channels = channels
        self._sums = np.empty((rows, width, channels), np.float32)
        self._end = 0

    def write(self, sums: np.ndarray) -> None:
        """Add the next columns (rows, n, channels)."""
        begin = self._end
        self._end = begin + sums.shape[1]
        self._sums[:, begin : self._end] = sums

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels) float32."""
        return self._sums[:, columns]


def row_probabilities(
    grid: Grid,
    row: int,
    answers: Iterable[np.ndarray],
    above: Carried,
    write_below: Callable[[np.ndarray], None],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the final probabilities of a row of windows from left to right: columns, and (rows, n, classes) of them.

    `answers` are those of its windows, `above` holds the sums that the row before left (it is read only if there was
    one), and `write_below` is given those that the next row goes on from.
    """
    window = grid.window_rows(row)
    band = grid.band(row)
    final = band.stop - band.start

    def begun(columns: slice) -> np.ndarray:
        sums = np.zeros(
            (window.stop - window.start, columns.stop - columns.start, above.channels), np.float32
        )
        if row:
            sums[: above.rows] = above.read(columns)
        return sums

    for columns, sums in blend_row(grid.lefts, grid.width, grid.tile, answers, begun):
        yield columns, mean(sums[:final])
        write_below(sums[final:])


def blend_row(
    lefts: Sequence[int],
    width: int,
    tile: int,
    answers: Iterable[np.ndarray],
    begin: Callable[[slice], np.ndarray],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (columns, sums) of a row of windows from left to right; together the columns are all `width`.

    `answers` are the windows' probabilities (h, w, classes), one for each of `lefts`. Sums (h, n, classes + 1) are the
    weighted probabilities and, in the last channel, the weights. They begin with `begin(columns)` (h, n, classes + 1):
    what the rows of windows above have left there, or zeros. In memory is one window's width of sums.
    """
    weights = gaussian(tile, tile)
    sums: np.ndarray | None = None
    end = 0
    for left, following, answer in zip(lefts, [*lefts[1:], width], answers, strict=False):
        fresh = begin(slice(end, left + answer.shape[1]))
        sums = fresh if sums is None else np.concatenate([sums, fresh], axis=1)
        end = left + answer.shape[1]
        weight = weights[: answer.shape[0], : answer.shape[1]]
        sums[..., :-1] += answer * weight
        sums[..., -1:] += weight
        yield slice(left, following), sums[:, : following - left]
        sums = sums[:, following - left :]


def mean(sums: np.ndarray) -> np.ndarray:
    """Return the probabilities (h, n, classes) of sums (h, n, classes + 1)."""
    return sums[..., :-1] / sums[..., -1:]
