"""Opens the files of microscopes, and reads their planes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.microscopes.czi import CziFile
from segkit.io.microscopes.lif import LifFile
from segkit.io.microscopes.nd2 import Nd2File
from segkit.io.microscopes.open_file import ImageAxes, MicroscopeFile
from segkit.io.microscopes.suffixes import CZI, LIF, ND2
from segkit.io.pages import MOST_PAGES, file_of
from segkit.io.pixels import Pixels, both, without_holes
from segkit.io.plane_addresses import Plane, check_axes, image_number, split_plane

FORMATS: Mapping[str, type[MicroscopeFile]] = {CZI: CziFile, LIF: LifFile, ND2: Nd2File}
"""The reader of files by their suffix."""


class OpenPlane(NamedTuple):
    """A plane of an open file."""

    file: MicroscopeFile
    image: int
    """The number of the image, from 0."""
    lengths: Mapping[str, int]
    """The length of each axis of the image."""
    plane: Plane

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return an area of the plane, (h, w) or (h, w, C)."""
        pieces = [
            self.file.read(self.image, position, rows, columns) for position in self._positions()
        ]
        if len(pieces) == 1 and not self.plane.channels:
            return pieces[0]
        if len({(piece.dtype, piece.shape) for piece in pieces}) > 1:
            kinds = ", ".join(str(piece.dtype) for piece in pieces)
            raise DataError(
                f"{self.file.path}: its channels are of different types ({kinds}); choose one of "
                f"them in data.axes, or export the file as OME-TIFF",
                "depth",
            )
        stacked = np.stack(pieces, axis=2)
        return stacked.reshape(*stacked.shape[:2], -1)

    def covered(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return where all channels of an area were recorded, (h, w); None if everywhere."""
        covered = None
        for position in self._positions():
            covered = both(covered, self.file.covered(self.image, position, rows, columns))
        return covered

    def _positions(self) -> Iterator[dict[str, int]]:
        """Yield the position of each channel along the axes of several positions."""
        fixed = {axis: n for axis, n in self.plane.fixed.items() if axis in self.lengths}
        channels = [axis for axis in self.plane.channels if self.lengths.get(axis, 1) > 1]
        for numbers in itertools.product(*(range(self.lengths[axis]) for axis in channels)):
            yield {**fixed, **dict(zip(channels, numbers, strict=True))}


def microscope_may_have_gaps(path: Path) -> bool:
    """Return whether areas of a plane of a file may not have been recorded, by its suffix."""
    return FORMATS[file_of(path).suffix.lower()].may_have_gaps


@contextmanager
def naming_format(path: Path) -> Iterator[None]:
    """Turn every error of a reader into a `DataError` that names the file."""
    with codecs.naming(path):
        try:
            yield
        except ConfigError as problem:  # a missing package
            raise DataError(f"{path}: {problem}", problem.code) from problem


def open_microscope_file(path: Path) -> MicroscopeFile:
    """Open a file.

    Args:
        path: The file, or the address of a plane in it.

    Raises:
        DataError: If it cannot be read, or if the package of its format is not installed.
    """
    file = file_of(path)
    if not file.is_file():
        raise DataError(f"{path}: there is no such file", "missing-file")
    with naming_format(path):
        return FORMATS[file.suffix.lower()](file)


def images_of_microscope(path: Path) -> list[ImageAxes]:
    """Return the axes of each image of a file.

    Raises:
        DataError: If it cannot be read, or if the package of its format is not installed.
    """
    with closing(open_microscope_file(path)) as file, naming_format(path):
        return list(file.images)


def open_plane(file: MicroscopeFile, path: Path) -> OpenPlane:
    """Return the plane of an address; that of a file with one plane if the path names none.

    Raises:
        DataError: If the file has no such plane, or axes whose meaning the address does not say.
    """
    with naming_format(path):
        images = [image.lengths for image in file.images]
    number = image_number(path, len(images), lambda: images)
    _, plane = split_plane(path)
    if plane is None:
        plane = Plane({}, ("C",))
    lengths = images[number]
    check_axes(path, lengths, plane)
    if math.prod(lengths.get(axis, 1) for axis in plane.channels) > MOST_PAGES:
        raise DataError(f"{path}: names more than {MOST_PAGES} channels", "pages")
    return OpenPlane(file, number, lengths, plane)


def read_microscope(path: Path) -> Pixels:
    """Return the values of a plane, and where they were recorded.

    Returns:
        (H, W), or (H, W, C).

    Raises:
        DataError: If it cannot be read, is too large, or has axes whose meaning is unknown.
    """
    with closing(open_microscope_file(path)) as file:
        plane = open_plane(file, path)
        height = plane.lengths["Y"]
        width = plane.lengths["X"]
        if height * width > codecs.most_pixels():
            raise DataError(codecs.too_large(path), "too-large")
        rows = slice(0, height)
        columns = slice(0, width)
        with naming_format(path):
            values = plane.read(rows, columns)
            return without_holes(Pixels(values, plane.covered(rows, columns)))
