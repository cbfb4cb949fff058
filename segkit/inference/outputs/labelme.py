"""labelme: the objects of an image as masks, or as thin polygons, in a JSON file per image.

The files are those of `segkit convert --to labelme`; see `segkit.data.label_formats.labelme`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segkit.data.hole_cuts import one_ring
from segkit.data.label_formats.labelme import (
    IGNORED,
    document,
    ignored_shape,
    mask_shape,
    polygon_shape,
)
from segkit.data.label_formats.unlabelled import check_no_class
from segkit.inference.outputs.object_layers import pixels_without_data
from segkit.inference.outputs.object_polygons import object_polygons
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.names import file_in
from segkit.io.pages import file_of
from segkit.task import Task
from segkit.task.layers import plane_of


class Labelme(Output):
    """Writes DIR-labelme/NAME.json, which names its image by a path relative to the file.

    With --simplify the objects are polygons. Without it they are masks, which keep every pixel.
    """

    ending = "-labelme"
    has_polygons = True

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        check_no_class(task, IGNORED, "labelme")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".json")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        (final,) = self.paths(predicted.name)
        image = _relative(file_of(predicted.path), final.parent)
        height, width = predicted.mask.shape[:2]
        content = document(_shapes_of(predicted), image, (height, width))
        text = json.dumps(content, ensure_ascii=False, indent=1)
        paths[0].write_text(text, encoding="utf-8")


def _relative(image: Path, folder: Path) -> str:
    """Return the path of an image as seen from a folder; it is absolute on another drive."""
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # of Windows
        return Path(os.path.abspath(image)).as_posix()  # noqa: PTH100 (it keeps links)


def _shapes_of(predicted: PredictedImage) -> list[dict[str, Any]]:
    """Return the shapes of an image; pixels without data come first, so that they hide nothing."""
    shapes = []
    without_data = pixels_without_data(predicted)
    if without_data.any():
        shapes.append(ignored_shape(without_data))
    if predicted.shapes.simplify > 0:
        return [*shapes, *_polygons_of(predicted)]
    return [*shapes, *_masks_of(predicted)]


def _masks_of(predicted: PredictedImage) -> Iterator[dict[str, Any]]:
    numbers, objects = predicted.objects
    for found in objects:
        left, top, width, height = found.box
        plane = plane_of(predicted.task, numbers, found.label)
        pixels = plane[top : top + height, left : left + width] == found.number
        yield mask_shape(predicted.task.classes[found.label], left, top, pixels)


def _polygons_of(predicted: PredictedImage) -> Iterator[dict[str, Any]]:
    """Yield the polygons of the objects. Holes, which labelme lacks, are joined to the outline."""
    polygons = object_polygons(predicted)
    _, objects = predicted.objects
    for found in objects:
        parts = polygons[found.number]
        group = None
        if len(parts) > 1:
            group = found.number
        for rings in parts:
            yield polygon_shape(predicted.task.classes[found.label], one_ring(rings), group)
