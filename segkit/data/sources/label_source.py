"""Samples whose masks are drawn from the shapes in files of labelling tools.

A reader of a tool finds the images and returns `Labels`. `LabelSource` does what is equal for all
tools: it draws the shapes, finds the meaning of their labels, and checks sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.rasterise import Patch, Shape, Size, draw
from segkit.data.sources.box_bounds import BOX_KINDS, check_bounds, leave_boxes_open
from segkit.data.sources.label_layers import (
    Drawn,
    LayerRules,
    mask_in_order,
    mask_of_layers,
    union_by_class,
)
from segkit.data.sources.label_meanings import BACKGROUND, SKIP, VOID_NAME, Meanings
from segkit.data.sources.labelled_area import without_area
from segkit.data.sources.mask_layers import check_on_top
from segkit.data.sources.points import check_points
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.errors import ConfigError, DataError, SegkitError
from segkit.io.geometry import Geometry
from segkit.io.images import read_pixels
from segkit.io.pages import file_of
from segkit.io.physical_size import read_geometry
from segkit.task import Task

AutoChoice = Literal["leave_out", "background"]
"""What a tool means by an image without labels."""
MOST_LISTED = 5
"""Names that a message lists at most."""


class Region(NamedTuple):
    """A shape with a label. The shape is checked when it is made."""

    label: str
    kind: str
    """What the tool calls the shape, such as "polygon"."""
    where: str
    """The place of the shape in its file, such as "shapes[3]"."""
    shape: Callable[[Size], Shape]
    """Makes the shape for an image of a height and width."""


DrawRegion = Callable[[Region], Patch | None]
"""Returns the pixels of a region; None if there are none."""


class Content(NamedTuple):
    """What a label file says about an image."""

    regions: Sequence[Region]
    size: Size | None = None
    """Height and width of the image when it was labelled; None if the file does not say it."""


class LabelledImage(NamedTuple):
    """An image, and the file with its labels."""

    path: Path
    file: Path
    """The label file. If there is none, the path that it would have."""
    entry: Any = None
    """What the label file contains for this image, if it describes several."""
    is_labelled: bool = True
    """Whether the label file exists and mentions the image; otherwise it is all background."""


@dataclass(frozen=True)
class Labels:
    """The images of a data set with the labels of a tool."""

    tool: str
    """The name of the source."""
    images: Mapping[str, LabelledImage]
    """The images by sample name, sorted."""
    content: Callable[[LabelledImage], Content]
    """Reads the regions of an image; raises `DataError` with the file if that fails."""
    parts: Mapping[str, list[str]] = field(default_factory=dict)
    classes: Sequence[str] = ()
    """The labels that the tool declares, in its order; there may be others."""
    in_order: bool = False
    """Whether the tool draws shapes in the order of the file, so that later ones hide others."""
    outside_is_void: bool = False
    """Whether pixels outside all shapes are unlabelled."""
    usual: Mapping[str, str] = field(default_factory=dict)
    """Meanings of labels that the tool defines."""
    unlabelled: Sequence[str] = ()
    """Names of images without labels, which are left out."""
    absent: Sequence[str] = ()
    """Images that label files mention and that do not exist."""


class LabelSource:
    """The images of a data set with masks that are drawn from shapes.

    Args:
        labels: The images and their labels.
        task: The task whose masks are made.
        data: The `data` section of a config.

    Raises:
        ConfigError: If a setting does not fit.
        DataError: If images of label files are missing, or if no image has labels.
    """

    def __init__(self, labels: Labels, task: Task, data: DataConfig) -> None:
        check_on_top(data.on_top, task)
        _check_pages(data)
        self.labels = labels
        self.task = task
        self.data = data
        self._outside_is_void = labels.outside_is_void
        if data.outside_shapes != "auto":
            self._outside_is_void = data.outside_shapes == "void"
        check_bounds(data, task)
        _check_outside(data, self._outside_is_void)
        self._area_label = data.area_label
        self._kinds: set[str] = set()
        self._meaning = Meanings(task, data, labels.usual)
        check_absent(labels, data)
        if not labels.images:
            files = data.annotations or data.images
            raise DataError(f"{files}: no image has labels of {labels.tool}", "empty")
        self.names = list(labels.images)
        self.parts = dict(labels.parts)

    @property
    def skipped(self) -> dict[str, int]:
        """Number of entries that are left out, by the code of their problem."""
        if not self.labels.absent:
            return {}
        return {"unpaired": len(self.labels.absent)}

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        labels = self.labels
        doubts: list[tuple[str, str]] = []
        if labels.unlabelled:
            doubts += [
                (
                    "not-labelled",
                    f"{len(labels.unlabelled)} images without labels are left out: "
                    f"{list_names(labels.unlabelled)}. If they show nothing of the classes, set "
                    f"data.without_labels: background",
                )
            ]
        empty = [name for name, image in labels.images.items() if not image.is_labelled]
        if empty and self.data.without_labels == "auto":
            doubts += [
                (
                    "not-labelled",
                    f"{len(empty)} images without labels are all background: {list_names(empty)}. "
                    f"If nobody labelled them, set data.without_labels: leave_out; otherwise set "
                    f"data.without_labels: background",
                )
            ]
        boxes = self._kinds & set(BOX_KINDS)
        if boxes and boxes == self._kinds and self.data.boxes == "auto":
            doubts += [
                (
                    "boxes",
                    "all shapes are boxes, and all pixels of a box are read as its class. If the "
                    "boxes only bound objects, set data.boxes: bounds; otherwise set data.boxes: "
                    "areas",
                )
            ]
        return doubts

    def image_file(self, name: str) -> Path:
        """Return the path of a sample's image."""
        return file_of(self.labels.images[name].path)

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        image = self.labels.images[name]
        if not image.is_labelled:
            return [self.image_file(name)]
        return [self.image_file(name), image.file]

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a sample's image, from the header of its file."""
        return read_geometry(self.labels.images[name].path, self.data.pages)

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), and the mask drawn from its shapes.

        Raises:
            ConfigError: If a shape needs a setting.
            DataError: With the file and the shape that is wrong.
        """
        labelled = self.labels.images[name]
        image = read_pixels(labelled.path, self.data.pages, bands=self.data.bands)
        size = (image.values.shape[0], image.values.shape[1])
        content = Content([])
        if labelled.is_labelled:
            content = self.labels.content(labelled)
        where = f"{labelled.file} ({name})"
        _check_size(content.size, size, labelled, where)

        def drawn(region: Region) -> Patch:
            return draw(region.shape(size), size)

        mask = self.mask_of(content.regions, size, where, drawn)
        visible = void_where_invalid(mask, image.valid)
        return Sample(name, image.values, visible, image.valid, self.geometry(name))

    def mask_of(
        self, regions: Sequence[Region], size: Size, where: str, drawn: DrawRegion
    ) -> np.ndarray:
        """Return the mask of an image or of an area, with what is unknown about its pixels.

        Args:
            regions: The regions of the image.
            size: Height and width of the mask.
            where: The file and the image, for messages.
            drawn: Returns the pixels of a region in the mask; None if there are none.

        Raises:
            ConfigError: If a shape needs a setting.
            DataError: With the file and the shape that is wrong.
        """
        areas: list[Patch | None] = []
        boxes: list[Drawn] = []
        shapes: list[Region] = []
        for region in regions:
            with naming_region(region, where):
                if region.label == self._area_label:
                    areas.append(drawn(region))
                elif self._is_bound(region):
                    patch = drawn(region)
                    if patch is not None:
                        boxes.append(Drawn(self._meaning(region.label), patch))
                else:
                    shapes.append(region)
        mask = self._mask_of_shapes(self._draw(shapes, where, drawn), size, where)
        mask = leave_boxes_open(self.task, mask, union_by_class(boxes, size))
        return self._inside_area(mask, areas, where)

    def _is_bound(self, region: Region) -> bool:
        """Return whether a region is a box that bounds an object of a class."""
        if self.data.boxes != "bounds" or region.kind not in BOX_KINDS:
            return False
        return self._meaning(region.label) not in (SKIP, BACKGROUND, VOID_NAME)

    def _inside_area(
        self, mask: np.ndarray, area: Sequence[Patch | None], where: str
    ) -> np.ndarray:
        """Return a mask that is unlabelled outside the labelled area, if there is one."""
        if self._area_label is None or self.data.labelled_area is None:
            return mask
        if not area:
            return without_area(mask, self.data.labelled_area, where)
        inside = np.zeros(mask.shape[:2], bool)
        for patch in area:
            if patch is not None:
                inside[patch.place] |= patch.pixels
        return void_where_invalid(mask, inside)

    def _draw(self, regions: Iterable[Region], where: str, drawn: DrawRegion) -> Iterator[Drawn]:
        """Yield the drawn shapes, one at a time, because together they may take much memory."""
        for region in regions:
            with naming_region(region, where):
                meaning = self._meaning(region.label)
                patch = None
                if meaning != SKIP:
                    patch = drawn(region)
            if patch is not None:
                self._kinds.add(region.kind)
                yield Drawn(meaning, patch)

    def _mask_of_shapes(self, drawn: Iterable[Drawn], size: Size, where: str) -> np.ndarray:
        void = self._outside_is_void
        if not self.task.layered and self._later_hides:
            return mask_in_order(drawn, self.task, size, void, where)
        rules = LayerRules(self._later_hides, void, self.data.on_top)
        return mask_of_layers(drawn, self.task, size, rules, where)

    @property
    def _later_hides(self) -> bool:
        """Whether a shape hides the ones before it."""
        if self.data.overlaps != "auto":
            return self.data.overlaps == "last"
        return self.labels.in_order and self.data.on_top is None


@contextmanager
def naming_region(region: Region, where: str) -> Iterator[None]:
    """Add the file and the place of a region to errors."""
    try:
        yield
    except SegkitError as problem:
        raise problem.with_message(f"{where}, {region.where}: {problem}") from problem


def _check_outside(data: DataConfig, is_void: bool) -> None:
    """Raise `ConfigError` if a setting needs other pixels outside of shapes."""
    check_points(data, is_void)
    if data.boxes == "bounds" and is_void:
        raise ConfigError(
            "bounds say that outside of all boxes there is background, and this tool leaves pixels "
            "outside of shapes unlabelled; set data.outside_shapes: background",
            "contradiction",
            setting="data.boxes",
        )


def check_absent(labels: Labels, data: DataConfig) -> None:
    """Raise `DataError` if labels belong to images that do not exist, unless they are left out."""
    if not labels.absent or data.skip_broken:
        return
    raise DataError(
        f"{data.images}: {len(labels.absent)} images with labels are not there: "
        f"{list_names(labels.absent)}. Add them, or leave them out with data.skip_broken: true",
        "unpaired",
    )


def divide(
    names: Sequence[str], labelled: Mapping[str, Any], data: DataConfig, auto: AutoChoice
) -> tuple[list[str], list[str]]:
    """Return the names of images that are samples, and of those that are left out.

    Args:
        names: The names of all images.
        labelled: The labels by the name of their image.
        data: The section, with `without_labels`.
        auto: What the tool means by an image without labels.

    Raises:
        DataError: If there are images without labels and the settings do not allow that.
    """
    without = [name for name in names if name not in labelled]
    choice = data.without_labels
    if choice == "auto":
        choice = auto
    if without and choice == "error":
        raise DataError(
            f"{data.images}: {len(without)} images have no labels: {list_names(without)}",
            "unpaired",
        )
    if choice == "background":
        return list(names), []
    return [name for name in names if name in labelled], without


def list_names(names: Sequence[str]) -> str:
    """Return the first names for a message."""
    listed = list(names[:MOST_LISTED])
    if len(names) > MOST_LISTED:
        listed.append("...")
    return ", ".join(listed)


def _check_pages(data: DataConfig) -> None:
    if data.pages == "samples":
        raise ConfigError(
            "a label file names image files, not their pages; save each page as a file of its own",
            "contradiction",
            setting="data.pages",
        )


def _check_size(stated: Size | None, size: Size, labelled: LabelledImage, where: str) -> None:
    """Raise `DataError` unless an image has the size that its label file states."""
    if stated is None or stated == size:
        return
    hint = ""
    if stated == (size[1], size[0]):
        hint = ". The image seems to be turned by its EXIF orientation, but its labels are not"
    raise DataError(
        f"{where}: the file says {stated[1]} wide and {stated[0]} high, but {labelled.path} is "
        f"{size[1]} wide and {size[0]} high{hint}",
        "mask-size",
    )
