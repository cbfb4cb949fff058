"""The table of all images: the pixels of each class, and their share of the image."""

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
"""Bytes. The table of a million images with ten classes needs half of it."""
NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def header(task: Task) -> Row:
    """Return the columns: image, height, width, and per class its area (pixels) and share (0 to 1).

    >>> header(Task.binary("crack"))
    ('image', 'height', 'width', 'crack area', 'crack share')
    """
    columns = ["image", "height", "width"]
    for name in task.classes:
        columns += [cell(f"{name} area"), cell(f"{name} share")]
    return tuple(columns)


def row_of(task: Task, name: str, mask: np.ndarray) -> Row:
    """Return the row of an image from its decoded mask. Shares are of all pixels of the image."""
    areas = [int(np.count_nonzero(layer)) for layer in layers_of(task, mask)]
    return _row(name, mask.shape[0], mask.shape[1], areas)


def row_of_files(coding: Coding, name: str, paths: Sequence[Path]) -> Row:
    """Return the row of an image from its mask files. Raises `DataError` as `areas_in_files`."""
    size, areas = areas_in_files(coding, paths)
    return _row(name, size.height, size.width, areas)


def _row(name: str, height: int, width: int, areas: Sequence[int]) -> Row:
    row = [cell(name), str(height), str(width)]
    for area in areas:
        row += [str(area), f"{area / (height * width):.6f}"]
    return tuple(row)


def write_summary(
    coding: Coding, masks: Path, table: Path, names: Iterable[str], known: Mapping[str, Row]
) -> None:
    """Write the table of all images that have a mask, in the order of their names.

    A row that is not known is taken from the older table, unless the mask is newer than the table.
    Otherwise it is counted in the mask files.

    Args:
        coding: How the masks are stored.
        masks: The folder of the masks.
        table: The file to write. The images of an older table stay in it.
        names: The names of further images.
        known: The rows of this call by name of the image.

    Raises:
        DataError: If a mask has to be counted and cannot be read.
    """
    older = read_summary(coding.task, table)
    written_at = table.stat().st_mtime_ns if older else 0
    with atomic(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header(coding.task))
        for name in sorted({*names, *older}):
            paths = mask_files(coding, masks, name)
            if not paths:
                continue
            row = known.get(name)
            changed_at = max(path.stat().st_mtime_ns for path in paths)
            if row is None and changed_at < written_at:
                row = older.get(name)
            if row is None:
                row = row_of_files(coding, name, paths)
            writer.writerow(row)


def mask_files(coding: Coding, masks: Path, name: str) -> list[Path]:
    """Return the files of an image's mask, as usual or as TIFF; none unless all exist."""
    for tiff in (False, True):
        paths = coding.paths(masks, name, tiff)
        if all(path.exists() for path in paths):
            return paths
    return []


def read_summary(task: Task, table: Path) -> dict[str, Row]:
    """Return the rows of a table by image; none if there is no table, or one of other classes.

    Rows that `write_summary` cannot have written are left out. Their images are counted again.
    """
    try:
        text = read_text(table, LARGEST_TABLE)
        rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    except (OSError, ValueError, csv.Error, DataError):
        return {}
    if not rows or rows[0] != header(task):
        return {}
    found = {}
    for row in rows[1:]:
        if len(row) == len(rows[0]) and _is_written(row):
            found[cell_name(row[0])] = row
    return found


def _is_written(row: Row) -> bool:
    """Return whether a row has the name of a possible file, and numbers."""
    numbers = all(NUMBER.fullmatch(text) for text in row[1:])
    return numbers and why_unsafe(f"{cell_name(row[0])}.png") is None
