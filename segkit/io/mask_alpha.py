"""The alpha channel of mask files: pixels that are not opaque are an error, or not valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io.pixels import Pixels, both, without_holes


def without_opaque_alpha(array: np.ndarray, path: Path) -> np.ndarray:
    """Return an array without its alpha channel, which must be opaque.

    Args:
        array: (H, W, C); there is an alpha channel if C is 2 or 4.
        path: The file, for messages.

    Raises:
        DataError: If a pixel is not opaque.
    """
    if array.shape[-1] not in (2, 4):
        return array
    opaque = 1
    if np.issubdtype(array.dtype, np.integer):
        opaque = np.iinfo(array.dtype).max
    if (array[..., -1] != opaque).any():
        raise DataError(
            f"{path}: a mask with a transparent part. If nothing was labelled there, as around "
            f"strokes on a layer of a paint program, set data.transparent: void; otherwise save it "
            f"without alpha channel",
            "mask-alpha",
        )
    return array[..., :-1]


def opaque_pixels(stored: Pixels) -> Pixels:
    """Return values without an alpha channel, valid where it is opaque, and 0 elsewhere.

    Args:
        stored: The content of a mask file; there is an alpha channel if it has 2 or 4 channels.
    """
    values = stored.values
    if values.ndim != 3 or values.shape[-1] not in (2, 4):
        return stored
    opaque = 1
    if np.issubdtype(values.dtype, np.integer):
        opaque = np.iinfo(values.dtype).max
    is_opaque = np.asarray(values[..., -1] == opaque)
    shown = np.where(is_opaque[..., None], values[..., :-1], 0).astype(values.dtype)
    return without_holes(stored._replace(values=shown, valid=both(stored.valid, is_opaque)))
