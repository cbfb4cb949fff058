"""GeoJSON: the objects of an image as polygons with holes, in pixels or on the map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.inference.outputs.object_polygons import Rings, geojson_geometry, object_polygons
from segkit.inference.outputs.objects import Object
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.geometry import Georeference
from segkit.io.georeference import read_georeference
from segkit.io.names import file_in


class GeoJson(Output):
    """Writes DIR-geojson/NAME.geojson."""

    ending = "-geojson"
    has_polygons = True

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".geojson")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        collection = feature_collection(predicted, read_georeference(predicted.path))
        paths[0].write_text(json.dumps(collection, ensure_ascii=False) + "\n", encoding="utf-8")


def feature_collection(
    predicted: PredictedImage, georeference: Georeference | None = None
) -> dict[str, Any]:
    """Return the objects of an image as a FeatureCollection.

    Each object is one feature with its class, its area in pixels, and its score, the mean
    probability. If the size of the pixels is known, it also has its area in a unit. An object whose
    parts touch only at corners is a MultiPolygon.

    Args:
        predicted: The image.
        georeference: Converts coordinates to the map. Without it coordinates are pixel corners,
            with (0, 0) at the upper left corner of the image and y downwards.

    Source: RFC 7946; the member `crs`, which it removed, is written as GDAL writes it.
    """
    _, objects = predicted.objects
    polygons: dict[int, list[list[Any]]] = {}
    for number, rings in object_polygons(predicted).items():
        polygons[number] = [_on_map(polygon, georeference) for polygon in rings]
    collection: dict[str, Any] = {
        "type": "FeatureCollection",
        "image": predicted.file_name,
        "coordinates": "pixels" if georeference is None else "map",
    }
    if georeference is not None and georeference.epsg is not None:
        name = f"urn:ogc:def:crs:EPSG::{georeference.epsg}"
        collection["crs"] = {"type": "name", "properties": {"name": name}}
    collection["features"] = [
        _feature(predicted, found, polygons[found.number]) for found in objects
    ]
    return collection


def _feature(predicted: PredictedImage, found: Object, polygons: list[list[Any]]) -> dict[str, Any]:
    properties = {
        "class": predicted.task.classes[found.label],
        "area": found.area,
        "score": found.score,
        **predicted.measures_of(found),
    }
    return {
        "type": "Feature",
        "id": found.number,
        "properties": properties,
        "geometry": geojson_geometry(polygons),
    }


def _on_map(rings: Rings, georeference: Georeference | None) -> list[Any]:
    """Return the rings of a polygon, the outer one first and counterclockwise on the map."""
    if georeference is None:
        return rings
    (a, b, _), (c, d, _) = georeference.matrix
    is_mirrored = a * d - b * c < 0  # y goes up on the map, which reverses the rings
    step = -1 if is_mirrored else 1
    return [georeference(ring)[::step].tolist() for ring in rings]
