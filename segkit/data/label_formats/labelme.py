"""labelme: the content of the JSON file of an image.

The format is that of labelme 5, https://github.com/wkentaro/labelme.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segkit.data.rasterise import Size

IGNORED = "__ignore__"
"""labelme's label for pixels that do not count."""
VERSION = "5.0.0"
"""The first version of labelme whose shapes can be masks."""


def document(shapes: Sequence[dict[str, Any]], image: str, size: Size) -> dict[str, Any]:
    """Return the content of the JSON file of an image.

    Args:
        shapes: Its shapes; in labelme a later one hides earlier ones.
        image: The path of the image as seen from the JSON file, with forward slashes.
        size: Height and width of the image.
    """
    height, width = size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def mask_shape(label: str, left: int, top: int, pixels: np.ndarray) -> dict[str, Any]:
    """Return a shape that keeps every pixel.

    Args:
        label: The label.
        left: The first column of the pixels in the image.
        top: Their first row.
        pixels: (H, W) bool.
    """
    height, width = pixels.shape
    points = [[left, top], [left + width - 1, top + height - 1]]
    return {**_shape(label, "mask", points), "mask": _png(pixels)}


def ignored_shape(layer: np.ndarray) -> dict[str, Any]:
    """Return the shape of unlabelled pixels: a layer (H, W) bool of the whole image, not empty."""
    left, top, width, height = cv2.boundingRect(layer.astype(np.uint8))
    return mask_shape(IGNORED, left, top, layer[top : top + height, left : left + width])


def polygon_shape(label: str, ring: np.ndarray, group: int | None = None) -> dict[str, Any]:
    """Return a polygon.

    Args:
        label: The label.
        ring: Corners (N, 2) of x and y in pixels, without the repeated first one.
        group: A number that the polygons of one object share; None if the object has only one.
    """
    return {**_shape(label, "polygon", ring.tolist()), "group_id": group}


def _shape(label: str, kind: str, points: list[list[float]]) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }


def _png(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
