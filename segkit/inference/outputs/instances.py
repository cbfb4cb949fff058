"""Instances: a TIFF with the object number of each pixel, and a CSV table of the objects."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Output, PredictedImage, beside
from segkit.io import codecs
from segkit.io.atomic import atomic
from segkit.io.masks import mask_paths
from segkit.io.names import cell, cell_name, file_in
from segkit.io.tiff_files import save_tiff
from segkit.task import Task
from segkit.task.layers import planes_of

PHYSICAL = ("physical_area", "physical_unit")
"""Empty where the size of the pixels is unknown; older tables lack them."""
COLUMNS = ("image", "number", "class", "left", "top", "width", "height", "area", "score", *PHYSICAL)


class Instances(Output):
    """Writes DIR-instances/NAME.tif and NAME.csv, and DIR-instances.csv of all images.

    In a multilabel task the TIFFs are CLASS/NAME.tif.
    """

    ending = "-instances"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        self.table = beside(masks, "-instances.csv")

    def paths(self, name: str) -> list[Path]:
        numbers = mask_paths(self.task, self.folder, name, ".tif")
        return [*numbers, file_in(self.folder, name, ".csv")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        numbers, objects = predicted.objects
        dtype = np.uint16 if len(objects) <= np.iinfo(np.uint16).max else np.uint32
        tags = predicted.location.tags if predicted.location else ()
        *plane_paths, table = paths
        for path, plane in zip(plane_paths, planes_of(numbers), strict=True):
            save_tiff(path, plane.astype(dtype), tags, pixel_mm=predicted.pixel_mm)
        with table.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows_of(predicted)])

    def merge(self) -> None:
        with (
            atomic(self.table) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for path in list_parts(self.folder, ".csv").values():
                writer.writerows(_read_rows(path))


def _read_rows(path: Path) -> list[list[str]]:
    """Return the rows of a table that `Instances` wrote. Raises `DataError` for any other file."""
    with codecs.naming(path), path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    columns = list(COLUMNS)
    missing: list[str] = []
    if rows[:1] == [columns[: -len(PHYSICAL)]]:  # of an older version
        columns = rows[0]
        missing = [""] * len(PHYSICAL)
    if rows[:1] != [columns] or any(len(row) != len(columns) for row in rows):
        raise DataError(f"{path}: is no table of objects; delete it, and predict its image again")
    return [_as_cells([*row, *missing]) for row in rows[1:]]


def _as_cells(row: Sequence[str]) -> list[str]:
    """Return texts that no spreadsheet takes for a formula, whether or not they were so already."""
    return [cell(cell_name(text)) for text in row]


def rows_of(predicted: PredictedImage) -> list[list[object]]:
    """Return one row of `COLUMNS` per object: box and area in pixels, score from 0 to 1.

    The last two cells are the area in a unit, if the size of the pixels is known.
    """
    image = cell(predicted.name)
    rows: list[list[object]] = []
    for found in predicted.objects[1]:
        label = cell(predicted.task.classes[found.label])
        measures = predicted.measures_of(found)
        physical = [measures.get(column, "") for column in PHYSICAL]
        rows.append([image, found.number, label, *found.box, found.area, found.score, *physical])
    return rows
