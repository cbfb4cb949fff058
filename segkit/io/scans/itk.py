"""Reads NRRD and MetaImage volumes by SimpleITK; a file is read as a whole for its first slice."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from segkit.io.scans.volume import EXTRA, LPS_TO_RAS, Grid, Volume, reading, refuse_axes
from segkit.system.packages import need

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")


class ItkVolume(Volume):
    """A volume in a file that SimpleITK reads.

    Args:
        path: The file.
        reader: SimpleITK's reader, which has read the header.
    """

    def __init__(self, path: Path, reader: Any) -> None:
        size = tuple(int(length) for length in reader.GetSize())
        bands = int(reader.GetNumberOfComponents())
        if bands != 1:
            raise refuse_axes(path, (*size, bands))
        if len(size) not in (2, 3):
            raise refuse_axes(path, size)
        shape = (size[0], size[1], size[2] if len(size) == 3 else 1)
        super().__init__(path, Grid(shape, _affine(reader)))
        self._reader = reader
        self._whole: np.ndarray | None = None
        self._lock = threading.Lock()

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the values."""
        return 0 if self._whole is None else self._whole.nbytes

    def plane(self, axis: int, index: int) -> np.ndarray:
        """Return a plane as `Volume.plane` says."""
        place: list[Any] = [slice(None)] * 3
        place[axis] = index
        return self._read_whole()[tuple(place)]

    def _read_whole(self) -> np.ndarray:
        sitk = need("SimpleITK", EXTRA)
        with self._lock, reading(self.path):
            if self._whole is None:
                values = sitk.GetArrayFromImage(self._reader.Execute())
                self._whole = values.T.reshape(self.grid.shape)
            return self._whole


def open_itk(path: Path) -> ItkVolume:
    """Open a NRRD or MetaImage file.

    Raises:
        ConfigError: If SimpleITK is not installed.
        DataError: If it cannot be read, or is no volume.
    """
    sitk = need("SimpleITK", EXTRA)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with reading(path):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
    return ItkVolume(path, reader)


def _affine(reader: Any) -> np.ndarray:
    """Return the affine towards right, anterior and superior, (4, 4)."""
    axes = len(reader.GetSize())
    affine = np.eye(4)
    directions = np.array(reader.GetDirection(), float).reshape(axes, axes)
    affine[:axes, :axes] = directions * np.array(reader.GetSpacing(), float)
    affine[:axes, 3] = reader.GetOrigin()
    return LPS_TO_RAS @ affine
