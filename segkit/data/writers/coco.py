"""COCO: a file of run lengths for each part, which keeps every pixel.

Unlabelled pixels are regions with `iscrowd: 1`, which `data.crowds: void` reads back. The format:
https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segkit.data.run_lengths import compressed, run_lengths
from segkit.data.sources.source import Sample
from segkit.data.writers.writer import FOLDERS, Writer, encoded
from segkit.io.atomic import write_text
from segkit.task import VOID, Task
from segkit.task.layers import layer_of, plane_of


class CocoWriter(Writer):
    """Writes images/NAME.png and annotations/PART.json."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        self._images: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
        self._annotations: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}

    def add(self, sample: Sample, part: str) -> None:
        path = self.write_image(self.folder / "images", sample)
        target = encoded(self.task, sample)
        height, width = target.shape[:2]
        images = self._images[part]
        number = len(images) + 1
        file_name = path.relative_to(self.folder / "images").as_posix()
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for category, index in enumerate(self.task.foreground, start=1):
            layer = layer_of(self.task, target, index)
            _, pieces = cv2.connectedComponents(layer.astype(np.uint8), connectivity=8)
            self._add_regions(part, number, category, pieces, crowd=0)
            is_first = category == 1
            if self.task.layered or is_first:
                unlabelled = plane_of(self.task, target, index) == VOID
                self._add_regions(part, number, category, unlabelled.astype(np.int32), crowd=1)

    def _add_regions(
        self, part: str, image: int, category: int, numbers: np.ndarray, crowd: int
    ) -> None:
        """Add an annotation for each number of an array (H, W)."""
        height, width = numbers.shape
        annotations = self._annotations[part]
        for counts in run_lengths(numbers).values():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "segmentation": compressed(counts, height, width),
                    "area": sum(counts[1::2]),
                    "iscrowd": crowd,
                }
            )

    def finish(self) -> dict[str, Any]:
        categories = []
        for number, name in enumerate(self.labels, start=1):
            categories.append({"id": number, "name": name})
        files = {}
        for part in self.parts:
            content = {
                "images": self._images[part],
                "annotations": self._annotations[part],
                "categories": categories,
            }
            files[part] = f"annotations/{FOLDERS[part]}.json"
            write_text(self.folder / files[part], json.dumps(content, ensure_ascii=False))
        main = self.parts[0]  # train, if it has samples
        data: dict[str, Any] = {
            "source": "coco",
            "images": "images",
            "annotations": files[main],
            "crowds": "void",
        }
        for part in ("validation", "test"):
            if part in files and part != main:
                data[part] = {"annotations": files[part]}
        return data
