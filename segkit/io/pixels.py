"""Holds the values that a file stores at its pixels, and finds the pixels without data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Pixels(NamedTuple):
    """The values that a file stores, and the properties of them that it states."""

    values: np.ndarray
    """(H, W) or (H, W, C), upright."""
    valid: np.ndarray | None = None
    """(H, W) bool: where the file has data; None if everywhere."""
    palette: np.ndarray | None = None
    """(N, 3) uint8: the colours that the values are indices of."""
    nodata: float | None = None
    """The value of pixels without data, if it occurs."""
    white: int | None = None
    """The value of black in a file that says that 0 is white; 0 if the values are inverted already.

    None in other files.
    """


def both(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Return where two masks of valid pixels (H, W) are both true; None is true everywhere."""
    if one is None:
        return other
    if other is None:
        return one
    return one & other


def without_holes(pixels: Pixels) -> Pixels:
    """Return the pixels with `valid` None if all of them are valid."""
    if pixels.valid is not None and pixels.valid.all():
        return pixels._replace(valid=None)
    return pixels


def holes(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where values are missing in each band.

    Args:
        values: (H, W) or (H, W, C).
        nodata: The value of pixels without data; None if there is no such value.

    Returns:
        A bool array of the shape of `values`; None if no value is missing. In unsigned integers a
        pixel is missing only if all of its bands are, because 0 is also a usual value of one band.
    """
    missing = _equals(values, nodata)
    if missing is None:
        return None
    if values.ndim == 3 and values.dtype.kind in ("b", "u"):
        missing = np.broadcast_to(missing.all(axis=-1, keepdims=True), values.shape)
    if not missing.any():
        return None
    return missing


def complete_pixels(missing: np.ndarray) -> np.ndarray:
    """Return where no band is missing, (H, W) bool, from the result of `holes`."""
    if missing.ndim == 3:
        return np.asarray(~missing.any(axis=-1))
    return ~missing


def _equals(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where values equal a number; None if their type cannot hold the number."""
    if nodata is None:
        return None
    if values.dtype.kind == "f":
        if np.isnan(nodata):
            return np.isnan(values)
        with np.errstate(over="ignore"):
            return np.isclose(values, values.dtype.type(nodata), rtol=2e-6, atol=0)
    if values.dtype.kind not in "iu" or nodata != np.floor(nodata):
        return None
    limits = np.iinfo(values.dtype)
    if not limits.min <= nodata <= limits.max:
        return None
    return values == int(nodata)


def lowest(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the lowest value of each band that is not missing.

    Args:
        values: (H, W, C).
        missing: Where values are missing, (H, W, C) bool.

    Returns:
        (C,); the largest value of the type for a band whose values are all missing.
    """
    bands = values.reshape(-1, values.shape[-1])
    return np.where(missing.reshape(bands.shape), _largest(values.dtype), bands).min(axis=0)


def fill(values: np.ndarray, missing: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return values in which missing ones are replaced.

    Args:
        values: (H, W, C).
        missing: Where values are missing, (H, W, C) bool.
        low: The result of `lowest`, (C,). It replaces missing values; 0 does in a band whose values
            are all missing.

    Returns:
        (H, W, C) of the dtype of `values`.
    """
    replacement = np.where(low == _largest(values.dtype), 0, low)
    return np.where(missing, replacement, values).astype(values.dtype)


def _largest(dtype: np.dtype[Any]) -> float | int:
    if dtype.kind == "f":
        return float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).max)
