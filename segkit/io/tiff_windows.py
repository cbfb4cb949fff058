"""Reads any rows and columns of a TIFF without the rest of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.colour_spaces import check_colour_space
from segkit.io.files import special_kind
from segkit.io.georeference import TiffLocation, place_of
from segkit.io.images import as_image
from segkit.io.pages import Pages, check_pages, choose_page, file_of, split_page
from segkit.io.pictures import open_tiff
from segkit.io.pixels import complete_pixels, fill, holes, lowest
from segkit.io.tiff import alpha_of, as_displayed, check_complete, cover_of, index_of, layout_of
from segkit.io.turning import orientation_of

AT_ONCE = 4
"""Tiles or strips of the file that are decoded at the same time."""
BLOCK = 1024
"""Rows and columns that are read at a time to find the lowest value."""
PIECE = 64
"""Rows and columns of the pieces by which an alpha channel is recognised."""
PIECES = 4
"""Such pieces along each side of the image."""
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


class LargeImage:
    """An open TIFF whose windows have the values that `images.read_image` returns.

    Compressed and tiled files are decoded by tiles or strips, by zarr. Uncompressed strips are read
    in place. Bands may be stored together, apart, or as pages. Close the image after use, or use it
    in a `with` statement.

    Args:
        path: The file, or the address of a page in it.
        most_bytes: The bytes that `AT_ONCE` tiles or strips may take.
        pages: The meaning of the pages of a stack (`data.pages`); None if the user names none.
        channels: The number of channels that a model takes, see `tiff.read_tiff`.

    Attributes:
        height: Rows.
        width: Columns.
        channels: Channels of the windows.
        dtype: The dtype of the windows.
        place: Where the image lies on the map; None if it has no place.

    Raises:
        DataError: If the file is damaged or cut off, is to be turned, has other axes than rows,
            columns and bands, or has tiles or strips that are too large.
    """

    place: TiffLocation | None

    def __init__(
        self,
        path: Path,
        most_bytes: float = float("inf"),
        pages: Pages | None = None,
        channels: int | None = None,
    ) -> None:
        self.path = path
        self._file, page = split_page(path)
        with codecs.naming(path):
            self._tiff = open_tiff(self._file)
            try:
                self._chosen = choose_page(self._tiff, path, page, pages, channels)
                self._read_header(most_bytes)
                self._pixels = _open_pixels(self._tiff, self._chosen.series, self._file)
                self._cover = _open_cover(cover_of(self._tiff, self._chosen))
                self._alpha = self._find_alpha(channels)
                self._note_holes()
                self._low: np.ndarray | None = None
                first = self.read(slice(0, 1), slice(0, 1))
            except BaseException:
                self._tiff.close()
                raise
        self.channels = first.shape[-1]
        self.dtype = first.dtype

    def __enter__(self) -> LargeImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._pixels.close()
        if self._cover is not None:
            self._cover.close()
        self._tiff.close()

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
            values = self._values(rows, columns)
            missing = holes(values, self._layout.nodata)
            if missing is not None:
                values = fill(values, missing, self._lowest())
            values = as_displayed(values, self._layout)
        return as_image(values, self.path)

    def valid(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where a window has data, as `images.read_pixels` does for the whole image.

        Args:
            rows: Rows within the image, with start and stop.
            columns: Columns within the image, with start and stop.

        Returns:
            (h, w) bool; None if the file states no missing data.
        """
        if self._layout.nodata is None and self._cover is None and self._alpha is None:
            return None
        with codecs.naming(self.path):
            samples = self._samples(rows, columns)
            valid = np.ones(samples.shape[:2], bool)
            if self._alpha is not None:
                valid &= samples[..., self._alpha] != 0
            missing = holes(self._without_alpha(samples), self._layout.nodata)
            if missing is not None:
                valid &= complete_pixels(missing)
            if self._cover is not None:
                valid &= self._cover.read((rows, columns)).reshape(valid.shape) != 0
        return valid

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the samples of a window, (h, w, C)."""
        array = self._pixels.read(index_of(self._chosen, {"Y": rows, "X": columns}))
        if self._chosen.bands is None:
            return array[..., None]
        return np.moveaxis(array, self._chosen.axis_of_bands, -1)

    def _values(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the samples of a window without an alpha channel, (h, w, C)."""
        return self._without_alpha(self._samples(rows, columns))

    def _without_alpha(self, samples: np.ndarray) -> np.ndarray:
        if self._alpha is None:
            return samples
        return np.delete(samples, self._alpha, axis=-1)

    def _find_alpha(self, channels: int | None) -> int | None:
        """Return the band that is an alpha channel, by pieces from all over the image."""
        if self._layout.alpha is None:
            return None
        pieces = []
        for rows in _spread(self.height):
            for columns in _spread(self.width):
                piece = self._samples(rows, columns)
                pieces.append(piece.reshape(-1, piece.shape[-1]))
        return alpha_of(self._layout, channels, np.concatenate(pieces))

    def _note_holes(self) -> None:
        hides_pixels = self._alpha is not None or self._cover is not None
        if self.place is not None and hides_pixels:
            self.place = self.place._replace(has_holes=True)

    def _lowest(self) -> np.ndarray:
        """Return the lowest value of each band, (C,); all pixels are read for it, once."""
        if self._low is None:
            found = []
            for top in range(0, self.height, BLOCK):
                for left in range(0, self.width, BLOCK):
                    rows = slice(top, min(top + BLOCK, self.height))
                    values = self._values(rows, slice(left, min(left + BLOCK, self.width)))
                    missing = holes(values, self._layout.nodata)
                    if missing is None:
                        missing = np.zeros(values.shape, bool)
                    found.append(lowest(values, missing))
            self._low = np.min(found, axis=0)
        return self._low

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
        if not _is_in_place(series):
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


def _spread(length: int) -> list[slice]:
    """Return some pieces of a length, spread evenly."""
    starts = np.linspace(0, max(0, length - PIECE), PIECES).astype(int).tolist()
    return [slice(start, min(start + PIECE, length)) for start in dict.fromkeys(starts)]


def _open_pixels(tiff: Any, series: Any, path: Path) -> StoredPixels:
    """Open the pixels of a series."""
    if _is_in_place(series):
        return _open_in_place(tiff, series, path)
    if importlib.util.find_spec("zarr") is None:
        raise DataError(
            f"{path}: a compressed or tiled TIFF of this size is read by windows, which needs "
            f"zarr; run `pip install keras-segkit[large]`",
            "missing-package",
        )
    return _open_by_zarr(series.aszarr(level=0))


def _open_in_place(tiff: Any, series: Any, path: Path) -> StoredPixels:
    """Open uncompressed pixels."""
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    offset = int(series.dataoffset)
    shape = tuple(series.shape)

    def read(index: tuple[int | slice, ...]) -> np.ndarray:
        # The pages of a mapping that stays open would count as resident memory.
        mapped = np.memmap(path, dtype, "r", offset, shape)
        return mapped[index].astype(series.dtype)

    return StoredPixels(read, lambda: None)


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


def _is_in_place(series: Any) -> bool:
    """Return whether the file holds the pixels in the order in which memory does."""
    return series.dataoffset is not None and bool(series.keyframe.is_memmappable)
