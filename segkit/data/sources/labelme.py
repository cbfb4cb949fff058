"""Images with labelme's JSON files, one per image.

The format is that of labelme 3 to 5, https://github.com/wkentaro/labelme: a list of shapes with
label, shape_type and points. labelme turns images upright by their EXIF orientation, as segkit
does, and its own converters let later shapes hide earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.data.rasterise import Bitmap, Ellipse, Shape, Size
from segkit.data.sources.label_images import (
    Images,
    by_nfc_name,
    files_below,
    folder_of_images,
)
from segkit.data.sources.label_source import (
    Content,
    LabelledImage,
    Labels,
    LabelSource,
    Region,
    divide,
)
from segkit.data.sources.label_values import (
    Widths,
    as_object,
    decode_base64,
    decode_picture,
    line_of,
    list_field,
    points_of,
    polygon_of,
    read_json,
    rectangle,
    short_repr,
    size_of,
    text_field,
    widths_of,
)
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import DataError
from segkit.io.unicode_names import nfc
from segkit.task import Task

POLYGONS = ("polygon", "rotation", "oriented_rectangle")
"""Shapes with their corners; X-AnyLabeling, which writes labelme's format, turns rectangles."""
LINES = ("line", "linestrip", "point", "points")
"""Shapes without an area."""
AREAS = ("rectangle", "circle", "mask")
"""Shapes of two points."""


def open_labelme(data: DataConfig, task: Task) -> LabelSource:
    """Open the labelme source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the folder of the JSON
            files, by default the same one.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If images or JSON files are missing.
    """
    return LabelSource(find_labelme(data), task, data)


def find_labelme(data: DataConfig) -> Labels:
    """Pair the images with their JSON files, which have the same names.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If a folder is missing, or contains no JSON file of labelme.
    """
    folder = folder_of_images(data.images, "labelme")
    images = Images(folder)
    annotations = data.annotations or folder
    files = by_nfc_name(files_below(annotations, ".json"))
    by_name, absent = _pair(images, files)
    names, left_out = divide(list(images.by_name), by_name, data, "leave_out")
    found = {}
    for name in names:
        path = images.by_name[name]
        file = by_name.get(name, annotations / f"{name}.json")
        found[name] = LabelledImage(path, file, is_labelled=name in by_name)
    return Labels(
        tool="labelme",
        images=found,
        content=partial(read_labelme, widths=widths_of(data)),
        parts=parts_by_folder(found),
        in_order=True,
        unlabelled=left_out,
        absent=absent,
    )


def _pair(images: Images, files: Mapping[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """Return the JSON files by the name of their image, and the files without an image.

    A JSON file has the name of its image. A renamed one names the image in `imagePath`.
    """
    names = {nfc(name): name for name in images.by_name}
    by_name: dict[str, Path] = {}
    others: list[Path] = []
    for stem, path in files.items():
        if stem in names:
            by_name[names[stem]] = path
        elif is_labelme(_content_of(path)):
            others.append(path)
    absent = []
    for path in others:
        entry = as_object(read_json(path), str(path))
        name = images.find(str(entry.get("imagePath", "")), str(path))
        if name is None or name in by_name:
            absent.append(str(path))
        else:
            by_name[name] = path
    return by_name, absent


def _content_of(path: Path) -> Any:
    """Return the content of a JSON file; None if it cannot be read."""
    try:
        return read_json(path)
    except DataError:
        return None


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is that of labelme."""
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read_labelme(labelled: LabelledImage, widths: Widths) -> Content:
    """Read the shapes of an image.

    Args:
        labelled: The image and its JSON file.
        widths: How lines and points are drawn.

    Raises:
        DataError: With the file, if it is not one of labelme's or is of another image.
    """
    where = str(labelled.file)
    entry = as_object(read_json(labelled.file), where)
    _check_image(entry, labelled)
    regions = []
    for number, value in enumerate(list_field(entry, "shapes", where)):
        place = f"{where}: shapes[{number}]"
        shape = as_object(value, place)
        kind = shape.get("shape_type") or "polygon"  # files of labelme 2 have polygons only
        label = text_field(shape, "label", place)
        make = partial(_shape_of, shape, str(kind), widths, place)
        regions.append(Region(label, str(kind), f"shapes[{number}]", make))
    return Content(regions, size_of(entry, "imageHeight", "imageWidth", where))


def _check_image(entry: Mapping[str, Any], labelled: LabelledImage) -> None:
    """Raise `DataError` if a JSON file is of another image, which exists, than its name says."""
    named = entry.get("imagePath")
    if not isinstance(named, str):
        return
    file = PureWindowsPath(named).name  # splits at slashes and backslashes
    is_own = nfc(file) == nfc(labelled.path.name)
    if is_own or not file or not (labelled.path.parent / file).is_file():
        return
    raise DataError(
        f"{labelled.file}: is named like {labelled.path.name}, but its imagePath is "
        f"{short_repr(named)}, which exists, too. Give the JSON file the name of its image",
        "label-image",
    )


def _shape_of(shape: Mapping[str, Any], kind: str, widths: Widths, where: str, size: Size) -> Shape:
    """Make a shape of labelme."""
    if kind in POLYGONS or (kind == "rectangle" and _has_corners(shape)):
        return polygon_of([shape.get("points")], size)
    if kind in LINES:
        return line_of(points_of(shape.get("points"), size), widths, kind)
    if kind not in AREAS:
        raise DataError(
            f"the shape_type must be {', '.join((*POLYGONS, *AREAS, *LINES))}; found "
            f"{short_repr(kind)}",
            "label-shape",
        )
    points = points_of(shape.get("points"), size)
    if len(points) != 2:
        raise DataError(f"a {kind} has 2 points; found {len(points)}", "label-shape")
    if kind == "rectangle":
        return rectangle(*points.ravel().tolist())
    if kind == "circle":
        return _circle(points)
    return _bitmap(shape, points)


def _has_corners(shape: Mapping[str, Any]) -> bool:
    """Return whether a rectangle has all its corners, as in files of X-AnyLabeling."""
    points = shape.get("points")
    return isinstance(points, list) and len(points) == 4


def _circle(points: np.ndarray) -> Ellipse:
    """Return the circle around the first point through the second."""
    (x, y), (edge_x, edge_y) = points.tolist()
    radius = math.hypot(edge_x - x, edge_y - y)
    return Ellipse(x, y, radius, radius)


def _bitmap(shape: Mapping[str, Any], points: np.ndarray) -> Bitmap:
    """Return the pixels of a mask shape.

    The points are its first and last pixel, or in some files the corners of its box.
    """
    content = decode_base64(shape.get("mask"), "mask of the shape")
    pixels = decode_picture(content, "mask of the shape")
    left, top, right, bottom = np.round(points).astype(int).ravel().tolist()
    height = bottom - top + 1
    width = right - left + 1
    if pixels.shape not in ((height, width), (height - 1, width - 1)):
        raise DataError(
            f"the mask of the shape has {pixels.shape[1]} x {pixels.shape[0]} pixels; its points "
            f"say {width} x {height}",
            "label-shape",
        )
    return Bitmap(left, top, pixels)
