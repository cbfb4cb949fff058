"""Images with a COCO JSON file: polygons and run lengths become the task's mask."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from segkit.config import DataConfig
from segkit.config.sets import annotated
from segkit.data.sources.box_bounds import check_bounds, leave_boxes_open
from segkit.data.sources.coco_json import CocoImage, CocoRegion, SkippedEntries, read_coco
from segkit.data.sources.coco_partial import (
    is_without_segmentation,
    leave_outside_open,
    runs_of_box,
    runs_of_keypoints,
)
from segkit.data.sources.coco_segmentation import Runs, runs_of
from segkit.data.sources.label_values import short_repr
from segkit.data.sources.labelled_area import without_area
from segkit.data.sources.mask_layers import check_on_top, from_layers
from segkit.data.sources.points import check_points
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.errors import ConfigError, DataError
from segkit.io.geometry import Geometry
from segkit.io.images import read_pixels
from segkit.io.physical_size import read_geometry
from segkit.io.unicode_names import existing
from segkit.task import VOID, Task

CROWD_WORDS = {"void": "unlabelled", "objects": "objects"}
"""How a report describes crowd regions, by `data.crowds`."""


class ClassRegions(NamedTuple):
    """The regions of one class in an image: its objects, and regions without a label."""

    objects: list[Runs]
    unlabelled: list[Runs]

    def layer(self, shape: tuple[int, int]) -> np.ndarray:
        """Draw the regions.

        Args:
            shape: Height and width of the image, in pixels.

        Returns:
            (H, W) uint8: 1 in an object, 255 (VOID) in an unlabelled region only, else 0.
        """
        layer = _union(self.unlabelled, shape) * np.uint8(VOID)
        layer[_union(self.objects, shape) == 1] = 1
        return layer


class SortedRegions(NamedTuple):
    """The regions of an image by their meaning."""

    by_class: dict[str, ClassRegions]
    boxes: dict[str, list[Runs]]
    """The boxes that bound objects of a class."""
    area: list[Runs]
    """The part of the image that was labelled."""

    def add(self, label: str, runs: list[Runs], is_unlabelled: bool) -> None:
        """Add the run lengths of a region of a class."""
        regions = self.by_class.setdefault(label, ClassRegions([], []))
        if is_unlabelled:
            regions.unlabelled.extend(runs)
        else:
            regions.objects.extend(runs)

    def layers(self, labels: Sequence[str], shape: tuple[int, int]) -> dict[str, np.ndarray]:
        """Return a layer of each class that occurs, at least of one.

        Args:
            labels: The names of the classes, in the order of the task.
            shape: Height and width of the image, in pixels.

        Returns:
            Layers (H, W) uint8 of 0, 1 and 255 (VOID).
        """
        by_class = self.by_class or {label: ClassRegions([], []) for label in labels[:1]}
        return {label: by_class[label].layer(shape) for label in labels if label in by_class}


class CocoSource:
    """The images of a COCO file, with masks of the task's classes.

    Categories are matched to classes by name; other categories are ignored. Crowd regions become
    VOID where no object is, and so do annotations that `data.skip_broken` leaves out. A
    segmentation is checked when its image is read. Classes that were not looked for in an image, or
    not annotated completely, are `unlabelled` there (LVIS's `neg_category_ids` and
    `not_exhaustive_category_ids`).

    Args:
        images: The folder of images.
        annotations: The COCO file.
        task: The task whose masks are made.
        data: The `data` section of a config.

    Raises:
        ConfigError: If `data.on_top` names other classes, or if `data.labels` is set.
        DataError: If the folder is missing, or if the file is not valid.
    """

    def __init__(self, images: Path, annotations: Path, task: Task, data: DataConfig) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: there is no such folder", "unpaired")
        check_on_top(data.on_top, task)
        _check_no_labels(data)
        check_bounds(data, task)
        check_points(data, data.outside_shapes == "void")
        self.images = images
        self.annotations = annotations
        self.task = task
        self.on_top = data.on_top
        self.labels = annotated([task.classes[i] for i in task.foreground], data)
        self._data = data
        self._pages = data.pages
        self._bands = data.bands
        self._root = os.path.realpath(images)
        self._broken = SkippedEntries(data.skip_broken)
        labels = self.labels
        if data.area_label is not None:
            labels = [*labels, data.area_label]
        self.pictures, by_coco = read_coco(annotations, labels, self._broken)
        self.crowds: str = data.crowds
        if data.crowds == "auto":
            self.crowds = "void" if by_coco else "objects"
        self._crowds_are_guessed = data.crowds == "auto" and not by_coco
        self.names = list(self.pictures)
        self.unlabelled: dict[str, tuple[str, ...]] = {}
        """The classes that were not annotated in an image, for images with such classes."""
        for name, picture in self.pictures.items():
            missing = picture.unlabelled(self.labels)
            if missing:
                self.unlabelled[name] = missing
        self.parts: dict[str, list[str]] = {}

    @property
    def skipped(self) -> dict[str, int]:
        """Number of entries skipped so far, by the code of their problem."""
        return self._broken.counts

    @property
    def read_as(self) -> str:
        """How regions with `iscrowd: 1` are read, in words; "" if there are none."""
        count = 0
        for picture in self.pictures.values():
            count += sum(region.crowd for region in picture.regions)
        if not count:
            return ""
        return f"{count:,} regions with iscrowd: 1 are {CROWD_WORDS[self.crowds]}"

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the file that the user should check: a code and a sentence."""
        doubts: list[tuple[str, str]] = []
        if self._crowds_are_guessed and self.read_as:
            doubts += [
                (
                    "coco-crowd",
                    f"{self.annotations}: {self.read_as}. The file is not one of COCO's own, and "
                    f"labelling tools mark brush strokes with iscrowd: 1. If the regions are "
                    f"crowds, in which single objects were not drawn, set data.crowds: void; "
                    f"otherwise set data.crowds: objects",
                )
            ]
        return doubts

    def image_file(self, name: str) -> Path:
        """Return the path of a sample's image.

        Raises:
            DataError: If the file is missing, or a link leads out of the image folder.
        """
        return self._path(self.pictures[name])

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        return [existing(self.images / self.pictures[name].file_name), self.annotations]

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a sample's image, from the header of its file."""
        return read_geometry(self._path(self.pictures[name]), self._pages)

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), and the mask drawn from its regions.

        Raises:
            DataError: With the files, the image and the annotation that is wrong.
        """
        picture = self.pictures[name]
        path = self._path(picture)
        where = self._where(picture)
        image = read_pixels(path, self._pages, bands=self._bands)
        _check_size(image.values, picture, path, where)
        mask = self._mask(picture, where)
        visible = void_where_invalid(mask, image.valid)
        return Sample(name, image.values, visible, image.valid, self.geometry(name))

    def _where(self, picture: CocoImage) -> str:
        """Return how messages call an image."""
        number = short_repr(picture.id)
        return f"{self.annotations}, image {number} ({short_repr(picture.file_name)})"

    def _path(self, picture: CocoImage) -> Path:
        path = existing(self.images / picture.file_name)
        where = self._where(picture)
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise DataError(
                f"{where}: {path} is a link that leads out of {self.images}, and nothing outside "
                f"is read. Put the image itself there",
                "coco-file-name",
            )
        if not os.path.isfile(path):  # noqa: PTH113 (is_file raises for a name of 300 characters)
            raise DataError(
                f"{where}: there is no file {path}; add it, or set data.images", "unpaired"
            )
        return path

    def _mask(self, picture: CocoImage, where: str) -> np.ndarray:
        """Return the mask of an image, with what is unknown about its pixels."""
        shape = (picture.height, picture.width)
        sorted_regions = self._sort(picture)
        layers = sorted_regions.layers(self.labels, shape)
        if self._data.outside_shapes == "void":
            layers = leave_outside_open(layers, self.labels)
        mask = from_layers(layers, self.task, self.on_top, where)
        boxes = {label: _union(runs, shape) == 1 for label, runs in sorted_regions.boxes.items()}
        mask = leave_boxes_open(self.task, mask, boxes)
        area = self._data.labelled_area
        if area is None or area.label is None:
            return mask
        if not sorted_regions.area:
            return without_area(mask, area, where)
        return void_where_invalid(mask, _union(sorted_regions.area, shape) == 1)

    def _sort(self, picture: CocoImage) -> SortedRegions:
        """Return the regions of an image by their meaning."""
        found = SortedRegions({}, {}, [])
        for region in picture.regions:
            runs = self._readable_runs(region, picture)
            is_crowd = region.crowd and self.crowds == "void"
            is_unlabelled = runs is None or region.unlabelled or is_crowd
            if runs is None:
                runs = [_area_of_unreadable(region, picture)]
            labels = [region.label] if region.label else self.labels
            if region.label and region.label == self._data.area_label:
                found.area.extend([] if is_unlabelled else runs)
                continue
            is_bound = self._data.boxes == "bounds" and is_without_segmentation(region.segmentation)
            for label in labels:
                if is_bound and not is_unlabelled:
                    found.boxes.setdefault(label, []).extend(runs)
                else:
                    found.add(label, runs, is_unlabelled)
        return found

    def _runs_of(self, region: CocoRegion, height: int, width: int) -> list[Runs]:
        """Return a region's run lengths, or those of its keypoints or its box."""
        if is_without_segmentation(region.segmentation):
            if self._data.point_radius is not None and region.keypoints:
                return runs_of_keypoints(region.keypoints, height, width)
            if self._data.boxes != "auto" and region.box is not None:
                return [runs_of_box(region.box, height, width)]
        return runs_of(region.segmentation, height, width)

    def _readable_runs(self, region: CocoRegion, picture: CocoImage) -> list[Runs] | None:
        """Return a region's run lengths; None if it cannot be read and is skipped."""
        try:
            return self._runs_of(region, picture.height, picture.width)
        except DataError as problem:
            if not region.unlabelled:
                number = short_repr(region.id)
                where = f"{self.annotations}: annotation {number} of image {short_repr(picture.id)}"
                named = problem.with_message(f"{where}: {problem}")
                self._broken.leave_out("annotations", region.position, named)
            return None


def open_coco(data: DataConfig, task: Task) -> CocoSource:
    """Open the COCO source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the COCO file.
        task: The task whose masks are made.

    Returns:
        The source.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the folder is missing, or if the file is not valid.
    """
    if data.images is None or data.annotations is None:
        raise ConfigError(
            "the coco source needs data.images, a folder, and data.annotations, a COCO JSON file",
            "missing-setting",
            setting="data",
        )
    if data.pages == "samples":
        raise ConfigError(
            "a COCO file names image files, not their pages; save each page as a file of its own",
            "contradiction",
            setting="data.pages",
        )
    return CocoSource(data.images, data.annotations, task, data)


def _check_no_labels(data: DataConfig) -> None:
    """Raise `ConfigError` if a setting names meanings of labels, which COCO files do not have."""
    if data.labels is not None:
        raise ConfigError(
            "categories of a COCO file are matched to classes by name, and others are left out; "
            "call the classes as the file does",
            "contradiction",
            setting="data.labels",
        )


def _area_of_unreadable(region: CocoRegion, picture: CocoImage) -> Runs:
    """Return the box of a region that cannot be read, or the whole image without a valid box."""
    area = np.zeros((picture.height, picture.width), np.uint8, order="F")
    if _is_inside(region.box, picture):
        x, y, width, height = region.box
        rows = slice(math.floor(y), math.ceil(y + height))
        columns = slice(math.floor(x), math.ceil(x + width))
        area[rows, columns] = 1
    else:
        area[:] = 1
    return coco_mask.encode(area)


def _is_inside(box: Any, picture: CocoImage) -> bool:
    """Return whether a box is [x, y, width, height] inside the image."""
    if type(box) is not list or len(box) != 4:
        return False
    if not all(type(value) in (int, float) for value in box):
        return False
    x, y, width, height = box
    fits_across = 0 < width <= picture.width - x
    fits_down = 0 < height <= picture.height - y
    return x >= 0 and y >= 0 and fits_across and fits_down


def _check_size(image: np.ndarray, picture: CocoImage, path: Path, where: str) -> None:
    """Raise `DataError` unless an image has the size that the file says."""
    rows, columns = image.shape[:2]
    if (rows, columns) == (picture.height, picture.width):
        return
    hint = ""
    if (columns, rows) == (picture.height, picture.width):
        hint = ". The image seems to be turned by its EXIF orientation, but its regions are not"
    raise DataError(
        f"{where}: the file says {picture.width} wide and {picture.height} high, but {path} is "
        f"{columns} wide and {rows} high{hint}",
        "mask-size",
    )


def _union(runs: list[Runs], shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W) uint8: 1 inside any of the regions, else 0."""
    if not runs:
        return np.zeros(shape, np.uint8)
    return np.asarray(coco_mask.decode(coco_mask.merge(runs)))
