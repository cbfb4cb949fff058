"""Reads where the pixels of a GeoTIFF, or of another image of GDAL, lie on the map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.geometry import Georeference
from segkit.io.nodata import GDAL_NODATA, nodata_of
from segkit.io.pages import file_of
from segkit.io.pictures import open_tiff, open_tiff_content
from segkit.io.rasters import is_raster, opened_raster, raster_layout, read_raster_georeference
from segkit.system.packages import need

ASCII = 2
SHORT = 3
DOUBLE = 12
"""Types of TIFF tags."""
PLACE_TAGS = {
    33550: DOUBLE,
    33922: DOUBLE,
    34264: DOUBLE,
    34735: SHORT,
    34736: DOUBLE,
    34737: ASCII,
}
"""The types of the tags that say where on the map a GeoTIFF lies."""
USER_DEFINED = 32767
"""The code of a coordinate system that has no EPSG code."""


class TiffLocation(NamedTuple):
    """The properties of a TIFF that files made from it share."""

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
    """Return the location of a TIFF.

    Args:
        keyframe: A page of tifffile.

    Returns:
        The location; None if the page has neither a place on a map nor a nodata value. A page that
        is to be turned has no place, because its tags describe the pixels before they are turned.
    """
    tags = []
    if not _is_turned(keyframe):
        for code in PLACE_TAGS:
            tag = _tag_of(keyframe, code)
            if tag is not None:
                tags.append(tag)
    nodata = nodata_of(keyframe)
    if not tags and nodata is None:
        return None
    return TiffLocation(tuple(tags), nodata)


def _is_turned(page: Any) -> bool:
    orientation = page.tags.get("Orientation")
    return orientation is not None and int(orientation.value) != 1


def _tag_of(keyframe: Any, code: int) -> tuple[Any, ...] | None:
    """Return a tag as tifffile writes it; None if it is missing or of a wrong type."""
    tag = keyframe.tags.get(code)
    kind = PLACE_TAGS[code]
    if tag is None or int(tag.dtype) != kind:
        return None
    if kind == ASCII:  # as bytes, because other tags refer to bytes, in any encoding
        handle = keyframe.parent.filehandle
        handle.seek(tag.valueoffset)
        text = handle.read(tag.valuebytecount)
        return code, kind, len(text), text, True
    values = np.ravel(tag.value).tolist()
    return code, kind, len(values), values, True


def read_place(path: Path) -> TiffLocation | None:
    """Return the location of an image file, see `place_of`; None for formats without a place.

    Raises:
        DataError: If the file cannot be read.
    """
    if is_raster(path):
        return _place_of_raster(path)
    if not codecs.is_tiff(path):
        return None
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        return place_of(tiff.series[0].keyframe)


def _place_of_raster(path: Path) -> TiffLocation | None:
    """Return the location of an image of rasterio, with the tags that GDAL writes for it."""
    with opened_raster(path) as dataset:
        nodata = next((value for value in raster_layout(dataset).nodata if value is not None), None)
        if dataset.transform.is_identity and not dataset.crs:
            if nodata is None:
                return None
            return TiffLocation((), nodata)
        tags = _tags_by_gdal(dataset)
    return TiffLocation(tags, nodata)


def _tags_by_gdal(dataset: Any) -> tuple[Any, ...]:
    """Return the tags of a GeoTIFF at the place of a rasterio dataset."""
    rasterio = need("rasterio", "geo")
    profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, crs=dataset.crs, transform=dataset.transform) as written:
            written.write(np.zeros((1, 1, 1), np.uint8))
        content = memory.read()
    with open_tiff_content(content) as tiff:
        place = place_of(tiff.series[0].keyframe)
    if place is None:
        return ()
    return place.tags


def has_place(path: Path) -> bool:
    """Return whether `read_place` finds a location; False for a file that cannot be read."""
    try:
        return read_place(path) is not None
    except DataError:
        return False


def has_georeference(path: Path) -> bool:
    """Return whether `read_georeference` finds a place; False for a file that cannot be read."""
    try:
        return read_georeference(path) is not None
    except DataError:
        return False


def read_georeference(path: Path) -> Georeference | None:
    """Return the transformation of a GeoTIFF from pixels to the map.

    Source: OGC GeoTIFF 1.1, requirements classes on raster space and coordinate transformation.

    Args:
        path: The file, or the address of a page in it.

    Returns:
        The transformation; None for other files, for a page that is to be turned, and for one that
        has control points only.

    Raises:
        DataError: If the file cannot be read.
    """
    if is_raster(path):
        return read_raster_georeference(path)
    if not codecs.is_tiff(path):
        return None
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        return georeference_of(tiff.series[0].keyframe)


def georeference_of(page: Any) -> Georeference | None:
    """Return the transformation of a page of tifffile to the map; None as `read_georeference`."""
    if _is_turned(page):  # its mask is upright, but the tags describe the stored pixels
        return None
    tags = page.geotiff_tags or {}
    matrix = _matrix(tags)
    if matrix is None:
        return None
    if int(tags.get("GTRasterTypeGeoKey", 1)) == 2:  # the tags count from pixel centres
        matrix[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
    epsg = _epsg(tags)
    crs = None
    if epsg is not None:
        crs = f"EPSG:{epsg}"
    return Georeference(tuple(matrix.ravel().tolist()), crs)


def _matrix(tags: Mapping[str, Any]) -> np.ndarray | None:
    if "ModelTransformation" in tags:
        return np.array(tags["ModelTransformation"], float).reshape(4, 4)[:2, [0, 1, 3]]
    points = np.ravel(tags.get("ModelTiepoint", ()))
    scale = np.ravel(tags.get("ModelPixelScale", ()))
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
