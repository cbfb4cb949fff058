"""Signed distances to the outlines of a target, for the boundary loss. NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from segkit.config.loss import needs_distances
from segkit.task import VOID, Task
from segkit.task.layers import channels_of

WITHOUT_OUTLINE = 1.0
"""Pixels from the outline, for every pixel, where an image shows none: the class is absent or fills it."""


def signed_distances(truth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from the outline of a class, in pixels: (H, W) float32, negative inside, 0 at VOID.

    `truth` and `known` are (H, W) bool. The outline runs between pixels, so the nearest are 0.5 away. VOID is neither the
    class nor its surroundings: an object cut off by it has no outline there. Without an outline every pixel is 1 away.

    >>> row = np.array([[False, False, True, True, True]])
    >>> signed_distances(row, np.ones_like(row)).tolist()
    [[1.5, 0.5, -0.5, -1.5, -2.5]]
    """
    others = known & ~truth
    if truth.any() and others.any():
        distance = np.where(truth, 0.5 - _to_nearest(others), _to_nearest(truth) - 0.5)
    else:
        distance = np.where(truth, -WITHOUT_OUTLINE, WITHOUT_OUTLINE)
    return np.where(known, distance, 0.0).astype(np.float32)


def with_distances(target: np.ndarray, task: Task) -> np.ndarray:
    """Return an encoded target with its distances, (H, W, C, 2) float32: each channel's 0, 1 or VOID, then pixels.

    It says all that the encoded target says, and losses and metrics take it in its place; 8 bytes a pixel and class.
    """
    answers = channels_of(task, target)
    layers = [
        signed_distances(answers[..., i] == 1, answers[..., i] != VOID)
        for i in range(task.channels)
    ]
    return np.stack([answers.astype(np.float32), np.stack(layers, axis=-1)], axis=-1)


def as_losses_need(targets: np.ndarray, task: Task, loss: Mapping[str, Any]) -> np.ndarray:
    """Return a batch of encoded targets (B, ...), with distances if a term of the config's `loss` needs them."""
    return (
        np.stack([with_distances(target, task) for target in targets])
        if needs_distances(loss)
        else targets
    )


def _to_nearest(pixels: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel to the nearest of some, (H, W) float32, exact."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
