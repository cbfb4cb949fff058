"""Reads the levels of whole slides."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.pixels import Pixels
from segkit.io.slide_addresses import SUFFIXES, Reading, level_path, split_level
from segkit.io.slide_files import Level, open_slide

CLOSE = 0.1
"""The largest relative difference of the size of a pixel from the wanted one."""
MOST_REDUCED = 64
"""The most pixels along a side of which the mean is taken."""
BLOCK = (512, 4096)
"""The most rows and columns of a level that are decoded at once.

Decoding takes several times the memory of the pixels.
"""


class Slide:
    """An open slide. Close it after use. Threads may share it.

    Args:
        path: The file.

    Raises:
        DataError: If it cannot be read, or the package for it is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_slide(path)
        with codecs.naming(path):
            try:
                self.levels = self._file.levels()
            except BaseException:
                self._file.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of a level, (h, w, C), in the pixels of `reading`."""
        high, wide = BLOCK
        bands = _pieces(rows, max(1, high // reading.reduce))
        strips = _pieces(columns, max(1, wide // reading.reduce))
        image: np.ndarray | None = None
        for band in bands:
            for strip in strips:
                block = self._read_block(reading, band, strip)
                if image is None:
                    size = (rows.stop - rows.start, columns.stop - columns.start)
                    image = np.empty((*size, block.shape[-1]), block.dtype)
                down = slice(band.start - rows.start, band.stop - rows.start)
                across = slice(strip.start - columns.start, strip.stop - columns.start)
                image[down, across] = block
        assert image is not None  # there is at least one piece
        return image

    def _read_block(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        if reading.reduce == 1:
            return self._file.read(reading.level, rows, columns)
        return self._read_means(reading, rows, columns)

    def _read_means(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        """Return the means of `reading.reduce` x `reading.reduce` pixels of the level."""
        step = reading.reduce
        stored = self._file.read(
            reading.level,
            slice(rows.start * step, rows.stop * step),
            slice(columns.start * step, columns.stop * step),
        )
        height = rows.stop - rows.start
        width = columns.stop - columns.start
        pieces = stored.reshape(height, step, width, step, -1)
        means = pieces.mean(axis=(1, 3), dtype=np.float32)
        if stored.dtype.kind in "ui":
            means = np.rint(means)
        return means.astype(stored.dtype)

    def shape(self, reading: Reading) -> tuple[int, int]:
        """Return height and width of the image.

        Raises:
            DataError: If there is no such level.
        """
        if reading.level >= len(self.levels):
            message = f"{self.path}: has {len(self.levels)} level(s), not {reading.level + 1}"
            raise DataError(message, "slide-level")
        level = self.levels[reading.level]
        return max(1, level.height // reading.reduce), max(1, level.width // reading.reduce)


def _pieces(area: slice, most: int) -> list[slice]:
    """Return an area in pieces that end at multiples of `most`, as the tiles of a slide do."""
    pieces = []
    start = area.start
    while start < area.stop:
        stop = min(area.stop, (start // most + 1) * most)
        pieces.append(slice(start, stop))
        start = stop
    return pieces or [area]


def levels_of(path: Path) -> list[Level]:
    """Return the levels of a slide, the largest first.

    Raises:
        DataError: If it cannot be read, or the package for it is not installed.
    """
    with closing(Slide(split_level(path)[0])) as slide:
        return slide.levels


def choose_level(levels: list[Level], microns: float, path: Path) -> Reading:
    """Return how a slide is read with pixels of a size.

    It is the smallest level whose pixels are not larger, or of which the mean of several pixels
    has the size, up to a difference of `CLOSE`.

    Args:
        levels: The levels of the slide.
        microns: The wanted side of a pixel, µm (`data.microns_per_pixel`).
        path: The slide, for messages.

    Raises:
        DataError: If no level fits, or the slide does not state the size of its pixels.
    """
    choices: list[tuple[float, int, Reading]] = []
    for number, level in enumerate(levels):
        if level.size is None:
            raise DataError(
                f"{path}: does not state the size of its pixels, so no level can be chosen by "
                f"data.microns_per_pixel. Save it with the size, or save one level as a TIFF",
                "slide-level",
            )
        side = sum(level.size) / 2
        reduce = max(1, round(microns / side))
        difference = abs(side * reduce / microns - 1)
        if difference <= CLOSE and reduce <= MOST_REDUCED:
            choices.append((float(reduce), number, Reading(number, reduce)))
    if not choices:
        raise DataError(
            f"{path}: no level has pixels of {microns:g} µm (data.microns_per_pixel), and neither "
            f"has the mean of several pixels; its levels are {levels_in_words(levels)}",
            "slide-level",
        )
    return min(choices)[2]


def levels_in_words(levels: list[Level]) -> str:
    """Return sizes of levels and of their pixels, for messages."""
    words = []
    for level in levels:
        size = "unknown" if level.size is None else f"{sum(level.size) / 2:.3g}"
        words.append(f"{level.width} x {level.height} ({size} µm per pixel)")
    return ", ".join(words)


def at_level(path: Path, microns: float | None) -> Path:
    """Return the address of the level of a slide that has pixels of a size.

    Args:
        path: An image file. Others than slides and TIFFs of several levels are returned as they
            are, and so are files that cannot be read.
        microns: The side of a pixel, µm (`data.microns_per_pixel`); None if it is not set.

    Raises:
        DataError: If no level has such pixels.
    """
    if microns is None or "#" in path.name:
        return path
    is_named_slide = path.suffix.lower() in SUFFIXES
    if not is_named_slide and not codecs.is_tiff(path):
        return path
    try:
        levels = levels_of(path)
    except DataError:  # reading it raises the error for the user
        return path
    if not is_named_slide and len(levels) == 1:
        return path
    return level_path(path, choose_level(levels, microns, path))


def reading_of(path: Path) -> Reading:
    """Return how the slide of an address is read.

    Raises:
        DataError: If it is the path of a slide, which names no level.
    """
    _, reading = split_level(path)
    if reading is not None:
        return reading
    levels = levels_of(path)
    raise DataError(
        f"{path}: is a whole slide with the levels {levels_in_words(levels)}. Set "
        f"data.microns_per_pixel to the size of the pixels that the network is to see",
        "slide-level",
    )


def read_slide(path: Path) -> Pixels:
    """Return the whole image of an address, (H, W, C).

    Raises:
        DataError: If it cannot be read, or has more pixels than an image may have.
    """
    reading = reading_of(path)
    with closing(Slide(split_level(path)[0])) as slide, codecs.naming(path):
        height, width = slide.shape(reading)
        if height * width > codecs.most_pixels():
            raise DataError(codecs.too_large(path), "too-large")
        return Pixels(slide.read(reading, slice(0, height), slice(0, width)))


def slide_shape(path: Path) -> tuple[int, int]:
    """Return height and width of the image of an address.

    Raises:
        DataError: If it cannot be read.
    """
    reading = reading_of(path)
    with closing(Slide(split_level(path)[0])) as slide:
        return slide.shape(reading)


def slide_geometry(path: Path) -> Geometry | None:
    """Return the size of the pixels of the image of an address; None if it is not stated.

    Raises:
        DataError: If it cannot be read.
    """
    level, reduce = reading_of(path)
    size = levels_of(path)[level].size
    if size is None:
        return None
    rows, columns = size
    return Geometry.measured(rows * reduce, columns * reduce, "µm", read_from="the slide's header")


def scale_to_full(path: Path) -> tuple[float, float]:
    """Return the pixels of the largest level along a side of a pixel of an address: down, across.

    Other images have no further level, so it is (1, 1).

    Raises:
        DataError: If the slide cannot be read.
    """
    _, reading = split_level(path)
    if reading is None:
        return 1.0, 1.0
    levels = levels_of(path)
    full = levels[0]
    level = levels[reading.level]
    return (
        reading.reduce * full.height / level.height,
        reading.reduce * full.width / level.width,
    )
