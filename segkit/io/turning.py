"""Turns pictures upright by their EXIF or TIFF orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
"""The number of the EXIF and TIFF tag Orientation."""
SWAPS_AXES = (5, 6, 7, 8)
"""Orientations that exchange height and width."""


def orientation_of(opened: Any) -> int:
    """Return the orientation of an opened picture.

    Args:
        opened: A picture that Pillow has opened, or a page of tifffile.

    Returns:
        1 to 8; 1 if there is none, or the metadata are broken.
    """
    value = 1
    try:
        if isinstance(opened, Image.Image):
            value = opened.getexif().get(ORIENTATION, 1)
        else:
            tag = opened.tags.get(ORIENTATION)
            if tag:
                value = tag.value
    except Exception:  # broken metadata do not mean broken pixels
        return 1
    if not isinstance(value, int) or not 1 <= value <= 8:
        return 1
    return int(value)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return the height and width that an opened picture has once it is turned upright.

    Args:
        picture: A picture that Pillow has opened but not decoded.
    """
    is_tiff = picture.format == "TIFF"  # of which Pillow states the size after turning
    if not is_tiff and orientation_of(picture) in SWAPS_AXES:
        return picture.width, picture.height
    return picture.height, picture.width


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of pixels, turned by an EXIF or TIFF orientation.

    Args:
        array: The pixels as stored, (H, W) or (H, W, C).
        orientation: 1 to 8.

    Returns:
        (H, W), (W, H) or with channels.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation in SWAPS_AXES:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
