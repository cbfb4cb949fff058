"""Tags that make a TIFF a map."""

from __future__ import annotations

from typing import Any

UTM_32 = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632)
"""GeoKeys: projected, EPSG 32632, whose unit is the metre."""
DEGREES = (1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326)
"""GeoKeys: geographic, EPSG 4326."""
CORNER = (0, 0, 0, 500000, 5200000, 0)
"""The upper left corner of the image lies at x = 500000 and y = 5200000."""


def map_tags(
    keys: tuple[int, ...],
    scale: tuple[float, float] | None = None,
    matrix: tuple[float, ...] | None = None,
) -> list[Any]:
    """Return the tags of a GeoTIFF for the argument `extratags` of tifffile.

    Args:
        keys: The GeoKeys.
        scale: Width and height of a pixel.
        matrix: The 16 numbers of ModelTransformation.
    """
    tags: list[Any] = [(34735, "H", len(keys), keys, True)]
    if scale is not None:
        tags.append((33550, "d", 3, (*scale, 0), True))
        tags.append((33922, "d", 6, CORNER, True))
    if matrix is not None:
        tags.append((34264, "d", 16, matrix, True))
    return tags
