"""The table of all images: pixels, shares and objects of each class."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.mask_counts import MaskCounts, counts_in_files, counts_in_mask
from segkit.io.atomic import atomic
from segkit.io.coding import Coding
from segkit.io.files import read_text
from segkit.io.names import cell, cell_name, why_unsafe
from segkit.task import Task

Row = tuple[str, ...]
LARGEST_TABLE = 2**28
"""Bytes. The table of a million images with ten classes needs half of it."""
LABELLED_SHARE = "labelled_share"
"""The end of the names of columns that are empty if no pixel is labelled. It has no space, so that
two classes never have one name of a column."""
NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def header(task: Task) -> Row:
    """Return the columns.

    They are image, height and width; for each class its area (pixels) and its share (0 to 1) of all
    pixels; the pixels that are labelled, which are those with data; for each class its share of
    these; and for each foreground class whether it is present (1 or 0), and its number of objects.

    >>> header(Task.binary("crack"))
    ('image', 'height', 'width', 'crack area', 'crack share', 'labelled',
     'crack labelled_share', 'crack present', 'crack objects')
    """
    columns = [*older_header(task), "labelled"]
    for label, name in enumerate(task.classes):
        columns.append(cell(f"{name} {LABELLED_SHARE}"))
        if label in task.foreground:
            columns += [cell(f"{name} present"), cell(f"{name} objects")]
    return tuple(columns)


def older_header(task: Task) -> Row:
    """Return the columns of tables of older versions, which are the first ones of `header`."""
    columns = ["image", "height", "width"]
    for name in task.classes:
        columns += [cell(f"{name} area"), cell(f"{name} share")]
    return tuple(columns)


def row_of(task: Task, name: str, mask: np.ndarray) -> Row:
    """Return the row of an image from its decoded mask."""
    return _row(name, counts_in_mask(task, mask))


def row_of_files(coding: Coding, name: str, paths: Sequence[Path]) -> Row:
    """Return the row of an image from its mask files. Raises `DataError` as `counts_in_files`."""
    return _row(name, counts_in_files(coding, paths))


def _row(name: str, counts: MaskCounts) -> Row:
    height, width = counts.size
    row = [cell(name), str(height), str(width)]
    for area in counts.areas:
        row += [str(area), f"{area / (height * width):.6f}"]
    row.append(str(counts.labelled))
    for label, area in enumerate(counts.areas):
        share = ""  # of nothing
        if counts.labelled:
            share = f"{area / counts.labelled:.6f}"
        row.append(share)
        if label in counts.objects:
            row += [str(int(area > 0)), str(counts.objects[label])]
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
    unfinished = _read_rows(coding.task, table, older_header(coding.task))
    written_at = table.stat().st_mtime_ns if older else 0
    with atomic(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header(coding.task))
        for name in sorted({*names, *older, *unfinished}):
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
    """Return the rows of a table by image; none if there is no table, or one of other columns.

    Rows that `write_summary` cannot have written are left out. Their images are counted again.
    """
    return _read_rows(task, table, header(task))


def _read_rows(task: Task, table: Path, columns: Row) -> dict[str, Row]:
    """Return the rows of a table that has these columns, by image."""
    try:
        text = read_text(table, LARGEST_TABLE)
        rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    except (OSError, ValueError, csv.Error, DataError):
        return {}
    if not rows or rows[0] != columns:
        return {}
    found = {}
    for row in rows[1:]:
        if len(row) == len(columns) and _is_written(row, columns):
            found[cell_name(row[0])] = row
    return found


def _is_written(row: Row, columns: Row) -> bool:
    """Return whether a row has the name of a possible file, and numbers."""
    if why_unsafe(f"{cell_name(row[0])}.png") is not None:
        return False
    for text, column in zip(row[1:], columns[1:], strict=True):
        is_of_nothing = text == "" and column.endswith(LABELLED_SHARE)
        if not is_of_nothing and not NUMBER.fullmatch(text):
            return False
    return True
