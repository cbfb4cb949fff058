"""Opens the files of whole slides: tiffslide reads most of them, OpenSlide those of Ventana.

The tiles of a BIF file overlap. OpenSlide joins them where they overlap; tiffslide puts them side
by side, so that everything would be moved.
"""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.slide_addresses import SUFFIXES
from segkit.system.packages import need

EXTRA = "slides"
"""The extra of keras-segkit that installs tiffslide and OpenSlide."""
OVERLAPPING = ".bif"
"""The suffix of slides whose tiles overlap."""


class Level(NamedTuple):
    """A level of a slide."""

    height: int
    width: int
    size: tuple[float, float] | None
    """Height and width of a pixel in µm; None if the file does not state them."""


class SlideFile(ABC):
    """An open file of a slide. Threads may share it."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def read(self, level: int, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of a level, (h, w, C). What was not scanned is 0."""

    def levels(self) -> list[Level]:
        """Return the levels, the largest first."""
        sizes = self._sizes()
        full_height, full_width = sizes[0]
        full_size = self._full_size()
        levels = []
        for height, width in sizes:
            size = None
            if full_size is not None:
                rows, columns = full_size
                size = (rows * full_height / height, columns * full_width / width)
            levels.append(Level(height, width, size))
        return levels

    @abstractmethod
    def _sizes(self) -> list[tuple[int, int]]:
        """Return height and width of each level, the largest first."""

    @abstractmethod
    def _full_size(self) -> tuple[float, float] | None:
        """Return height and width of a pixel of the largest level in µm; None if unknown."""


def open_slide(path: Path) -> SlideFile:
    """Open the file of a slide. Close it after use.

    Raises:
        DataError: If it cannot be read, or the package for it is not installed.
    """
    is_overlapping = path.suffix.lower() == OVERLAPPING
    try:
        if is_overlapping:
            library = need("openslide", EXTRA)
        else:
            library = need("tiffslide", EXTRA)
    except ConfigError as problem:
        raise DataError(f"{path}: {problem}", problem.code) from problem
    with codecs.naming(path):
        if is_overlapping:
            return _OpenSlideFile(library, path)
        return _TiffSlideFile(library, path)


class _TiffSlideFile(SlideFile):
    """A slide that tiffslide reads."""

    def __init__(self, tiffslide: Any, path: Path) -> None:
        self._path = path
        options = {"_multifile": False}
        # properties of some vendors are not read, and segkit does not need them
        warnings.filterwarnings("ignore", r"(no|hamamatsu).*metadata parsing", UserWarning)
        self._slide = _class_of_slides(tiffslide)(path, tifffile_options=options)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def read(self, level: int, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of a level, (h, w, C)."""
        corner = (columns.start, rows.start)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        pixels = self._slide.read_region(corner, level, size, as_array=True, padding=False)
        return np.asarray(pixels)

    def _sizes(self) -> list[tuple[int, int]]:
        return [(int(height), int(width)) for width, height in self._slide.level_dimensions]

    def _full_size(self) -> tuple[float, float] | None:
        if self._path.suffix.lower() in SUFFIXES:
            properties: Mapping[str, Any] = self._slide.properties
            height = properties.get("tiffslide.mpp-y")
            width = properties.get("tiffslide.mpp-x")
            geometry = Geometry.measured(height, width, "µm")
        else:
            from segkit.io.physical_size import geometry_of_tiff  # which also reads slides

            geometry = geometry_of_tiff(self._slide.ts_tifffile, self._path)
        if geometry is None:
            return None
        return geometry.size_in("µm")


class _OpenSlideFile(SlideFile):
    """A slide that OpenSlide reads."""

    def __init__(self, openslide: Any, path: Path) -> None:
        self._slide = openslide.OpenSlide(path)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def read(self, level: int, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of a level, (h, w, 3). What was not scanned is 0."""
        step = self._slide.level_downsamples[level]
        corner = (round(columns.start * step), round(rows.start * step))
        size = (columns.stop - columns.start, rows.stop - rows.start)
        pixels = np.asarray(self._slide.read_region(corner, level, size))
        was_scanned = pixels[..., 3:] > 0
        return np.where(was_scanned, pixels[..., :3], np.uint8(0))

    def _sizes(self) -> list[tuple[int, int]]:
        return [(int(height), int(width)) for width, height in self._slide.level_dimensions]

    def _full_size(self) -> tuple[float, float] | None:
        properties: Mapping[str, str] = self._slide.properties
        height = properties.get("openslide.mpp-y")
        width = properties.get("openslide.mpp-x")
        if height is None or width is None:
            return None
        geometry = Geometry.measured(float(height), float(width), "µm")
        if geometry is None:
            return None
        return geometry.size_in("µm")


@functools.cache
def _class_of_slides(tiffslide: Any) -> Any:
    """Return tiffslide's class, with places of areas in the pixels of their level."""

    class LevelSlide(tiffslide.TiffSlide):  # type: ignore[misc]
        def _read_region_loc_transform(
            self, location: tuple[int, int], level: int
        ) -> tuple[int, int]:
            return location

    return LevelSlide
