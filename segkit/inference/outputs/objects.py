"""Connected objects of a mask: numbers, boxes, areas, scores."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from segkit.task import Task
from segkit.task.layers import layer_of, plane_of


class Object(NamedTuple):
    """Pixels of one class that touch by a side or a corner (8 neighbours)."""

    number: int
    """From 1, unique in its image."""
    label: int
    """The class, an index of `Task.classes`."""
    box: tuple[int, int, int, int]
    """Left, top, width, height in pixels."""
    area: int
    """Number of pixels."""
    score: float
    """Mean probability of the class over the pixels, from 0 to 1."""
    centre: tuple[float, float]
    """Mean x and y of the centres of the pixels, where (0, 0) is the upper left corner of the
    image; the centre of the first pixel is (0.5, 0.5)."""


def without_small_objects(
    numbers: np.ndarray, objects: list[Object], smallest: int
) -> tuple[np.ndarray, list[Object]]:
    """Return the result of `find_objects` without objects of fewer than `smallest` pixels.

    The others are numbered anew, from 1 in the same order.
    """
    if all(found.area >= smallest for found in objects):
        return numbers, objects
    kept: list[Object] = []
    new_numbers = np.zeros(len(objects) + 1, numbers.dtype)
    for found in objects:
        if found.area >= smallest:
            number = len(kept) + 1
            new_numbers[found.number] = number
            kept.append(found._replace(number=number))
    return new_numbers[numbers], kept


def find_objects(
    task: Task, mask: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, list[Object]]:
    """Find the objects of all foreground classes in a mask.

    Args:
        task: The task of the mask.
        mask: As `Task.decode` returns it.
        probabilities: (H, W, classes).

    Returns:
        The number of each pixel's object, int32 in the shape of the mask, with 0 where there is no
        object; and the objects. In a multilabel mask (H, W, C) each class has its own layer of
        numbers.

    >>> task = Task.binary("crack")
    >>> p = np.array([[[0.75], [0.2], [0.2]], [[0.2], [1.0], [0.2]]])
    >>> numbers, objects = find_objects(task, task.decode(p), p)
    >>> numbers.tolist(), objects
    ([[1, 0, 0], [0, 1, 0]],
     [Object(number=1, label=0, box=(0, 0, 2, 2), area=2, score=0.875, centre=(1.0, 1.0))])
    """
    numbers = np.zeros(mask.shape, np.int32)
    objects: list[Object] = []
    for label in task.foreground:
        layer = layer_of(task, mask, label).view(np.uint8)
        count, components, stats, centres = cv2.connectedComponentsWithStats(
            layer, connectivity=8, ltype=cv2.CV_32S
        )
        sums = np.bincount(components.ravel(), probabilities[..., label].ravel(), count)
        before = len(objects)
        for component in range(1, count):  # component 0 is the outside
            *box, area = stats[component].tolist()
            score = round(float(sums[component]) / area, 6)
            x, y = centres[component].tolist()
            centre = (round(x + 0.5, 3), round(y + 0.5, 3))
            objects.append(Object(before + component, label, tuple(box), area, score, centre))
        plane = plane_of(task, numbers, label)  # classes that share a plane never overlap
        plane += np.where(components > 0, components + before, 0)
    return numbers, objects
