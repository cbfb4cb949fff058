"""A TIFF that is read by windows: any rows and columns of it, and nothing else in memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.files import special_kind
from segkit.io.georeference import place_of
from segkit.io.images import as_image
from segkit.io.nodata import holds_data
from segkit.io.pictures import open_tiff

AT_ONCE = 4
"""Tiles or strips of the file that are decoded at the same time."""
Stored = Callable[[tuple[slice, ...]], np.ndarray]


def pixels_of(path: Path) -> int:
    """Return height x width of a TIFF's first page, from its header alone; 0 if it is no TIFF or cannot be read."""
    if not codecs.is_tiff(path) or special_kind(path):
        return 0
    try:
        with open_tiff(path) as tiff:
            page = tiff.pages[0]
            return int(page.imagelength) * int(page.imagewidth)
    except Exception:  # whoever reads the image says what is wrong with it
        return 0


class LargeImage:
    """An open TIFF of (height, width, channels), read as `files.read_image` reads a whole one.

    Compressed and tiled files are decoded tile by tile or strip by strip (by zarr), uncompressed strips are read
    where they stand. Bands may be stored together, apart, or as pages. Close it after use, or use it in a `with`.

    Raises `DataError` if the file is damaged or cut off, is to be turned (orientation), has other axes than rows, columns
    and bands, or if `AT_ONCE` of its tiles or strips take more than `most_bytes`.
    """

    def __init__(self, path: Path, most_bytes: float = float("inf")) -> None:

        self.path = path
        with codecs.naming(path):
            self._tiff = open_tiff(path)
            try:
                self._open(most_bytes)
                self._stored, self._close_pixels = _open_pixels(self._tiff, path)
                first = self.read(slice(0, 1), slice(0, 1))
            except BaseException:
                self._tiff.close()
                raise
        self.channels, self.dtype = first.shape[-1], first.dtype

    def __enter__(self) -> LargeImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._close_pixels()
        self._tiff.close()

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the pixels (h, w, channels) of some rows and columns, which begin and end within the image."""
        array = self._read(rows, columns)
        if self._palette is not None and array.ndim == 2:
            array = self._palette[array]
        return as_image(array, self.path)

    def valid(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where some rows and columns hold data, (h, w) bool; None if the image has no value for "no data"."""
        if self.place is None or self.place.nodata is None:
            return None
        return holds_data(self._read(rows, columns), self.place.nodata)

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the stored pixels (h, w) or (h, w, channels) without an alpha channel."""
        index = tuple({"Y": rows, "X": columns}.get(axis, slice(None)) for axis in self._axes)
        with codecs.naming(self.path):
            array = self._stored(index)
        extra = [i for i, axis in enumerate(self._axes) if axis not in "YX"]
        array = np.moveaxis(array, extra[0], -1) if extra else array
        if self._transparent and array.ndim == 3 and array.shape[-1] in (2, 4):
            array = array[..., :-1]
        return array

    def _open(self, most_bytes: float) -> None:
        codecs.check_pages(self._tiff.pages)
        series = self._tiff.series[0]
        keyframe, self._axes = series.keyframe, series.axes
        if not {"Y", "X"} <= set(self._axes) or len(self._axes) > 3:
            raise DataError(
                f"{self.path}: has axes {self._axes} {series.shape}; segkit reads flat images with or without bands",
                "channels",
            )
        self.height, self.width = (int(series.shape[self._axes.index(axis)]) for axis in "YX")
        tag = keyframe.tags.get("Orientation")
        if tag and int(tag.value) != 1:
            raise DataError(
                f"{self.path}: is to be turned (orientation {int(tag.value)}), and an image that "
                f"is read by windows must stand upright in its file; rewrite it with orientation "
                f"1, or raise --memory until it is read whole",
                "orientation",
            )
        self._palette = None
        if keyframe.colormap is not None:
            self._palette = np.moveaxis((keyframe.colormap >> 8).astype(np.uint8), 0, -1)  # a TIFF palette has 16 bits
        self.place = place_of(keyframe)
        self._transparent = any(int(kind) in (1, 2) for kind in keyframe.extrasamples)
        self._check_whole(series)
        if not _in_place(series):
            self._check_pieces(keyframe, most_bytes)

    def _check_whole(self, series: Any) -> None:
        """A missing piece would be read as zeros, or cut off in the middle of the night."""
        size = self.path.stat().st_size
        for page in series.pages:
            pieces = zip(page.dataoffsets, page.databytecounts, strict=True) if page is not None else ()
            if any(offset + count > size for offset, count in pieces):
                raise DataError(
                    f"{self.path}: cannot be read (a damaged or cut off TIFF: it ends before its last pixels)"
                )

    def _check_pieces(self, keyframe: Any, most_bytes: float) -> None:
        piece = int(np.prod(keyframe.chunks)) * keyframe.dtype.itemsize
        if AT_ONCE * piece > most_bytes or piece > codecs.most_pixels() * max(1, keyframe.samplesperpixel):
            kind = "tiles" if keyframe.is_tiled else "strips"
            raise DataError(
                f"{self.path}: its compressed {kind} hold {piece / 1e6:,.0f} MB each, too much to be read by windows; "
                f"rewrite it as a tiled TIFF (256 x 256 is usual) or raise --memory",
                "too-large",
            )


def _open_pixels(tiff: Any, path: Path) -> tuple[Stored, Callable[[], None]]:
    """Return the pixels that are stored, as a function of an index, and what closes them."""
    series = tiff.series[0]
    if _in_place(series):
        kind, offset, shape = series.dtype.newbyteorder(tiff.byteorder), int(series.dataoffset), tuple(series.shape)
        # mapped anew each time: pages of a mapping that stays open count as resident
        return lambda index: np.memmap(path, kind, "r", offset, shape)[index].astype(series.dtype), lambda: None
    if importlib.util.find_spec("zarr") is None:
        raise DataError(
            f"{path}: a compressed or tiled TIFF of this size is read by windows, which needs zarr; run "
            f"`pip install keras-segkit[large]`",
            "missing-package",
        )
    import zarr

    store = series.aszarr(level=0)
    array: Any = zarr.open_array(store, mode="r")

    def stored(index: tuple[slice, ...]) -> np.ndarray:
        with zarr.config.set({"async.concurrency": AT_ONCE}):
            return np.asarray(array[index])

    return stored, store.close


def _in_place(series: Any) -> bool:
    """Return whether the pixels stand in the file as in memory, one after the other."""
    return series.dataoffset is not None and bool(series.keyframe.is_memmappable)
