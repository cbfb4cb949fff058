"""Slices of a volume along an anatomical direction, shown as in DICOM, and the way back."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.io.geometry import Geometry
from segkit.io.scans.volume import EXTRA, Grid, Volume
from segkit.system.packages import need

PLANES = {"axial": ("P", "L", "S"), "coronal": ("I", "L", "P"), "sagittal": ("I", "P", "R")}
"""The directions of rows, columns and slices in each plane.

They are those of a usual scan in DICOM: the patient's right side is on the left of the image.
"""
OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
CLEARLY_LARGER = 1.1
"""An axis is sliced by default if its spacing is so many times that of the others."""


class View(NamedTuple):
    """How slices are cut from a volume and turned upright."""

    plane: str
    """A key of `PLANES`."""
    axes: tuple[int, int, int]
    """The axes of the file that become rows, columns and slices."""
    flipped: tuple[bool, bool, bool]
    """Whether rows, columns and slices run in the other direction than in the file."""

    def count(self, grid: Grid) -> int:
        """Return the number of slices."""
        return grid.shape[self.axes[2]]

    def stored_index(self, grid: Grid, index: int) -> int:
        """Return the index in the file of a slice, which is counted from 0."""
        if self.flipped[2]:
            return self.count(grid) - 1 - index
        return index

    def upright(self, plane: np.ndarray) -> np.ndarray:
        """Return a plane of the file, (A, B) or (A, B, C), as an image."""
        if self.axes[0] > self.axes[1]:
            plane = plane.swapaxes(0, 1)
        return self._flip(plane)

    def stored(self, image: np.ndarray) -> np.ndarray:
        """Return an image as a plane of the file: the inverse of `upright`."""
        image = self._flip(image)
        if self.axes[0] > self.axes[1]:
            image = image.swapaxes(0, 1)
        return image

    def _flip(self, image: np.ndarray) -> np.ndarray:
        if self.flipped[0]:
            image = image[::-1]
        if self.flipped[1]:
            image = image[:, ::-1]
        return image

    def image_shape(self, grid: Grid) -> tuple[int, int]:
        """Return the height and width of a slice."""
        return grid.shape[self.axes[0]], grid.shape[self.axes[1]]

    def geometry(self, volume: Volume) -> Geometry | None:
        """Return the size of the pixels of a slice, and its directions."""
        grid = volume.grid
        orientation = None
        if grid.has_place:
            orientation = "".join(PLANES[self.plane])
        unit = None
        if grid.has_spacing:
            unit = "mm"
        height = grid.spacing[self.axes[0]]
        width = grid.spacing[self.axes[1]]
        return Geometry.measured(
            height, width, unit, orientation=orientation, read_from="the header of the scan"
        )


def view_of(grid: Grid, plane: str, where: Any) -> View:
    """Return how a volume is cut into slices of a plane.

    Args:
        grid: The voxels of the volume.
        plane: A key of `PLANES`.
        where: The file, for messages.

    Raises:
        DataError: If its affine has an axis without a direction.
    """
    directions = _directions(grid, where)
    axes = []
    flipped = []
    for wanted in PLANES[plane]:
        for axis, found in enumerate(directions):
            if found in (wanted, OPPOSITE[wanted]):
                axes.append(axis)
                flipped.append(found != wanted)
    rows, columns, slices = axes
    return View(plane, (rows, columns, slices), (flipped[0], flipped[1], flipped[2]))


def choose_plane(volume: Volume) -> str:
    """Return the plane in which a volume was scanned: across the axis of the largest spacing.

    Raises:
        ConfigError: If the spacing does not show it, so that `data.axis` must name it.
    """
    grid = volume.grid
    axis = volume.native_axis
    if axis is None:
        axis = _flat_axis(grid)
    if axis is None:
        axis = _coarsest_axis(grid)
    if axis is None:
        spacing = " x ".join(f"{side:.3g}" for side in grid.spacing)
        raise ConfigError(
            f"{volume.path}: has a spacing of {spacing} mm, which does not show along which axis "
            f"it was scanned. Name the slices to use: {', '.join(PLANES)}",
            "missing-setting",
            setting="data.axis",
        )
    direction = _directions(grid, volume.path)[axis]
    for plane, (_, _, slices) in PLANES.items():
        if direction in (slices, OPPOSITE[slices]):
            return plane
    raise AssertionError(direction)


def _flat_axis(grid: Grid) -> int | None:
    """Return the only axis of length 1."""
    flat = [axis for axis, length in enumerate(grid.shape) if length == 1]
    if len(flat) == 1:
        return flat[0]
    return None


def _coarsest_axis(grid: Grid) -> int | None:
    spacing = np.array(grid.spacing)
    largest = int(spacing.argmax())
    others = np.delete(spacing, largest)
    if spacing[largest] >= CLEARLY_LARGER * others.max():
        return largest
    return None


def _directions(grid: Grid, where: Any) -> tuple[str, ...]:
    """Return the letter of the direction in which each axis of a file grows."""
    found = None
    if np.isfinite(grid.affine).all():
        found = _directions_of(grid.affine.astype(np.float64).tobytes())
    if found is None or None in found:
        raise DataError(
            f"{where}: its affine has an axis without a direction: {grid.affine.tolist()}",
            "scan-axes",
        )
    return found


@functools.lru_cache(maxsize=1024)
def _directions_of(affine: bytes) -> tuple[str, ...]:
    """Return the directions of an affine (4, 4) float64, which are the same for all slices."""
    nibabel = need("nibabel", EXTRA)
    found: tuple[str, ...] = nibabel.aff2axcodes(np.frombuffer(affine).reshape(4, 4))
    return found
