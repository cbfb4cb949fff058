"""`VolumeOutput`: the base of formats with a file for each volume, made of the masks of slices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.parts import (
    Part,
    PartsOutput,
    damaged_part,
    read_part,
    write_part,
)
from segkit.inference.outputs.prediction import PredictedImage
from segkit.io.scans.slices import open_volume, volume_name
from segkit.io.scans.views import PLANES, view_of
from segkit.io.scans.volume import Volume


class VolumeMask(NamedTuple):
    """The mask of a whole volume."""

    name: str
    """The name of the volume."""
    volume: Volume
    values: np.ndarray
    """(I, J, K) or (I, J, K, P) uint8 in the order of the volume's file: masks as `Task.decode`
    returns them."""


class SlicePart(NamedTuple):
    """The mask of one slice, as it is kept until all slices of its volume are predicted."""

    volume: str
    """The first file of the volume."""
    plane: str
    number: int
    """The number of the slice, from 0."""
    slices: int
    """The number of slices of the volume."""
    mask: np.ndarray


class VolumeOutput(PartsOutput):
    """A format with a file for each volume, made of the masks of its slices."""

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        scan = predicted.scan
        if scan is None:
            raise DataError(
                f"{predicted.path}: is no slice of a scan, and --format "
                f"{self.ending.removeprefix('-')} writes volumes; leave it out for other images",
                "scan-axes",
            )
        self.check(scan.volume)
        about = {
            "volume": str(scan.volume.path),
            "plane": scan.view.plane,
            "number": scan.number,
            "slices": scan.view.count(scan.volume.grid),
        }
        write_part(paths[0], Part(predicted.mask, about))

    def check(self, volume: Volume) -> None:
        """Raise `DataError` if the format cannot hold the mask of a volume."""

    @abstractmethod
    def volume_paths(self, name: str) -> list[Path]:
        """Return the files of a volume."""

    @abstractmethod
    def write_volume(self, mask: VolumeMask) -> None:
        """Write the files of a volume."""

    def whole_of(self, name: str) -> str:
        return volume_name(name)

    def paths_of_whole(self, whole: str) -> list[Path]:
        return self.volume_paths(whole)

    def merge_whole(self, whole: str, parts: Mapping[str, Path]) -> None:
        paths = list(parts.values())
        first = _read_slice(paths[0])
        if len(paths) < first.slices:
            return  # slices failed, or another process predicts them
        self.write_volume(_together(whole, first, paths))


def _together(name: str, first: SlicePart, paths: Sequence[Path]) -> VolumeMask:
    """Return the mask of a volume from the masks of its slices."""
    volume = open_volume(Path(first.volume))
    view = view_of(volume.grid, first.plane, volume.path)
    planes = first.mask.shape[2:]
    values = np.zeros((*volume.grid.shape, *planes), np.uint8)
    along = np.moveaxis(values, view.axes[2], 0)
    for path in paths:
        part = _read_slice(path)
        is_same = (part.volume, part.plane) == (first.volume, first.plane)
        if not is_same or part.mask.shape != first.mask.shape or part.number >= len(along):
            raise DataError(
                f"{path}: was predicted of another volume than the other slices of {name}; remove "
                f"the folder {path.parent} and predict the volume again",
                "scan-place",
            )
        along[view.stored_index(volume.grid, part.number)] = view.stored(part.mask)
    return VolumeMask(name, volume, values)


def _read_slice(path: Path) -> SlicePart:
    """Read the mask of a slice. Raises `DataError` for a file that `VolumeOutput` did not write."""
    mask, about = read_part(path)
    try:
        part = SlicePart(
            str(about["volume"]),
            str(about["plane"]),
            int(about["number"]),
            int(about["slices"]),
            mask,
        )
        if part.plane not in PLANES or not 0 <= part.number < part.slices:
            raise ValueError("its values make no sense")
    except (KeyError, TypeError, ValueError) as problem:
        raise damaged_part(path, problem) from problem
    return part
