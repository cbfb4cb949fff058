"""Instances: the number of each pixel's object as a TIFF, and a table of the objects as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Answer, Output, beside
from segkit.io import codecs
from segkit.io.atomic import atomic
from segkit.io.masks import mask_paths
from segkit.io.names import cell, cell_name, file_in
from segkit.io.tiff_files import save_tiff
from segkit.task import Task
from segkit.task.layers import planes_of

COLUMNS = ("image", "number", "class", "left", "top", "width", "height", "area", "score")


class Instances(Output):
    """DIR-instances/NAME.tif (CLASS/NAME.tif in a multilabel task) and NAME.csv, and DIR-instances.csv of all images."""

    ending = "-instances"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        self.table = beside(masks, "-instances.csv")

    def paths(self, name: str) -> list[Path]:
        return [
            *mask_paths(self.task, self.folder, name, ".tif"),
            file_in(self.folder, name, ".csv"),
        ]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        numbers, objects = answer.objects
        kind = np.uint16 if len(objects) <= np.iinfo(np.uint16).max else np.uint32
        for path, plane in zip(paths[:-1], planes_of(numbers), strict=True):
            save_tiff(path, plane.astype(kind), answer.place.tags if answer.place else ())
        with paths[-1].open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows_of(answer)])

    def merge(self) -> None:
        with (
            atomic(self.table) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for path in list_parts(self.folder, ".csv").values():
                writer.writerows(_rows_of_part(path))


def _rows_of_part(path: Path) -> list[list[str]]:
    """Return the rows of a table that `Instances` wrote. Raises `DataError` for any other file."""
    with codecs.naming(path), path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    if rows[:1] != [list(COLUMNS)] or any(len(row) != len(COLUMNS) for row in rows):
        raise DataError(f"{path}: is no table of objects; delete it, and predict its image again")
    return [[cell(cell_name(text)) for text in row] for row in rows[1:]]


def rows_of(answer: Answer) -> list[list[object]]:
    """Return one row of `COLUMNS` for each object: box and area in pixels, score the mean probability."""
    names = answer.task.classes
    return [
        [
            cell(answer.name),
            found.number,
            cell(names[found.label]),
            *found.box,
            found.area,
            found.score,
        ]
        for found in answer.objects[1]
    ]
