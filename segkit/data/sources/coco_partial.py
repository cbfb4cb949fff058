"""COCO annotations without a segmentation: boxes and keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from segkit.data.rasterise import Points, Shape, draw_mask
from segkit.data.sources.coco_segmentation import Runs
from segkit.data.sources.label_values import number_field, rectangle, short_repr
from segkit.errors import DataError
from segkit.task import VOID


def is_without_segmentation(segmentation: Any) -> bool:
    """Return whether an annotation has no segmentation, or an empty one."""
    return segmentation is None or segmentation == []


def leave_outside_open(
    layers: Mapping[str, np.ndarray], labels: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the layers of all classes, unlabelled where no class has a region.

    Args:
        layers: Layers (H, W) uint8 of 0, 1 and 255 (VOID), at least one.
        labels: The names of all classes.
    """
    first = next(iter(layers.values()))
    outside = np.ones(first.shape, bool)
    for layer in layers.values():
        outside &= layer != 1
    found = {}
    for label in labels:
        layer = layers.get(label, np.zeros_like(first)).copy()
        layer[outside] = VOID
        found[label] = layer
    return found


def runs_of_box(box: Any, height: int, width: int) -> Runs:
    """Return the pixels inside a box.

    Args:
        box: The box [x, y, width, height] in pixels, unchecked.
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.

    Raises:
        DataError: If it is no such box, or outside the image.
    """
    if not isinstance(box, list) or len(box) != 4:
        raise DataError(
            f"a box is [x, y, width, height]; found {short_repr(box)}", "no-segmentation"
        )
    names = ("x", "y", "width", "height")
    entry = dict(zip(names, box, strict=True))
    left, top, across, down = (number_field(entry, name, "bbox") for name in names)
    if across <= 0 or down <= 0:
        raise DataError(
            f"width and height of a box are above 0; found {short_repr(box)}", "label-shape"
        )
    return _runs(rectangle(left, top, left + across, top + down), height, width)


def runs_of_keypoints(keypoints: Any, height: int, width: int) -> list[Runs]:
    """Return the pixels of keypoints.

    Args:
        keypoints: The list [x, y, v, x, y, v, ...] in pixels, unchecked. Points with v = 0 are not
            labelled.
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.

    Returns:
        One element, or none if no point is labelled.

    Raises:
        DataError: If it is no such list, or outside the image.
    """
    is_list = isinstance(keypoints, list) and len(keypoints) % 3 == 0
    if not is_list or not all(type(value) in (int, float) for value in keypoints):
        raise DataError(
            f"keypoints are [x, y, v, x, y, v, ...]; found {short_repr(keypoints)}", "label-shape"
        )
    values = np.array(keypoints, np.float64).reshape(-1, 3)
    labelled = values[values[:, 2] > 0]
    if not len(labelled):
        return []
    return [_runs(Points(labelled[:, :2]), height, width)]


def _runs(shape: Shape, height: int, width: int) -> Runs:
    pixels = draw_mask(shape, (height, width))
    runs: Runs = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return runs
