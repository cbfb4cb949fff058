"""Images with a file of the VGG Image Annotator (VIA) 1 or 2: a project, or annotations as JSON or
CSV.

Source: https://www.robots.ox.ac.uk/~vgg/software/via/docs/user_guide.html. The label of a region is
one of its attributes. The file does not say the size of an image.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.data.rasterise import Ellipse, Shape, Size
from segkit.data.sources.label_images import Images, folder_of_images, label_file_of
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
    line_of,
    list_field,
    not_readable,
    number_field,
    points_of,
    polygon_of,
    read_json,
    read_lines,
    rectangle,
    short_repr,
    text_field,
    widths_of,
)
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import ConfigError, DataError
from segkit.task import Task

COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
"""Columns of a CSV file of VIA."""
METADATA = "_via_img_metadata"
"""The key of the images in a project."""
Entry = Mapping[str, Any]
"""A region of VIA, with shape_attributes and region_attributes."""


def open_via(data: DataConfig, task: Task) -> LabelSource:
    """Open the via source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the JSON or CSV file.
            `label_attribute` names the attribute that is the label, if regions have several.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the file is not one of VIA, or if images are missing.
    """
    return LabelSource(find_via(data), task, data)


def find_via(data: DataConfig) -> Labels:
    """Find the images of a file of VIA.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If the file is not one of VIA 1 or 2.
    """
    images = Images(folder_of_images(data.images, "via"))
    path = label_file_of(data.annotations, "via", "the JSON or CSV file of VIA")
    if path.suffix.lower() == ".csv":
        listed = _from_csv(path)
    else:
        listed = _from_json(path)
    regions: dict[str, list[Entry]] = {}
    absent: dict[str, None] = {}
    for reference, entries in listed:
        name = images.find(reference, str(path))
        if name is None:
            absent[reference] = None
        else:
            regions.setdefault(name, []).extend(entries)
    attribute = _attribute(regions.values(), data.label_attribute, path)
    names, left_out = divide(list(images.by_name), regions, data, "leave_out")
    found = {}
    for name in names:
        found[name] = LabelledImage(images.by_name[name], path, regions.get(name), name in regions)
    return Labels(
        tool="via",
        images=found,
        content=partial(read_via, attribute=attribute, widths=widths_of(data)),
        parts=parts_by_folder(found),
        unlabelled=left_out,
        absent=list(absent),
    )


def _from_json(path: Path) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the file name and the regions of each image of a JSON file."""
    content = as_object(read_json(path), str(path))
    if METADATA in content:
        content = as_object(content[METADATA], f"{path}: {METADATA}")
    for key, value in content.items():
        where = f"{path}: {short_repr(key)}"
        entry = as_object(value, where)
        regions = entry.get("regions")
        if isinstance(regions, dict):  # as in VIA 1
            regions = list(regions.values())
        if not isinstance(regions, list):
            raise DataError(
                f"{where}: 'regions' must be a list; found {short_repr(regions)}. The file must be "
                f"one of VIA 1 or 2",
                "label-entry",
            )
        listed: list[Entry] = [as_object(region, f"{where}: regions") for region in regions]
        yield text_field(entry, "filename", where), listed


def _from_csv(path: Path) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the file name and the region of each row of a CSV file."""
    try:
        rows = list(csv.DictReader(read_lines(path)))
    except csv.Error as problem:
        raise not_readable(path, "CSV", problem) from problem
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            raise DataError(f"{where}: {', '.join(missing)} is missing", "label-entry")
        entry = {}
        for column in ("shape_attributes", "region_attributes"):
            text = row["region_" + column.removeprefix("region_")]
            try:
                entry[column] = json.loads(text)
            except (ValueError, RecursionError) as problem:
                raise DataError(
                    f"{where}: {column} must be JSON; found {short_repr(text)}", "label-entry"
                ) from problem
        regions: list[Entry] = []
        if entry["shape_attributes"]:
            regions.append(entry)
        yield row["filename"], regions


def _attribute(regions: Iterable[Sequence[Entry]], chosen: str | None, path: Path) -> str | None:
    """Return the attribute that is the label; None if regions have no attributes."""
    found: dict[str, None] = {}
    for entries in regions:
        for entry in entries:
            attributes = entry.get("region_attributes")
            if isinstance(attributes, dict):
                found.update(dict.fromkeys(attributes))
    if chosen is None and len(found) <= 1:
        return next(iter(found), None)
    if chosen in found:
        return chosen
    code = "missing-setting"
    if chosen is not None:
        code = "unknown-name"
    raise ConfigError(
        f"{path}: name the attribute that is the label, one of {', '.join(found) or '(none)'}; "
        f"found {chosen or 'none'}",
        code,
        setting="data.label_attribute",
    )


def read_via(labelled: LabelledImage, attribute: str | None, widths: Widths) -> Content:
    """Read the regions of an image.

    Args:
        labelled: The image, with its regions as `entry`.
        attribute: The attribute that is the label; None if there is none.
        widths: How lines and points are drawn.

    Raises:
        DataError: With the file, if a region is not valid.
    """
    regions = []
    for number, entry in enumerate(labelled.entry):
        where = f"{labelled.file}: {labelled.path.name}: region {number}"
        fields = as_object(entry.get("shape_attributes"), f"{where}: shape_attributes")
        kind = text_field(fields, "name", where)
        make = partial(_shape_of, fields, kind, widths, where)
        for label in _labels_of(entry, attribute, where):
            regions.append(Region(label, kind, f"region {number}", make))
    return Content(regions)


def _labels_of(entry: Entry, attribute: str | None, where: str) -> list[str]:
    """Return the labels of a region; a checkbox attribute may have several."""
    attributes = as_object(entry.get("region_attributes") or {}, f"{where}: region_attributes")
    value = ""
    if attribute is not None:
        value = attributes.get(attribute, "")
    if isinstance(value, dict):
        return [str(name) for name, is_chosen in value.items() if is_chosen] or [""]
    if not isinstance(value, str | int | float):
        raise DataError(
            f"{where}: the attribute {attribute} must be text; found {short_repr(value)}",
            "label-entry",
        )
    return [str(value)]


def _shape_of(
    fields: Mapping[str, Any], kind: str, widths: Widths, where: str, size: Size
) -> Shape:
    """Make a region of VIA."""
    if kind in ("polygon", "polyline"):
        x = list_field(fields, "all_points_x", where)
        y = list_field(fields, "all_points_y", where)
        if len(x) != len(y):
            raise DataError(f"there are {len(x)} x and {len(y)} y of the points", "label-shape")
        points = [list(point) for point in zip(x, y, strict=True)]
        if kind == "polygon":
            return polygon_of([points], size)
        return line_of(points_of(points, size), widths, kind)
    if kind == "rect":
        left, top, across, down = (
            number_field(fields, key, where) for key in ("x", "y", "width", "height")
        )
        return rectangle(left, top, left + across, top + down)
    if kind not in ("circle", "ellipse", "point"):
        raise DataError(
            f"regions are polygon, rect, circle, ellipse, polyline or point; found "
            f"{short_repr(kind)}",
            "label-shape",
        )
    x_centre = number_field(fields, "cx", where)
    y_centre = number_field(fields, "cy", where)
    if kind == "point":
        return line_of(np.array([[x_centre, y_centre]]), widths, kind)
    if kind == "circle":
        radius = number_field(fields, "r", where)
        return Ellipse(x_centre, y_centre, radius, radius)
    radius_x = number_field(fields, "rx", where)
    radius_y = number_field(fields, "ry", where)
    degrees = math.degrees(number_field(fields, "theta", where, 0))
    return Ellipse(x_centre, y_centre, radius_x, radius_y, degrees)


def is_via_table(lines: Sequence[str]) -> bool:
    """Return whether the lines of a CSV file are those of VIA."""
    names = next(csv.reader(lines[:1]), [])
    return set(COLUMNS) <= set(names)


def is_via(content: Any) -> bool:
    """Return whether the content of a JSON file is that of VIA."""
    if not isinstance(content, dict) or not content:
        return False
    if METADATA in content:
        return True
    first = next(iter(content.values()))
    return isinstance(first, dict) and "filename" in first and "regions" in first
