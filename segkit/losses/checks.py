"""Checks of what users pass: settings of losses, targets and images. NumPy only; nothing is checked within compiled steps."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.task import VOID, Task, values_of
from segkit.task.readable import suggest_name

P = ParamSpec("P")
R = TypeVar("R")


def named_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function refuse an unknown argument with a `ConfigError` that names the one that was probably meant."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def called(*args: P.args, **settings: P.kwargs) -> R:
        for name in settings:
            if name not in names:
                raise ConfigError(
                    f"there is no such setting{suggest_name(name, names)}",
                    "unknown-setting",
                    setting=name,
                )
        return function(*args, **settings)

    return called


def same_arguments(other: Callable[P, R]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Return a decorator that gives a function the signature, the types and the checks of another one's arguments."""

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        function.__signature__ = inspect.signature(other)  # type: ignore[attr-defined]
        return named_arguments(function)

    return decorate


def with_settings(
    defaults: Mapping[str, Any],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that shows the names of a function's `**settings` in its signature.

    Args:
        defaults: Default values by name. They are shown only; the function gets what is passed.

    Returns:
        The decorator. The function refuses other names, as by `named_arguments`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.kind is not parameter.VAR_KEYWORD:
                parameters.append(parameter)
        for name, default in defaults.items():
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(name, kind, default=default))
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return named_arguments(function)

    return decorate


def number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> Any:
    """Return a setting as it is.

    Args:
        name: The setting.
        value: What was found.
        above: The setting is greater than this.
        least: The setting is this or greater.
        below: The setting is less than this.
        most: The setting is this or less.

    Raises:
        ConfigError: If it is no number, not finite, or out of these bounds.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(
        value, bool
    )
    if is_number and math.isfinite(value) and above < value < below and least <= value <= most:
        return value
    bounds = {"greater than": above, "at least": least, "less than": below, "at most": most}
    limits = [f"{words} {bound:g}" for words, bound in bounds.items() if math.isfinite(bound)]
    raise ConfigError(f"a number, {' and '.join(limits)}; found {value!r}", setting=name)


def check_arrays(task: Task, channels: int | None, x: Any, y: Any) -> None:
    """Raise `DataError` if images or targets given to `fit` or `evaluate` do not belong to a network and its task.

    Args:
        task: The task of the network.
        channels: The bands of the images, or None where the network has several inputs.
        x: Images (B, H, W, channels), or a data set of batches, of which the first is checked.
        y: Encoded targets, or None.
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
    """Raise `DataError` unless an array is an encoded target of the task, with or without distances.

    Args:
        task: What a pixel can be.
        target: (B, H, W) or (B, H, W, C), of whole numbers: classes (or 0 and 1) and VOID.
        where: What the message calls it.
    """
    values = np.asarray(target)
    if values.ndim == 5 and values.shape[-2:] == (task.channels, 2):
        check_values(values[..., 0], 2, where)
        return
    check_shape(task, values.shape)
    check_values(values, task.channels if task.stores_ids else 2, where)


def check_shape(task: Task, shape: tuple[Any, ...]) -> None:
    """Raise `DataError` unless a shape is that of a batch of encoded targets; unknown sizes are None."""
    wanted = (None, *task.target_shape(None, None))
    if len(shape) != len(wanted) or (len(wanted) == 4 and shape[-1] not in (None, task.channels)):
        names = ["batch", "height", "width", str(task.channels)][: len(wanted)]
        raise DataError(
            f"a {task.kind} target has shape ({', '.join(names)}); found {tuple(shape)}. "
            f"Task.encode makes it",
            "mask-channels",
        )


def check_values(values: np.ndarray, allowed: int, where: str) -> None:
    """Raise `DataError` unless an array holds whole numbers from 0 to `allowed` - 1, and VOID, alone."""
    found = values_of(values.astype(np.uint8) if values.dtype == bool else values)
    wrong = found[
        ~(((found >= 0) & (found < allowed)) | (found == VOID)) | (found != np.floor(found))
    ]
    if wrong.size:
        shown = ", ".join(f"{value:g}" for value in wrong[:8].tolist())
        raise DataError(
            f"{where}: allowed values are 0 to {allowed - 1}, and {VOID} for unlabelled; found "
            f"also {shown}{', ...' if wrong.size > 8 else ''}. Task.encode checks and converts "
            f"masks; soft targets are not supported",
            "mask-values",
        )


def is_array(value: Any) -> bool:
    """Return whether a value is an array, a tensor that has values, or nested lists of numbers."""
    if isinstance(value, list | tuple):
        return True
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _first_batch(x: Any) -> tuple[Any, Any]:
    """Return images and targets of the first batch of a data set that can be read again, otherwise x and None."""
    batch: Any = None
    if hasattr(x, "element_spec") and hasattr(x, "take"):
        batch = next(iter(x.take(1)), None)
    elif hasattr(x, "__getitem__") and hasattr(x, "num_batches") and x.num_batches:
        batch = x[0]
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        return batch[0], batch[1]
    return x, None
