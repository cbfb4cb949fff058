"""A project of Supervisely: meta.json, and in each data set the folders img and ann.

Source: https://developer.supervisely.com/getting-started/supervisely-annotation-format. Later
objects hide earlier ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from segkit.config import DataConfig
from segkit.data.rasterise import Bitmap, Shape, Size
from segkit.data.sources.label_images import folder_of_images
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
    as_list,
    as_object,
    decode_base64,
    decode_picture,
    line_of,
    list_field,
    object_field,
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
from segkit.io.image_files import list_images
from segkit.io.unicode_names import existing
from segkit.task import Task

LINES = ("line", "point")
"""Objects without an area."""
LARGEST_BITMAP = 2**28
"""Largest PNG of a bitmap, in bytes."""


def open_supervisely(data: DataConfig, task: Task) -> LabelSource:
    """Open the supervisely source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of the project.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the folder is not a project of Supervisely.
    """
    return LabelSource(find_supervisely(data), task, data)


def find_supervisely(data: DataConfig) -> Labels:
    """Find the images of a project, and their annotations.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If there is no data set with the folders img and ann.
    """
    root = folder_of_images(data.images, "supervisely")
    folders = data_sets(root)
    if not folders:
        raise DataError(
            f"{root}: a project of Supervisely has data sets with the folders img and ann; found "
            f"none",
            "empty",
        )
    images: dict[str, Path] = {}
    labelled: dict[str, Path] = {}
    absent: list[str] = []
    for folder in folders:
        _add_data_set(folder, root, images, labelled, absent)
    names, left_out = divide(sorted(images), labelled, data, "leave_out")
    chosen = {}
    for name in names:
        file = labelled.get(name, images[name].with_suffix(".json"))
        chosen[name] = LabelledImage(images[name], file, is_labelled=name in labelled)
    return Labels(
        tool="supervisely",
        images=chosen,
        content=partial(read_supervisely, widths=widths_of(data)),
        parts=parts_by_folder(chosen),
        classes=_declared(root / "meta.json"),
        in_order=True,
        unlabelled=left_out,
        absent=absent,
    )


def _add_data_set(
    folder: Path, root: Path, images: dict[str, Path], labelled: dict[str, Path], absent: list[str]
) -> None:
    """Add the images of a data set, their annotations, and annotations without an image."""
    found = list_images(folder / "img")
    files = {path.name for path in found.values()}
    for name, path in found.items():
        sample = (folder.relative_to(root) / name).as_posix()
        images[sample] = path
        file = existing(folder / "ann" / f"{path.relative_to(folder / 'img')}.json")
        if file.is_file():
            labelled[sample] = file
    for file in sorted((folder / "ann").glob("*.json")):
        if file.name.removesuffix(".json") not in files:
            absent.append(str(file))


def data_sets(root: Path) -> list[Path]:
    """Return the data sets of a project, which have the folders img and ann; also nested ones."""
    found = []
    for folder in sorted(root.rglob("ann")):
        if folder.is_dir() and (folder.parent / "img").is_dir():
            found.append(folder.parent)
    return found


def _declared(path: Path) -> list[str]:
    """Return the classes of meta.json, in its order; none without the file."""
    if not path.is_file():
        return []
    entries = list_field(as_object(read_json(path), str(path)), "classes", str(path))
    return [text_field(as_object(entry, str(path)), "title", str(path)) for entry in entries]


def read_supervisely(labelled: LabelledImage, widths: Widths) -> Content:
    """Read the objects of an image.

    Args:
        labelled: The image and its annotation.
        widths: How lines and points are drawn.

    Raises:
        DataError: With the file, if it is not valid.
    """
    where = str(labelled.file)
    entry = as_object(read_json(labelled.file), where)
    regions = []
    for number, value in enumerate(list_field(entry, "objects", where)):
        place = f"{where}: objects[{number}]"
        fields = as_object(value, place)
        kind = _kind_of(fields)
        label = text_field(fields, "classTitle", place)
        make = partial(_shape_of, fields, kind, widths, place)
        regions.append(Region(label, kind, f"objects[{number}]", make))
    size = as_object(entry.get("size") or {}, f"{where}: size")
    return Content(regions, size_of(size, "height", "width", where))


def _kind_of(fields: Mapping[str, Any]) -> str:
    """Return the kind of an object; old files do not name it."""
    named = fields.get("geometryType") or fields.get("shape")
    if named is not None:
        return str(named)
    if fields.get("bitmap") is not None:
        return "bitmap"
    return "polygon"


def _shape_of(
    fields: Mapping[str, Any], kind: str, widths: Widths, where: str, size: Size
) -> Shape:
    """Make an object of Supervisely."""
    if kind == "bitmap":
        return _bitmap(object_field(fields, "bitmap", where), size)
    if kind not in ("polygon", "rectangle", *LINES):
        raise DataError(
            f"objects are polygon, bitmap, rectangle, {', '.join(LINES)}; found {short_repr(kind)}",
            "label-shape",
        )
    points = object_field(fields, "points", where)
    exterior = list_field(points, "exterior", where)
    if kind == "polygon":
        return polygon_of([exterior, *as_list(points.get("interior") or [], where)], size)
    if kind in LINES:
        return line_of(points_of(exterior, size), widths, kind)
    corners = points_of(exterior, size)
    if len(corners) != 2:
        raise DataError(f"a rectangle has 2 points; found {len(corners)}", "label-shape")
    return rectangle(*corners.ravel().tolist())


def _bitmap(fields: Mapping[str, Any], size: Size) -> Bitmap:
    """Return the pixels of a PNG that is compressed by zlib and coded in base64."""
    packed = decode_base64(fields.get("data"), "data of a bitmap")
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, LARGEST_BITMAP)
    except zlib.error as problem:
        raise DataError(
            f"the data of a bitmap is not compressed by zlib ({problem})", "label-shape"
        ) from problem
    [origin] = points_of([fields.get("origin")], size).tolist()
    return Bitmap(int(origin[0]), int(origin[1]), decode_picture(content, "bitmap"))
