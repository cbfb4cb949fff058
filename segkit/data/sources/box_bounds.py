"""Boxes that bound objects: inside, a pixel is a class or background; outside, not the class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segkit.config import DataConfig
from segkit.errors import ConfigError
from segkit.task import Task
from segkit.task.layers import leave_open

BOX_KINDS = ("box", "rect", "rectangle", "rotation", "oriented_rectangle")
"""What tools call boxes."""


def check_bounds(data: DataConfig, task: Task) -> None:
    """Raise `ConfigError` if boxes are bounds, and the task has no background."""
    if data.boxes == "bounds" and not task.can_be_nothing:
        raise ConfigError(
            "bounds say that a pixel inside a box is its class or background, and this task has no "
            "background",
            "not-for-task",
            setting="data.boxes",
        )


def leave_boxes_open(task: Task, mask: np.ndarray, boxes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a mask in which background inside boxes may be the classes of the boxes.

    Args:
        task: The task of the mask. A set of classes that it lacks becomes VOID.
        mask: The input of `Task.encode`, (H, W) or (H, W, C) uint8, whose pixels outside of all
            shapes are background.
        boxes: The pixels inside the boxes of each class, (H, W) bool.

    Returns:
        A new mask, or the mask itself without boxes.
    """
    if not boxes:
        return mask
    combinations = np.zeros(mask.shape[:2], np.int64)
    for inside in boxes.values():  # numbered again for each class, so many classes have room
        _, combinations = np.unique(combinations * 2 + inside, return_inverse=True)
        combinations = combinations.reshape(mask.shape[:2])
    opened = mask.copy()
    for number in range(combinations.max() + 1):
        pixels = combinations == number
        row, column = np.unravel_index(int(pixels.argmax()), pixels.shape)
        names = [name for name, inside in boxes.items() if inside[row, column]]
        if names:
            opened[pixels] = leave_open(task, mask[pixels][None], names)[0]
    return opened
