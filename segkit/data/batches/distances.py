"""Signed distances to the outlines of a target, for the boundary loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from segkit.config.loss import needs_distances
from segkit.task import VOID, Task
from segkit.task.layers import channels_of
from segkit.task.soft import as_probabilities

WITHOUT_OUTLINE = 1.0
"""Distance in pixels, at every pixel, if an image has no outline of the class."""


def signed_distances(truth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Compute the distance of each pixel to the outline of a class, in pixels.

    The outline runs between pixels, so the nearest pixels have distance 0.5. VOID is neither the
    class nor its surroundings: where VOID cuts off an object, the object has no outline.

    Args:
        truth: (H, W) bool, whether a pixel belongs to the class.
        known: (H, W) bool, False at VOID.

    Returns:
        (H, W) float32, negative inside the class, 0 at VOID. Without an outline, because the class
        is absent or fills the image, the distance is 1 (or -1) everywhere.

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
    """Add the signed distances of each channel to an encoded target.

    Losses and metrics accept the result in place of the target. It takes 8 bytes per pixel and
    class.

    Args:
        target: An encoded target of one image.
        task: The task that encoded it.

    Returns:
        (H, W, C, 2) float32: first 0, 1 or VOID, then the signed distance in pixels.
    """
    channels = channels_of(task, target)
    distances = []
    for index in range(task.channels):
        channel = channels[..., index]
        distances.append(signed_distances(channel == 1, channel != VOID))
    return np.stack([channels.astype(np.float32), np.stack(distances, axis=-1)], axis=-1)


def as_losses_need(targets: np.ndarray, task: Task, loss: Mapping[str, Any]) -> np.ndarray:
    """Add distances to a batch of targets if a loss needs them, and convert soft targets.

    Args:
        targets: Encoded targets, (B, ...).
        task: The task that encoded them.
        loss: The terms of the config's `loss`.

    Returns:
        (B, H, W, C, 2) float32, see `with_distances`; probabilities (B, H, W, C) float32 if the
        task is soft; otherwise `targets` itself.
    """
    if task.soft:
        return as_probabilities(task, targets)
    if not needs_distances(loss):
        return targets
    return np.stack([with_distances(target, task) for target in targets])


def _to_nearest(pixels: np.ndarray) -> np.ndarray:
    """Return the exact distance of each pixel to the nearest True, (H, W) float32."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
