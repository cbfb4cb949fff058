"""Label Studio: tasks to import, with a brush stroke for each class, which keeps every pixel.

The address of an image is that of a file in a local storage; see
https://labelstud.io/guide/storage#Local-storage. Unlabelled pixels have the label void.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.label_formats.labelstudio import UNLABELLED, address_of, brushes
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


class LabelStudioWriter(Writer):
    """Writes images/PART/NAME.png and tasks.json."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        check_no_class(task, UNLABELLED, "Label Studio")
        self._tasks: list[dict[str, Any]] = []

    def add(self, sample: Sample, part: str) -> None:
        folder = self.folder / "images"
        if len(self.parts) > 1:
            folder = folder / FOLDERS[part]
        path = self.write_image(folder, sample)
        target = encoded(self.task, sample)
        unlabelled = unlabelled_pixels(self.task, target, sample.name, "Label Studio")
        layers = class_layers_of(self.task, target)
        layers = with_unlabelled(layers, unlabelled, UNLABELLED)
        number = len(self._tasks) + 1
        result = brushes(layers, f"{number}-")
        address = address_of(path.relative_to(self.folder).as_posix())
        task = {"id": number, "data": {"image": address}, "annotations": [{"result": result}]}
        self._tasks.append(task)

    def finish(self) -> dict[str, Any]:
        text = json.dumps(self._tasks, ensure_ascii=False)
        write_text(self.folder / "tasks.json", text)
        return {"source": "labelstudio", "images": "images", "annotations": "tasks.json"}
