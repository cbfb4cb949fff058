"""Masks that consist of one layer per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.task import Task
from segkit.task.layers import stack_layers


def check_on_top(on_top: Sequence[str] | None, task: Task) -> None:
    """Raise `ConfigError` unless `data.on_top` names classes of the task."""
    names = on_top or ()
    if not set(names) <= set(task.classes):
        raise ConfigError(
            f"must be names of {', '.join(task.classes)}; found {', '.join(names)}",
            "unknown-name",
            setting="data.on_top",
        )


def from_layers(
    layers: Mapping[str, np.ndarray], task: Task, on_top: Sequence[str] | None, where: str
) -> np.ndarray:
    """Combine one layer per class to a mask.

    A class without a layer occurs nowhere. In an exclusive task, a pixel of no layer is background.

    Args:
        layers: Layers (H, W) uint8 of 0, 1, and 255 for void, by the names of the classes.
        task: The task of the mask.
        on_top: Classes from top to bottom (`data.on_top`): where layers overlap the first one wins.
        where: The files, for messages.

    Returns:
        The mask of the task: the stacked layers (multilabel), the only layer (binary), or class
        ids.

    Raises:
        DataError: If layers overlap and `on_top` does not decide, or if a pixel belongs to no layer
            and the task has no background.
    """
    on_top = on_top or ()
    if not task.can_overlap and len(layers) > 1:
        inside = np.stack(list(layers.values())) == 1
        _check_overlaps(inside, list(layers), on_top, where)
    if not task.can_be_nothing and not np.any(list(layers.values()), axis=0).all():
        raise DataError(
            f"{where}: there are pixels of no class, and the task has no background; "
            f"add a class called background",
            "mask-values",
        )
    order = [name for name in layers if name not in on_top]
    order += [name for name in reversed(on_top) if name in layers]
    return stack_layers(task, {name: layers[name] for name in order})


def _check_overlaps(
    inside: np.ndarray, names: list[str], on_top: Sequence[str], where: str
) -> None:
    """Raise `DataError` if a pixel belongs to two classes or more that `on_top` does not name."""
    is_undecided = [name not in on_top for name in names]
    if sum(is_undecided) < 2:
        return
    overlaps = inside[is_undecided].sum(0, dtype=np.uint16) > 1
    if not overlaps.any():
        return
    row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
    classes = [name for name, layer in zip(names, inside, strict=True) if layer[row, column]]
    raise DataError(
        f"{where}: {int(overlaps.sum())} pixels belong to several classes ({', '.join(classes)}), "
        f"but in a multiclass task each pixel belongs to exactly one. If a pixel may belong to "
        f"several, the task is multilabel; if one class hides the other, list them from top to "
        f"bottom in data.on_top",
        "overlap",
    )
