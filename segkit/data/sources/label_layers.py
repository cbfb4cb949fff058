"""Combines the drawn shapes of an image to the mask of a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from segkit.data.rasterise import Patch, Size
from segkit.data.sources.label_meanings import BACKGROUND, VOID_NAME
from segkit.data.sources.mask_layers import from_layers
from segkit.errors import DataError
from segkit.task import VOID, Task


class Drawn(NamedTuple):
    """A shape that is drawn, and what it means: a class, "void" or "background"."""

    meaning: str
    patch: Patch


def mask_in_order(
    shapes: Iterable[Drawn], task: Task, size: Size, void: bool, where: str
) -> np.ndarray:
    """Return the mask in which each shape hides the ones before it.

    Args:
        shapes: The shapes, in the order of drawing.
        task: A task with one plane.
        size: Height and width of the image.
        void: Whether pixels outside all shapes are unlabelled.
        where: The file, for messages.

    Returns:
        (H, W) uint8: class ids, or 0 and 1; 255 is unlabelled.

    Raises:
        DataError: If there are pixels of no class, and the task has no background.
    """
    values = {**task.named_values, VOID_NAME: VOID}
    if task.background_index is not None:
        values[BACKGROUND] = task.background_index
    outside = VOID
    if not void and task.can_be_nothing:
        outside = values[BACKGROUND]
    mask = np.full(size, outside, np.uint8)
    inside = np.zeros(size, bool)
    for shape in shapes:
        mask[shape.patch.place][shape.patch.pixels] = values[shape.meaning]
        _add(inside, shape)
    if not void and not task.can_be_nothing and not inside.all():
        raise _no_background(where)
    return mask


class LayerRules(NamedTuple):
    """How shapes are combined where they overlap."""

    later_hides: bool
    """Whether a shape of background or void hides the shapes before it."""
    outside_is_void: bool
    """Whether pixels outside all shapes are unlabelled."""
    on_top: Sequence[str] | None
    """Classes from top to bottom (`data.on_top`)."""


def mask_of_layers(
    shapes: Iterable[Drawn], task: Task, size: Size, rules: LayerRules, where: str
) -> np.ndarray:
    """Return the mask in which the shapes of each class are united.

    A pixel that is in a shape of the meaning void, and in none of a class, is unlabelled.

    Args:
        shapes: The shapes, in the order of the file.
        task: The task of the mask.
        size: Height and width of the image.
        rules: What happens where shapes overlap, and outside them.
        where: The file, for messages.

    Returns:
        The mask of the task, uint8.

    Raises:
        DataError: If exclusive classes overlap and `on_top` does not decide, if a class and the
            background overlap, or if there are pixels of no class, and the task has no background.
    """
    layers: dict[str, np.ndarray] = {}
    background = np.zeros(size, bool)
    unlabelled = np.zeros(size, bool)
    for shape in shapes:
        if shape.meaning not in (VOID_NAME, BACKGROUND):
            _add(layers.setdefault(shape.meaning, np.zeros(size, np.uint8)), shape)
            continue
        if rules.later_hides:
            _hide([*layers.values(), unlabelled, background], shape)
        if shape.meaning == VOID_NAME:
            _add(unlabelled, shape)
        else:
            _add(background, shape)
    inside = _union(list(layers.values()), size)
    if not rules.later_hides:
        _check_background(int((inside & background).sum()), where)
    if rules.outside_is_void:
        unlabelled |= ~(inside | background)
    return from_layers(_with_void(layers, unlabelled, task), task, rules.on_top, where)


def union_by_class(shapes: Iterable[Drawn], size: Size) -> dict[str, np.ndarray]:
    """Return the pixels of all shapes of each class, (H, W) bool.

    Args:
        shapes: The shapes.
        size: Height and width of the image.
    """
    found: dict[str, np.ndarray] = {}
    for shape in shapes:
        _add(found.setdefault(shape.meaning, np.zeros(size, bool)), shape)
    return found


def _check_background(shared: int, where: str) -> None:
    """Raise `DataError` if pixels belong to a class and to the background."""
    if shared:
        raise DataError(
            f"{where}: {shared} pixels belong to a class and to a shape of the background. If the "
            f"later shape hides the earlier one, set data.overlaps: last",
            "overlap",
        )


def _hide(layers: Sequence[np.ndarray], shape: Drawn) -> None:
    """Remove the pixels of a shape from layers."""
    for layer in layers:
        layer[shape.patch.place][shape.patch.pixels] = 0


def _add(layer: np.ndarray, shape: Drawn) -> None:
    """Add the pixels of a shape to a layer (H, W)."""
    layer[shape.patch.place] |= shape.patch.pixels


def _union(layers: Sequence[np.ndarray], size: Size) -> np.ndarray:
    """Return the pixels of all layers together, (H, W) bool."""
    inside = np.zeros(size, bool)
    for layer in layers:
        inside |= layer == 1
    return inside


def _with_void(
    layers: dict[str, np.ndarray], unlabelled: np.ndarray, task: Task
) -> dict[str, np.ndarray]:
    """Return the layers in the order of the task, at least one, with 255 at unlabelled pixels."""
    names = [task.classes[index] for index in task.foreground]
    if not task.layered:
        names = [name for name in names if name in layers] or names[:1]
    complete = {}
    for name in names:
        layer = layers.get(name)
        if layer is None:
            layer = np.zeros(unlabelled.shape, np.uint8)
        layer[unlabelled & (layer == 0)] = VOID
        complete[name] = layer
    return complete


def _no_background(where: str) -> DataError:
    return DataError(
        f"{where}: there are pixels of no class, and the task has no background; "
        f"add a class called background",
        "mask-values",
    )
