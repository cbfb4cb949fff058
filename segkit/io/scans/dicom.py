"""Reads DICOM: series of slices, multi-frame files and single images, ordered by their place."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io.scans.dicom_headers import SEGMENTATION, Header, headers_in, read_header
from segkit.io.scans.dicom_pixels import read_dicom_frame
from segkit.io.scans.volume import LPS_TO_RAS, Grid, Remark, Volume

SAME_DIRECTION = 1e-3
"""Largest difference of the directions of two slices of a volume."""
UNEVEN = 0.05
"""Largest deviation of the distance of two slices, as a share of the usual distance."""
MOST_LISTED = 3
"""Gaps that a message lists."""


class Frame(NamedTuple):
    """One slice: a frame of a file."""

    header: Header
    number: int
    """The number of the frame in its file, from 0."""

    @property
    def place(self) -> np.ndarray | None:
        """ImagePositionPatient, (3,) in mm; None if it is unknown."""
        if len(self.header.places) <= self.number:
            return None
        return np.array(self.header.places[self.number])


class DicomVolume(Volume):
    """The slices of a DICOM series, or the frames of one file, in the order of their places.

    The axes of the grid are the columns, the rows and the slices.

    Args:
        path: The first of its files by name.
        frames: The slices in their order.
        grid: The voxels.
    """

    native_axis = 2

    def __init__(self, path: Path, frames: Sequence[Frame], grid: Grid) -> None:
        super().__init__(path, grid)
        self.frames = list(frames)
        self.unit = frames[0].header.unit
        self._whole: np.ndarray | None = None
        self._lock = threading.Lock()

    @property
    def files(self) -> list[Path]:
        """The files, in the order of the slices."""
        return list(dict.fromkeys(frame.header.path for frame in self.frames))

    @property
    def is_series(self) -> bool:
        """Whether each slice is a file of its own."""
        return len(self.files) == len(self.frames)

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the values, if another axis than that of the slices was read."""
        return 0 if self._whole is None else self._whole.nbytes

    def plane(self, axis: int, index: int) -> np.ndarray:
        """Return a plane as `Volume.plane` says."""
        if axis == 2:
            return self._slice(index)
        with self._lock:
            if self._whole is None:
                slices = [self._slice(number) for number in range(len(self.frames))]
                self._whole = np.stack(slices, axis=2)
        place: list[slice | int] = [slice(None)] * 3
        place[axis] = index
        return self._whole[tuple(place)]

    def _slice(self, index: int) -> np.ndarray:
        frame = self.frames[index]
        values = read_dicom_frame(frame.header.path, frame.number)
        return values.swapaxes(0, 1)


def open_dicom(path: Path) -> DicomVolume:
    """Open the series that a DICOM file belongs to, with the other files of its folder.

    A file of several frames, and an image without a place in the patient, is a volume of its own.

    Raises:
        ConfigError: If pydicom is not installed.
        DataError: If it cannot be read, or its slices do not make a volume.
    """
    header = read_header(path)
    if header is None or header.kind in SEGMENTATION:
        raise DataError(f"{path}: is a DICOM file without an image", "unreadable")
    if is_alone(header):
        return volume_of([header])
    same_series = []
    for other in headers_in(path.parent):
        if other.series == header.series and not is_alone(other):
            same_series.append(other)
    return volume_of(same_series or [header])


def is_alone(header: Header) -> bool:
    """Return whether a file is no slice of a series, but an image or a volume of its own."""
    if header.kind in SEGMENTATION or header.frames > 1:
        return True
    return not header.places or header.directions is None


def volume_of(headers: Sequence[Header]) -> DicomVolume:
    """Return the volume of the files of one series.

    Raises:
        DataError: If slices differ in size or direction, or share a place ("scan-slices").
    """
    frames = []
    for header in headers:
        frames += [Frame(header, index) for index in range(header.frames)]
    path = min(header.path for header in headers)
    _check_alike(frames, path)
    ordered, places = _in_order(frames, path)
    volume = DicomVolume(path, ordered, _grid(ordered, places))
    volume.remarks += _remarks_on_spacing(headers[0])
    gaps = _gaps(places, ordered)
    if gaps:
        volume.is_even = False
        volume.remarks.append(Remark("scan-gaps", f"{path.parent}: {gaps}"))
    return volume


def _check_alike(frames: Sequence[Frame], path: Path) -> None:
    first = frames[0].header
    for frame in frames:
        header = frame.header
        same_size = (header.rows, header.columns) == (first.rows, first.columns)
        if same_size and header.is_colour == first.is_colour and _same_direction(header, first):
            continue
        raise DataError(
            f"{path.parent}: slices of one series differ: {first.path.name} is {first.columns} "
            f"wide and {first.rows} high, {header.path.name} is {header.columns} wide and "
            f"{header.rows} high, or they have other directions or colours. Move the files that do "
            f"not belong to the volume into another folder",
            "scan-slices",
        )


def _same_direction(one: Header, other: Header) -> bool:
    if one.directions is None or other.directions is None:
        return one.directions == other.directions
    return bool(np.allclose(one.directions, other.directions, atol=SAME_DIRECTION))


def _in_order(frames: Sequence[Frame], path: Path) -> tuple[list[Frame], np.ndarray | None]:
    """Return the slices in the order of their places along the normal, and the places (N, 3).

    Frames without a place keep the order of their numbers; the places are None then.
    """
    directions = frames[0].header.directions
    places = [frame.place for frame in frames]
    known = np.array([place for place in places if place is not None])
    if directions is None or len(known) < len(frames):
        ordered = sorted(frames, key=lambda frame: (frame.header.number, frame.number))
        return ordered, None
    normal = np.cross(directions[:3], directions[3:])
    heights = known @ normal
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    if len(steps) and steps.min() < 1e-3 * max(steps.max(), 1e-3):
        first = int(order[int(steps.argmin())])
        second = int(order[int(steps.argmin()) + 1])
        raise DataError(
            f"{path.parent}: {frames[first].header.path.name} and "
            f"{frames[second].header.path.name} of one series lie at one place, as in series of "
            f"several times, echoes or reconstructions. Put the files of each into a folder of "
            f"their own, with a SeriesInstanceUID of its own",
            "scan-slices",
        )
    return [frames[place] for place in order], known[order]


def _grid(frames: Sequence[Frame], places: np.ndarray | None) -> Grid:
    header = frames[0].header
    shape = (header.columns, header.rows, len(frames))
    spacing = header.spacing or header.detector_spacing
    height, width = spacing or (1.0, 1.0)
    thickness = header.thickness or 1.0
    affine = np.eye(4)
    if places is None or header.directions is None:
        affine[:3, :3] = np.diag([width, height, thickness])
        return Grid(shape, LPS_TO_RAS @ affine, has_place=False, has_spacing=spacing is not None)
    along_row = np.array(header.directions[:3])
    along_column = np.array(header.directions[3:])
    step = np.cross(along_row, along_column) * thickness
    if len(places) > 1:
        step = (places[-1] - places[0]) / (len(places) - 1)
    affine[:3, 0] = along_row * width
    affine[:3, 1] = along_column * height
    affine[:3, 2] = step
    affine[:3, 3] = places[0]
    return Grid(shape, LPS_TO_RAS @ affine, has_spacing=spacing is not None)


def _remarks_on_spacing(header: Header) -> list[Remark]:
    if header.spacing is not None or header.detector_spacing is None:
        return []
    message = (
        "the size of a pixel is that on the detector (ImagerPixelSpacing), because the files state "
        "no PixelSpacing; the patient is nearer to the source, so lengths are too large"
    )
    return [Remark("scan-spacing", message)]


def _gaps(places: np.ndarray | None, frames: Sequence[Frame]) -> str:
    """Return a description of missing slices or uneven distances; "" if there are none."""
    if places is None or len(places) < 3:
        return ""
    steps = np.sqrt((np.diff(places, axis=0) ** 2).sum(axis=1))
    usual = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - usual) > UNEVEN * usual)
    if not len(odd):
        return ""
    listed = []
    for place in odd[:MOST_LISTED].tolist():
        before = frames[place].header.path.name
        after = frames[place + 1].header.path.name
        listed.append(f"{steps[place]:.3g} mm between {before} and {after}")
    if len(odd) > MOST_LISTED:
        listed.append("...")
    return (
        f"slices are missing or uneven: they are usually {usual:.3g} mm apart, but there are "
        f"{', '.join(listed)}. Add the missing files, or go on if this is meant"
    )
