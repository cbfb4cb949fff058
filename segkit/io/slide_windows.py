"""Reads any rows and columns of a level of a whole slide without the rest of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.io import codecs
from segkit.io.bands import Bands
from segkit.io.slide_addresses import split_level
from segkit.io.slides import Slide, reading_of
from segkit.io.windowed import WindowedImage


class LargeSlide(WindowedImage):
    """An open level of a slide of which only the tiles of a window are read.

    Args:
        path: The address of a level.
        bands: The bands to return (`data.bands`); None for all.

    Raises:
        DataError: If the slide cannot be read, or has no such level.
    """

    place = None
    _states_holes = False
    _has_palette = False

    def __init__(self, path: Path, bands: Bands | None = None) -> None:
        super().__init__(path, bands)
        self._reading = reading_of(path)
        self._slide = Slide(split_level(path)[0])
        try:
            self.height, self.width = self._slide.shape(self._reading)
            with codecs.naming(path):
                self._prepare(None, None)
        except BaseException:
            self._slide.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        return self._slide.read(self._reading, rows, columns)

    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        return None

    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        return None

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return values
