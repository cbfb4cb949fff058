"""Where the pixels of a GeoTIFF lie on the map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.io import codecs
from segkit.io.pages import file_of
from segkit.io.pictures import open_tiff

USER_DEFINED = 32767
"""What GeoTIFF writes where a coordinate system has no EPSG code."""


class Georeference(NamedTuple):
    """`matrix` (2, 3) maps pixel corners (x, y, 1), y down, to the map; `epsg` is the coordinate system, if known."""

    matrix: np.ndarray
    epsg: int | None

    def __call__(self, points: Any) -> np.ndarray:
        """Return points (N, 2) in the map's coordinates."""
        return np.asarray(points, float) @ self.matrix[:, :2].T + self.matrix[:, 2]


def read_georeference(path: Path) -> Georeference | None:
    """Return where an image lies on the map; None if it is no GeoTIFF, or one that is turned or only has control points.

    Source: OGC GeoTIFF 1.1, requirements classes on raster space and coordinate transformation.
    """
    if not codecs.is_tiff(path):
        return None
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        page = tiff.series[0].keyframe
        turned = page.tags.get("Orientation")
        if turned and int(turned.value) != 1:
            return None  # its mask is upright, unlike the pixels that the tags speak of
        tags = page.geotiff_tags or {}
        matrix = _matrix(tags)
    if matrix is None:
        return None
    if int(tags.get("GTRasterTypeGeoKey", 1)) == 2:  # the tags count from pixel centres
        matrix[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
    return Georeference(matrix, _epsg(tags))


def _matrix(tags: Mapping[str, Any]) -> np.ndarray | None:
    if "ModelTransformation" in tags:
        return np.array(tags["ModelTransformation"], float).reshape(4, 4)[:2, [0, 1, 3]]
    points, scale = np.ravel(tags.get("ModelTiepoint", ())), np.ravel(tags.get("ModelPixelScale", ()))
    if len(points) < 6 or len(scale) < 2:
        return None
    column, row, _, x, y, _ = points[:6].astype(float)
    right, up = scale[:2].astype(float)
    return np.array([[right, 0, x - right * column], [0, -up, y + up * row]])


def _epsg(tags: Mapping[str, Any]) -> int | None:
    for key in ("ProjectedCSTypeGeoKey", "GeographicTypeGeoKey"):
        code = int(tags.get(key, 0))
        if code not in (0, USER_DEFINED):
            return code
    return None
