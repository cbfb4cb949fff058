"""A table of all images: how many pixels, and which share of its image, each class has."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.mask_areas import areas_in_files
from segkit.io.atomic import atomic
from segkit.io.coding import Coding
from segkit.io.files import read_text
from segkit.io.names import cell, cell_name, why_unsafe
from segkit.task import Task
from segkit.task.layers import layers_of

Row = tuple[str, ...]
LARGEST_TABLE = 2**28
"""Bytes; a million images of ten classes take half of it."""
NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def header(task: Task) -> Row:
    """Return the columns: image, height, width, then area (pixels) and share (0 to 1) of each class.

    >>> header(Task.binary("crack"))
    ('image', 'height', 'width', 'crack area', 'crack share')
    """
    named = [cell(f"{name} {what}") for name in task.classes for what in ("area", "share")]
    return ("image", "height", "width", *named)


def row_of(task: Task, name: str, mask: np.ndarray) -> Row:
    """Return the row of an image with its decoded mask. Shares are of all its pixels."""
    areas = [int(np.count_nonzero(layer)) for layer in layers_of(task, mask)]
    return _row(name, mask.shape[0], mask.shape[1], areas)


def row_of_files(coding: Coding, name: str, paths: Sequence[Path]) -> Row:
    """Return the row of an image from its mask files. Raises `DataError`."""
    (height, width), areas = areas_in_files(coding, paths)
    return _row(name, height, width, areas)


def _row(name: str, height: int, width: int, areas: Sequence[int]) -> Row:
    counted = [text for area in areas for text in (str(area), f"{area / (height * width):.6f}")]
    return (cell(name), str(height), str(width), *counted)


def write_summary(
    coding: Coding, masks: Path, table: Path, names: Iterable[str], known: Mapping[str, Row]
) -> None:
    """Write the table of all `names`, and of those in an older table, that have a mask; rows in order of their names.

    `known` are the rows of this call. Others are taken from the older table unless the mask is newer than that, or
    counted in the mask file.
    """
    older = read_summary(coding.task, table)
    since = table.stat().st_mtime_ns if older else 0
    with atomic(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header(coding.task))
        for name in sorted({*names, *older}):
            if paths := mask_files(coding, masks, name):
                changed = max(path.stat().st_mtime_ns for path in paths)
                row = known.get(name) or (older.get(name) if changed < since else None)
                writer.writerow(row or row_of_files(coding, name, paths))


def mask_files(coding: Coding, masks: Path, name: str) -> list[Path]:
    """Return the files of an image's mask, as they usually are or as TIFF; none unless all are there."""
    for tiff in (False, True):
        paths = coding.paths(masks, name, tiff)
        if all(path.exists() for path in paths):
            return paths
    return []


def read_summary(task: Task, table: Path) -> dict[str, Row]:
    """Return the rows of a table by image; none if there is no table, or one of other classes.

    A row that no `write_summary` can have written is left out: its image is counted anew, or belongs to nobody.
    """
    try:
        text = read_text(table, LARGEST_TABLE)
        rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    except (OSError, ValueError, csv.Error, DataError):
        return {}
    if not rows or rows[0] != header(task):
        return {}
    return {
        cell_name(row[0]): row for row in rows[1:] if len(row) == len(rows[0]) and _is_written(row)
    }


def _is_written(row: Row) -> bool:
    """Return whether a row holds the name of a file, and numbers."""
    numbers = all(NUMBER.fullmatch(text) for text in row[1:])
    return numbers and why_unsafe(f"{cell_name(row[0])}.png") is None
