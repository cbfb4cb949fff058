"""YOLO: a text file of polygons for each image.

Unlabelled pixels are lost: the format cannot say that a pixel is neither an object nor background.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.label_formats.yolo import DESCRIPTION, description, polygon_line
from segkit.data.polygons import outlines
from segkit.data.sources.source import Sample
from segkit.data.writers.writer import FOLDERS, Writer, encoded
from segkit.io.atomic import write_text
from segkit.io.names import file_in
from segkit.task import VOID, Task
from segkit.task.layers import as_planes, layer_of


class YoloWriter(Writer):
    """Writes images/PART/NAME.png, labels/PART/NAME.txt and data.yaml."""

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        super().__init__(task, folder, parts)
        self._holes = 0
        self._unlabelled = 0

    def add(self, sample: Sample, part: str) -> None:
        self.write_image(self.folder / "images" / FOLDERS[part], sample)
        target = encoded(self.task, sample)
        height, width = target.shape[:2]
        self._unlabelled += int((as_planes(target) == VOID).any(axis=-1).sum())
        lines = []
        for number, index in enumerate(self.task.foreground):
            for polygon in outlines(layer_of(self.task, target, index)):
                self._holes += len(polygon.holes)
                rings = [polygon.outer, *polygon.holes]
                lines.append(polygon_line(number, rings, (height, width)))
        path = file_in(self.folder / "labels" / FOLDERS[part], sample.name, ".txt")
        write_text(path, "".join(f"{line}\n" for line in lines))

    def finish(self) -> dict[str, Any]:
        folders = {FOLDERS[part]: f"images/{FOLDERS[part]}" for part in self.parts}
        write_text(self.folder / DESCRIPTION, description(folders, self.labels))
        return {"source": "yolo", "images": ".", "without_labels": "background"}

    @property
    def losses(self) -> list[str]:
        found = []
        if self._holes:
            found.append(
                f"{self._holes:,} holes are joined to the outlines by cuts of no width, which some "
                f"programs fill"
            )
        if self._unlabelled:
            found.append(
                f"{self._unlabelled:,} unlabelled pixels became background, because the format "
                f"cannot store them"
            )
        return found
