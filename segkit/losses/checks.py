"""Checks of settings, targets and images that users pass, in NumPy, outside compiled steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.task import VOID, Task, values_of
from segkit.task.soft import check_soft_batch, trained_shape

_EXAMPLES = 8
"""Wrong values that an error message names."""


def number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> Any:
    """Check a setting that is a number.

    Args:
        name: Name of the setting.
        value: Its value.
        above: The value must be greater than this.
        least: The value must be this or greater.
        below: The value must be less than this.
        most: The value must be this or less.

    Returns:
        The value.

    Raises:
        ConfigError: If it is not a finite number within the bounds.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating)
    is_number = is_number and not isinstance(value, bool)
    if is_number and math.isfinite(value) and above < value < below and least <= value <= most:
        return value
    bounds = {"greater than": above, "at least": least, "less than": below, "at most": most}
    limits = [f"{words} {bound:g}" for words, bound in bounds.items() if math.isfinite(bound)]
    raise ConfigError(f"a number, {' and '.join(limits)}; found {value!r}", setting=name)


def check_arrays(task: Task, channels: int | None, x: Any, y: Any) -> None:
    """Check images and targets that are passed to `fit` or `evaluate`.

    Args:
        task: The task of the network.
        channels: Number of bands of the images; None if the network has several inputs.
        x: Images (B, H, W, channels), or a data set of batches, of which the first one is checked.
        y: Encoded targets, or None.

    Raises:
        DataError: If they do not fit the network and its task.
    """
    if y is None:
        x, y = _first_batch(x)
    if channels is not None and is_array(x):
        check_bands(np.shape(x), channels)
    if y is not None and is_array(y):
        check_target(task, y)


def check_bands(shape: tuple[int, ...], channels: int) -> None:
    """Raise `DataError` unless images have a shape (B, H, W, channels)."""
    if len(shape) != 4 or shape[-1] != channels:
        raise DataError(
            f"this network takes images of shape (batch, height, width, {channels}); found "
            f"{tuple(shape)}",
            "channels",
        )


def check_target(task: Task, target: Any, where: str = "target") -> None:
    """Check an encoded target.

    Args:
        task: The task of the target.
        target: (B, H, W), (B, H, W, C), or (B, H, W, C, 2) with distances; integers: class numbers,
            or 0 and 1, and VOID. If the task is soft: probabilities (B, H, W, C), and VOID.
        where: Name of the target in the error message.

    Raises:
        DataError: If it is not a target of the task.
    """
    values = np.asarray(target)
    if task.soft:
        check_shape(task, values.shape)
        check_soft_batch(task, values, where)
        return
    if values.ndim == 5 and values.shape[-2:] == (task.channels, 2):
        check_values(values[..., 0], 2, where)
        return
    check_shape(task, values.shape)
    check_values(values, task.target_values, where)


def check_shape(task: Task, shape: tuple[Any, ...]) -> None:
    """Check the shape of a batch of encoded targets.

    Args:
        task: The task of the targets.
        shape: The shape; unknown sizes are None.

    Raises:
        DataError: If it is another shape.
    """
    axes = 1 + len(trained_shape(task, None, None))
    fits = len(shape) == axes
    if fits and axes == 4:
        fits = shape[-1] in (None, task.channels)
    if not fits:
        names = ["batch", "height", "width", str(task.channels)][:axes]
        maker = "segkit.task.soft" if task.soft else "Task.encode"
        raise DataError(
            f"a {task.kind} target has shape ({', '.join(names)}); found {tuple(shape)}. "
            f"{maker} makes it",
            "mask-channels",
        )


def check_values(values: np.ndarray, allowed: int, where: str) -> None:
    """Check the values of an encoded target.

    Args:
        values: The target, in any shape and dtype.
        allowed: Number of allowed values besides VOID: 0 to `allowed` - 1.
        where: Name of the target in the error message.

    Raises:
        DataError: If there are other values.
    """
    if values.dtype == bool:
        values = values.astype(np.uint8)
    found = values_of(values)
    is_allowed = ((found >= 0) & (found < allowed)) | (found == VOID)
    is_allowed &= found == np.floor(found)
    wrong = found[~is_allowed].tolist()
    if wrong:
        examples = [f"{value:g}" for value in wrong[:_EXAMPLES]]
        if len(wrong) > _EXAMPLES:
            examples.append("...")
        raise DataError(
            f"{where}: allowed values are 0 to {allowed - 1}, and {VOID} for unlabelled; found "
            f"also {', '.join(examples)}. Task.encode checks and converts masks; probabilities are "
            f"targets of a task with soft=True",
            "mask-values",
        )


def is_array(value: Any) -> bool:
    """Return whether a value is an array, a tensor with values, or a list of numbers."""
    if isinstance(value, list | tuple):
        return True
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _first_batch(x: Any) -> tuple[Any, Any]:
    """Return the first batch of a data set that can be read again, otherwise x and None."""
    batch: Any = None
    if hasattr(x, "element_spec") and hasattr(x, "take"):
        batch = next(iter(x.take(1)), None)
    elif hasattr(x, "__getitem__") and hasattr(x, "num_batches") and x.num_batches:
        batch = x[0]
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        return batch[0], batch[1]
    return x, None
