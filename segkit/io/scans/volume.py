"""`Volume`, which every reader of scans returns, and `Grid`, the place of its voxels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError, SegkitError, one_line
from segkit.io import codecs
from segkit.io.files import check_is_file

EXTRA = "medical"
"""The extra of keras-segkit that installs the libraries for scans."""
SAME_PLACE = 0.1
"""Largest distance between the corners of an image and its mask, in voxels."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns an affine of DICOM and ITK into one of NIfTI."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every error of a library that reads scans into an error that names the file.

    Raises:
        DataError: For every error in the block that is none of segkit's, and for a file that is
            missing or no file.
    """
    check_is_file(path)
    try:
        yield
    except SegkitError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file", "missing-file") from problem
    except Exception as problem:  # libraries raise errors of every type without the file's name
        message = f"{path}: cannot be read ({one_line(problem)}); copy or export it again"
        raise DataError(message) from problem


class Grid(NamedTuple):
    """The voxels of a volume in the order of its file, and their place."""

    shape: tuple[int, int, int]
    affine: np.ndarray
    """(4, 4) float64: maps the indices of a voxel to millimetres towards right, anterior and
    superior, as in NIfTI."""
    has_place: bool = True
    """Whether the file states directions; otherwise the affine holds the spacing alone."""
    has_spacing: bool = True
    """Whether the file states the size of a pixel."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distance of voxels along each axis, mm."""
        along = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(along[0]), float(along[1]), float(along[2])

    def corners(self) -> np.ndarray:
        """Return the places of the eight voxels at the corners, (8, 3) in mm."""
        last = np.array(self.shape) - 1
        indices = np.array(list(np.ndindex(2, 2, 2))) * last
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]


class Remark(NamedTuple):
    """Something in a volume that the user should check."""

    code: str
    """A row of docs/error-codes.md."""
    message: str


class Volume(ABC):
    """A volume whose slices are read on demand. Threads may share it.

    Args:
        path: Its file, or for a series the first of its files by name.
        grid: The voxels.
    """

    unit = ""
    """The unit of the values, such as HU; "" if it is unknown."""
    native_axis: int | None = None
    """The axis along which the scanner took slices; None if the file does not say."""
    is_even = True
    """Whether all slices have one distance, as `grid` assumes."""

    def __init__(self, path: Path, grid: Grid) -> None:
        self.path = path
        self.grid = grid
        self.remarks: list[Remark] = []
        check_slice_size(path, grid)

    @property
    def files(self) -> list[Path]:
        """All files of the volume."""
        return [self.path]

    @property
    def bytes_in_memory(self) -> int:
        """How much memory the volume keeps for its next slices."""
        return 0

    @abstractmethod
    def plane(self, axis: int, index: int) -> np.ndarray:
        """Return the values at one index of an axis, in the order of the file.

        Args:
            axis: 0, 1 or 2.
            index: The index along it.

        Returns:
            (A, B), or (A, B, 3) for colours: the other two axes in their order. It may be a part of
            what the volume keeps in memory.

        Raises:
            DataError: If the file cannot be read.
        """

    def labels(self, axis: int, index: int) -> np.ndarray:
        """Return the whole numbers of a plane of a mask, (A, B).

        Raises:
            DataError: If the file cannot be read, or holds fractions or colours.
        """
        values = self.plane(axis, index)
        if values.ndim != 2:
            message = f"{self.path}: a mask holds one value per voxel; found colours"
            raise DataError(message, "mask-channels")
        if values.dtype.kind != "f":
            return values
        if not (np.isfinite(values) & (values == np.floor(values))).all():
            raise DataError(
                f"{self.path}: a mask holds whole numbers; found fractions, NaN or infinite values",
                "mask-values",
            )
        return values.astype(np.int64)


def check_slice_size(path: Path, grid: Grid) -> None:
    """Raise `DataError` if a slice of a volume has more pixels than an image may have."""
    sides = sorted(grid.shape)
    if sides[1] * sides[2] > codecs.most_pixels():
        raise DataError(codecs.too_large(path), "too-large")
    if sides[0] < 1:
        raise DataError(f"{path}: holds no voxel; its shape is {grid.shape}", "empty")


def check_same_grid(mask: Volume, image: Volume) -> None:
    """Check that a mask has the shape and the place of its image.

    Raises:
        DataError: If it has another shape ("mask-size") or another place ("scan-place").
    """
    if mask.grid.shape != image.grid.shape:
        raise DataError(
            f"{mask.path}: the mask has the shape {mask.grid.shape}, its image {image.path} has "
            f"{image.grid.shape}; resample the mask to the grid of the image",
            "mask-size",
        )
    if not (mask.grid.has_place and image.grid.has_place):
        return
    distance = np.abs(mask.grid.corners() - image.grid.corners()).max()
    if distance > SAME_PLACE * min(image.grid.spacing):
        raise DataError(
            f"{mask.path}: the mask lies at another place than its image {image.path}: corners are "
            f"up to {distance:.3g} mm apart (their affines or directions differ). Resample the "
            f"mask to the grid of the image",
            "scan-place",
        )


def refuse_axes(path: Path, shape: tuple[int, ...]) -> DataError:
    """Return the error for a file whose axes are not those of a volume."""
    return DataError(
        f"{path}: has {len(shape)} axes {shape}; a volume has three, and one value per voxel. Save "
        f"each time, echo or contrast as a volume of its own",
        "scan-axes",
    )
