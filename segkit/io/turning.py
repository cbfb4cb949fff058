"""Turning pictures upright, as their EXIF or TIFF orientation says."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
"""The EXIF and TIFF tag that says how a picture is to be turned."""


def orientation_of(opened: Any) -> int:
    """Return the orientation (1 to 8) of a picture that Pillow opened, or of tifffile's page; 1 if there is none."""
    try:
        if isinstance(opened, Image.Image):
            value = opened.getexif().get(ORIENTATION, 1)
        else:
            tag = opened.tags.get(ORIENTATION)
            value = tag.value if tag else 1
    except Exception:  # broken metadata say nothing of good pixels
        return 1
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return the height and width that an opened picture has once it is turned upright.

    Args:
        picture: A picture that Pillow has opened but not decoded.
    """
    size = (picture.height, picture.width)
    if picture.format == "TIFF":  # Pillow states the size of a turned TIFF as it is upright
        return size
    return size[::-1] if orientation_of(picture) in (5, 6, 7, 8) else size


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return pixels turned as the EXIF or TIFF orientation (1 to 8) says.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
