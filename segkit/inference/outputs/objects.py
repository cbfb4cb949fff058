"""Connected objects of a mask: numbers, boxes, areas, scores."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from segkit.task import Task
from segkit.task.layers import layer_of, plane_of


class Object(NamedTuple):
    """Pixels of one class that touch, also at corners (8 neighbours)."""

    number: int
    """From 1 on, unique in its image."""
    label: int
    """Its class, an index of `Task.classes`."""
    box: tuple[int, int, int, int]
    """Left, top, width, height in pixels."""
    area: int
    """Pixels."""
    score: float
    """Mean probability of its class over its pixels, 0 to 1."""


def find_objects(
    task: Task, mask: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, list[Object]]:
    """Return the number of each pixel's object, int32 of the mask's shape and 0 where there is none, and the objects.

    Only the foreground has objects. In a multilabel mask (H, W, C) each class has its own layer of numbers.

    >>> task = Task.binary("crack")
    >>> p = np.array([[[0.75], [0.2], [0.2]], [[0.2], [1.0], [0.2]]])
    >>> numbers, objects = find_objects(task, task.decode(p), p)
    >>> numbers.tolist(), objects
    ([[1, 0, 0], [0, 1, 0]], [Object(number=1, label=0, box=(0, 0, 2, 2), area=2, score=0.875)])
    """
    numbers = np.zeros(mask.shape, np.int32)
    found: list[Object] = []
    for label in task.foreground:
        layer = layer_of(task, mask, label).view(np.uint8)
        count, parts, boxes, _ = cv2.connectedComponentsWithStats(
            layer, connectivity=8, ltype=cv2.CV_32S
        )
        sums = np.bincount(parts.ravel(), probabilities[..., label].ravel(), count)
        first = len(found) + 1
        for number, (*box, area), total in zip(
            range(first, first + count), boxes[1:].tolist(), sums[1:], strict=False
        ):
            found.append(Object(number, label, tuple(box), area, round(float(total) / area, 6)))
        plane = plane_of(task, numbers, label)
        plane += np.where(
            parts > 0, parts + (first - 1), 0
        )  # classes that share a plane never overlap
    return numbers, found
