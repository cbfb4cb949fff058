"""Reads the levels of whole slides by tiffslide."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.pixels import Pixels
from segkit.io.slide_addresses import SUFFIXES, Reading, level_path, split_level
from segkit.system.packages import need

EXTRA = "slides"
"""The extra of keras-segkit that installs tiffslide."""
CLOSE = 0.1
"""The largest relative difference of the size of a pixel from the wanted one."""
MOST_REDUCED = 64
"""The most pixels along a side of which the mean is taken."""

BLOCK = (512, 4096)
"""The most rows and columns of a level that are decoded at once.

Decoding takes several times the memory of the pixels.
"""


class Level(NamedTuple):
    """A level of a slide."""

    height: int
    width: int
    size: tuple[float, float] | None
    """Height and width of a pixel in µm; None if the file does not state them."""


class Slide:
    """An open slide. Close it after use. Threads may share it.

    Args:
        path: The file.

    Raises:
        DataError: If it cannot be read, or tiffslide is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            tiffslide = need("tiffslide", EXTRA)
        except ConfigError as problem:
            raise DataError(f"{path}: {problem}", problem.code) from problem
        with codecs.naming(path):
            self._slide = _class_of_slides(tiffslide)(path, tifffile_options={"_multifile": False})
            try:
                self.levels = _levels_of(self._slide, path)
            except BaseException:
                self._slide.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def read(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of a level, (h, w, C), in the pixels of `reading`."""
        high, wide = BLOCK
        all_columns = _pieces(columns, max(1, wide // reading.reduce))
        image = None
        for some_rows in _pieces(rows, max(1, high // reading.reduce)):
            for some_columns in all_columns:
                block = self._read_block(reading, some_rows, some_columns)
                if image is None:
                    size = (rows.stop - rows.start, columns.stop - columns.start)
                    image = np.empty((*size, block.shape[-1]), block.dtype)
                down = slice(some_rows.start - rows.start, some_rows.stop - rows.start)
                across = slice(some_columns.start - columns.start, some_columns.stop - columns.start)
                image[down, across] = block
        assert image is not None  # there is at least one piece
        return image

    def _read_block(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        if reading.reduce == 1:
            return self._read_level(reading.level, rows, columns)
        return self._read_means(reading, rows, columns)

    def _read_level(self, level: int, rows: slice, columns: slice) -> np.ndarray:
        """Return an area in the pixels of the level."""
        corner = (columns.start, rows.start)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        return np.asarray(
            self._slide.read_region(corner, level, size, as_array=True, padding=False)
        )

    def _read_means(self, reading: Reading, rows: slice, columns: slice) -> np.ndarray:
        """Return the means of `reading.reduce` x `reading.reduce` pixels of the level."""
        step = reading.reduce
        stored = self._read_level(
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


@functools.cache
def _class_of_slides(tiffslide: Any) -> Any:
    """Return tiffslide's class, with places of areas in the pixels of their level."""

    class LevelSlide(tiffslide.TiffSlide):  # type: ignore[misc]
        def _read_region_loc_transform(
            self, location: tuple[int, int], level: int
        ) -> tuple[int, int]:
            return location

    return LevelSlide


def _levels_of(slide: Any, path: Path) -> list[Level]:
    full_size = _full_size(slide, path)
    full_width, full_height = slide.dimensions
    levels = []
    for width, height in slide.level_dimensions:
        size = None
        if full_size is not None:
            rows, columns = full_size
            size = (rows * full_height / height, columns * full_width / width)
        levels.append(Level(int(height), int(width), size))
    return levels


def _full_size(slide: Any, path: Path) -> tuple[float, float] | None:
    """Return height and width of a pixel of the largest level in µm; None if it is unknown."""
    if path.suffix.lower() in SUFFIXES:
        properties: Mapping[str, Any] = slide.properties
        height = properties.get("tiffslide.mpp-y")
        width = properties.get("tiffslide.mpp-x")
        geometry = Geometry.measured(height, width, "µm")
    else:
        from segkit.io.physical_size import geometry_of_tiff  # which also reads slides

        geometry = geometry_of_tiff(slide.ts_tifffile, path)
    if geometry is None:
        return None
    return geometry.size_in("µm")


def levels_of(path: Path) -> list[Level]:
    """Return the levels of a slide, the largest first.

    Raises:
        DataError: If it cannot be read, or tiffslide is not installed.
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
