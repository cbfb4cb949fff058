"""Checks values in the files of labelling tools, and makes shapes of them."""

from __future__ import annotations

import base64
import binascii
import io
import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from segkit.config import DataConfig
from segkit.data.rasterise import FARTHEST, Line, Points, Polygon, Size
from segkit.errors import ConfigError, DataError, one_line
from segkit.io import codecs
from segkit.io.files import read_bytes
from segkit.io.pictures import open_picture

LARGEST = 2**32
"""Largest file, in bytes."""
POINT_KINDS = ("point", "points", "multipoint", "keypoint")
"""What tools call points, in lower-case letters."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = 120


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: If the file cannot be read or is not JSON.
    """
    content = read_content(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as problem:  # such as a number of thousands of digits
        raise not_readable(path, "JSON", problem) from problem


def read_content(path: Path) -> bytes:
    """Return the bytes of a file; raises `DataError` if it cannot be read."""
    try:
        return read_bytes(path, LARGEST)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "label-file") from problem


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file; raises `DataError` if it cannot be read."""
    try:
        return read_content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as problem:
        raise not_readable(path, "text in UTF-8", problem) from problem


def not_readable(path: Path, kind: str, problem: Exception) -> DataError:
    """Return the error that a file is cut off, or of another kind."""
    why = one_line(problem)
    return DataError(f"{path}: is cut off or not {kind} ({why}); export it again", "label-file")


def short_repr(value: Any) -> str:
    """Return the representation of any value on one short line, for messages."""
    return _SHORT.repr(value)


def wrong_entry(where: str, key: str, description: str, entry: Mapping[str, Any]) -> DataError:
    """Return the error that a field is missing or has another type."""
    found = f"there is no {key!r}"
    if key in entry:
        found = f"found {short_repr(entry[key])}"
    return DataError(f"{where}: {key!r} must be {description}; {found}", "label-entry")


def as_object(value: Any, where: str) -> dict[str, Any]:
    """Return a value that must be a JSON object; raises `DataError` otherwise."""
    if isinstance(value, dict):
        return value
    raise DataError(f"{where}: must be a JSON object; found {short_repr(value)}", "label-entry")


def as_list(value: Any, where: str) -> list[Any]:
    """Return a value that must be a JSON list; raises `DataError` otherwise."""
    if isinstance(value, list):
        return value
    raise DataError(f"{where}: must be a JSON list; found {short_repr(value)}", "label-entry")


def list_field(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Return a field that must be a list; raises `DataError` otherwise."""
    value = entry.get(key)
    if isinstance(value, list):
        return value
    raise wrong_entry(where, key, "a list", entry)


def object_field(entry: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return a field that must be an object; raises `DataError` otherwise."""
    value = entry.get(key)
    if isinstance(value, dict):
        return value
    raise wrong_entry(where, key, "an object", entry)


def text_field(entry: Mapping[str, Any], key: str, where: str) -> str:
    """Return a field that must be text; raises `DataError` otherwise."""
    value = entry.get(key)
    if isinstance(value, str):
        return value
    raise wrong_entry(where, key, "text", entry)


def number_field(
    entry: Mapping[str, Any], key: str, where: str, default: float | None = None
) -> float:
    """Return a field that must be a number, or a default if it is missing.

    Raises:
        DataError: If it is no number, too large, or missing without a default.
    """
    value = entry.get(key, default)
    if type(value) in (int, float) and abs(value) < 1e15:  # False for NaN, too
        return float(value)
    raise wrong_entry(where, key, "a number", entry)


def size_of(entry: Mapping[str, Any], height: str, width: str, where: str) -> Size | None:
    """Return the size that an entry states for its image.

    Args:
        entry: The entry.
        height: The name of its field with the height.
        width: The name of its field with the width.
        where: The file and the entry, for messages.

    Returns:
        Height and width in pixels; None if the entry has neither.

    Raises:
        DataError: If they are not positive whole numbers.
    """
    if entry.get(height) is None and entry.get(width) is None:
        return None
    sides = []
    for key in (height, width):
        value: Any = entry.get(key)
        if type(value) not in (int, float) or not 1 <= value <= 1e9 or value != int(value):
            raise wrong_entry(where, key, "a whole number of pixels", entry)
        sides.append(int(value))
    return sides[0], sides[1]


def points_of(values: Any, size: Size) -> np.ndarray:
    """Return the points of a list of [x, y].

    Args:
        values: The list, unchecked.
        size: Height and width of the image, which bound the coordinates.

    Returns:
        (N, 2) float64 of x and y.

    Raises:
        DataError: If it is no such list, or if a coordinate is no number or far away.
    """
    if not isinstance(values, list):
        raise DataError(f"points are a list of [x, y]; found {short_repr(values)}", "label-shape")
    farthest = FARTHEST * max(size)
    points = []
    for point in values:
        if not isinstance(point, list) or len(point) != 2:
            raise DataError(f"a point is [x, y]; found {short_repr(point)}", "label-shape")
        for value in point:
            is_number = type(value) in (int, float)
            if not is_number or not -farthest <= value <= farthest:  # False for NaN, too
                raise DataError(
                    f"coordinates are pixels, at most {farthest} from the image; found "
                    f"{short_repr(value)}",
                    "label-shape",
                )
        points.append(point)
    return np.array(points, np.float64).reshape(-1, 2)


def polygon_of(rings: Sequence[Any], size: Size) -> Polygon:
    """Return the polygon of rings, each a list of [x, y].

    Args:
        rings: The outline, and the holes.
        size: Height and width of the image.

    Raises:
        DataError: If a ring has less than 3 points, or a coordinate is no number.
    """
    arrays = []
    for ring in rings:
        points = points_of(ring, size)
        if len(points) < 3:
            raise DataError(f"a polygon has at least 3 points; found {len(points)}", "label-shape")
        arrays.append(points)
    return Polygon(arrays)


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return the polygon of a rectangle, from two opposite corners in pixels."""
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return Polygon([np.array(corners, np.float64)])


def rotated_rectangle(
    left: float, top: float, width: float, height: float, degrees: float
) -> Polygon:
    """Return the polygon of a rectangle that is turned clockwise about its upper left corner."""
    angle = np.radians(degrees)
    along = np.array([np.cos(angle), np.sin(angle)]) * width
    down = np.array([-np.sin(angle), np.cos(angle)]) * height
    corner = np.array([left, top])
    return Polygon([np.stack([corner, corner + along, corner + along + down, corner + down])])


class Widths(NamedTuple):
    """How shapes without an area are drawn."""

    line: float | None
    """The width of lines and points in pixels (`data.line_width`); None if it is not set."""
    points_grow: bool
    """Whether points are single pixels, which `data.point_radius` grows."""


def widths_of(data: DataConfig) -> Widths:
    """Return how the settings say that lines and points are drawn."""
    return Widths(data.line_width, data.point_radius is not None)


def line_of(points: np.ndarray, widths: Widths, kind: str) -> Line | Points:
    """Return a line or points with the width that the settings name.

    Args:
        points: (N, 2) of x and y.
        widths: The settings.
        kind: What the tool calls the shape.

    Raises:
        ConfigError: If the settings name no width.
        DataError: If there is no point.
    """
    is_point = kind.lower() in POINT_KINDS
    if widths.line is None and not (is_point and widths.points_grow):
        advice = "name the width in pixels with which lines and points are drawn"
        if is_point:
            advice += ", or let points grow over unlabelled pixels (data.point_radius)"
        raise ConfigError(
            f"a shape is a {kind}, which has no area; {advice}",
            "missing-setting",
            setting="data.line_width",
        )
    if not len(points):
        raise DataError(f"a {kind} has at least 1 point; found 0", "label-shape")
    if is_point and widths.points_grow:
        return Points(points)
    return Line(points, widths.line or 0.0)


def decode_base64(value: Any, kind: str) -> bytes:
    """Return the bytes of a base64 text; raises `DataError` if it is none.

    Args:
        value: The text, unchecked.
        kind: What the text contains, for the message.
    """
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as problem:
        raise DataError(
            f"the {kind} is not base64: {short_repr(value)}", "label-shape"
        ) from problem


def decode_picture(content: bytes, kind: str) -> np.ndarray:
    """Return the pixels of a picture inside a label file that are not 0, (H, W) bool.

    Transparent pixels are outside if there are some, as in files of Supervisely.

    Args:
        content: The bytes of the picture, a PNG in files of the tools.
        kind: What the picture is, for the message.

    Raises:
        DataError: If the picture cannot be read or is too large.
    """
    try:
        with open_picture(io.BytesIO(content)) as picture:
            if picture.width * picture.height > codecs.most_pixels():
                raise DataError(
                    f"the {kind} has {picture.width} x {picture.height} pixels; at most "
                    f"{codecs.most_pixels():,.0f} are read (data.max_pixels)",
                    "too-large",
                )
            if "A" in picture.getbands() or "transparency" in picture.info:
                return np.asarray(picture.convert("RGBA").getchannel("A")) > 0
            pixels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise DataError(
            f"the {kind} is no picture (PNG) that can be read", "label-shape"
        ) from problem
    inside = np.asarray(pixels > 0)
    if inside.ndim == 3:
        return np.asarray(inside.any(axis=-1))
    return inside
