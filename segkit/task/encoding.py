"""Encodes masks as training targets and decodes probabilities as masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.task.hints import hint_for_values, list_values

VOID = 255
"""The target value of an unlabelled pixel. Losses and metrics ignore such pixels."""


def encode_mask(
    mask: np.ndarray, kind: str, channels: int, where: str, void: int | None, values: int
) -> np.ndarray:
    """Return a mask as a target; see `Task.encode`.

    Args:
        mask: The mask, of a bool or integer type.
        kind: The kind of the task.
        channels: The number of classes.
        where: A name for the mask in errors.
        void: The value of unlabelled pixels; None for the convention of `Task.encode`.
        values: The number of allowed values besides that of unlabelled pixels.

    Returns:
        The target, uint8 of the shape `Task.target_shape`.

    Raises:
        DataError: If the mask's type, shape or values do not fit the task.
    """
    mask = _with_target_shape(_as_integers(mask, where), kind, channels, where)
    is_multiclass = kind == "multiclass"
    unlabelled = VOID if void is None else void
    if mask.dtype == np.uint8 and mask.max(initial=0) < values and unlabelled == VOID:
        return mask.copy()  # the most frequent case, in which nothing has to be replaced
    found = values_of(mask)
    _check_values(found, values, unlabelled, is_multiclass, where)
    if not is_multiclass and void is None and VOID in found and 1 not in found:
        raise DataError(
            f"{where}: there are pixels of value 255 and none of value 1. If 255 means the class, "
            f"pass `mask > 0`. If it means unlabelled, pass void=255",
            "mask-values",
        )
    return np.where(mask == unlabelled, VOID, mask).astype(np.uint8)


def _check_values(
    found: np.ndarray, values: int, unlabelled: int, is_multiclass: bool, where: str
) -> None:
    """Raise `DataError` unless all values are below `values` or mean unlabelled."""
    is_wrong = ((found < 0) | (found >= values)) & (found != unlabelled)
    if not is_wrong.any():
        return
    allowed = "0 (no) and 1 (yes)"
    if is_multiclass:
        allowed = f"0 to {values - 1}"
    raise DataError(
        f"{where}: allowed values are {allowed}, and {unlabelled} for unlabelled pixels. Found "
        f"also {list_values(found[is_wrong])}{hint_for_values(found, is_multiclass, VOID)}",
        "mask-values",
    )


def _as_integers(mask: np.ndarray, where: str) -> np.ndarray:
    """Return a bool mask as uint8, and an integer mask unchanged."""
    if mask.dtype == bool:
        return mask.astype(np.uint8)
    if np.issubdtype(mask.dtype, np.integer):
        return mask
    raise DataError(
        f"{where}: a mask has an integer type or bool; found {mask.dtype}", "mask-values"
    )


def _with_target_shape(mask: np.ndarray, kind: str, channels: int, where: str) -> np.ndarray:
    """Return a view of a mask in the shape of its target."""
    if kind == "multilabel":
        if mask.ndim == 3 and mask.shape[-1] == channels:
            return mask
        raise DataError(
            f"{where}: a multilabel mask has shape (height, width, {channels}), one channel per "
            f"class; found {mask.shape}",
            "mask-channels",
        )
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise DataError(
            f"{where}: a {kind} mask has shape (height, width); found {mask.shape}. If a pixel can "
            f"belong to several classes, use a multilabel task. If the mask is one-hot, convert it "
            f"to class ids by mask.argmax(-1)",
            "mask-channels",
        )
    if kind == "binary":
        return mask[..., None]
    return mask


def decode_probabilities(
    probabilities: Any, kind: str, channels: int, thresholds: Sequence[float] | None
) -> np.ndarray:
    """Return probabilities as masks; see `Task.decode`.

    Args:
        probabilities: The probabilities, of shape (..., H, W, C).
        kind: The kind of the task.
        channels: The number of classes C.
        thresholds: The threshold of each class; None in a multiclass task.

    Returns:
        The masks, uint8.

    Raises:
        DataError: If the shape does not fit, or if a value is NaN or outside 0 to 1.
    """
    values = np.asarray(probabilities)
    if values.ndim < 3 or values.shape[-1] != channels:
        raise DataError(
            f"probabilities have shape (..., height, width, {channels}); found {values.shape}",
            "channels",
        )
    if values.size:
        _check_probabilities(values)
    if kind == "multiclass":
        return values.argmax(-1).astype(np.uint8)
    dtype: Any = np.float32  # as an integer, a threshold of 0.5 would be 0
    if np.issubdtype(values.dtype, np.floating):
        dtype = values.dtype
    mask = (values >= np.asarray(thresholds, dtype)).astype(np.uint8)
    if kind == "binary":
        return mask[..., 0]
    return mask


def _check_probabilities(values: np.ndarray) -> None:
    low = float(values.min())
    high = float(values.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise DataError(
            f"probabilities lie between 0 and 1; found {low:.3g} to {high:.3g} (logits? NaN?)",
            "probabilities",
        )


def values_of(mask: np.ndarray) -> np.ndarray:
    """Return the different values of a mask.

    Only pixels at which the value changes are sorted or counted, because they are few.

    Args:
        mask: A mask of any shape and integer type.

    Returns:
        The values in ascending order; empty for an empty mask.
    """
    flat = mask.ravel()
    is_change = flat[1:] != flat[:-1]
    candidates = np.concatenate([flat[:1], flat[1:][is_change]])
    if mask.dtype == np.uint8:
        return np.flatnonzero(np.bincount(candidates, minlength=256))
    return np.unique(candidates)
