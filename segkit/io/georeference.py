"""Where the pixels of a GeoTIFF lie on the map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.nodata import GDAL_NODATA, nodata_of
from segkit.io.pages import file_of
from segkit.io.pictures import open_tiff

DOUBLE, SHORT, ASCII = 12, 3, 2
PLACE_TAGS = {
    33550: DOUBLE,
    33922: DOUBLE,
    34264: DOUBLE,
    34735: SHORT,
    34736: DOUBLE,
    34737: ASCII,
}
"""The tags of a GeoTIFF that say where on the map it lies, and the types that they have."""
USER_DEFINED = 32767
"""What GeoTIFF writes where a coordinate system has no EPSG code."""


class Georeference(NamedTuple):
    """`matrix` (2, 3) maps pixel corners (x, y, 1), y down, to the map; `epsg` is the coordinate system, if known."""

    matrix: np.ndarray
    epsg: int | None

    def __call__(self, points: Any) -> np.ndarray:
        """Return points (N, 2) in the map's coordinates."""
        return np.asarray(points, float) @ self.matrix[:, :2].T + self.matrix[:, 2]


class TiffLocation(NamedTuple):
    """The tags that the files made from a TIFF have in common with it."""

    tags: tuple[Any, ...]
    """Those of `PLACE_TAGS`, as tifffile writes them; none if the image lies on no map."""
    nodata: float | None
    """The image's value of pixels without data; None if it has none."""
    has_holes: bool = False
    """Whether pixels are hidden by an alpha channel or an internal mask."""

    def tags_with(self, nodata: float | None) -> list[Any]:
        """Return the tags of a file made from the image.

        Args:
            nodata: The value that the file stores where the image has no data; None if it stores no
                such value.
        """
        may_miss_data = self.has_holes or self.nodata is not None
        if nodata is None or not may_miss_data:
            return list(self.tags)
        return [*self.tags, (GDAL_NODATA, "s", 0, str(nodata), True)]


def place_of(keyframe: Any) -> TiffLocation | None:
    """Return the place of a TIFF with pages like this one; None if it has neither a place nor a value for "no data"."""
    turned = keyframe.tags.get("Orientation")
    on_map = (
        not turned or int(turned.value) == 1
    )  # what is made from it is upright, and the tags are not
    found = [_tag_of(keyframe, code) for code in PLACE_TAGS] if on_map else []
    tags = tuple(tag for tag in found if tag is not None)
    nodata = nodata_of(keyframe)
    if not tags and nodata is None:
        return None
    return TiffLocation(tags, nodata)


def _tag_of(keyframe: Any, code: int) -> tuple[Any, ...] | None:
    """Return a tag as tifffile writes it; None if the page has none, or one of another type than GeoTIFF says."""
    tag, kind = keyframe.tags.get(code), PLACE_TAGS[code]
    if tag is None or int(tag.dtype) != kind:
        return None
    if kind == ASCII:  # as bytes, because other tags count them, and they may be in any encoding
        handle = keyframe.parent.filehandle
        handle.seek(tag.valueoffset)
        text = handle.read(tag.valuebytecount)
        return code, kind, len(text), text, True
    values = np.ravel(tag.value).tolist()
    return code, kind, len(values), values, True


def read_place(path: Path) -> TiffLocation | None:
    """Return the place of an image file, as `place_of`; None if it is no TIFF."""
    if not codecs.is_tiff(path):
        return None
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        return place_of(tiff.series[0].keyframe)


def has_place(path: Path) -> bool:
    """Return whether `read_place` finds a place; no file that cannot be read has one."""
    try:
        return read_place(path) is not None
    except DataError:
        return False


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
    points, scale = (
        np.ravel(tags.get("ModelTiepoint", ())),
        np.ravel(tags.get("ModelPixelScale", ())),
    )
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
