"""Layers and planes of encoded targets and decoded masks, for every kind of task. NumPy only.

A *layer* is the set of pixels of one class: (H, W) bool. Every task has one layer per class. A
*plane* is one stored array (H, W) of a target or mask. A multilabel mask (H, W, C) has one plane
per class. Every other mask is a single plane, even if it has the shape (H, W, 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from segkit.task.task import VOID, Task


def leave_open(task: Task, mask: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return a mask in which classes that were not annotated may be where no other class is.

    In an exclusive task, background becomes the set of the background and the classes, and sets
    with the background get the classes, too. In other tasks, no becomes VOID in their channels.

    Args:
        task: The task of the mask. In an exclusive task it has the sets of `sets_left_open`; a set
            that it lacks becomes VOID, which leaves more open than is known.
        mask: The input of `Task.encode`, (H, W) or (H, W, C) uint8.
        names: The classes that were not annotated.

    Returns:
        A new mask.
    """
    if task.exclusive:
        return _more_open(task, names)[mask]
    opened = mask.copy()
    for name in names:
        plane = plane_of(task, opened, task.classes.index(name))
        plane[plane == 0] = VOID
    return opened


def sets_left_open(
    task: Task, names: Sequence[str], stored: Sequence[Sequence[str]]
) -> list[tuple[str, ...]]:
    """Return the sets of classes to which `leave_open` changes the pixels of masks.

    Args:
        task: The task of the masks.
        names: The classes that were not annotated.
        stored: The sets that the masks have before.
    """
    if task.background is None or not names:
        return []
    sets = [(task.background, *names)]
    for members in stored:
        if task.background in members:
            sets.append((*members, *names))
    return sets


def _more_open(task: Task, names: Sequence[str]) -> np.ndarray:
    """Return what each value of an exclusive mask becomes by `leave_open`, (256,) uint8."""
    values = np.arange(256, dtype=np.uint8)
    if task.background_index is None:
        return values
    for value in (task.background_index, *range(task.channels, task.target_values)):
        possible = task.possible[value].copy()
        if not possible[task.background_index]:
            continue
        possible[[task.classes.index(name) for name in names]] = True
        found = np.flatnonzero((task.possible[: task.target_values] == possible).all(axis=1))
        values[value] = found[0] if found.size else VOID
    return values


class Coverage(NamedTuple):
    """Numbers of pixels of a target with a label, with no class, and with several classes."""

    labelled: int
    """Pixels at which at least one class is not VOID."""
    nothing: int
    """Labelled pixels that belong to no class."""
    overlap: int
    """Pixels that belong to two or more classes."""


def known_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the pixels at which the target says whether they belong to a class.

    Args:
        task: The task of the target.
        target: An encoded target, uint8, with or without leading axes.

    Returns:
        (..., C) bool. It may be a read-only view.
    """
    if task.sets:
        known: np.ndarray = task.known[target]
        return known
    known = target != VOID
    if task.exclusive:
        return np.broadcast_to(known[..., None], (*known.shape, task.channels))
    return known


def known_layers(task: Task, target: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each class the pixels of one image at which the target says yes or no.

    Args:
        task: The task of the target.
        target: The target of one image, uint8 of shape `task.target_shape(H, W)`.

    Yields:
        (H, W) bool, in the order of the classes.
    """
    for label in range(task.channels):
        if task.sets:
            yield task.known[:, label][target]
        else:
            yield plane_of(task, target, label) != VOID


def possible_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the classes that each pixel can still have.

    Args:
        task: The task of the target.
        target: An encoded target, uint8, with or without leading axes.

    Returns:
        (..., C) bool. It may be a read-only view. All are true where a pixel is VOID.
    """
    if task.exclusive:
        possible: np.ndarray = task.possible[target]
        return possible
    return target != 0


def decided_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the values of a target that say all that a decoded mask would say there.

    Args:
        task: The task of the target.
        target: An encoded target, uint8, with or without leading axes.

    Returns:
        Bool, of the shape of `target`: False at VOID and where several classes are possible.
    """
    return target < (task.channels if task.exclusive else 2)


def known_distributions(task: Task, target: np.ndarray) -> np.ndarray:
    """Return for which distributions of `Task.as_distributions` the truth is known.

    Args:
        task: The task of the target.
        target: An encoded target, uint8, with or without leading axes.

    Returns:
        Bool: (..., 1) if the classes compete for one distribution per pixel, otherwise (..., C).
    """
    if task.classes_compete:
        return decided_pixels(task, target)[..., None]
    return known_pixels(task, target)


def class_layers(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return the layers of all classes along the last axis.

    Args:
        task: The task of the target or mask.
        labels: An encoded target or a decoded mask, with or without leading axes.

    Returns:
        (..., C) bool. VOID belongs to no class.
    """
    if task.exclusive:
        return labels[..., None] == np.arange(task.channels, dtype=np.uint8)
    if task.kind == "binary" and (labels.ndim < 3 or labels.shape[-1] != 1):
        labels = labels[..., None]
    return labels == 1


def channels_of(task: Task, target: np.ndarray) -> np.ndarray:
    """Return an encoded target with one channel per class, whose values are 0, 1 and VOID.

    Args:
        task: The task that encoded the target.
        target: The target of one image, uint8 of shape `task.target_shape(H, W)`.

    Returns:
        (H, W, C) uint8. It may be the target itself.
    """
    if not task.exclusive:
        return target
    if task.sets:
        by_value = np.where(task.known, task.possible, np.uint8(VOID)).astype(np.uint8)
        channels: np.ndarray = by_value[target]
        return channels
    return np.where(target[..., None] == VOID, np.uint8(VOID), class_layers(task, target))


def layer_of(task: Task, labels: np.ndarray, label: int) -> np.ndarray:
    """Return the layer of a class in the encoded target or the decoded mask of one image.

    Args:
        task: The task of the target or mask.
        labels: The target or mask, (H, W) or (H, W, P).
        label: The class, an index of `task.classes`.

    Returns:
        (H, W) bool, a new array. VOID belongs to no class.
    """
    stored = label if task.stores_ids else 1
    return plane_of(task, labels, label) == stored


def layers_of(task: Task, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the layer (H, W) of each class of one image's target or mask, in the task's order."""
    for label in range(task.channels):
        yield layer_of(task, labels, label)


def as_planes(labels: np.ndarray) -> np.ndarray:
    """Return a view of a target or mask in which the planes are the last axis.

    Args:
        labels: One image's target or mask, (H, W) or (H, W, P).

    Returns:
        (H, W, P).

    >>> as_planes(np.zeros((4, 5))).shape
    (4, 5, 1)
    """
    if labels.ndim == 3:
        return labels
    return labels[..., None]


def planes_of(labels: np.ndarray) -> np.ndarray:
    """Return a view of a target or mask in which the planes are the first axis.

    Args:
        labels: One image's target or mask, (H, W) or (H, W, P).

    Returns:
        (P, H, W).
    """
    return np.moveaxis(as_planes(labels), -1, 0)


def plane_of(task: Task, labels: np.ndarray, label: int) -> np.ndarray:
    """Return a view of the plane in which a class is stored.

    Args:
        task: The task of the target or mask.
        labels: One image's target or mask, or any array of its shape: (H, W) or (H, W, P).
        label: The class, an index of `task.classes`.

    Returns:
        (H, W), in the dtype of `labels`. Writing to it changes `labels`.
    """
    plane = label if task.layered else 0
    return as_planes(labels)[..., plane]


def any_plane(holds: np.ndarray) -> np.ndarray:
    """Return the pixels at which at least one plane is true.

    Args:
        holds: Bool array of shape (H, W) or (H, W, P).

    Returns:
        (H, W) bool.
    """
    return reduce(np.logical_or, planes_of(holds))  # several times as fast as any(-1)


def labelled_pixels(labels: np.ndarray) -> np.ndarray:
    """Return the pixels at which at least one class is not VOID.

    Args:
        labels: One image's target or mask, (H, W) or (H, W, P).

    Returns:
        (H, W) bool.
    """
    return any_plane(labels != VOID)


def coverage(task: Task, target: np.ndarray) -> Coverage:
    """Count the labelled pixels of one image, and those of no class and of several classes.

    Args:
        task: The task that encoded the target.
        target: The target, uint8 of shape `task.target_shape(H, W)`.
    """
    labelled = labelled_pixels(target)
    count = int(np.count_nonzero(labelled))
    if task.exclusive:
        return Coverage(count, 0, 0)
    classes_per_pixel = np.zeros(labelled.shape, np.uint8)
    for layer in layers_of(task, target):
        classes_per_pixel += layer
    return Coverage(
        labelled=count,
        nothing=int(np.count_nonzero(labelled & (classes_per_pixel == 0))),
        overlap=int(np.count_nonzero(classes_per_pixel > 1)),
    )


def stack_planes(task: Task, planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the decoded mask that consists of planes.

    Args:
        task: The task of the mask.
        planes: `task.planes` arrays (H, W).

    Returns:
        (H, W, C) in a multilabel task, otherwise (H, W), in the dtype of the planes. A single plane
        may be returned itself.

    Raises:
        ValueError: If the number of planes is wrong.
    """
    if len(planes) != task.planes:
        raise ValueError(f"a mask of this task has {task.planes} plane(s); found {len(planes)}")
    if task.layered:
        return np.stack(planes, axis=-1)
    return planes[0]


def stack_layers(task: Task, layers: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the mask that consists of one layer per class.

    In an exclusive task a later layer covers earlier ones. A pixel of no class is VOID if it is
    VOID in one of the layers or if the task has no background; otherwise it is background.

    Args:
        task: The task of the mask.
        layers: One or more layers by the names of their classes, each (H, W) uint8 with the values
            0, 1 and VOID. A class without a layer occurs nowhere.

    Returns:
        A mask for `Task.encode`: (H, W, C) uint8 in a multilabel task, otherwise (H, W) uint8.
    """
    first = next(iter(layers.values()))
    if not task.exclusive:
        absent = np.zeros_like(first)
        return stack_planes(task, [layers.get(name, absent) for name in task.classes])
    background = VOID
    if task.background_index is not None:
        background = task.background_index
    mask = np.full(first.shape, background, np.uint8)
    for layer in layers.values():
        mask[layer == VOID] = VOID
    for name, layer in layers.items():
        mask[layer == 1] = task.classes.index(name)
    return mask
