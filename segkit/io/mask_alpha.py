"""The alpha channel of mask files: pixels that are not opaque are an error, or not valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io.codecs import is_tiff, opened
from segkit.io.pages import file_of
from segkit.io.pixels import Pixels, both, without_holes
from segkit.io.stack_files import is_stack_file


def without_opaque_alpha(array: np.ndarray, path: Path) -> np.ndarray:
    """Return an array without its alpha channel, which must be opaque.

    Args:
        array: (H, W, C); there is an alpha channel if C is 2 or 4.
        path: The file, for messages.

    Raises:
        DataError: If a pixel is not opaque; with another code if none is, but some are painted.
    """
    if array.shape[-1] not in (2, 4):
        return array
    opaque = 1
    if np.issubdtype(array.dtype, np.integer):
        opaque = np.iinfo(array.dtype).max
    alpha = array[..., -1]
    if alpha.min(initial=opaque) == 0:  # a layer of a paint program, not a dim picture
        _check_opacity(alpha, opaque, path)
    if (alpha != opaque).any():
        raise DataError(
            f"{path}: a mask with a transparent part. If nothing was labelled there, as around "
            f"strokes on a layer of a paint program, set data.transparent: void; otherwise save it "
            f"without alpha channel",
            "mask-alpha",
        )
    return array[..., :-1]


def opaque_pixels(stored: Pixels, path: Path) -> Pixels:
    """Return values without an alpha channel, valid where it is opaque, and 0 elsewhere.

    Values that the file shows as transparent, by a palette or a grey, are not valid, either.

    Args:
        stored: The content of a mask file; there is an alpha channel if it has 2 or 4 channels.
        path: The file, for messages.

    Raises:
        DataError: If something is painted, but no pixel is opaque.
    """
    values = stored.values
    if values.ndim == 2:
        hidden = hidden_values(path)
        shown = None
        if hidden:
            shown = ~np.isin(values, hidden)
        return without_holes(stored._replace(valid=both(stored.valid, shown)))
    if values.ndim != 3 or values.shape[-1] not in (2, 4):
        return stored
    opaque = 1
    if np.issubdtype(values.dtype, np.integer):
        opaque = np.iinfo(values.dtype).max
    is_opaque = np.asarray(values[..., -1] == opaque)
    _check_opacity(values[..., -1], opaque, path)
    shown = np.where(is_opaque[..., None], values[..., :-1], 0).astype(values.dtype)
    return without_holes(stored._replace(values=shown, valid=both(stored.valid, is_opaque)))


def hidden_values(path: Path) -> list[int]:
    """Return the stored values that a file shows as transparent, such as indices of a palette.

    Args:
        path: A mask file with one value per pixel, or the address of a page in it.
    """
    if is_tiff(path) or is_stack_file(path):
        return []
    with opened(file_of(path)) as picture:
        transparency = picture.info.get("transparency")
    if isinstance(transparency, bytes):
        return [index for index, alpha in enumerate(transparency) if alpha < 255]
    if isinstance(transparency, int):
        return [transparency]
    return []


def _check_opacity(alpha: np.ndarray, opaque: int, path: Path) -> None:
    """Raise `DataError` if something is painted, but no pixel is opaque.

    Bands of fractions are more likely probabilities than a layer of a paint program.
    """
    if not np.issubdtype(alpha.dtype, np.integer):
        return
    highest = alpha.max(initial=0)
    if 0 < highest < opaque:
        raise DataError(
            f"{path}: no pixel is fully opaque; the highest alpha is {highest} of {opaque} "
            f"({100 * float(highest) / opaque:.0f} %). Only opaque pixels have a label, so draw "
            f"with a hard brush at 100 % opacity",
            "mask-opacity",
        )
