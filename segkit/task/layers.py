"""TODO."""

from __future__ import annotations

import numpy as np

from segkit.task.task import VOID, Task


def known_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return (..., C) bool: where somebody labelled the class in an encoded target."""
    known = target != VOID
    return np.broadcast_to(known[..., None], (*known.shape, task.channels)) if task.exclusive else known


def holding(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return (..., C) bool: where each class holds in an encoded target or a decoded mask; VOID is no class."""
    if task.exclusive:
        return labels[..., None] == np.arange(task.channels, dtype=np.uint8)
    if task.kind == "binary" and (labels.ndim < 3 or labels.shape[-1] != 1):
        labels = labels[..., None]
    return labels == 1


def layer_of(task: Task, mask: np.ndarray, label: int) -> np.ndarray:
    """Return where a class holds in a decoded mask: (H, W) bool."""
    if task.exclusive:
        return mask == label
    return (mask if mask.ndim == 2 else mask[..., label]) == 1
