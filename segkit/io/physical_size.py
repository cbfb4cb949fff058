"""Reads the physical size and place of an image from the header of its file, and writes the size.

A TIFF states them, in the order in which they are looked for, as a GeoTIFF (a map), in OME metadata
(microscopes), in ImageJ's metadata, or as its resolution in pixels per inch or centimetre; a PNG
states pixels per metre; OME-Zarr, CZI, LIF and ND2 have metadata of their own. `data.pixel_size` is
for all other files.

A resolution is no measurement if it is one of `DEFAULT_DPI`, which displays, cameras and printers
state whatever the picture shows, or has no unit. A map in degrees has a place and no pixel size.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.georeference import georeference_of
from segkit.io.pages import Pages, file_of
from segkit.io.pictures import open_tiff
from segkit.io.rasters import is_raster, read_raster_geometry
from segkit.io.slide_addresses import is_slide
from segkit.io.slides import slide_geometry
from segkit.io.stack_files import geometry_in_stack_file, is_stack_file
from segkit.io.tiff_series import full_resolution
from segkit.io.turning import SWAPS_AXES, orientation_of

DEFAULT_DPI = (1, 72, 90, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350)
"""Dots per inch that programs state without a measurement: displays, cameras, printing, and 1."""
CLOSE = 0.005
"""The relative difference up to which a resolution is one of `DEFAULT_DPI`; PNG rounds them."""
MILLIMETRES_PER_INCH = 25.4
MILLIMETRES = {2: MILLIMETRES_PER_INCH, 3: 10.0}
"""The values of the TIFF tag ResolutionUnit that are lengths, in millimetres."""
PROJECTED = 1
"""The value of GTModelTypeGeoKey for maps on a plane."""
USER_DEFINED = 32767
MERCATOR = (3395, 3785, 3832, 3857, 900913)
"""Codes of world maps in Mercator, as web maps use them."""
MERCATOR_METHOD = 7
"""The value of ProjCoordTransGeoKey for Mercator."""
LINEAR_METRES = {9001: 1.0, 9002: 0.3048, 9003: 1200 / 3937, 9036: 1000.0}
"""Codes of ProjLinearUnitsGeoKey in metres: metre, foot, US survey foot, kilometre."""
LONGEST_XML = 2**24
"""Characters of OME metadata that are read."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNK = struct.Struct(">I4s")
PNG_PHYS = struct.Struct(">IIB")
"""Pixels per unit in x and y, and the unit: 1 is the metre."""
MOST_CHUNKS = 1000
"""Chunks before the pixels that are searched for the size."""
MOST_PER_METRE = 2**31 - 1
ROUNDED = 0.001
"""The relative error of the size of a pixel that a PNG may state."""


def read_geometry(path: Path, pages: Pages | None = None) -> Geometry | None:
    """Return the physical size and place that an image file states.

    Args:
        path: The file, or the address of a page in it.
        pages: The meaning of the pages of a file (`data.pages`); None if the user names none.

    Returns:
        The geometry of the upright image; None if the file states none, or cannot be read.
    """
    file = file_of(path)
    try:
        with codecs.naming(path):
            if is_slide(path):
                return slide_geometry(path)
            if is_stack_file(path):
                return geometry_in_stack_file(path)
            if codecs.is_tiff(path):
                with open_tiff(file) as tiff:
                    return geometry_of_tiff(tiff, path, pages)
            if is_raster(path):
                return read_raster_geometry(path)
            if file.suffix.lower() == ".png":
                return _geometry_of_png(file)
    except DataError:  # broken metadata do not mean broken pixels, and reading these reports errors
        return None
    return None


def geometry_of_tiff(tiff: Any, path: Path, pages: Pages | None = None) -> Geometry | None:
    """Return the physical size and place that an open TIFF states; see `read_geometry`."""
    series = full_resolution(tiff, path, pages)
    page = series.keyframe
    geometry = _on_map(page)
    if geometry is None and tiff.is_ome:
        geometry = _by_ome(tiff.ome_metadata or "", tiff.series.index(series))
    if geometry is None and tiff.is_imagej:
        geometry = _by_imagej(page, tiff.imagej_metadata or {})
    if geometry is None and not tiff.is_imagej:
        geometry = _by_resolution(page)
    return geometry


def _on_map(page: Any) -> Geometry | None:
    """Return the geometry of a GeoTIFF: its place, and its pixel size unless that is in degrees."""
    tags = page.geotiff_tags or {}
    georeference = georeference_of(page)
    if georeference is None:
        return None
    a, b, _, d, e, _ = georeference.transform
    metres = _metres_of_map(tags)
    return Geometry.measured(
        math.hypot(b, e) * metres,
        math.hypot(a, d) * metres,
        "m",
        georeference=georeference,
        read_from="the GeoTIFF headers",
    )


def _metres_of_map(tags: Mapping[str, Any]) -> float:
    """Return the unit of a map's coordinates in metres; NaN if they are no known length.

    A projected system that names no unit is in metres, unless its name has feet. A metre of a map
    in Mercator is shorter on the ground, the more the further from the equator.
    """
    projected = int(tags.get("ProjectedCSTypeGeoKey", 0))
    if projected in MERCATOR or int(tags.get("ProjCoordTransGeoKey", 0)) == MERCATOR_METHOD:
        return math.nan
    if int(tags.get("GTModelTypeGeoKey", PROJECTED if projected else 0)) != PROJECTED:
        return math.nan
    code = int(tags.get("ProjLinearUnitsGeoKey", 0))
    if code:
        return LINEAR_METRES.get(code, math.nan)
    name = f"{tags.get('PCSCitationGeoKey', '')} {tags.get('GTCitationGeoKey', '')}".lower()
    in_feet = "foot" in name or "feet" in name or "ftus" in name
    if in_feet or projected in (0, USER_DEFINED):
        return math.nan
    return 1.0


def _by_ome(text: str, image: int) -> Geometry | None:
    """Return the geometry that OME metadata state for an image, by its index."""
    pixels = _ome_pixels(text, image)
    rows_unit = pixels.get("PhysicalSizeYUnit", "µm")
    columns_unit = pixels.get("PhysicalSizeXUnit", "µm")
    if rows_unit != columns_unit:
        return None
    height = pixels.get("PhysicalSizeY")
    width = pixels.get("PhysicalSizeX")
    return Geometry.measured(height, width, rows_unit, read_from="the OME metadata")


def _ome_pixels(text: str, image: int) -> Mapping[str, str]:
    """Return the attributes of the pixels of an image in OME metadata; none if they are broken."""
    if len(text) > LONGEST_XML:
        return {}
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (expat limits the growth of entities)
    except (ElementTree.ParseError, ValueError):
        return {}
    images = root.findall("{*}Image/{*}Pixels")
    if image >= len(images):
        return {}
    return images[image].attrib


def distance_in_tiff(path: Path) -> tuple[Any, Any]:
    """Return the distance of the planes of a TIFF along Z and its unit, as the file states them.

    Both are None if it states none.

    Raises:
        DataError: If the file cannot be read.
    """
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        if tiff.is_ome:
            series = full_resolution(tiff, path, None)
            pixels = _ome_pixels(tiff.ome_metadata or "", tiff.series.index(series))
            return pixels.get("PhysicalSizeZ"), pixels.get("PhysicalSizeZUnit", "µm")
        if tiff.is_imagej:
            metadata = tiff.imagej_metadata or {}
            return metadata.get("spacing"), _unit_of_imagej(metadata)
    return None, None


def _by_imagej(page: Any, metadata: Mapping[str, Any]) -> Geometry | None:
    """Return the geometry of a TIFF of ImageJ, whose resolution is in pixels per its own unit."""
    unit = _unit_of_imagej(metadata)
    down, across = _resolution(page)
    if unit.lower() in ("inch", "inches", "in"):
        return _by_dpi(down, across, "the ImageJ metadata")
    if not down or not across:
        return None
    height, width = _upright(page, 1 / down, 1 / across)
    return Geometry.measured(height, width, unit, read_from="the ImageJ metadata")


def _unit_of_imagej(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("unit", "")).replace("\\u00B5", "µ").replace("\\u00b5", "µ")


def _by_resolution(page: Any) -> Geometry | None:
    """Return the geometry by the tags XResolution, YResolution and ResolutionUnit."""
    tag = page.tags.get("ResolutionUnit")
    millimetres = MILLIMETRES.get(int(tag.value)) if tag is not None else None
    if millimetres is None:
        return None
    per_inch = MILLIMETRES_PER_INCH / millimetres
    down, across = _upright(page, *_resolution(page))
    return _by_dpi(down * per_inch, across * per_inch, "the TIFF resolution")


def _by_dpi(down: float, across: float, read_from: str) -> Geometry | None:
    """Return the geometry of a picture with so many dots per inch; None for a default of them."""
    if down <= 0 or across <= 0 or (_is_default(down) and _is_default(across)):
        return None
    height = MILLIMETRES_PER_INCH / down
    width = MILLIMETRES_PER_INCH / across
    return Geometry.measured(height, width, "mm", read_from=read_from)


def _is_default(dpi: float) -> bool:
    return any(abs(dpi - usual) <= CLOSE * usual for usual in DEFAULT_DPI)


def _resolution(page: Any) -> tuple[float, float]:
    """Return the pixels per unit of a page as stored, down and across; 0 if they are unknown."""
    found = []
    for name in ("YResolution", "XResolution"):
        tag = page.tags.get(name)
        numerator, denominator = tag.value if tag is not None else (0, 1)
        found.append(numerator / denominator if denominator else 0.0)
    return found[0], found[1]


def _upright(page: Any, down: float, across: float) -> tuple[float, float]:
    """Return what belongs to the rows and columns of the upright image."""
    if orientation_of(page) in SWAPS_AXES:
        return across, down
    return down, across


def _geometry_of_png(path: Path) -> Geometry | None:
    """Return the geometry that the chunk pHYs states."""
    content = _phys_chunk(path)
    if content is None:
        return None
    across, down, unit = PNG_PHYS.unpack(content)
    if unit != 1:
        return None
    per_inch = MILLIMETRES_PER_INCH / 1000
    return _by_dpi(down * per_inch, across * per_inch, "the PNG headers")


def _phys_chunk(path: Path) -> bytes | None:
    """Return the content of the chunk pHYs, which stands before the pixels; None without one."""
    with path.open("rb") as stream:
        if stream.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            return None
        for _ in range(MOST_CHUNKS):
            head = stream.read(PNG_CHUNK.size)
            if len(head) < PNG_CHUNK.size:
                return None
            size, kind = PNG_CHUNK.unpack(head)
            if kind in (b"IDAT", b"IEND"):
                return None
            if kind == b"pHYs":
                content = stream.read(size) if size == PNG_PHYS.size else b""
                return content if len(content) == PNG_PHYS.size else None
            stream.seek(size + 4, 1)
    return None


def resolution_of_png(pixel_mm: tuple[float, float] | None) -> dict[str, Any]:
    """Return the argument of `PIL.Image.Image.save` that states the size of a pixel.

    Args:
        pixel_mm: Height and width of a pixel in millimetres; None if they are unknown.

    Returns:
        The argument `dpi`; nothing if a PNG, which states whole pixels per metre, cannot hold it.
    """
    if pixel_mm is None:
        return {}
    per_metre = [1000 / side for side in reversed(pixel_mm)]
    rounded = [round(number) for number in per_metre]
    is_exact = all(
        abs(number - whole) <= ROUNDED * number
        for number, whole in zip(per_metre, rounded, strict=True)
    )
    if not is_exact or max(rounded) > MOST_PER_METRE:
        return {}
    return {"dpi": tuple(whole * MILLIMETRES_PER_INCH / 1000 for whole in rounded)}
