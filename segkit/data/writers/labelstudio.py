"""Label Studio: tasks to import, with a brush stroke for each class, which keeps every pixel.

The address of an image is that of a file in a local storage; see
https://labelstud.io/guide/storage#Local-storage. Unlabelled pixels have the label void.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.data import rle_pack
from segkit.data.sources.source import Sample
from segkit.data.writers.writer import FOLDERS, Writer, encoded, unlabelled_pixels
from segkit.io.atomic import write_text
from segkit.task import Task
from segkit.task.layers import layer_of

ADDRESS = "/data/local-files/?d="
"""The beginning of the address of a local file."""


class LabelStudioWriter(Writer):
    """Writes images/PART/NAME.png and tasks.json."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        self._tasks: list[dict[str, Any]] = []

    def add(self, sample: Sample, part: str) -> None:
        folder = self.folder / "images"
        if len(self.parts) > 1:
            folder = folder / FOLDERS[part]
        path = self.write_image(folder, sample)
        target = encoded(self.task, sample)
        layers = {}
        unlabelled = unlabelled_pixels(self.task, target, sample.name, "Label Studio")
        if unlabelled.any():
            layers["void"] = unlabelled
        for index in self.task.foreground:
            layer = layer_of(self.task, target, index)
            if layer.any():
                layers[self.task.classes[index]] = layer
        number = len(self._tasks) + 1
        results: list[dict[str, Any]] = []
        for label, layer in layers.items():
            results.append(_brush(f"{number}-{len(results) + 1}", label, layer))
        address = ADDRESS + path.relative_to(self.folder).as_posix()
        task = {"id": number, "data": {"image": address}, "annotations": [{"result": results}]}
        self._tasks.append(task)

    def finish(self) -> dict[str, Any]:
        text = json.dumps(self._tasks, ensure_ascii=False)
        write_text(self.folder / "tasks.json", text)
        return {"source": "labelstudio", "images": "images", "annotations": "tasks.json"}


def _brush(number: str, label: str, layer: np.ndarray) -> dict[str, Any]:
    """Return a region of a labelling config with <BrushLabels name="label" toName="image">."""
    height, width = layer.shape
    return {
        "id": number,
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": rle_pack.encode_brush(layer), "brushlabels": [label]},
    }
