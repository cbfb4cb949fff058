"""Reads the masks in DICOM segmentations (SEG), frame by frame."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io.scans.dicom import DicomVolume, Frame
from segkit.io.scans.dicom_headers import Header, first_item, load_pydicom, numbers
from segkit.io.scans.volume import reading

LABELMAP = "LABELMAP"
"""The type of segmentations whose pixels hold the number of their segment."""
BITS_PER_BYTE = 8
DIGITS = 2
"""Digits of the places (mm) by which frames without a reference are matched."""
Key = tuple[str, int] | tuple[float, ...]
"""The UID of an image and the number of its frame, from 1; or a place in the patient."""


class Segment(NamedTuple):
    """One segment of a segmentation file."""

    path: Path
    number: int
    """Its number in the file, from 1."""
    label: str


class SegFile(NamedTuple):
    """The segments of a segmentation file, and where their frames are."""

    labels: dict[int, str]
    """The label of each segment by its number."""
    size: tuple[int, int]
    """Rows and columns."""
    half: float
    """The value from which on a pixel belongs to the segment."""
    is_labelmap: bool
    frames: dict[tuple[int, Key], int]
    """The frame (from 0) of a segment at an image or at a place; the segment is 0 in label maps."""
    images: frozenset[str]
    """The UIDs of the images that the file refers to."""


class SegMask:
    """The segments of one or more files that refer to the slices of one volume.

    Args:
        paths: The files.

    Raises:
        DataError: If a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.segments: list[Segment] = []
        for path in self.paths:
            for number, label in read_seg(path).labels.items():
                self.segments.append(Segment(path, number, label))

    def layer(self, segment: Segment, volume: DicomVolume, index: int) -> np.ndarray:
        """Return where a slice shows a segment.

        Args:
            segment: One of `segments`.
            volume: The volume that the segmentation refers to.
            index: The index of the slice in the volume.

        Returns:
            (columns, rows) bool, like a plane of the volume.

        Raises:
            DataError: If the file cannot be read, or has another size.
        """
        frame = volume.frames[index]
        found = read_seg(segment.path)
        expected = (frame.header.rows, frame.header.columns)
        if found.size != expected:
            raise DataError(
                f"{segment.path}: the mask is {found.size[1]} wide and {found.size[0]} high, its "
                f"image {frame.header.path} is {expected[1]} wide and {expected[0]} high",
                "mask-size",
            )
        return _read_layer(found, segment, frame).swapaxes(0, 1)


def _read_layer(found: SegFile, segment: Segment, frame: Frame) -> np.ndarray:
    """Return where a frame of the images shows a segment, (rows, columns) bool."""
    number = 0 if found.is_labelmap else segment.number
    place = None
    for key in _keys_of(frame):
        place = found.frames.get((number, key), place)
    if place is None:
        return np.zeros(found.size, bool)  # empty frames are left out of the file
    with reading(segment.path):
        values = _read_values(found, segment.path, place)
    if found.is_labelmap:
        return np.asarray(values == segment.number)
    return np.asarray(values >= found.half)


def _read_values(found: SegFile, path: Path, frame: int) -> np.ndarray:
    """Return the stored values of a frame, (rows, columns)."""
    pydicom = load_pydicom()
    pixels = found.size[0] * found.size[1]
    if pixels % BITS_PER_BYTE == 0:
        return np.asarray(pydicom.pixels.pixel_array(path, index=frame))
    dataset = pydicom.dcmread(path, force=True)
    is_packed = dataset.BitsAllocated == 1 and not dataset.file_meta.TransferSyntaxUID.is_compressed
    if not is_packed:
        return np.asarray(pydicom.pixels.pixel_array(dataset, index=frame))
    begin = frame * pixels  # pydicom reads no single frame that begins within a byte
    first = begin // BITS_PER_BYTE
    last = (begin + pixels - 1) // BITS_PER_BYTE + 1
    packed = np.frombuffer(dataset.PixelData, np.uint8)[first:last]
    bits = np.unpackbits(packed, bitorder="little")[begin - first * BITS_PER_BYTE :]
    return bits[:pixels].reshape(found.size)


def _keys_of(frame: Frame) -> list[Key]:
    """Return the keys of a frame of the images, the best one last."""
    keys: list[Key] = []
    if frame.place is not None:
        keys.append(_rounded(frame.place))
    return [*keys, (frame.header.instance, frame.number + 1)]


def _rounded(place: Any) -> tuple[float, ...]:
    return tuple(round(float(number), DIGITS) + 0.0 for number in place)


def read_seg(path: Path) -> SegFile:
    """Return the segments of a segmentation file, without its pixels.

    Raises:
        ConfigError: If pydicom is not installed.
        DataError: If it cannot be read.
    """
    with reading(path):
        changed = path.stat().st_mtime_ns
    return _read_seg(path, changed)


@functools.lru_cache(maxsize=256)
def _read_seg(path: Path, changed: int) -> SegFile:
    """Read a file; `changed` is the time of its last change."""
    pydicom = load_pydicom()
    with reading(path):
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        labels = {}
        for item in dataset.SegmentSequence:
            labels[int(item.SegmentNumber)] = str(item.SegmentLabel)
        images = _referenced(dataset)
        frames: dict[tuple[int, Key], int] = {}
        is_labelmap = dataset.get("SegmentationType") == LABELMAP
        for index, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            number = 0
            if not is_labelmap:
                number = _segment_of(item, dataset)
            for key in _keys_of_item(item, dataset, images):
                frames[number, key] = index
    half = float(dataset.get("MaximumFractionalValue") or 1) / 2
    size = (int(dataset.Rows), int(dataset.Columns))
    return SegFile(labels, size, half, is_labelmap, frames, frozenset(images))


def _segment_of(item: Any, dataset: Any) -> int:
    """Return the number of the segment of a frame."""
    segment = first_item(item, "SegmentIdentificationSequence")
    if segment is None:
        shared = first_item(dataset, "SharedFunctionalGroupsSequence")
        segment = first_item(shared, "SegmentIdentificationSequence")
    return int(segment.ReferencedSegmentNumber)


def _keys_of_item(item: Any, dataset: Any, images: set[str]) -> list[Key]:
    """Return the images that a frame was made from; without any, its place in the patient."""
    keys: list[Key] = []
    for derivation in item.get("DerivationImageSequence") or ():
        for source in derivation.get("SourceImageSequence") or ():
            instance = str(source.ReferencedSOPInstanceUID)
            images.add(instance)
            listed = source.get("ReferencedFrameNumber") or 1
            numbers_of_frames = [listed] if isinstance(listed, int | str) else list(listed)
            keys += [(instance, int(number)) for number in numbers_of_frames]
    if keys:
        return keys
    position = first_item(item, "PlanePositionSequence")
    if position is None:
        shared = first_item(dataset, "SharedFunctionalGroupsSequence")
        position = first_item(shared, "PlanePositionSequence")
    place = None
    if position is not None:
        place = numbers(position.get("ImagePositionPatient"), 3)
    return [] if place is None else [_rounded(place)]


def _referenced(dataset: Any) -> set[str]:
    """Return the UIDs of the images in the list of a segmentation."""
    found: set[str] = set()
    for series in dataset.get("ReferencedSeriesSequence") or ():
        for instance in series.get("ReferencedInstanceSequence") or ():
            found.add(str(instance.ReferencedSOPInstanceUID))
    return found


def referenced_images(header: Header) -> frozenset[str]:
    """Return the UIDs (SOPInstanceUID) of the images that a segmentation refers to.

    Raises:
        DataError: If the file cannot be read.
    """
    return read_seg(header.path).images
