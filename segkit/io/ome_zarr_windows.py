"""Reads any rows and columns of an OME-Zarr image without the rest of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io.bands import Bands
from segkit.io.ome_zarr import EXTRA, naming_zarr, open_ome_zarr, read_window, zarr_plane
from segkit.io.windowed import WindowedImage
from segkit.system.packages import need

AT_ONCE = 4
"""Chunks that are decoded at the same time."""


class LargeOmeZarr(WindowedImage):
    """An open image of which only the chunks of a window are read, see `WindowedImage`.

    Args:
        path: The address of a plane, or the folder of an image with one plane.
        most_bytes: The bytes that `AT_ONCE` chunks may take.
        bands: The channels to return (`data.bands`); None for all.

    Raises:
        DataError: If the image cannot be read, or has chunks that are too large.
    """

    place = None
    _states_holes = False
    _has_palette = False

    def __init__(
        self, path: Path, most_bytes: float = float("inf"), bands: Bands | None = None
    ) -> None:
        super().__init__(path, bands)
        self._image = open_ome_zarr(path)
        self._plane = zarr_plane(self._image, path)
        self.height = self._image.lengths["Y"]
        self.width = self._image.lengths["X"]
        self._check_chunks(most_bytes)
        self._prepare(None, None)

    def close(self) -> None:
        """Do nothing: chunks are files that are open only while they are read."""

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        zarr = need("zarr", EXTRA)
        with naming_zarr(self.path), zarr.config.set({"async.concurrency": AT_ONCE}):
            return np.atleast_3d(read_window(self._image, self._plane, rows, columns))

    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        return None

    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        return None

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return values

    def _check_chunks(self, most_bytes: float) -> None:
        """Check that chunks are small enough to be decoded."""
        array = self._image.array
        chunk = int(np.prod(array.chunks)) * array.dtype.itemsize
        if AT_ONCE * chunk <= most_bytes:
            return
        raise DataError(
            f"{self.path}: its chunks hold {chunk / 1e6:,.0f} MB each, too much to be read by "
            f"windows; write it again with smaller chunks, or raise --memory",
            "too-large",
        )
