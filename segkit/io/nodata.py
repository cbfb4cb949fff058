"""The value of pixels without data in a TIFF, as GDAL writes it."""

from __future__ import annotations

from typing import Any

GDAL_NODATA = 42113
"""The TIFF tag that holds the value, as text, of pixels without data."""


def nodata_of(keyframe: Any) -> float | None:
    """Return the value that means "no data" in the pages of a TIFF like this one; None if there is none."""
    tag = keyframe.tags.get(GDAL_NODATA)
    if tag is None:
        return None
    try:
        return float(str(tag.value).strip("\0 ").replace(",", "."))
    except ValueError:
        return None
