"""A TIFF that is read by windows: any rows and columns of it, and nothing else in memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.colour_spaces import check_colour_space
from segkit.io.files import special_kind
from segkit.io.georeference import place_of
from segkit.io.images import as_image
from segkit.io.pages import Pages, check_pages, choose_page, file_of, split_page
from segkit.io.pictures import open_tiff
from segkit.io.pixels import complete_pixels, fill, holes, lowest
from segkit.io.tiff import alpha_of, cover_of, index_of, layout_of, seen
from segkit.io.turning import orientation_of

AT_ONCE = 4
"""Tiles or strips of the file that are decoded at the same time."""
BLOCK = 1024
"""Rows and columns that are read at a time to find the lowest value."""
PIECE = 64
"""Rows and columns of the pieces by which an alpha channel is told from a band."""
PIECES = 4
"""Such pieces along each side."""
Stored = Callable[[tuple[int | slice, ...]], np.ndarray]


def largest_page_size(path: Path) -> int:
    """Return height x width of a TIFF's largest page, from its headers alone; 0 if it is no TIFF or cannot be read."""
    if not codecs.is_tiff(path) or special_kind(file_of(path)):
        return 0
    try:
        with open_tiff(file_of(path)) as tiff:
            check_pages(tiff.pages)
            keyframes = [series.keyframe for series in tiff.series]
        return max(int(page.imagelength) * int(page.imagewidth) for page in keyframes)
    except Exception:  # whoever reads the image says what is wrong with it
        return 0


class LargeImage:
    """An open TIFF of (height, width, channels), read as `files.read_image` reads a whole one.

    Compressed and tiled files are decoded tile by tile or strip by strip (by zarr), uncompressed
    strips are read where they stand. Bands may be stored together, apart, or as pages. Close it
    after use, or use it in a `with`.

    Raises `DataError` if the file is damaged or cut off, is to be turned (orientation), has other
    axes than rows, columns and bands, or if `AT_ONCE` of its tiles or strips take more than
    `most_bytes`. `pages` and `channels` are those of `read_image`.
    """

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
                self._open(most_bytes)
                self._stored, self._close_pixels = _open_pixels(
                    self._tiff, self._chosen.series, self._file
                )
                self._cover, self._close_cover = _open_cover(cover_of(self._tiff, self._chosen))
                self._alpha = self._find_alpha(channels)
                if self.place and (self._alpha is not None or self._cover is not None):
                    self.place = self.place._replace(has_holes=True)
                self._low: np.ndarray | None = None
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
        self._close_cover()
        self._tiff.close()

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the pixels (h, w, channels) of some rows and columns, which begin and end within the image."""
        with codecs.naming(self.path):
            values = self._values(rows, columns)
            missing = holes(values, self._layout.nodata)
            if missing is not None:
                values = fill(values, missing, self._lowest())
            values = seen(values, self._layout)
        return as_image(values, self.path)

    def valid(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where there is a measurement, (h, w) bool, as `read_pixels` says of a whole image; None if everywhere."""
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
                valid &= self._cover((rows, columns)).reshape(valid.shape) != 0
        return valid

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the samples of some rows and columns, (h, w, C)."""
        array = self._stored(index_of(self._chosen, {"Y": rows, "X": columns}))
        bands = self._chosen.bands
        if bands is None:
            return array[..., None]
        return np.moveaxis(array, bands - sum(axis < bands for axis in self._chosen.fixed), -1)

    def _values(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the samples of some rows and columns without an alpha channel."""
        return self._without_alpha(self._samples(rows, columns))

    def _without_alpha(self, samples: np.ndarray) -> np.ndarray:
        return samples if self._alpha is None else np.delete(samples, self._alpha, axis=-1)

    def _find_alpha(self, channels: int | None) -> int | None:
        """Return the band that is alpha and no data: by pieces all over the image."""
        if self._layout.alpha is None:
            return None
        pieces = [
            self._samples(rows, columns)
            for rows in _spread(self.height)
            for columns in _spread(self.width)
        ]
        looked = np.concatenate([piece.reshape(-1, piece.shape[-1]) for piece in pieces])
        return alpha_of(self._layout, channels, looked)

    def _lowest(self) -> np.ndarray:
        """Return the lowest value of each band, for which all pixels are read, once."""
        if self._low is None:
            found = []
            for top in range(0, self.height, BLOCK):
                for left in range(0, self.width, BLOCK):
                    rows = slice(top, min(top + BLOCK, self.height))
                    values = self._values(rows, slice(left, min(left + BLOCK, self.width)))
                    missing = holes(values, self._layout.nodata)
                    found.append(
                        lowest(values, np.zeros(values.shape, bool) if missing is None else missing)
                    )
            self._low = np.min(found, axis=0)
        return self._low

    def _open(self, most_bytes: float) -> None:
        series = self._chosen.series
        keyframe = series.keyframe
        check_colour_space(keyframe, self.path)
        self.height, self.width = (int(series.shape[series.axes.index(axis)]) for axis in "YX")
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
        self._check_whole(series)
        if not _in_place(series):
            self._check_pieces(keyframe, most_bytes)

    def _check_whole(self, series: Any) -> None:
        """A missing piece would be read as zeros, or cut off in the middle of the night."""
        size = self._file.stat().st_size
        for page in series.pages:
            pieces = (
                zip(page.dataoffsets, page.databytecounts, strict=True) if page is not None else ()
            )
            if any(offset + count > size for offset, count in pieces):
                raise DataError(
                    f"{self.path}: cannot be read (a damaged or cut off TIFF: it ends before its last pixels)"
                )

    def _check_pieces(self, keyframe: Any, most_bytes: float) -> None:
        piece = int(np.prod(keyframe.chunks)) * keyframe.dtype.itemsize
        if AT_ONCE * piece > most_bytes or piece > codecs.most_pixels() * max(
            1, keyframe.samplesperpixel
        ):
            kind = "tiles" if keyframe.is_tiled else "strips"
            raise DataError(
                f"{self.path}: its compressed {kind} hold {piece / 1e6:,.0f} MB each, too much to be read by windows; "
                f"rewrite it as a tiled TIFF (256 x 256 is usual) or raise --memory",
                "too-large",
            )


def _spread(length: int) -> list[slice]:
    """Return some pieces of a length, all over it."""
    starts = dict.fromkeys(np.linspace(0, max(0, length - PIECE), PIECES).astype(int).tolist())
    return [slice(start, min(start + PIECE, length)) for start in starts]


def _open_pixels(tiff: Any, series: Any, path: Path) -> tuple[Stored, Callable[[], None]]:
    """Return the pixels that are stored, as a function of an index, and what closes them."""
    if _in_place(series):
        kind, offset, shape = (
            series.dtype.newbyteorder(tiff.byteorder),
            int(series.dataoffset),
            tuple(series.shape),
        )
        # mapped anew each time: pages of a mapping that stays open count as resident
        return lambda index: np.memmap(path, kind, "r", offset, shape)[index].astype(
            series.dtype
        ), lambda: None
    if importlib.util.find_spec("zarr") is None:
        raise DataError(
            f"{path}: a compressed or tiled TIFF of this size is read by windows, which needs zarr; run "
            f"`pip install keras-segkit[large]`",
            "missing-package",
        )
    return _by_zarr(series.aszarr(level=0))


def _open_cover(page: Any | None) -> tuple[Stored | None, Callable[[], None]]:
    """Return the page of transparency as a function of an index, and what closes it; without zarr it is read whole."""
    if page is None:
        return None, lambda: None
    if importlib.util.find_spec("zarr") is None:
        whole = page.asarray()
        return lambda index: np.asarray(whole[index]), lambda: None
    return _by_zarr(page.aszarr())


def _by_zarr(store: Any) -> tuple[Stored, Callable[[], None]]:
    import zarr

    array: Any = zarr.open_array(store, mode="r")

    def stored(index: tuple[int | slice, ...]) -> np.ndarray:
        with zarr.config.set({"async.concurrency": AT_ONCE}):
            return np.asarray(array[index])

    return stored, store.close


def _in_place(series: Any) -> bool:
    """Return whether the pixels stand in the file as in memory, one after the other."""
    return series.dataoffset is not None and bool(series.keyframe.is_memmappable)
