"""What a file stores at its pixels, and at which of them it stores nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Pixels(NamedTuple):
    """Values as they are stored, and what the file says of them."""

    values: np.ndarray
    """(H, W) or (H, W, C), upright."""
    valid: np.ndarray | None = None
    """(H, W) bool: where there is a measurement; None if there is one everywhere."""
    palette: np.ndarray | None = None
    """(N, 3) uint8: the colours that the values are indices of."""
    nodata: float | None = None
    """The value that is written where there is no measurement, if it occurs."""
    white: int | None = None
    """Where the file says that 0 is white: the value that is black before the values are inverted, 0 of bits."""


def both(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Return where both masks (H, W) of valid pixels hold; None holds everywhere."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def without_holes(pixels: Pixels) -> Pixels:
    """Return the pixels with None for a mask that holds everywhere."""
    return (
        pixels._replace(valid=None) if pixels.valid is not None and pixels.valid.all() else pixels
    )


def holes(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where values (H, W) or (H, W, C) are missing, for each band; None if they are nowhere.

    In unsigned integers a pixel is missing if all its bands are: 0 is also a usual value of one
    band.
    """
    missing = _equal(values, nodata)
    if missing is None:
        return None
    if values.ndim == 3 and values.dtype.kind in ("b", "u"):
        missing = np.broadcast_to(missing.all(axis=-1, keepdims=True), values.shape)
    return missing if missing.any() else None


def complete_pixels(missing: np.ndarray) -> np.ndarray:
    """Return where no band is missing, (H, W), from `holes`."""
    return np.asarray(~missing.any(axis=-1)) if missing.ndim == 3 else ~missing


def _equal(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where values are the missing one: the nearest that their type can hold."""
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
    return values == int(nodata) if limits.min <= nodata <= limits.max else None


def lowest(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the lowest value of each band that is not missing, (C,); the largest value of the type where all are."""
    bands = values.reshape(-1, values.shape[-1])
    most = np.finfo(values.dtype).max if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    return np.where(missing.reshape(bands.shape), most, bands).min(axis=0)


def fill(values: np.ndarray, missing: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return values (H, W, C) with the lowest value `low` of their band where they are missing, 0 if there is none."""
    most = np.finfo(values.dtype).max if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    return np.where(missing, np.where(low == most, 0, low), values).astype(values.dtype)
