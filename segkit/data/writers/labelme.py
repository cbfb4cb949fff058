"""labelme: a JSON file beside each image, with objects as shapes of the type "mask".

It keeps every pixel; unlabelled pixels have the label `__ignore__`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.label_formats.labelme import IGNORED, document, ignored_shape, mask_shape
from segkit.data.label_formats.unlabelled import check_no_class
from segkit.data.sources.source import Sample
from segkit.data.writers.writer import FOLDERS, Writer, encoded, objects_of, unlabelled_pixels
from segkit.io.atomic import write_text
from segkit.io.names import file_in
from segkit.task import Task


class LabelmeWriter(Writer):
    """Writes NAME.png and NAME.json, in a folder for each part if there are several."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        check_no_class(task, IGNORED, "labelme")

    def add(self, sample: Sample, part: str) -> None:
        folder = self.folder
        if len(self.parts) > 1:
            folder = self.folder / FOLDERS[part]
        path = self.write_image(folder, sample)
        target = encoded(self.task, sample)
        shapes = []
        unlabelled = unlabelled_pixels(self.task, target, sample.name, "labelme")
        if unlabelled.any():
            shapes.append(ignored_shape(unlabelled))
        shapes += [mask_shape(*piece) for piece in objects_of(self.task, target)]
        height, width = target.shape[:2]
        content = document(shapes, path.name, (height, width))
        text = json.dumps(content, ensure_ascii=False, indent=1)
        write_text(file_in(folder, sample.name, ".json"), text)

    def finish(self) -> dict[str, Any]:
        return {"source": "labelme", "images": "."}
