"""Reads any rows and columns of a JPEG 2000 image or a VRT, and chooses the reader of windows."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.bands import Bands
from segkit.io.georeference import read_place
from segkit.io.microscopes.suffixes import is_microscope_file
from segkit.io.microscopes.windows import LargeMicroscopeImage
from segkit.io.ome_zarr import is_ome_zarr
from segkit.io.ome_zarr_windows import LargeOmeZarr
from segkit.io.pages import Pages
from segkit.io.rasters import (
    bounded,
    is_raster,
    missing_in,
    open_dataset,
    raster_layout,
    raster_size,
    shown_values,
)
from segkit.io.slide_addresses import is_slide
from segkit.io.slide_windows import LargeSlide
from segkit.io.slides import slide_shape
from segkit.io.stack_files import is_stack_file, pixels_in_stack_file
from segkit.io.tiff_windows import AT_ONCE, LargeImage, largest_page_size
from segkit.io.windowed import WindowedImage


def open_windowed(
    path: Path,
    most_bytes: float = float("inf"),
    pages: Pages | None = None,
    channels: int | None = None,
    bands: Bands | None = None,
) -> WindowedImage:
    """Open an image that is read window by window; the arguments are those of `LargeImage`."""
    if is_slide(path):
        return LargeSlide(path, bands)
    if is_ome_zarr(path):
        return LargeOmeZarr(path, most_bytes, bands)
    if is_microscope_file(path):
        return LargeMicroscopeImage(path, bands)
    if is_raster(path):
        return LargeRaster(path, most_bytes, channels, bands)
    return LargeImage(path, most_bytes, pages, channels, bands)


def pixels_for_windows(path: Path) -> int:
    """Return height x width of an image that can be read by windows, from its header.

    Args:
        path: The file, or the address of a page in it.

    Returns:
        The number of pixels; 0 for formats without windows and for files that cannot be read.
    """
    if is_slide(path):
        return _pixels_of_slide(path)
    if is_stack_file(path):
        return pixels_in_stack_file(path)
    if not is_raster(path):
        return largest_page_size(path)
    try:
        height, width = raster_size(path)
    except DataError:  # reading the image raises the error for the user
        return 0
    return height * width


def _pixels_of_slide(path: Path) -> int:
    try:
        height, width = slide_shape(path)
    except DataError:  # reading the image raises the error for the user
        return 0
    return height * width


class LargeRaster(WindowedImage):
    """An open image of rasterio, see `WindowedImage`. Threads may share one.

    Args:
        path: The file.
        most_bytes: The bytes that `AT_ONCE` blocks of the file may take.
        channels: The number of channels that a model takes, see `tiff.read_tiff`.
        bands: The bands to return (`data.bands`); None for all.

    Raises:
        DataError: If the file cannot be read, or has blocks that are too large.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: float = float("inf"),
        channels: int | None = None,
        bands: Bands | None = None,
    ) -> None:
        super().__init__(path, bands)
        self.place = read_place(path)
        self._lock = threading.Lock()
        self._dataset = open_dataset(path)
        try:
            self.height = int(self._dataset.height)
            self.width = int(self._dataset.width)
            self._layout = raster_layout(self._dataset)
            self._check_blocks(most_bytes)
            with codecs.naming(path):
                self._prepare(self._layout.shown.alpha, channels)
        except BaseException:
            self._dataset.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        with self._lock, bounded():
            return np.moveaxis(self._dataset.read(window=window), 0, -1)

    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        return missing_in(samples, self._layout, self._alpha)

    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        if not self._layout.has_mask:
            return None
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        with self._lock, bounded():
            return np.asarray(self._dataset.read_masks(1, window=window) != 0)

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return shown_values(values, self._layout)

    @property
    def _states_holes(self) -> bool:
        has_nodata = any(value is not None for value in self._layout.nodata)
        return has_nodata or self._layout.has_mask

    @property
    def _has_palette(self) -> bool:
        return self._layout.shown.palette is not None

    def _check_blocks(self, most_bytes: float) -> None:
        """Check that blocks are small enough to be decoded."""
        height, width = self._dataset.block_shapes[0]
        bytes_per_pixel = sum(np.dtype(kind).itemsize for kind in self._dataset.dtypes)
        block = height * width * bytes_per_pixel
        if AT_ONCE * block <= most_bytes and height * width <= codecs.most_pixels():
            return
        raise DataError(
            f"{self.path}: its blocks hold {block / 1e6:,.0f} MB each, too much to be read by "
            f"windows; convert it to a tiled TIFF (gdal_translate -of COG), or raise --memory",
            "too-large",
        )
