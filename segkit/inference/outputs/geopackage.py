"""GeoPackage: the objects of an image as polygons on the map, for QGIS and other map programs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.object_polygons import Rings, object_polygons
from segkit.inference.outputs.objects import Object
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.geometry import Georeference
from segkit.io.names import file_in
from segkit.io.rasters import metres_per_unit, read_raster_georeference
from segkit.io.vectors import projected
from segkit.system.packages import need
from segkit.task import Task

LAYER = "objects"
"""The name of the layer in each file."""
EQUAL_AREA = "EPSG:6933"
"""A map of the world on which areas are those on the ground, in metres."""
SIDE = 16
"""Pieces into which the longest side of an object is divided before its area is computed."""


class GeoPackage(Output):
    """Writes DIR-geopackage/NAME.gpkg: a layer of polygons in the coordinate system of the image.

    Its columns are the class, the score, the area in pixels, and the area in m² if the coordinate
    system of the image is known.
    """

    ending = "-geopackage"
    has_polygons = True

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        for module in ("pyogrio", "rasterio", "shapely"):
            need(module, "geo")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".gpkg")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        shapely = need("shapely", "geo")
        georeference = read_raster_georeference(predicted.path)
        _, objects = predicted.objects
        polygons = object_polygons(predicted)
        shapes = []
        for found in objects:
            shapes.append(_shape(polygons[found.number], georeference))
        fields = {
            "class": np.array([predicted.task.classes[found.label] for found in objects], object),
            "score": np.array([found.score for found in objects], np.float64),
            "area_px": np.array([found.area for found in objects], np.int64),
            "area_m2": square_metres(objects, shapes, georeference),
        }
        crs = None
        if georeference is not None:
            crs = georeference.crs
        geometries = shapely.to_wkb(np.array(shapes, object))
        paths[0].write_bytes(_content(geometries, fields, crs))


def _shape(polygons: Sequence[Rings], georeference: Georeference | None) -> Any:
    """Return the polygons of an object as one shape, on the map if the image lies on one."""
    shapely = need("shapely", "geo")
    parts = []
    for rings in polygons:
        placed: list[Any] = list(rings)
        if georeference is not None:
            placed = [georeference(ring) for ring in rings]
        parts.append(shapely.Polygon(placed[0], placed[1:]))
    return shapely.MultiPolygon(parts)


def square_metres(
    objects: Sequence[Object], shapes: Sequence[Any], georeference: Georeference | None
) -> np.ndarray:
    """Return the area of each object in m².

    On a map in a unit of length it is the number of pixels times the area of one. The scale of
    Mercator and of degrees changes with the latitude, so the shapes are moved to a map of equal
    areas.

    Args:
        objects: The objects.
        shapes: Their shapes on the map.
        georeference: Where the image lies; None if it lies on no map.

    Returns:
        (N,) float64; NaN where the area is unknown.
    """
    unknown = np.full(len(objects), np.nan)
    if georeference is None or georeference.crs is None or not objects:
        return unknown
    rasterio_crs = need("rasterio.crs", "geo")
    crs = rasterio_crs.CRS.from_user_input(georeference.crs)
    metres = metres_per_unit(crs)
    if metres is not None:
        (a, b, _), (d, e, _) = georeference.matrix
        of_a_pixel = abs(a * e - b * d) * metres**2
        return np.array([found.area for found in objects]) * of_a_pixel
    if not (crs.is_geographic or crs.is_projected):
        return unknown
    shapely = need("shapely", "geo")
    left, bottom, right, top = shapely.bounds(np.array(shapes, object)).T
    longest = float(np.maximum(right - left, top - bottom).max()) / SIDE
    try:
        moved = projected(np.array(shapes, object), georeference.crs, EQUAL_AREA, longest)
    except DataError:
        return unknown
    areas: np.ndarray = shapely.area(moved)
    return np.where(shapely.is_empty(moved), np.nan, areas)


def _content(geometries: np.ndarray, fields: dict[str, np.ndarray], crs: str | None) -> bytes:
    """Return the bytes of a GeoPackage."""
    need("pyogrio.raw", "geo")
    pyogrio = need("pyogrio", "geo")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing coordinate system
        pyogrio.raw.write(
            content,
            geometries,
            list(fields.values()),
            list(fields),
            layer=LAYER,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=crs,
            # beside TensorFlow, SQLite is without the module that makes the index
            layer_options={"SPATIAL_INDEX": "NO"},
        )
    return content.getvalue()
