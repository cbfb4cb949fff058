"""Reads NIfTI volumes by nibabel; the slices of an uncompressed file without the rest of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io.scans.volume import EXTRA, Grid, Volume, reading, refuse_axes
from segkit.system.packages import need

SUFFIXES = (".nii", ".nii.gz")
SPACE_UNITS = {"meter": 1e3, "micron": 1e-3}
"""Millimetres of the units of NIfTI that are not millimetres."""


class NiftiVolume(Volume):
    """A volume in a NIfTI file.

    A compressed file is read as a whole when its first slice is needed.

    Args:
        path: The file.
        image: The file as nibabel opened it.
    """

    def __init__(self, path: Path, image: Any) -> None:
        shape = _shape_of_volume(image.shape, path)
        super().__init__(path, Grid(shape, _affine_in_mm(image)))
        self.header = image.header
        """The header of the file, as nibabel reads it."""
        self._proxy = image.dataobj
        self._extra_axes = (0,) * (len(image.shape) - 3)
        self._dtype = image.get_data_dtype()
        if self._dtype.names or self._dtype.kind == "c":
            raise DataError(
                f"{path}: holds {self._dtype} voxels; a volume has one real value per voxel",
                "channels",
            )
        self._whole: np.ndarray | None = None
        self._lock = threading.Lock()
        self._is_compressed = path.name.lower().endswith(".gz")
        if not self._is_compressed:
            self._check_length()

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the decompressed file."""
        return 0 if self._whole is None else self._whole.nbytes

    def plane(self, axis: int, index: int) -> np.ndarray:
        """Return a plane as `Volume.plane` says, with the scale of the header applied."""
        place: list[Any] = [slice(None)] * 3
        place[axis] = index
        with reading(self.path):
            if not self._is_compressed:
                where = (*place, *self._extra_axes)[: self._proxy.ndim]
                return np.asarray(self._proxy[where]).reshape(self._plane_shape(axis))
            plane = self._read_whole()[tuple(place)]
            return self._scaled(plane)

    def _plane_shape(self, axis: int) -> list[int]:
        shape = list(self.grid.shape)
        del shape[axis]
        return shape

    def _read_whole(self) -> np.ndarray:
        """Return all stored values in the shape of the grid."""
        with self._lock:
            if self._whole is None:
                stored = np.asarray(self._proxy.get_unscaled())
                self._whole = stored.reshape(self.grid.shape)
            return self._whole

    def _scaled(self, stored: np.ndarray) -> np.ndarray:
        slope = self._proxy.slope
        intercept = self._proxy.inter
        if (slope, intercept) == (1, 0):
            return stored
        return stored * np.float64(slope) + np.float64(intercept)

    def _check_length(self) -> None:
        """Raise `DataError` if the file is shorter than its header says."""
        needed = int(self._proxy.offset) + int(np.prod(self.grid.shape)) * self._dtype.itemsize
        found = self.path.stat().st_size
        if found < needed:
            raise DataError(
                f"{self.path}: is cut off: it has {found:,} bytes, and its header says "
                f"{needed:,}; copy or export it again"
            )


def open_nifti(path: Path) -> NiftiVolume:
    """Open a NIfTI file.

    Raises:
        ConfigError: If nibabel is not installed.
        DataError: If it cannot be read, or is no volume.
    """
    nibabel = need("nibabel", EXTRA)
    with reading(path):
        image = nibabel.load(path)
    return NiftiVolume(path, image)


def _shape_of_volume(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Return a shape with three axes; further axes must have the length 1."""
    if len(shape) < 2 or any(length != 1 for length in shape[3:]):
        raise refuse_axes(path, shape)
    first, second, *rest = shape
    third = rest[0] if rest else 1
    return first, second, third


def _affine_in_mm(image: Any) -> np.ndarray:
    affine = np.array(image.affine, np.float64)
    factor = SPACE_UNITS.get(str(image.header.get_xyzt_units()[0]), 1.0)
    affine[:3] *= factor
    return affine
