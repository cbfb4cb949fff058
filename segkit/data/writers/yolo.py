"""YOLO: a text file of polygons for each image.

The polygons follow the edges of pixels. The format has no holes, so a hole is joined to the outline
by a cut of no width. segkit reads every pixel back. Programs that also draw the line of an outline,
such as OpenCV's fillPoly, fill the cut and the pixels along the outline. Unlabelled pixels are
lost: the format cannot say that a pixel is neither an object nor background. Source:
https://docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial import KDTree

from segkit.data.polygons import Outline, outlines
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
                shares = one_ring(polygon) / (width, height)
                words = [f"{share:.10g}" for share in shares.ravel().tolist()]
                lines.append(" ".join([str(number), *words]))
        path = file_in(self.folder / "labels" / FOLDERS[part], sample.name, ".txt")
        write_text(path, "".join(f"{line}\n" for line in lines))

    def finish(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for part in self.parts:
            content[FOLDERS[part]] = f"images/{FOLDERS[part]}"
        content["names"] = dict(enumerate(self.labels))
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        write_text(self.folder / "data.yaml", text)
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


def one_ring(polygon: Outline) -> np.ndarray:
    """Return the outline of a region and its holes as one ring.

    The ring walks to each hole, around it, and back by the same way, so that the way has no width.

    Args:
        polygon: The outline and the holes.

    Returns:
        Corners (N, 2) of x and y, without the repeated first one.
    """
    ring = np.array(polygon.outer[:-1], np.int64)
    for hole in polygon.holes:
        corners = np.array(hole[:-1], np.int64)
        distances, nearest = KDTree(ring).query(corners)
        start = int(np.argmin(distances))
        place = int(nearest[start])
        around = np.concatenate([corners[start:], corners[: start + 1]])
        ring = np.concatenate([ring[: place + 1], around, ring[place:]])
    return ring
