"""Which pixels of a TIFF hold no data, as GDAL writes it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from segkit.io import codecs
from segkit.io.pictures import open_tiff

GDAL_NODATA = 42113
"""The TIFF tag that holds the value, as text, of pixels without data."""


def nodata_of(keyframe: Any) -> float | None:
    """Return the value that means "no data" in the pages of a TIFF like this one; None if there is none."""
    tag = keyframe.tags.get(GDAL_NODATA)
    if tag is None:
        return None
    try:
        return float(str(tag.value).strip("\0 "))
    except ValueError:
        return None


def holds_data(pixels: np.ndarray, nodata: float) -> np.ndarray:
    """Return where at least one band holds something else than `nodata`.

    Args:
        pixels: (H, W) or (H, W, bands), as they are stored.
        nodata: The value of pixels without data; it may be NaN.

    Returns:
        (H, W) bool.
    """
    missing = np.isnan(pixels) if math.isnan(nodata) else pixels == nodata
    return ~missing if missing.ndim == 2 else ~missing.all(axis=-1)


def valid_pixels(path: Path) -> np.ndarray | None:
    """Return where an image holds data, (H, W) bool and upright; None if it does not say what means "no data"."""
    if not codecs.is_tiff(path):
        return None
    with codecs.naming(path), open_tiff(path) as tiff:
        nodata = nodata_of(tiff.series[0].keyframe)
    if nodata is None:
        return None
    with codecs.naming(path):
        return holds_data(codecs.read_tiff(path), nodata)
