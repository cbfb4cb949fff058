"""The polygons of the objects of an image, which all polygon formats share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segkit.data.polygons import Ring, outlines
from segkit.inference.outputs.prediction import PredictedImage
from segkit.system.packages import need
from segkit.task.layers import layer_of, plane_of

SHARES = (1.0, 0.5, 0.25)
"""Shares of the distance that are tried until no line moves too far."""
Rings = list[Ring]
"""The rings of one polygon: the outer one and then those of its holes, as `Outline` has them."""


def object_polygons(predicted: PredictedImage) -> dict[int, list[Rings]]:
    """Return the polygons of each object in pixel corners, by the number of the object.

    An object whose parts touch only at corners has several. With `predicted.shapes.simplify`
    points are removed so that no line moves further than this distance.

    Args:
        predicted: The image.
    """
    task = predicted.task
    numbers, _ = predicted.objects
    polygons: dict[int, list[Rings]] = {}
    for label in task.foreground:
        plane = plane_of(task, numbers, label)
        for polygon in outlines(layer_of(task, predicted.mask, label)):
            number = int(plane[polygon.pixel])
            if number:  # otherwise the object is too small
                polygons.setdefault(number, []).append([polygon.outer, *polygon.holes])
    distance = predicted.shapes.simplify
    if distance > 0:
        return {number: thinned(parts, distance) for number, parts in polygons.items()}
    return polygons


def geojson_geometry(polygons: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the polygons of an object as a geometry of GeoJSON: a Polygon, or a MultiPolygon."""
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _simplified(shape: Any, distance: float) -> Any:
    """Return a shape with fewer points; no line moves further than the distance.

    GEOS alone may move the ends of a ring further.
    """
    shapely = need("shapely", "geo")
    for share in SHARES:
        thin = shapely.simplify(shape, share * distance, preserve_topology=True)
        if shapely.hausdorff_distance(shape, thin) <= distance:
            return thin
    return shape


def thinned(parts: Sequence[Rings], distance: float) -> list[Rings]:
    """Return the polygons of one object with fewer points.

    Args:
        parts: The polygons, which touch at corners only. The result does not cross itself, either.
        distance: The distance in pixels up to which a line may move.
    """
    shapely = need("shapely", "geo")
    shape = shapely.MultiPolygon([(rings[0], rings[1:]) for rings in parts])
    thin = _simplified(shape, distance)
    thin = shapely.orient_polygons(thin)  # outer rings have a positive area, as `outlines` does
    polygons = []
    for polygon in shapely.get_parts(thin):
        rings = [polygon.exterior, *polygon.interiors]
        polygons.append([[(int(x), int(y)) for x, y in ring.coords] for ring in rings])
    return polygons
