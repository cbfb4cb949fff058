"""Encoded targets and decoded masks class by class, whatever the kind of task. NumPy only.

A *layer* is where one class holds: (H, W) bool. Every task has one layer a class.
A *plane* is one (H, W) array of what a target or mask stores. A multilabel mask (H, W, C) has one plane a class; every
other mask is a single plane, also where it has the shape (H, W, 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from segkit.task.task import VOID, Task


class Coverage(NamedTuple):
    """How many pixels of a target have a label, and how many classes hold there."""

    labelled: int
    """Pixels where at least one class is not VOID."""
    nothing: int
    """Labelled pixels of no class."""
    overlap: int
    """Pixels of two or more classes."""


def known_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return (..., C) bool: where somebody labelled the class in an encoded target."""
    known = target != VOID
    return (
        np.broadcast_to(known[..., None], (*known.shape, task.channels))
        if task.exclusive
        else known
    )


def class_layers(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return (..., C) bool: where each class holds in an encoded target or a decoded mask; VOID is no class."""
    if task.exclusive:
        return labels[..., None] == np.arange(task.channels, dtype=np.uint8)
    if task.kind == "binary" and (labels.ndim < 3 or labels.shape[-1] != 1):
        labels = labels[..., None]
    return labels == 1


def channels_of(task: Task, target: np.ndarray) -> np.ndarray:
    """Return an encoded target with one channel a class, whose values are 0, 1 and VOID.

    Args:
        task: The task that encoded the target.
        target: The target of one image, uint8 of shape `task.target_shape(H, W)`.

    Returns:
        (H, W, C) uint8. It may be the target itself.
    """
    if not task.exclusive:
        return target
    return np.where(target[..., None] == VOID, np.uint8(VOID), class_layers(task, target))


def layer_of(task: Task, labels: np.ndarray, label: int) -> np.ndarray:
    """Return where a class holds in the encoded target or the decoded mask of one image.

    Args:
        task: The task of the target or mask.
        labels: The target or mask, (H, W) or (H, W, P).
        label: The class, an index of `task.classes`.

    Returns:
        (H, W) bool, an array of its own. VOID is no class.
    """
    return plane_of(task, labels, label) == (label if task.stores_ids else 1)


def layers_of(task: Task, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `layer_of` each class, in the order of `task.classes`."""
    return (layer_of(task, labels, label) for label in range(task.channels))


def as_planes(labels: np.ndarray) -> np.ndarray:
    """Return a view of one image's target or mask, (H, W) or (H, W, P), in which the planes are the last axis.

    >>> as_planes(np.zeros((4, 5))).shape
    (4, 5, 1)
    """
    return labels if labels.ndim == 3 else labels[..., None]


def planes_of(labels: np.ndarray) -> np.ndarray:
    """Return a view of one image's target or mask, (H, W) or (H, W, P), in which the planes are the first axis."""
    return np.moveaxis(as_planes(labels), -1, 0)


def plane_of(task: Task, labels: np.ndarray, label: int) -> np.ndarray:
    """Return a view of the plane in which a class is stored.

    Args:
        task: The task of the target or mask.
        labels: One image's target or mask, or any array of its shape: (H, W) or (H, W, P).
        label: The class, an index of `task.classes`.

    Returns:
        (H, W), in the dtype of `labels`. What is written into it is written into `labels`.
    """
    return as_planes(labels)[..., label if task.layered else 0]


def any_plane(holds: np.ndarray) -> np.ndarray:
    """Return where at least one plane of a bool array (H, W) or (H, W, P) is true: (H, W) bool."""
    return reduce(np.logical_or, planes_of(holds))  # several times as fast as any(-1)


def labelled_pixels(labels: np.ndarray) -> np.ndarray:
    """Return where at least one class of one image's target or mask is not VOID: (H, W) bool."""
    return any_plane(labels != VOID)


def coverage(task: Task, target: np.ndarray) -> Coverage:
    """Return how many pixels of the encoded target of one image are labelled, of no class, and of several classes."""
    labelled = labelled_pixels(target)
    count = int(np.count_nonzero(labelled))
    if task.exclusive:
        return Coverage(count, 0, 0)
    held = np.zeros(labelled.shape, np.uint8)
    for layer in layers_of(task, target):
        held += layer
    return Coverage(
        count, int(np.count_nonzero(labelled & (held == 0))), int(np.count_nonzero(held > 1))
    )


def stack_planes(task: Task, planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the decoded mask that consists of these planes.

    Args:
        task: The task of the mask.
        planes: `task.planes` arrays (H, W).

    Returns:
        (H, W, C) in a multilabel task, otherwise (H, W), in the dtype of the planes. A single plane may be returned itself.

    Raises:
        ValueError: If there are more or fewer planes.
    """
    if len(planes) != task.planes:
        raise ValueError(f"a mask of this task has {task.planes} plane(s); found {len(planes)}")
    return np.stack(planes, axis=-1) if task.layered else planes[0]


def stack_layers(task: Task, layers: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the mask, as `Task.encode` takes it, that consists of one layer a class.

    Args:
        task: The task of the mask.
        layers: (H, W) uint8 of 0, 1 and VOID by the names of the classes. A class without a layer occurs nowhere. In an
            exclusive task a later layer covers earlier ones; a pixel of no class is VOID if one of the layers says so or
            the task has no background, otherwise background.

    Returns:
        (H, W, C) uint8 in a multilabel task, otherwise (H, W) uint8.
    """
    first = next(iter(layers.values()))
    if not task.exclusive:
        absent = np.zeros_like(first)
        return stack_planes(task, [layers.get(name, absent) for name in task.classes])
    mask = np.full(
        first.shape, VOID if task.background_index is None else task.background_index, np.uint8
    )
    for layer in layers.values():
        mask[layer == VOID] = VOID
    for name, layer in layers.items():
        mask[layer == 1] = task.classes.index(name)
    return mask
