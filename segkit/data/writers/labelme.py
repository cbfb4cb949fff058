"""labelme: a JSON file beside each image, with objects as shapes of the type "mask".

The format is that of labelme 5, https://github.com/wkentaro/labelme. It keeps every pixel;
unlabelled pixels have the label `__ignore__`.
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segkit.data.sources.source import Sample
from segkit.data.writers.writer import (
    FOLDERS,
    LabelledObject,
    Writer,
    encoded,
    objects_of,
    unlabelled_pixels,
)
from segkit.io.atomic import write_text
from segkit.io.names import file_in

IGNORED = "__ignore__"
"""labelme's label for pixels that do not count."""
VERSION = "5.0.0"
"""The first version of labelme whose shapes can be masks."""


class LabelmeWriter(Writer):
    """Writes NAME.png and NAME.json, in a folder for each part if there are several."""

    def add(self, sample: Sample, part: str) -> None:
        folder = self.folder
        if len(self.parts) > 1:
            folder = self.folder / FOLDERS[part]
        path = self.write_image(folder, sample)
        target = encoded(self.task, sample)
        shapes = []
        unlabelled = unlabelled_pixels(self.task, target, sample.name, "labelme")
        if unlabelled.any():
            shapes.append(_shape(_bounded(unlabelled)))
        shapes += [_shape(piece) for piece in objects_of(self.task, target)]
        content = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": path.name,
            "imageData": None,
            "imageHeight": target.shape[0],
            "imageWidth": target.shape[1],
        }
        text = json.dumps(content, ensure_ascii=False, indent=1)
        write_text(file_in(folder, sample.name, ".json"), text)

    def finish(self) -> dict[str, Any]:
        return {"source": "labelme", "images": "."}


def _bounded(layer: np.ndarray) -> LabelledObject:
    """Return the pixels of a layer (H, W) in the smallest box around them."""
    left, top, width, height = cv2.boundingRect(layer.astype(np.uint8))
    return LabelledObject(IGNORED, left, top, layer[top : top + height, left : left + width])


def _shape(piece: LabelledObject) -> dict[str, Any]:
    height, width = piece.pixels.shape
    last = [piece.left + width - 1, piece.top + height - 1]
    return {
        "label": piece.label,
        "points": [[piece.left, piece.top], last],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": _png(piece.pixels),
    }


def _png(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
