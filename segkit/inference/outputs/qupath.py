"""QuPath: the objects of an image as annotations in a GeoJSON file.

Coordinates are pixels of the full image with (0, 0) at the upper left corner, also if the image
lies on a map. Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
and QuPath's reader of these files, qupath.lib.io.QuPathTypeAdapters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.inference.outputs.object_polygons import Rings, geometry_of, object_polygons
from segkit.inference.outputs.objects import Object
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.names import file_in


class QuPath(Output):
    """Writes DIR-qupath/NAME.geojson, to import into QuPath by File > Import objects from file."""

    ending = "-qupath"
    has_polygons = True

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".geojson")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        polygons = object_polygons(predicted)
        _, objects = predicted.objects
        features = [_feature(predicted, found, polygons[found.number]) for found in objects]
        content = {"type": "FeatureCollection", "features": features}
        paths[0].write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def _feature(predicted: PredictedImage, found: Object, polygons: Sequence[Rings]) -> dict[str, Any]:
    """Return an annotation. It has no id, so QuPath gives it one."""
    task = predicted.task
    classification = {
        "name": task.classes[found.label],
        "color": list(task.palette[found.label]),
    }
    return {
        "type": "Feature",
        "geometry": geometry_of(polygons),
        "properties": {
            "objectType": "annotation",
            "classification": classification,
            "measurements": {"segkit: mean probability": found.score},
        },
    }
