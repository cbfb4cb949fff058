"""Images with GeoJSON files of QuPath, one per image.

Coordinates are pixels of the full image, also if a smaller level of a slide is read. The label of
an object is the name of its classification. GeoJSON that segkit predicts is read as well; its label
is the property `class`.

Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.data.rasterise import Line, Points, Polygon, Shape, Size
from segkit.data.sources.label_areas import SlideLabelSource
from segkit.data.sources.label_images import Images, by_nfc_name, files_below, folder_of_images
from segkit.data.sources.label_source import (
    Content,
    LabelledImage,
    Labels,
    Region,
    divide,
)
from segkit.data.sources.label_values import (
    Widths,
    as_list,
    as_object,
    line_of,
    list_field,
    points_of,
    polygon_of,
    read_json,
    short_repr,
    widths_of,
)
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import DataError
from segkit.io.slides import at_level, scale_to_full
from segkit.io.unicode_names import nfc
from segkit.task import Task

ENDINGS = (".geojson", ".json")
"""Endings of the files."""
POLYGONS = ("Polygon", "MultiPolygon")
LINES = ("LineString", "Point", "MultiPoint")


def open_qupath(data: DataConfig, task: Task) -> SlideLabelSource:
    """Open the qupath source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the folder of the GeoJSON
            files, by default the same one.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If images or GeoJSON files are missing.
    """
    return SlideLabelSource(find_qupath(data), task, data)


def find_qupath(data: DataConfig) -> Labels:
    """Pair the images with their GeoJSON files: a.tif with a.geojson, a.tif.geojson or a.json.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If a folder is missing.
    """
    folder = folder_of_images(data.images, "qupath")
    images = Images(folder)
    annotations = data.annotations or folder
    files: dict[str, Path] = {}
    for ending in reversed(ENDINGS):
        files |= by_nfc_name(files_below(annotations, ending))
    names = {}
    for name, path in images.by_name.items():
        names[nfc(name)] = name
        names[nfc(path.relative_to(folder).as_posix())] = name
    by_name: dict[str, Path] = {}
    absent = []
    for stem, path in files.items():
        if stem in names:
            by_name[names[stem]] = path
        elif path.suffix == ".geojson":
            absent.append(str(path))
    chosen, left_out = divide(list(images.by_name), by_name, data, "leave_out")
    found = {}
    for name in chosen:
        file = by_name.get(name, annotations / f"{name}.geojson")
        image = at_level(images.by_name[name], data.microns_per_pixel)
        found[name] = LabelledImage(image, file, is_labelled=name in by_name)
    return Labels(
        tool="qupath",
        images=found,
        content=partial(read_qupath, widths=widths_of(data)),
        parts=parts_by_folder(found),
        unlabelled=left_out,
        absent=absent,
    )


def read_qupath(labelled: LabelledImage, widths: Widths) -> Content:
    """Read the objects of an image.

    Args:
        labelled: The image and its GeoJSON file.
        widths: How lines and points are drawn.

    Raises:
        DataError: With the file, if it is not GeoJSON in pixels.
    """
    where = str(labelled.file)
    scale = scale_to_full(labelled.path)
    regions: list[Region] = []
    for number, value in enumerate(_features(read_json(labelled.file), where)):
        place = f"{where}: feature [{number}]"
        feature = as_object(value, place)
        label = _label_of(as_object(feature.get("properties") or {}, place), place)
        geometry = as_object(feature.get("geometry"), f"{place}: geometry")
        for part in _simple(geometry, place):
            kind = str(part.get("type"))
            make = partial(_shape_at_level, part, kind, widths, scale)
            regions.append(Region(label, kind, f"feature [{number}]", make))
    return Content(regions)


def _features(content: Any, where: str) -> Sequence[Any]:
    """Return the features of a collection, of a list, or of a single feature."""
    if isinstance(content, list):
        return content
    collection = as_object(content, where)
    if "crs" in collection or collection.get("coordinates") == "map":
        raise DataError(
            f"{where}: its coordinates are those of a map, not pixels of the image", "label-file"
        )
    if collection.get("type") == "Feature":
        return [collection]
    return list_field(collection, "features", where)


def _label_of(properties: Mapping[str, Any], where: str) -> str:
    """Return the class of an object; "" without one."""
    found = properties.get("classification", properties.get("class"))
    if isinstance(found, Mapping):
        names = found.get("names")
        found = found.get("name")
        if found is None and isinstance(names, list):
            found = ": ".join(str(name) for name in names)  # as QuPath shows derived classes
    if found is None:
        return ""
    if not isinstance(found, str):
        raise DataError(
            f"{where}: the name of a classification is text; found {short_repr(found)}",
            "label-entry",
        )
    return found


def _simple(geometry: Mapping[str, Any], where: str) -> Iterator[Mapping[str, Any]]:
    """Yield a geometry, or the geometries of a collection."""
    if geometry.get("type") != "GeometryCollection":
        yield geometry
        return
    for part in list_field(geometry, "geometries", where):
        yield as_object(part, f"{where}: geometries")


def _shape_at_level(
    geometry: Mapping[str, Any],
    kind: str,
    widths: Widths,
    scale: tuple[float, float],
    size: Size,
) -> Shape:
    """Make a geometry in the pixels of a level of a slide, whose coordinates are full pixels."""
    down, across = scale
    full_size = (math.ceil(size[0] * down), math.ceil(size[1] * across))
    shape = _shape_of(geometry, kind, widths, full_size)
    pixels = np.array([across, down])
    if isinstance(shape, Polygon):
        return Polygon([ring / pixels for ring in shape.rings])
    assert isinstance(shape, Line | Points)
    return shape._replace(points=shape.points / pixels)


def _shape_of(geometry: Mapping[str, Any], kind: str, widths: Widths, size: Size) -> Shape:
    """Make a geometry of GeoJSON."""
    coordinates = geometry.get("coordinates")
    if kind == "Polygon":
        return polygon_of(as_list(coordinates, "coordinates"), size)
    if kind == "MultiPolygon":
        rings: list[Any] = []
        for polygon in as_list(coordinates, "coordinates"):
            rings += as_list(polygon, "coordinates")
        return polygon_of(rings, size)
    if kind not in LINES:
        raise DataError(
            f"geometries are {', '.join((*POLYGONS, *LINES))}; found {short_repr(kind)}",
            "label-shape",
        )
    if kind == "Point":
        coordinates = [coordinates]
    return line_of(points_of(coordinates, size), widths, kind)


def is_qupath(content: Any) -> bool:
    """Return whether the content of a JSON file is GeoJSON in pixels."""
    try:
        features = _features(content, "")
    except DataError:
        return False
    if not features or not isinstance(features[0], dict):
        return False
    return "geometry" in features[0] and "properties" in features[0]
