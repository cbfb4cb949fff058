"""Reads the nodata value of a TIFF, which GDAL defines."""

from __future__ import annotations

from typing import Any

GDAL_NODATA = 42113
"""The TIFF tag that holds the value of pixels without data, as text."""


def nodata_of(keyframe: Any) -> float | None:
    """Return the value of pixels without data in a page of tifffile; None if there is none."""
    tag = keyframe.tags.get(GDAL_NODATA)
    if tag is None:
        return None
    try:
        return float(str(tag.value).strip("\0 ").replace(",", "."))
    except ValueError:
        return None
