"""Run lengths: the pixels of each class in one CSV file of all images, as in Kaggle's competitions.

The file is that of `segkit convert --to rle`; see `segkit.data.label_formats.rle`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from segkit.data.label_formats.rle import COLUMNS, FILE, UNLABELLED, RleRow, csv_text, rle_rows
from segkit.data.label_formats.unlabelled import check_no_class, with_unlabelled
from segkit.inference.outputs.listing import list_parts, part_problem, read_listing
from segkit.inference.outputs.object_layers import object_layers, pixels_without_data
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.atomic import atomic
from segkit.io.names import file_in
from segkit.task import Task


class Rle(Output):
    """Writes DIR-rle/parts/NAME.json for each image, and DIR-rle/masks.csv of all."""

    ending = "-rle"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        check_no_class(task, UNLABELLED, "run lengths")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".json")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        without_data = pixels_without_data(predicted)
        layers = with_unlabelled(object_layers(predicted), without_data, UNLABELLED)
        default = self.task.classes[self.task.foreground[0]]
        rows = rle_rows(predicted.file_name, layers, default)
        paths[0].write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")

    def merge(self) -> None:
        path = self.folder / FILE
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(csv_text([COLUMNS]))
            for part in list_parts(self.folder / "parts", ".json").values():
                stream.write(csv_text(_read_rows(part)))


def _read_rows(path: Path) -> Iterator[RleRow]:
    """Yield the rows of an image. Raises `DataError` for a file that `Rle` did not write."""
    for row in read_listing(path, list):
        is_row = isinstance(row, list) and len(row) == len(COLUMNS)
        if not is_row or not all(isinstance(cell, str) for cell in row):
            raise part_problem(path, "its rows are not those of run lengths")
        yield RleRow(*row)
