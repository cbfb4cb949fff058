"""Reads any rows and columns of a TIFF without the rest of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.bands import Bands
from segkit.io.colour_spaces import check_colour_space
from segkit.io.files import special_kind
from segkit.io.georeference import place_of
from segkit.io.pages import Pages, check_pages, choose_page, file_of, split_page
from segkit.io.pictures import open_tiff
from segkit.io.pixels import holes
from segkit.io.tiff import (
    as_displayed,
    check_complete,
    layout_of,
    without_choice,
)
from segkit.io.tiff_cover import opened_cover
from segkit.io.tiff_stacks import check_held, index_of, is_in_place, read_in_place
from segkit.io.turning import orientation_of
from segkit.io.windowed import WindowedImage

AT_ONCE = 4
"""Tiles or strips of the file that are decoded at the same time."""
ReadPixels = Callable[[tuple[int | slice, ...]], np.ndarray]
"""A function that returns the stored pixels at an index."""


class StoredPixels(NamedTuple):
    """Stored pixels that are read when they are needed."""

    read: ReadPixels
    close: Callable[[], None]


def largest_page_size(path: Path) -> int:
    """Return height x width of the largest page of a TIFF, from its headers.

    Args:
        path: The file, or the address of a page in it.

    Returns:
        The number of pixels; 0 if the file is not a TIFF or cannot be read.
    """
    if not codecs.is_tiff(path) or special_kind(file_of(path)):
        return 0
    try:
        with open_tiff(file_of(path)) as tiff:
            check_pages(tiff.pages)
            keyframes = [series.keyframe for series in tiff.series]
        return max(int(page.imagelength) * int(page.imagewidth) for page in keyframes)
    except Exception:  # reading the image raises the error for the user
        return 0


class LargeImage(WindowedImage):
    """An open TIFF whose windows have the values that `images.read_image` returns.

    Compressed and tiled files are decoded by tiles or strips, by zarr. Uncompressed strips are read
    in place. Bands may be stored together, apart, or as pages.

    Args:
        path: The file, or the address of a page in it.
        most_bytes: The bytes that `AT_ONCE` tiles or strips may take.
        pages: The meaning of the pages of a stack (`data.pages`); None if the user names none.
        channels: The number of channels that a model takes, see `tiff.read_tiff`.
        bands: The bands to return (`data.bands`); None for all.

    Raises:
        DataError: If the file is damaged or cut off, is to be turned, has other axes than rows,
            columns and bands, or has tiles or strips that are too large.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: float = float("inf"),
        pages: Pages | None = None,
        channels: int | None = None,
        bands: Bands | None = None,
    ) -> None:
        super().__init__(path, bands)
        self._file, page = split_page(path)
        self._stack = ExitStack()
        with codecs.naming(path):
            self._tiff = self._stack.enter_context(open_tiff(self._file))
            try:
                stored_channels = without_choice(channels, bands)
                self._chosen = choose_page(self._tiff, path, page, pages, stored_channels)
                self._read_header(most_bytes)
                self._pixels = _open_pixels(self._chosen.series, self._file)
                cover = self._stack.enter_context(
                    opened_cover(self._tiff, self._chosen, self._file)
                )
                self._cover = _open_cover(cover)
                self._prepare(self._layout.alpha, channels)
            except BaseException:
                self._stack.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._pixels.close()
        if self._cover is not None:
            self._cover.close()
        self._stack.close()

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        array = self._pixels.read(index_of(self._chosen, {"Y": rows, "X": columns}))
        return np.atleast_3d(self._chosen.as_image(array))

    def _missing(self, samples: np.ndarray) -> np.ndarray | None:
        return holes(self._without_alpha(samples), self._layout.nodata)

    def _visible(self, rows: slice, columns: slice) -> np.ndarray | None:
        if self._cover is None:
            return None
        return self._cover.read((rows, columns)) != 0

    def _shown(self, values: np.ndarray) -> np.ndarray:
        return as_displayed(values, self._layout)

    @property
    def _states_holes(self) -> bool:
        return self._layout.nodata is not None or self._cover is not None

    @property
    def _has_palette(self) -> bool:
        return self._layout.palette is not None

    def _read_header(self, most_bytes: float) -> None:
        """Read size and layout of the chosen image, and check that its windows can be read."""
        series = self._chosen.series
        keyframe = series.keyframe
        check_colour_space(keyframe, self.path)
        self.height = int(series.shape[series.axes.index("Y")])
        self.width = int(series.shape[series.axes.index("X")])
        orientation = orientation_of(keyframe)
        if orientation != 1:
            raise DataError(
                f"{self.path}: is to be turned (orientation {orientation}), and an image that "
                f"is read by windows must stand upright in its file; rewrite it with orientation "
                f"1, or raise --memory until it is read whole",
                "orientation",
            )
        self._layout = layout_of(keyframe)
        self.place = place_of(keyframe)
        check_complete(series, self.path, self._file.stat().st_size)
        check_held(series, series.pages, self.path)
        if not is_in_place(series):
            self._check_pieces(keyframe, most_bytes)

    def _check_pieces(self, keyframe: Any, most_bytes: float) -> None:
        """Check that tiles or strips are small enough to be decoded."""
        piece = int(np.prod(keyframe.chunks)) * keyframe.dtype.itemsize
        most_values = codecs.most_pixels() * max(1, keyframe.samplesperpixel)
        if AT_ONCE * piece <= most_bytes and piece <= most_values:
            return
        kind = "strips"
        if keyframe.is_tiled:
            kind = "tiles"
        raise DataError(
            f"{self.path}: its compressed {kind} hold {piece / 1e6:,.0f} MB each, too much to be "
            f"read by windows; rewrite it as a tiled TIFF (256 x 256 is usual) or raise --memory",
            "too-large",
        )


def _open_pixels(series: Any, path: Path) -> StoredPixels:
    """Open the pixels of a series."""
    if is_in_place(series):
        return StoredPixels(partial(read_in_place, series, path), lambda: None)
    if importlib.util.find_spec("zarr") is None:
        raise DataError(
            f"{path}: a compressed or tiled TIFF of this size is read by windows, which needs "
            f"zarr; run `pip install keras-segkit[large]`",
            "missing-package",
        )
    return _open_by_zarr(series.aszarr(level=0))


def _open_cover(page: Any | None) -> StoredPixels | None:
    """Open the page of an internal mask; without zarr it is read whole."""
    if page is None:
        return None
    if importlib.util.find_spec("zarr") is None:
        whole = page.asarray()
        return StoredPixels(lambda index: np.asarray(whole[index]), lambda: None)
    return _open_by_zarr(page.aszarr())


def _open_by_zarr(store: Any) -> StoredPixels:
    import zarr

    array: Any = zarr.open_array(store, mode="r")

    def read(index: tuple[int | slice, ...]) -> np.ndarray:
        with zarr.config.set({"async.concurrency": AT_ONCE}):
            return np.asarray(array[index])

    return StoredPixels(read, store.close)
