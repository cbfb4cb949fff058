"""The masks of scans: label volumes, DICOM segmentations, or a picture for each slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.errors import DataError
from segkit.io.masks import read_mask_pixels
from segkit.io.scans.dicom import DicomVolume
from segkit.io.scans.dicom_seg import SegMask, Segment
from segkit.io.scans.slices import SlicePlace, open_volume
from segkit.io.scans.volume import check_same_grid
from segkit.task import Task


class Layer(NamedTuple):
    """What a mask stores at the pixels of a slice."""

    values: np.ndarray
    """Whole numbers, (H, W)."""
    where: str
    """The file, for messages."""
    is_present: bool = False
    """Whether the values say no and yes as 0 and 1; otherwise the settings say what they mean."""


class ScanMasks(ABC):
    """The masks of one volume."""

    @property
    @abstractmethod
    def files(self) -> list[Path]:
        """The files that hold them."""

    @abstractmethod
    def layers(self, place: SlicePlace) -> dict[str, Layer]:
        """Return the layer of each class at a slice; "" is the class of a layer of all classes.

        Raises:
            DataError: If a file cannot be read, or does not fit the volume.
        """


class LabelVolumes(ScanMasks):
    """A volume of labels, or one for each class.

    Args:
        paths: The file of each class; "" is the class of a file of all classes.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = dict(paths)

    @property
    def files(self) -> list[Path]:
        """The files of the volumes."""
        return list(self.paths.values())

    def layers(self, place: SlicePlace) -> dict[str, Layer]:
        """Return the layers; see `ScanMasks.layers`."""
        found = {}
        for label, path in self.paths.items():
            mask = open_volume(path)
            check_same_grid(mask, place.volume)
            plane = mask.labels(place.view.axes[2], place.stored_index)
            found[label] = Layer(np.array(place.view.upright(plane)), str(path))
        return found


class SlicePictures(ScanMasks):
    """A picture for each slice, or one for each class and slice.

    Args:
        by_slice: The file of each class, for each slice of the view.
        by_file: Whether the pictures show the slices as the DICOM files store them; otherwise they
            are upright, as segkit writes them.
        data: How masks are read.
    """

    def __init__(
        self, by_slice: Sequence[Mapping[str, Path]], by_file: bool, data: DataConfig
    ) -> None:
        self.by_slice = list(by_slice)
        self.by_file = by_file
        self.data = data

    @property
    def files(self) -> list[Path]:
        """The pictures."""
        found: list[Path] = []
        for paths in self.by_slice:
            found += paths.values()
        return found

    def layers(self, place: SlicePlace) -> dict[str, Layer]:
        """Return the layers; see `ScanMasks.layers`."""
        found = {}
        for label, path in self.by_slice[place.number].items():
            stored = read_mask_pixels(path, self.data.mask_threshold)
            values = stored.values
            if self.by_file:
                values = np.array(place.view.upright(values.swapaxes(0, 1)))
            expected = place.view.image_shape(place.volume.grid)
            if values.shape != expected:
                raise DataError(
                    f"{path}: the mask is {values.shape[1]} wide and {values.shape[0]} high, its "
                    f"slice of {place.volume.path} is {expected[1]} wide and {expected[0]} high",
                    "mask-size",
                )
            found[label] = Layer(values, str(path))
        return found


class Segments(ScanMasks):
    """The segments of DICOM segmentations, by their labels or by their numbers.

    Args:
        paths: The files that refer to the volume.
        task: The task of the masks.
        data: How masks are read. With `mask_values` the numbers of segments are the values;
            otherwise their labels are the names of the classes.

    Raises:
        DataError: If a segment has a label that is no class.
    """

    def __init__(self, paths: Sequence[Path], task: Task, data: DataConfig) -> None:
        self.mask = SegMask(paths)
        self.by_number = data.mask_values is not None
        self.segments: list[tuple[str, Segment]] = []
        if self.by_number:
            self.segments = [("", segment) for segment in self.mask.segments]
        else:
            self.segments = _by_label(self.mask.segments, task)

    @property
    def files(self) -> list[Path]:
        """The segmentations."""
        return self.mask.paths

    def layers(self, place: SlicePlace) -> dict[str, Layer]:
        """Return the layers; see `ScanMasks.layers`."""
        volume = place.volume
        assert isinstance(volume, DicomVolume)
        where = ", ".join(map(str, self.files))
        shape = place.view.image_shape(volume.grid)
        if self.by_number:
            return {"": Layer(self._numbers(volume, place, shape), where)}
        found: dict[str, Layer] = {}
        for label, segment in self.segments:
            layer = self._upright(segment, volume, place)
            if label in found:
                layer = layer | (found[label].values > 0)
            found[label] = Layer(layer.astype(np.uint8), where, is_present=True)
        return found

    def _numbers(
        self, volume: DicomVolume, place: SlicePlace, shape: tuple[int, int]
    ) -> np.ndarray:
        """Return the number of the segment of each pixel, 0 for none."""
        numbers = np.zeros(shape, np.int64)
        for _, segment in self.segments:
            inside = self._upright(segment, volume, place)
            if (numbers[inside] > 0).any():
                raise DataError(
                    f"{segment.path}: segments overlap at {volume.path}, so their numbers do not "
                    f"say the class; leave out data.mask_values to read them by their labels",
                    "overlap",
                )
            numbers[inside] = segment.number
        return numbers

    def _upright(self, segment: Segment, volume: DicomVolume, place: SlicePlace) -> np.ndarray:
        """Return where a slice of the view shows a segment, (H, W) bool."""
        if place.view.axes[2] == 2:
            return place.view.upright(self.mask.layer(segment, volume, place.stored_index))
        indices = range(len(volume.frames))
        whole = np.stack([self.mask.layer(segment, volume, index) for index in indices], axis=2)
        return place.view.upright(whole.take(place.stored_index, axis=place.view.axes[2]))


def _by_label(segments: Sequence[Segment], task: Task) -> list[tuple[str, Segment]]:
    """Return the class of each segment: that of its label, or the only class."""
    classes = [task.classes[index] for index in task.foreground]
    if len(classes) == 1 and len(segments) == 1:
        return [(classes[0], segments[0])]
    by_name = {name.casefold(): name for name in classes}
    found = []
    for segment in segments:
        name = by_name.get(segment.label.strip().casefold())
        if name is None:
            listed = ", ".join(f"{other.number} is {other.label}" for other in segments)
            raise DataError(
                f"{segment.path}: no class is called {segment.label}, as the segment "
                f"{segment.number} is; its segments are: {listed}, and the classes are "
                f"{', '.join(classes)}. Call the classes so, or name what each segment means in "
                f"data.mask_values: {{1: ..., 2: void}}",
                "mask-values",
            )
        found.append((name, segment))
    return found
