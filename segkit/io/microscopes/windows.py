"""Reads any rows and columns of a plane of a microscope's file."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from segkit.io.bands import Bands
from segkit.io.microscopes.reading import naming_format, open_microscope_file, open_plane
from segkit.io.windowed import WindowedImage


class LargeMicroscopeImage(WindowedImage):
    """An open plane of which windows are read, see `WindowedImage`. Threads may share it.

    Args:
        path: The address of a plane, or a file with one plane.
        bands: The channels to return (`data.bands`); None for all.

    Raises:
        DataError: If the file cannot be read, or has no such plane.
    """

    place = None
    _has_palette = False

    def __init__(self, path: Path, bands: Bands | None = None) -> None:
        super().__init__(path, bands)
        self._lock = threading.Lock()
        self._file = open_microscope_file(path)
        try:
            self._plane = open_plane(self._file, path)
            self.height = self._plane.lengths["Y"]
            self.width = self._plane.lengths["X"]
            self._prepare(None, None)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        with self._lock, naming_format(self.path):
            return np.atleast_3d(self._plane.read(rows, columns))

    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        return None

    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        with self._lock, naming_format(self.path):
            return self._plane.covered(rows, columns)

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return values

    @property
    def _states_holes(self) -> bool:
        return self._file.may_have_gaps
