"""Checks the segmentation of a COCO annotation (polygons or run lengths) for pycocotools."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from segkit.data.sources.label_values import short_repr
from segkit.errors import DataError

LONGEST_OUTLINE = 5_000_000
"""Longest outline, in pixels; pycocotools needs about 80 bytes of memory for each."""
FARTHEST = 10
"""Largest distance of a coordinate from the image, in image sizes; no drawing slips farther."""
LONGEST_NUMBER = 6
"""Most characters (5 bits each) of a compressed run length; pycocotools overflows at 31 bits."""
Runs = dict[str, Any]
"""A region in the form of pycocotools: {"size": [height, width], "counts": bytes}."""


def runs_of(segmentation: Any, height: int, width: int) -> list[Runs]:
    """Convert a segmentation to run lengths.

    Everything is checked first, because pycocotools trusts its input and may read or write outside
    its memory. Points and lines among the polygons cover no pixel and are left out.

    Args:
        segmentation: A list of polygons, or an object of run lengths (a list or compressed text).
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.

    Returns:
        The run lengths of each polygon, or one element for run lengths.

    Raises:
        DataError: If the segmentation is not valid.
    """
    if isinstance(segmentation, dict):
        return [_runs_of_counts(segmentation, height, width)]
    if not isinstance(segmentation, list) or not segmentation:
        found = "none" if segmentation is None else short_repr(segmentation)
        raise DataError(
            f"segmentation must be a list of polygons or an object of run lengths; found {found}. "
            f"A box alone does not say which of its pixels belong to the object; data.boxes: "
            f"bounds reads them as the class or background",
            "no-segmentation",
        )
    polygons = [polygon for polygon in segmentation if not _is_point_or_line(polygon)]
    if not polygons:
        polygons = segmentation
    for polygon in polygons:
        _check_polygon(polygon, height, width)
    return [coco_mask.frPyObjects([polygon], height, width)[0] for polygon in polygons]


def _is_point_or_line(polygon: Any) -> bool:
    """Return whether a polygon has at most two points."""
    if type(polygon) is not list or len(polygon) not in (0, 2, 4):
        return False
    return all(type(value) in (int, float) for value in polygon)


def counts_of(text: str) -> np.ndarray:
    """Decode compressed run lengths.

    A number is written in characters from "0" on. Each carries 5 bits, the lowest first. The sixth
    bit of a character says that the number continues. The highest bit of the last character is the
    sign. From the fourth number on, the stored number is the difference to the number two before.
    Source: rleFrString in https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c.

    Args:
        text: The compressed form.

    Returns:
        The run lengths, (N,) int64. They may be negative if the text is damaged.

    Raises:
        DataError: If the text is not a sequence of numbers.

    >>> counts_of("52203").tolist()
    [5, 2, 2, 2, 5]
    """
    characters = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    codes = characters.astype(np.int64) - ord("0")
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise _not_run_lengths(text)
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > LONGEST_NUMBER:
        raise _not_run_lengths(text)
    shift = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    counts: np.ndarray = np.add.reduceat((codes & 31) << shift, starts)
    counts -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def _not_run_lengths(text: str) -> DataError:
    return DataError(f"compressed run lengths cannot be read: {short_repr(text)}", "coco-rle")


def _runs_of_counts(segmentation: Mapping[str, Any], height: int, width: int) -> Runs:
    size = [height, width]
    counts = segmentation.get("counts")
    if segmentation.get("size") != size:
        found = short_repr(segmentation.get("size"))
        raise DataError(
            f"run lengths must have the image's [height, width] = {size}; found {found}",
            "coco-rle",
        )
    if isinstance(counts, str):
        _check_counts(counts_of(counts).tolist(), height * width)
        return {"size": size, "counts": counts.encode("ascii")}
    if not isinstance(counts, list):
        raise DataError(
            f"'counts' must be a list of run lengths, or text; found {short_repr(counts)}",
            "coco-rle",
        )
    _check_counts(counts, height * width)
    return coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)


def _check_counts(counts: list[Any], pixels: int) -> None:
    for count in counts:
        if type(count) is not int or not 0 <= count <= pixels:
            raise DataError(
                f"run lengths are whole numbers from 0 to {pixels}; found {short_repr(count)}",
                "coco-rle",
            )
    if sum(counts) != pixels:  # pycocotools never returns from merging runs that are too short
        raise DataError(
            f"run lengths must add up to height x width, {pixels}; found {short_repr(sum(counts))}",
            "coco-rle",
        )


def _check_polygon(polygon: Any, height: int, width: int) -> None:
    if type(polygon) is not list or len(polygon) < 6 or len(polygon) % 2:
        found = f"{len(polygon)} numbers" if type(polygon) is list else short_repr(polygon)
        raise DataError(
            f"a polygon is a list [x, y, x, y, ...] of at least 3 points, in a list of polygons; "
            f"found {found}",
            "coco-polygon",
        )
    farthest = FARTHEST * max(height, width)
    for value in polygon:
        is_number = type(value) in (int, float)
        if not is_number or not -farthest <= value <= farthest:  # False for NaN, too
            raise DataError(
                f"a polygon's coordinates are pixels, at most {farthest} from the image; "
                f"found {short_repr(value)}",
                "coco-polygon",
            )
    points = np.array(polygon, np.float64).reshape(-1, 2)
    _check_inside(points, height, width)
    outline = np.abs(np.diff(points, axis=0, append=points[:1])).max(1).sum()
    if outline > LONGEST_OUTLINE:
        raise DataError(
            f"a polygon's outline is {math.ceil(outline):,} pixels long; "
            f"at most {LONGEST_OUTLINE:,} are read",
            "coco-polygon",
        )


def _check_inside(points: np.ndarray, height: int, width: int) -> None:
    """Raise `DataError` if a polygon (N, 2) of x and y lies outside the image."""
    low = points.min(0)
    high = points.max(0)
    size = np.array([width, height])
    is_outside = ((low < 0) & (high <= 0)) | ((high > size) & (low >= size))
    if is_outside.any():
        raise DataError(
            f"a polygon lies outside the image of {width} x {height}: "
            f"x from {low[0]:g} to {high[0]:g}, y from {low[1]:g} to {high[1]:g}",
            "coco-outside",
        )
