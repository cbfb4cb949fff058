"""A table of all images: how many pixels, and which share of its image, each class has."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from segkit import mask_files
from segkit.errors import DataError
from segkit.files import atomic
from segkit.outputs.objects import layer_of
from segkit.task import Task

Row = tuple[str, ...]


def header(task: Task) -> Row:
    """Return the columns: image, height, width, then area (pixels) and share (0 to 1) of each class.

    >>> header(Task.binary("crack"))
    ('image', 'height', 'width', 'crack area', 'crack share')
    """
    return ("image", "height", "width", *(f"{name} {what}" for name in task.classes for what in ("area", "share")))


def row_of(task: Task, name: str, mask: np.ndarray) -> Row:
    """Return the row of an image with its decoded mask. Shares are of all its pixels."""
    height, width = mask.shape[:2]
    areas = [int(np.count_nonzero(layer_of(task, mask, label))) for label in range(len(task.classes))]
    counted = [text for area in areas for text in (str(area), f"{area / (height * width):.6f}")]
    return (name, str(height), str(width), *counted)


def write_summary(task: Task, masks: Path, table: Path, names: Iterable[str], known: Mapping[str, Row]) -> None:
    """Write the table of all `names`, and of those in an older table, that have a mask; rows in order of their names.

    `known` are the rows of this call. Others are taken from the older table unless the mask is newer than that, or
    counted in the mask file.
    """
    older = read_summary(task, table)
    since = table.stat().st_mtime_ns if older else 0
    with atomic(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header(task))
        for name in sorted({*names, *older}):
            paths = mask_files.mask_paths(task, masks, name)
            changed = [path.stat().st_mtime_ns for path in paths if path.exists()]
            if len(changed) == len(paths):
                row = known.get(name) or (older.get(name) if max(changed) < since else None)
                writer.writerow(row or row_of(task, name, read_back(task, paths)))


def read_summary(task: Task, table: Path) -> dict[str, Row]:
    """Return the rows of a table by image; none if there is no table, or one of other classes."""
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [tuple(row) for row in csv.reader(stream)]
    except (OSError, ValueError, csv.Error):
        return {}
    if not rows or rows[0] != header(task):
        return {}
    return {row[0]: row for row in rows[1:] if len(row) == len(rows[0])}


def read_back(task: Task, paths: list[Path]) -> np.ndarray:
    """Return a mask as `Task.decode` gave it from the files that `write_mask` made. Raises `DataError`."""
    layers = [mask_files.read_mask(path) for path in paths]
    if task.exclusive:
        return layers[0]
    if len({layer.shape for layer in layers}) > 1:
        raise DataError(f"{paths[0]}: is not as large as the masks of the image's other classes; delete them")
    stack = np.stack([(layer > 0).astype(np.uint8) for layer in layers], axis=-1)
    return stack if task.kind == "multilabel" else stack[..., 0]
