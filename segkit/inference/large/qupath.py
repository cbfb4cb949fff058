"""Writes the objects in the mask of a large image as GeoJSON for QuPath, strip by strip.

Coordinates are pixels of the largest level of a slide, whatever level was predicted, because QuPath
counts so. Objects are found in the whole mask, but their probabilities are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from segkit.data.pixel_size import PixelSize
from segkit.data.strip_outlines import ObjectOutlines, outlines_of_strips
from segkit.inference.large.work_folder import Strip
from segkit.inference.outputs.object_polygons import Rings, thinned
from segkit.inference.outputs.qupath import annotation
from segkit.inference.outputs.shape_options import ShapeOptions
from segkit.io.atomic import atomic
from segkit.io.slides import scale_to_full
from segkit.task import Task
from segkit.task.layers import layer_of

AT_ONCE = 2**20
"""Pixels of the mask that are labelled at once."""


def write_qupath(
    path: Path,
    image: Path,
    task: Task,
    bands: Sequence[Strip],
    shapes: ShapeOptions,
    size: PixelSize | None,
) -> None:
    """Write a FeatureCollection with an annotation for each object.

    Args:
        path: The file.
        image: The image, or the address of a level of a slide.
        task: The task of the mask.
        bands: The rows of the decoded mask, from top to bottom.
        shapes: Which objects are written, and how their polygons are thinned.
        size: The size of the image's pixels, for an area as the smallest object.

    Raises:
        DataError: If the slide cannot be read, or an area is wanted and the size is unknown.
        OSError: If the file cannot be written.
    """
    smallest = shapes.smallest_in_pixels(size, str(image))
    scale = scale_to_full(image)
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for label in task.foreground:
            for found in outlines_of_strips(_layers(task, bands, label)):
                if found.area < smallest:
                    continue
                feature = annotation(task, label, _polygons(found, shapes.simplify), scale)
                stream.write(separator + json.dumps(feature, ensure_ascii=False))
                separator = ",\n"
        stream.write("\n]}\n")


def _layers(task: Task, bands: Sequence[Strip], label: int) -> Iterator[np.ndarray]:
    """Yield where the mask shows a class, some rows at a time, (h, W) bool."""
    for band in bands:
        rows = max(1, AT_ONCE // band.width)
        values = band.read(slice(0, band.width))
        for top in range(0, band.rows, rows):
            yield layer_of(task, values[top : top + rows], label)


def _polygons(found: ObjectOutlines, distance: float) -> list[Rings]:
    parts = [[part.outer, *part.holes] for part in found.parts]
    if distance > 0:
        return thinned(parts, distance)
    return parts
