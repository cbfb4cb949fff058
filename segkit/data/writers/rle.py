"""A CSV file of run lengths, as in competitions of Kaggle, which keeps every pixel.

The columns are ImageId, ClassId and EncodedPixels. Pixels are numbered from 1, down the columns. An
image without objects has a row without run lengths. Unlabelled pixels have the class void.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.label_formats.rle import (
    COLUMNS,
    FILE,
    UNLABELLED,
    RleRow,
    csv_text,
    rle_rows,
)
from segkit.data.label_formats.unlabelled import check_no_class, with_unlabelled
from segkit.data.sources.source import Sample
from segkit.data.writers.writer import (
    FOLDERS,
    Writer,
    class_layers_of,
    encoded,
    unlabelled_pixels,
)
from segkit.io.atomic import write_text
from segkit.task import Task


class RleWriter(Writer):
    """Writes images/PART/NAME.png and masks.csv."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        check_no_class(task, UNLABELLED, "run lengths")
        self._rows: list[RleRow] = []

    def add(self, sample: Sample, part: str) -> None:
        images = self.folder / "images"
        folder = images
        if len(self.parts) > 1:
            folder = images / FOLDERS[part]
        path = self.write_image(folder, sample)
        target = encoded(self.task, sample)
        unlabelled = unlabelled_pixels(self.task, target, sample.name, "a CSV file")
        layers = class_layers_of(self.task, target)
        layers = with_unlabelled(layers, unlabelled, UNLABELLED)
        image = path.relative_to(images).as_posix()
        self._rows += rle_rows(image, layers, self.labels[0])

    def finish(self) -> dict[str, Any]:
        write_text(self.folder / FILE, csv_text([COLUMNS, *self._rows]))
        return {
            "source": "rle",
            "images": "images",
            "annotations": FILE,
            "run_lengths": {"order": "column"},
        }
