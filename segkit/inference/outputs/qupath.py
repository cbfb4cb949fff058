"""QuPath: the objects of an image as annotations in a GeoJSON file.

Coordinates are pixels of the full image with (0, 0) at the upper left corner, also if the image
lies on a map, or a smaller level of a slide was predicted. Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
and QuPath's reader of these files, qupath.lib.io.QuPathTypeAdapters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.polygons import Ring
from segkit.inference.outputs.object_polygons import Rings, geojson_geometry, object_polygons
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.names import file_in
from segkit.io.slides import scale_to_full
from segkit.task import Task


class QuPath(Output):
    """Writes DIR-qupath/NAME.geojson, to import into QuPath by File > Import objects from file."""

    ending = "-qupath"
    has_polygons = True

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".geojson")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        polygons = object_polygons(predicted)
        scale = scale_to_full(predicted.path)
        _, objects = predicted.objects
        features = []
        for found in objects:
            feature = annotation(predicted.task, found.label, polygons[found.number], scale)
            feature["properties"]["measurements"] = {"segkit: mean probability": found.score}
            features.append(feature)
        content = {"type": "FeatureCollection", "features": features}
        paths[0].write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def annotation(
    task: Task, label: int, polygons: Sequence[Rings], scale: tuple[float, float]
) -> dict[str, Any]:
    """Return an object as an annotation. It has no id, so QuPath gives it one.

    Args:
        task: The task.
        label: The class, an index of `task.classes`.
        polygons: The polygons of the object in pixel corners of the image.
        scale: The pixels of the full slide along a side of a pixel of the image: down, across.
    """
    parts = [[_scaled(ring, scale) for ring in rings] for rings in polygons]
    classification = {"name": task.classes[label], "color": list(task.palette[label])}
    return {
        "type": "Feature",
        "geometry": geojson_geometry(parts),
        "properties": {"objectType": "annotation", "classification": classification},
    }


def _scaled(ring: Ring, scale: tuple[float, float]) -> Sequence[Any]:
    """Return the corners of a ring in pixels of the full slide, with three decimals."""
    down, across = scale
    if scale == (1, 1):
        return ring
    return [(round(x * across, 3), round(y * down, 3)) for x, y in ring]
