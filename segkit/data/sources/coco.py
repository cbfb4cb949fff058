"""Images with a COCO JSON file: polygons and run lengths become the task's mask."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from segkit.config import DataConfig
from segkit.data.sources.coco_json import (
    CocoImage,
    Region,
    SkippedEntries,
    read_content,
    short_repr,
)
from segkit.data.sources.labels import check_on_top, from_layers
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.errors import ConfigError, DataError
from segkit.io.images import read_pixels
from segkit.io.unicode_names import existing
from segkit.task import VOID, Task

LONGEST_OUTLINE = 5_000_000
"""Pixels; pycocotools takes some 80 bytes of memory for each, wherever the polygon lies."""
FARTHEST = 10
"""How many image sizes away from the image a coordinate may lie; beyond, it is no slip of a drawing hand."""
LONGEST_NUMBER = 6
"""Characters of 5 bits a run length has at most; pycocotools computes nonsense from more than 6 (30 bits)."""
Runs = dict[str, Any]
"""A region as pycocotools takes it: {"size": [height, width], "counts": bytes}."""


class CocoSource:
    """The images of a COCO file. Categories go by name; those that the task does not name are left out.

    Crowd regions become VOID where no object lies, and so does what `data.skip_broken` leaves out; `skipped` counts it so
    far, by the code of the problem. A segmentation is looked at when its image is read.
    """

    def __init__(self, images: Path, annotations: Path, task: Task, data: DataConfig) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: there is no such folder", "unpaired")
        check_on_top(data.on_top, task)
        self.images, self.annotations, self.task, self.on_top = (
            images,
            annotations,
            task,
            data.on_top,
        )
        self.labels = [task.classes[i] for i in task.foreground]
        self._pages = data.pages
        self._root = os.path.realpath(images)
        self._broken = SkippedEntries(data.skip_broken)
        self.pictures, by_coco = read_content(annotations, self.labels, self._broken)
        self.crowds: str = data.crowds
        if data.crowds == "auto":
            self.crowds = "void" if by_coco else "objects"
        self._asked = data.crowds == "auto" and not by_coco
        self.names = list(self.pictures)
        self.parts: dict[str, list[str]] = {}

    @property
    def skipped(self) -> dict[str, int]:
        return self._broken.counts

    @property
    def read_as(self) -> str:
        """What was done about regions with `iscrowd: 1`, in words; "" if there are none."""
        count = 0
        for picture in self.pictures.values():
            count += sum(region.crowd for region in picture.regions)
        if not count:
            return ""
        return f"{count:,} regions with iscrowd: 1 are {_CROWDS[self.crowds]}"

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """What was decided where the file leaves a choice: a code and a sentence."""
        if not (self._asked and self.read_as):
            return []
        doubts = (
            (
                "coco-crowd",
                f"{self.annotations}: {self.read_as}, because this is none of COCO's own files and labelling tools mark "
                f"brush strokes so. If they are crowds, in which single objects were not drawn, say data.crowds: "
                f"void; otherwise data.crowds: objects",
            ),
        )
        return list(doubts)

    def image_file(self, name: str) -> Path:
        """Return where the sample's image stands; raises `DataError` if it is not there or not in the folder of images."""
        return self._path(self.pictures[name])

    def files(self, name: str) -> list[Path]:
        """Return all files that the sample is read from."""
        return [existing(self.images / self.pictures[name].file_name), self.annotations]

    def read(self, name: str) -> Sample:
        """Return the sample; raises `DataError` naming the files, the image and the annotation that does not fit."""
        picture = self.pictures[name]
        path, where = self._path(picture), self._where(picture)
        image = read_pixels(path, self._pages)
        _check_size(image.values, picture, path, where)
        mask = from_layers(self._layers(picture), self.task, self.on_top, where)
        return Sample(name, image.values, void_where_invalid(mask, image.valid), image.valid)

    def _where(self, picture: CocoImage) -> str:
        return (
            f"{self.annotations}, image {short_repr(picture.id)} ({short_repr(picture.file_name)})"
        )

    def _path(self, picture: CocoImage) -> Path:
        path, where = existing(self.images / picture.file_name), self._where(picture)
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise DataError(
                f"{where}: {path} is a link that leads out of {self.images}; nothing outside is read. Put the image itself "
                f"there",
                "coco-file-name",
            )
        if not os.path.isfile(path):  # noqa: PTH113 (is_file raises for a name of 300 characters)
            raise DataError(
                f"{where}: there is no file {path}; add it, or set data.images", "unpaired"
            )
        return path

    def _layers(self, picture: CocoImage) -> dict[str, np.ndarray]:
        """Return a layer (H, W) of 0, 1 and 255 for each class that occurs, and for one if none does."""
        found: dict[tuple[str, bool], list[Runs]] = {}
        for region in picture.regions:
            unlabelled = region.broken or (region.crowd and self.crowds == "void")
            try:
                runs = runs_of(region.segmentation, picture.height, picture.width)
            except DataError as problem:
                if not region.broken:
                    where = f"{self.annotations}: annotation {short_repr(region.id)} of image {short_repr(picture.id)}"
                    self._broken.leave_out(
                        "annotations", region.position, _prefixed(where, problem)
                    )
                runs = [_somewhere(region, picture)]
                unlabelled = True
            labels = [region.label] if region.label else self.labels
            for label in labels:
                found.setdefault((label, unlabelled), []).extend(runs)
        occurring = [
            label for label in self.labels if (label, False) in found or (label, True) in found
        ]
        shape = (picture.height, picture.width)
        return {label: _layer(found, label, shape) for label in occurring or self.labels[:1]}


_CROWDS = {"void": "unlabelled", "objects": "objects"}


def _somewhere(region: Region, picture: CocoImage) -> Runs:
    """Return where a region lies whose segmentation cannot be read: its box if that is in the image, else anywhere."""
    height, width = picture.height, picture.width
    box = region.box
    numbers = (
        type(box) is list and len(box) == 4 and all(type(value) in (int, float) for value in box)
    )
    if (
        numbers
        and min(box[0], box[1]) >= 0
        and 0 < box[2] <= width - box[0]
        and 0 < box[3] <= height - box[1]
    ):
        rows = slice(math.floor(box[1]), math.ceil(box[1] + box[3]))
        columns = slice(math.floor(box[0]), math.ceil(box[0] + box[2]))
        inside = np.zeros((height, width), np.uint8, order="F")
        inside[rows, columns] = 1
    else:
        inside = np.ones((height, width), np.uint8, order="F")
    return coco_mask.encode(inside)


def open_coco(data: DataConfig, task: Task) -> CocoSource:
    """Return the COCO source of a config's `data` section."""
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


def runs_of(segmentation: Any, height: int, width: int) -> list[Runs]:
    """Return a segmentation (polygons, or run lengths as a list or a string) as pycocotools takes it.

    All is checked before, because pycocotools trusts what it gets with its memory. Beside polygons, stray points and lines
    of two points cover no pixel and are left out. Raises `DataError`.
    """
    if isinstance(segmentation, dict):
        return [_runs_of_counts(segmentation, height, width)]
    if not isinstance(segmentation, list) or not segmentation:
        found = "none" if segmentation is None else short_repr(segmentation)
        raise DataError(
            f"segmentation is a list of polygons or an object of run lengths; found {found}. A box alone says nothing "
            f"about its pixels",
            "no-segmentation",
        )
    polygons = [polygon for polygon in segmentation if not _is_stray(polygon)] or segmentation
    for polygon in polygons:
        _check_polygon(polygon, height, width)
    return [coco_mask.frPyObjects([polygon], height, width)[0] for polygon in polygons]


def _is_stray(polygon: Any) -> bool:
    """Return whether a polygon is nothing, a point or a line: fewer points than an area has."""
    if type(polygon) is not list or len(polygon) not in (0, 2, 4):
        return False
    return all(type(value) in (int, float) for value in polygon)


def counts_of(text: str) -> np.ndarray:
    """Return the run lengths of COCO's compressed form (int64), which may be negative in a damaged one.

    A number is written in characters from "0" on that carry 5 bits each, lowest first; the sixth bit says that more
    follow, the highest bit of the last one is the sign. From the fourth number on, the one two before is subtracted.
    Raises `DataError`.

    >>> counts_of("52203").tolist()
    [5, 2, 2, 2, 5]
    """
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - ord(
        "0"
    )
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise DataError(f"compressed run lengths cannot be read: {short_repr(text)}", "coco-rle")
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > LONGEST_NUMBER:
        raise DataError(f"compressed run lengths cannot be read: {short_repr(text)}", "coco-rle")
    shift = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    counts: np.ndarray = np.add.reduceat((codes & 31) << shift, starts)
    counts -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def _runs_of_counts(segmentation: Mapping[str, Any], height: int, width: int) -> Runs:
    size, counts = [height, width], segmentation.get("counts")
    if segmentation.get("size") != size:
        found = short_repr(segmentation.get("size"))
        raise DataError(
            f"run lengths have the image's [height, width] = {size}; found {found}", "coco-rle"
        )
    if isinstance(counts, str):
        _check_counts(counts_of(counts).tolist(), height * width)
        return {"size": size, "counts": counts.encode("ascii")}
    if not isinstance(counts, list):
        raise DataError(
            f"'counts' is a list of run lengths, or text; found {short_repr(counts)}", "coco-rle"
        )
    _check_counts(counts, height * width)
    return coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)


def _check_counts(counts: list[Any], pixels: int) -> None:
    wrong = [count for count in counts if type(count) is not int or not 0 <= count <= pixels]
    if wrong:
        raise DataError(
            f"run lengths are whole numbers from 0 to {pixels}; found {short_repr(wrong[0])}",
            "coco-rle",
        )
    if sum(counts) != pixels:  # pycocotools would merge too few of them for ever
        raise DataError(
            f"run lengths add up to height x width, {pixels}; found {short_repr(sum(counts))}",
            "coco-rle",
        )


def _check_polygon(polygon: Any, height: int, width: int) -> None:
    if type(polygon) is not list or len(polygon) < 6 or len(polygon) % 2:
        found = f"{len(polygon)} numbers" if type(polygon) is list else short_repr(polygon)
        raise DataError(
            f"a polygon is a list [x, y, x, y, ...] of 3 points or more, in a list of polygons; found {found}",
            "coco-polygon",
        )
    far = FARTHEST * max(height, width)
    wrong = [
        value for value in polygon if type(value) not in (int, float) or not -far <= value <= far
    ]
    if wrong:  # NaN, too
        raise DataError(
            f"a polygon's coordinates are pixels, not farther than {far} from the image; found {short_repr(wrong[0])}",
            "coco-polygon",
        )
    points = np.array(polygon, np.float64).reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    size = np.array([width, height])
    beyond = ((low < 0) & (high <= 0)) | ((high > size) & (low >= size))
    if beyond.any():
        raise DataError(
            f"a polygon lies outside the image of {width} x {height}: x from {low[0]:g} to {high[0]:g}, y from {low[1]:g} "
            f"to {high[1]:g}",
            "coco-outside",
        )
    outline = np.abs(np.diff(points, axis=0, append=points[:1])).max(1).sum()
    if outline > LONGEST_OUTLINE:
        raise DataError(
            f"a polygon's outline is {math.ceil(outline):,} pixels long, no drawing's",
            "coco-polygon",
        )


def _check_size(image: np.ndarray, picture: CocoImage, path: Path, where: str) -> None:
    rows, columns = image.shape[:2]
    if (rows, columns) != (picture.height, picture.width):
        turned = (columns, rows) == (picture.height, picture.width)
        why = (
            " The image seems turned by its EXIF orientation, and its regions not" if turned else ""
        )
        raise DataError(
            f"{where}: drawn on {picture.width} wide and {picture.height} high; {path} is {columns} wide and {rows} high."
            f"{why}",
            "mask-size",
        )


def _layer(
    found: Mapping[tuple[str, bool], list[Runs]], label: str, shape: tuple[int, int]
) -> np.ndarray:
    objects, crowds = (_union(found.get((label, crowd), []), shape) for crowd in (False, True))
    return np.where(objects == 1, 1, crowds * np.uint8(VOID)).astype(np.uint8)


def _union(runs: list[Runs], shape: tuple[int, int]) -> np.ndarray:
    if not runs:
        return np.zeros(shape, np.uint8)
    return np.asarray(coco_mask.decode(coco_mask.merge(runs)))


def _prefixed(where: str, problem: DataError) -> DataError:
    return problem.with_message(f"{where}: {problem}")
