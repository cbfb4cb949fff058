"""An image that is read window by window, in any format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import numpy as np

from segkit.io import codecs
from segkit.io.bands import Bands, choose_bands
from segkit.io.georeference import TiffLocation
from segkit.io.images import as_image
from segkit.io.pixels import complete_pixels, fill, lowest
from segkit.io.tiff import alpha_of

BLOCK = 1024
"""Rows and columns that are read at a time to find the lowest value."""
PIECE = 64
"""Rows and columns of the pieces by which an alpha channel is recognised."""
PIECES = 4
"""Such pieces along each side of the image."""


class WindowedImage(ABC):
    """An open image whose windows have the values that `images.read_image` returns.

    Close it after use, or use it in a `with` statement. A format implements `close`, `_samples`,
    `_missing`, `_visible`, `_shown`, `_states_holes` and `_has_palette`, sets `height`, `width` and
    `place`, and then calls `_prepare`.

    Args:
        path: The file, or the address of a page in it.
        bands: The bands to return (`data.bands`); None for all.

    Attributes:
        height: Rows.
        width: Columns.
        channels: Channels of the windows.
        dtype: The dtype of the windows.
        place: Where the image lies on the map; None if it has no place.
    """

    height: int
    width: int
    place: TiffLocation | None

    def __init__(self, path: Path, bands: Bands | None) -> None:
        self.path = path
        self._bands = bands
        self._alpha: int | None = None
        self._low: np.ndarray | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a window of the image.

        Args:
            rows: Rows within the image, with start and stop.
            columns: Columns within the image, with start and stop.

        Returns:
            (h, w, channels).

        Raises:
            DataError: If the file cannot be read.
        """
        with codecs.naming(self.path):
            samples = self._samples(rows, columns)
            values = self._without_alpha(samples)
            missing = self._missing(samples)
            if missing is not None:
                values = fill(values, missing, self._lowest())
            values = choose_bands(self._shown(values), self._bands, self.path, self._alpha)
        return as_image(values, self.path)

    def valid(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where a window has data, as `images.read_pixels` does for the whole image.

        Args:
            rows: Rows within the image, with start and stop.
            columns: Columns within the image, with start and stop.

        Returns:
            (h, w) bool; None if the file states no missing data.
        """
        if not self._states_holes and self._alpha is None:
            return None
        with codecs.naming(self.path):
            samples = self._samples(rows, columns)
            valid = np.ones(samples.shape[:2], bool)
            if self._alpha is not None:
                valid &= samples[..., self._alpha] != 0
            missing = self._missing(samples)
            if missing is not None:
                valid &= complete_pixels(self._of_chosen_bands(missing))
            visible = self._visible(rows, columns)
            if visible is not None:
                valid &= visible.reshape(valid.shape)
        return valid

    @abstractmethod
    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the stored samples of a window, (h, w, C)."""

    @abstractmethod
    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        """Return where samples without the alpha channel are missing; None if none is."""

    @abstractmethod
    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where a mask for all bands shows a window, (h, w) bool; None without a mask."""

    @abstractmethod
    def _shown(self, values: np.ndarray) -> np.ndarray:
        """Return values (h, w, C) without an alpha channel as a viewer shows them."""

    @property
    @abstractmethod
    def _states_holes(self) -> bool:
        """Whether the file has a nodata value, or a mask for all bands."""

    @property
    @abstractmethod
    def _has_palette(self) -> bool:
        """Whether the samples are indices of colours."""

    def _prepare(self, stated_alpha: int | None, channels: int | None) -> None:
        """Find the alpha channel, and read a pixel for the number of channels and the dtype."""
        if stated_alpha is not None:
            self._alpha = alpha_of(stated_alpha, channels, self._some_pixels(), self._bands)
        hides_pixels = (
            self._alpha is not None or self._visible(slice(0, 1), slice(0, 1)) is not None
        )
        if self.place is not None and hides_pixels:
            self.place = self.place._replace(has_holes=True)
        first = self.read(slice(0, 1), slice(0, 1))
        self.channels = first.shape[-1]
        self.dtype = first.dtype

    def _some_pixels(self) -> np.ndarray:
        """Return the samples of pieces from all over the image, (N, C)."""
        pieces = []
        for rows in _spread(self.height):
            for columns in _spread(self.width):
                piece = self._samples(rows, columns)
                pieces.append(piece.reshape(-1, piece.shape[-1]))
        return np.concatenate(pieces)

    def _without_alpha(self, samples: np.ndarray) -> np.ndarray:
        if self._alpha is None:
            return samples
        return np.delete(samples, self._alpha, axis=-1)

    def _of_chosen_bands(self, missing: np.ndarray) -> np.ndarray:
        if self._has_palette:
            return missing
        return choose_bands(missing, self._bands, self.path, self._alpha)

    def _lowest(self) -> np.ndarray:
        """Return the lowest value of each band, (C,); all pixels are read for it, once."""
        if self._low is None:
            found = []
            for top in range(0, self.height, BLOCK):
                for left in range(0, self.width, BLOCK):
                    rows = slice(top, min(top + BLOCK, self.height))
                    samples = self._samples(rows, slice(left, min(left + BLOCK, self.width)))
                    values = self._without_alpha(samples)
                    missing = self._missing(samples)
                    if missing is None:
                        missing = np.zeros(values.shape, bool)
                    found.append(lowest(values, missing))
            self._low = np.min(found, axis=0)
        return self._low


def _spread(length: int) -> list[slice]:
    """Return some pieces of a length, spread evenly."""
    starts = np.linspace(0, max(0, length - PIECE), PIECES).astype(int).tolist()
    return [slice(start, min(start + PIECE, length)) for start in dict.fromkeys(starts)]
