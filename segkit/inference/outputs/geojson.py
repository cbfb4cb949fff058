"""GeoJSON: the objects of an image as polygons with holes, in pixels or on the map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.inference.outputs.polygons import Polygon, Ring, outlines
from segkit.inference.outputs.prediction import Answer, Output
from segkit.io.georeference import Georeference, read_georeference
from segkit.io.names import file_in
from segkit.task.layers import layer_of, plane_of


class GeoJson(Output):
    """DIR-geojson/NAME.geojson."""

    ending = "-geojson"

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".geojson")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        collection = feature_collection(answer, read_georeference(answer.path))
        paths[0].write_text(json.dumps(collection, ensure_ascii=False) + "\n", encoding="utf-8")


def feature_collection(answer: Answer, place: Georeference | None = None) -> dict[str, Any]:
    """Return a FeatureCollection with one feature an object: class, area in pixels, score (its mean probability).

    Coordinates are pixel corners, (0, 0) the image's upper left one and y down, or the map's if `place` is given. An
    object whose parts touch at corners alone is a MultiPolygon. Source: RFC 7946; the member `crs`, which it dropped, as
    GDAL writes it.
    """
    numbers, objects = answer.objects
    polygons: dict[int, list[list[Ring]]] = {}
    for label in answer.task.foreground:
        plane = plane_of(answer.task, numbers, label)
        for polygon in outlines(layer_of(answer.task, answer.mask, label)):
            polygons.setdefault(int(plane[polygon.pixel]), []).append(_rings(polygon, place))
    features = [
        {
            "type": "Feature",
            "id": found.number,
            "properties": {
                "class": answer.task.classes[found.label],
                "area": found.area,
                "score": found.score,
            },
            "geometry": _geometry(polygons[found.number]),
        }
        for found in objects
    ]
    told: dict[str, Any] = {"type": "FeatureCollection", "image": answer.file_name}
    told["coordinates"] = "pixels" if place is None else "map"
    if place is not None and place.epsg is not None:
        told["crs"] = {
            "type": "name",
            "properties": {"name": f"urn:ogc:def:crs:EPSG::{place.epsg}"},
        }
    return {**told, "features": features}


def _geometry(polygons: list[list[Ring]]) -> dict[str, Any]:
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _rings(polygon: Polygon, place: Georeference | None) -> list[Any]:
    rings = [polygon.outer, *polygon.holes]
    if place is None:
        return rings
    (a, b, _), (c, d, _) = place.matrix
    turn = (
        -1 if a * d - b * c < 0 else 1
    )  # where y goes up on the map, rings would run the other way round
    return [place(ring)[::turn].tolist() for ring in rings]
