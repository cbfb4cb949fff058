"""Images with the file annotations.xml of CVAT, in the format "CVAT for images 1.1".

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format. Shapes have a z_order, and those of a
higher one hide the others. CVAT turns images upright by their EXIF orientation, as segkit does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from segkit.config import DataConfig
from segkit.data.rasterise import Bitmap, Ellipse, Polygon, Shape, Size
from segkit.data.run_lengths import mask_of_counts
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
    line_of,
    not_readable,
    points_of,
    polygon_of,
    read_content,
    short_repr,
    widths_of,
)
from segkit.data.sources.pair_names import PARTS, parts_by_folder
from segkit.errors import DataError
from segkit.io import codecs
from segkit.task import Task

SHAPES = ("polygon", "box", "ellipse", "mask", "polyline", "points")
"""The elements that are read."""
NO_SHAPES = ("tag",)
"""Elements that describe the whole image."""


def open_cvat(data: DataConfig, task: Task) -> LabelSource:
    """Open the cvat source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the XML file.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the file is not one of CVAT for images, or if images are missing.
    """
    return LabelSource(find_cvat(data), task, data)


def find_cvat(data: DataConfig) -> Labels:
    """Find the images of an XML file of CVAT.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If the file is not one of CVAT for images.
    """
    images = Images(folder_of_images(data.images, "cvat"))
    path = label_file_of(data.annotations, "cvat", "the file annotations.xml of CVAT")
    root = read_xml(path)
    entries, absent = _entries_of(root, path, images)
    names, left_out = divide(list(images.by_name), entries, data, "leave_out")
    found = {}
    for name in names:
        is_labelled = name in entries
        found[name] = LabelledImage(images.by_name[name], path, entries.get(name), is_labelled)
    return Labels(
        tool="cvat",
        images=found,
        content=partial(read_cvat, widths=widths_of(data)),
        parts=_parts(_subsets_of(entries), found),
        classes=_declared(root),
        in_order=True,
        unlabelled=left_out,
        absent=absent,
    )


class _DocumentTypeError(Exception):
    """The XML has a document type, which may define entities."""


class _TreeWithoutEntities(ElementTree.TreeBuilder):
    """Builds a tree; ends at a document type, in whatever encoding it is written."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _DocumentTypeError


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of a file of CVAT for images.

    Raises:
        DataError: If the file is another one, or has entities, which CVAT never writes.
    """
    content = read_content(path)
    parser = ElementTree.XMLParser(target=_TreeWithoutEntities())  # noqa: S314 (without entities)
    try:
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    except _DocumentTypeError:
        message = f"{path}: has a document type, which CVAT never writes"
        raise DataError(message, "label-file") from None
    except (ElementTree.ParseError, LookupError, ValueError) as problem:
        raise not_readable(path, "XML", problem) from problem
    if root.tag != "annotations":
        raise DataError(
            f"{path}: the root of CVAT's XML is <annotations>; found <{short_repr(root.tag)}>",
            "label-file",
        )
    if root.find("track") is not None:
        raise DataError(
            f"{path}: is CVAT for video; export the task as CVAT for images 1.1", "label-file"
        )
    return root


def _entries_of(
    root: ElementTree.Element, path: Path, images: Images
) -> tuple[dict[str, ElementTree.Element], list[str]]:
    """Return the entries of images by name, and the references to images that are not there."""
    entries: dict[str, ElementTree.Element] = {}
    absent = []
    for number, element in enumerate(root.iter("image")):
        where = f"{path}: image[{number}]"
        reference = element.get("name", "")
        name = images.find(reference, where)
        if name is None:
            absent.append(reference)
            continue
        if name in entries:
            raise DataError(f"{where}: another entry has the image {name}", "label-entry")
        entries[name] = element
    return entries, absent


def _subsets_of(entries: Mapping[str, ElementTree.Element]) -> dict[str, list[str]]:
    """Return the names of images by the part that CVAT's subset names, or "" for other subsets."""
    subsets: dict[str, list[str]] = {}
    for name, element in entries.items():
        part = PARTS.get(element.get("subset", "").lower(), "")
        subsets.setdefault(part, []).append(name)
    return subsets


def _parts(subsets: Mapping[str, list[str]], names: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the parts that CVAT's subsets name; without them those of the folders."""
    if "train" in subsets and len(subsets) > 1 and "" not in subsets:
        return dict(subsets)
    return parts_by_folder(names)


def _declared(root: ElementTree.Element) -> list[str]:
    """Return the labels of the project, in its order."""
    names = []
    for element in root.iterfind("meta//label/name"):
        if element.text:
            names.append(element.text.strip())
    return list(dict.fromkeys(names))


def read_cvat(labelled: LabelledImage, widths: Widths) -> Content:
    """Read the shapes of an image, from the lowest z_order to the highest.

    Args:
        labelled: The image, with its XML element as `entry`.
        widths: How lines and points are drawn.

    Raises:
        DataError: With the file, if the entry is not valid.
    """
    element = labelled.entry
    where = f"{labelled.file}: image {short_repr(element.get('name'))}"
    regions = [region for _, region in sorted(_regions(element, widths, where), key=_z_order)]
    height = int(_number(element, "height", where))
    return Content(regions, (height, int(_number(element, "width", where))))


def _z_order(placed: tuple[float, Region]) -> float:
    return placed[0]


def _regions(
    image: ElementTree.Element, widths: Widths, where: str
) -> Iterator[tuple[float, Region]]:
    """Yield the shapes of an image, each with its z_order."""
    for number, element in enumerate(image):
        place = f"{where}, shape {number} ({element.tag})"
        if element.tag in NO_SHAPES:
            continue
        if element.tag not in SHAPES:
            raise DataError(
                f"{place}: shapes are {', '.join(SHAPES)}; others are not read", "label-shape"
            )
        make = partial(_shape_of, element, widths, place)
        region = Region(element.get("label", ""), element.tag, f"shape {number}", make)
        yield _number(element, "z_order", place, 0.0), region


def _number(
    element: ElementTree.Element, key: str, where: str, default: float | None = None
) -> float:
    """Return an attribute that must be a number, or a default if it is missing."""
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e15:  # True for NaN, too
        raise DataError(
            f"{where}: {key!r} must be a number; found {short_repr(text)}", "label-entry"
        )
    return value


def _shape_of(element: ElementTree.Element, widths: Widths, where: str, size: Size) -> Shape:
    """Make a shape of CVAT."""
    if element.tag == "polygon":
        return polygon_of([_points(element)], size)
    if element.tag in ("polyline", "points"):
        return line_of(points_of(_points(element), size), widths, element.tag)
    if element.tag == "mask":
        return _bitmap(element, where)
    degrees = _number(element, "rotation", where, 0.0)
    if element.tag == "ellipse":
        x, y, radius_x, radius_y = (
            _number(element, key, where) for key in ("cx", "cy", "rx", "ry")
        )
        return Ellipse(x, y, radius_x, radius_y, degrees)
    sides = [_number(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr")]
    return _box(sides, degrees)


def _points(element: ElementTree.Element) -> list[Any]:
    """Return the points of "x,y;x,y;..." as lists of numbers; other texts stay as they are."""
    points: list[Any] = []
    for pair in element.get("points", "").split(";"):
        try:
            points.append([float(value) for value in pair.split(",")])
        except ValueError:
            points.append(pair)
    return points


def _box(sides: Sequence[float], degrees: float) -> Polygon:
    """Return the polygon of a box that is turned clockwise about its centre."""
    left, top, right, bottom = sides
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    centre = corners.mean(axis=0)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if degrees:
        corners = (corners - centre) @ turn + centre
    return Polygon([corners])


def _bitmap(element: ElementTree.Element, where: str) -> Bitmap:
    """Return the pixels of run lengths in a box."""
    sides = [int(_number(element, key, where)) for key in ("left", "top", "width", "height")]
    left, top, width, height = sides
    if min(width, height) < 1 or width * height > codecs.most_pixels():
        raise DataError(f"a mask cannot have {width} x {height} pixels", "label-rle")
    try:
        counts = [int(word) for word in element.get("rle", "").split(",")]
        array = np.array(counts, np.int64)
    except (ValueError, OverflowError) as problem:
        raise DataError(f"run lengths are whole numbers ({problem})", "label-rle") from problem
    return Bitmap(left, top, mask_of_counts(array, (height, width)))


def is_cvat(path: Path) -> bool:
    """Return whether a file is CVAT's XML for images; False if it cannot be read."""
    try:
        return read_xml(path).find("image") is not None
    except DataError:
        return False
