"""`VolumeOutput`: the base of formats with a file for each volume, made of the masks of slices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError, one_line
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.files import check_is_file
from segkit.io.names import file_in
from segkit.io.scans.slices import open_volume, volume_name
from segkit.io.scans.views import PLANES, view_of
from segkit.io.scans.volume import Volume

LARGEST_PART = 2**31
"""Bytes of the file of one slice."""


class VolumeMask(NamedTuple):
    """The mask of a whole volume."""

    name: str
    """The name of the volume."""
    volume: Volume
    values: np.ndarray
    """(I, J, K) or (I, J, K, P) uint8 in the order of the volume's file: masks as `Task.decode`
    returns them."""


class Part(NamedTuple):
    """The mask of one slice, as it is kept until all slices of its volume are predicted."""

    volume: str
    """The first file of the volume."""
    plane: str
    number: int
    """The number of the slice, from 0."""
    slices: int
    """The number of slices of the volume."""
    mask: np.ndarray


class VolumeOutput(Output):
    """A format with a file for each volume.

    The mask of each slice is written to DIR-FORMAT/parts/NAME.npz. Once the masks of all slices of
    a volume exist, they make the file of the volume.
    """

    has_objects = False

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".npz")]

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
        with paths[0].open("wb") as stream:
            np.savez_compressed(stream, mask=predicted.mask, about=np.array(json.dumps(about)))

    def merge(self) -> None:
        problems = []
        for name, parts in self._parts_by_volume().items():
            try:
                self._merge_volume(name, parts)
            except DataError as problem:  # the other volumes are written first
                problems.append(problem)
        if problems:
            raise problems[0]

    def check(self, volume: Volume) -> None:
        """Raise `DataError` if the format cannot hold the mask of a volume."""

    def volume_paths(self, name: str) -> list[Path]:
        """Return the files of a volume."""
        raise NotImplementedError

    def write_volume(self, mask: VolumeMask) -> None:
        """Write the files of a volume."""
        raise NotImplementedError

    def _parts_by_volume(self) -> dict[str, list[Path]]:
        volumes: dict[str, list[Path]] = {}
        for name, path in list_parts(self.folder / "parts", ".npz").items():
            volumes.setdefault(volume_name(name), []).append(path)
        return volumes

    def _merge_volume(self, name: str, parts: Sequence[Path]) -> None:
        """Write the files of a volume if all its slices are predicted, and they are not new."""
        paths = self.volume_paths(name)
        if all(path.exists() for path in paths):
            written_at = min(path.stat().st_mtime_ns for path in paths)
            if all(path.stat().st_mtime_ns <= written_at for path in parts):
                return
        first = _read_part(parts[0])
        if len(parts) < first.slices:
            return  # slices failed, or another process predicts them
        self.write_volume(_together(name, first, parts))


def _together(name: str, first: Part, paths: Sequence[Path]) -> VolumeMask:
    """Return the mask of a volume from the masks of its slices."""
    volume = open_volume(Path(first.volume))
    view = view_of(volume.grid, first.plane, volume.path)
    planes = first.mask.shape[2:]
    values = np.zeros((*volume.grid.shape, *planes), np.uint8)
    along = np.moveaxis(values, view.axes[2], 0)
    for path in paths:
        part = _read_part(path)
        is_same = (part.volume, part.plane) == (first.volume, first.plane)
        if not is_same or part.mask.shape != first.mask.shape or part.number >= len(along):
            raise DataError(
                f"{path}: was predicted of another volume than the other slices of {name}; remove "
                f"the folder {path.parent} and predict the volume again",
                "scan-place",
            )
        along[view.stored_index(volume.grid, part.number)] = view.stored(part.mask)
    return VolumeMask(name, volume, values)


def _read_part(path: Path) -> Part:
    """Read the mask of a slice. Raises `DataError` for a file that `VolumeOutput` did not write."""
    check_is_file(path, LARGEST_PART)
    try:
        with np.load(path, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(str(stored["about"]))
            mask = stored["mask"]
        part = Part(
            str(about["volume"]),
            str(about["plane"]),
            int(about["number"]),
            int(about["slices"]),
            mask,
        )
        is_known = part.plane in PLANES and mask.ndim in (2, 3) and mask.dtype == np.uint8
        if not is_known or not 0 <= part.number < part.slices:
            raise ValueError("its values make no sense")
    except Exception as problem:  # NumPy raises errors of every type for damaged files
        reason = one_line(problem)
        raise DataError(
            f"{path}: is no mask of a slice ({reason}); delete it and predict its image again",
        ) from problem
    return part
