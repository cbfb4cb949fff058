"""Reads JPEG 2000 images and VRTs through rasterio (extra `geo`): bands, missing data, place."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.bands import Bands, choose_bands
from segkit.io.files import check_is_file
from segkit.io.geometry import Geometry, Georeference
from segkit.io.pages import file_of
from segkit.io.pictures import open_tiff
from segkit.io.pixels import Pixels, both, complete_pixels, fill, holes, lowest, without_holes
from segkit.io.tiff import Layout, alpha_of, as_displayed, sample_pixels
from segkit.io.turning import orientation_of
from segkit.io.vrt import check_vrt
from segkit.system.packages import need

# rasterio warns of each image that lies on no map, also of those that it makes itself
warnings.filterwarnings("ignore", "Dataset has no geotransform")

VRT = ".vrt"
JP2 = ".jp2"
DRIVERS = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    JP2: "JP2OpenJPEG",
    VRT: "VRT",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
"""The format of each suffix that GDAL may open; some other formats would read from servers."""
CACHE = 2**26
"""Bytes of decoded blocks that GDAL keeps."""


def is_raster(path: Path) -> bool:
    """Return whether an image is read by rasterio: a VRT, or a JPEG 2000 if it is installed.

    Without rasterio Pillow reads JPEG 2000 files of 8 bits, without their place.
    """
    suffix = file_of(path).suffix.lower()
    if suffix == JP2:
        return has_rasterio()
    return suffix == VRT


def has_rasterio() -> bool:
    """Return whether rasterio is installed."""
    return importlib.util.find_spec("rasterio") is not None


@contextmanager
def opened_raster(path: Path) -> Iterator[Any]:
    """Yield an open rasterio dataset. No file is written, and nothing is read from a network.

    Args:
        path: The file, or the address of a page in it.

    Raises:
        DataError: If the file cannot be read, or if rasterio is not installed.
    """
    dataset = open_dataset(path)
    try:
        yield dataset
    finally:
        dataset.close()


def open_dataset(path: Path) -> Any:
    """Return the dataset of `opened_raster`, which the caller closes."""
    file = file_of(path)
    check_is_file(file)
    try:
        rasterio = need("rasterio", "geo")
    except ConfigError as problem:
        raise DataError(f"{path}: {problem}", problem.code) from problem
    driver = DRIVERS.get(file.suffix.lower())
    if driver is None:
        raise DataError(f"{path}: is not read by rasterio; that reads {', '.join(DRIVERS)}")
    if driver == "VRT":
        check_vrt(file)
    with codecs.naming(path):
        if not file.exists():
            raise FileNotFoundError(file)
        with bounded():
            return rasterio.open(file.absolute(), driver=driver)


def bounded() -> Any:
    """Return a context in which GDAL keeps `CACHE` bytes of blocks, and runs no code of a VRT."""
    rasterio = need("rasterio", "geo")
    return rasterio.Env(GDAL_CACHEMAX=CACHE, GDAL_VRT_ENABLE_PYTHON="NO")


class RasterLayout(NamedTuple):
    """The properties of a raster that turn samples into bands."""

    shown: Layout
    """The palette and the band that the file calls alpha."""
    nodata: tuple[float | None, ...]
    """The value of pixels without data in each band."""
    has_mask: bool
    """Whether one mask for all bands says which pixels have data."""

    @property
    def may_have_holes(self) -> bool:
        """Whether pixels may have no data."""
        has_nodata = any(value is not None for value in self.nodata)
        return has_nodata or self.has_mask or self.shown.alpha is not None


def raster_layout(dataset: Any) -> RasterLayout:
    """Return the layout of an open dataset."""
    kinds = [interpretation.name for interpretation in dataset.colorinterp]
    alpha = None
    if "alpha" in kinds:
        alpha = kinds.index("alpha")
    palette = None
    if kinds == ["palette"]:
        palette = _palette(dataset.colormap(1))
    flags = {flag.name for flag in dataset.mask_flag_enums[0]}
    has_mask = "per_dataset" in flags and "alpha" not in flags
    return RasterLayout(Layout(None, palette, None, alpha), tuple(dataset.nodatavals), has_mask)


def _palette(colours: dict[int, tuple[int, ...]]) -> np.ndarray:
    palette = np.zeros((max(colours) + 1, 3), np.uint8)
    for index, colour in colours.items():
        palette[index] = colour[:3]
    return palette


def read_raster(path: Path, channels: int | None = None, bands: Bands | None = None) -> Pixels:
    """Return an image as `tiff.read_tiff` does.

    Args:
        path: The file.
        channels: The number of bands that a model takes, which decides whether a band is alpha.
        bands: The bands to return (`data.bands`); None for all.

    Raises:
        DataError: If the file is damaged or too large, or has no such band.
    """
    with opened_raster(path) as dataset, codecs.naming(path), bounded():
        if dataset.width * dataset.height > codecs.most_pixels():
            raise DataError(codecs.too_large(path), "too-large")
        layout = raster_layout(dataset)
        samples = np.moveaxis(dataset.read(), 0, -1)
        valid = None
        if layout.has_mask:
            valid = dataset.read_masks(1) != 0
    alpha = alpha_of(layout.shown.alpha, channels, sample_pixels(samples), bands)
    values = samples
    if alpha is not None:
        valid = both(valid, samples[..., alpha] != 0)
        values = np.delete(samples, alpha, axis=-1)
    missing = missing_in(samples, layout, alpha)
    if missing is not None:
        values = fill(values, missing, lowest(values, missing))
        valid = both(valid, valid_by(missing, layout, bands, path, alpha))
    shown = choose_bands(shown_values(values, layout), bands, path, alpha)
    return without_holes(Pixels(shown, valid))


def missing_in(samples: np.ndarray, layout: RasterLayout, alpha: int | None) -> np.ndarray | None:
    """Return where samples are missing by the nodata values of their bands, as `pixels.holes` does.

    Args:
        samples: The samples of all bands, (H, W, C).
        layout: The layout of the image.
        alpha: The band that is left out; None if there is none.
    """
    missing = []
    for band, nodata in enumerate(layout.nodata):
        if band == alpha:
            continue
        found = holes(samples[..., band], nodata)
        if found is None:
            found = np.zeros(samples.shape[:2], bool)
        missing.append(found)
    together = np.stack(missing, axis=-1)
    if samples.dtype.kind == "u":
        whole = together.all(axis=-1, keepdims=True)
        together = np.broadcast_to(whole, together.shape)
    if not together.any():
        return None
    return together


def valid_by(
    missing: np.ndarray, layout: RasterLayout, bands: Bands | None, path: Path, alpha: int | None
) -> np.ndarray:
    """Return where the chosen bands have data, (H, W) bool, from the result of `missing_in`."""
    if layout.shown.palette is None:
        missing = choose_bands(missing, bands, path, alpha)
    return complete_pixels(missing)


def shown_values(values: np.ndarray, layout: RasterLayout) -> np.ndarray:
    """Return values (H, W, C) with the colours of a palette in place of its indices."""
    if layout.shown.palette is None:
        return values
    return as_displayed(values, layout.shown)


def raster_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image in pixels."""
    with opened_raster(path) as dataset:
        return dataset.height, dataset.width


def raster_may_have_holes(path: Path) -> bool:
    """Return whether an image states that pixels may have no data, see `tiff.may_have_holes`."""
    with opened_raster(path) as dataset:
        return raster_layout(dataset).may_have_holes


def georeference_of_dataset(dataset: Any) -> Georeference | None:
    """Return where an open dataset lies on the map; None if it lies on none."""
    if dataset.transform.is_identity:
        return None
    crs = None
    if dataset.crs:
        crs = dataset.crs.to_string()
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    return Georeference((a, b, c, d, e, f), crs)


def read_raster_georeference(path: Path) -> Georeference | None:
    """Return where an image lies on the map; None if it lies on none.

    Formats without a place, and TIFFs that are turned when they are read, lie on none.
    """
    if not _may_have_place(file_of(path)) or _is_turned(path):
        return None
    with opened_raster(path) as dataset:
        return georeference_of_dataset(dataset)


def _may_have_place(file: Path) -> bool:
    """Return whether a file is of a format with a place, or has a file beside it that states it."""
    suffix = file.suffix.lower()
    if suffix not in DRIVERS:
        return False
    if suffix not in (".png", ".jpg", ".jpeg"):
        return True
    world = f".{suffix[1]}{suffix[-1]}w"  # .pgw, .jgw
    beside = [file.with_suffix(world), file.with_suffix(".wld"), file.with_suffix(f"{suffix}w")]
    beside.append(file.with_name(f"{file.name}.aux.xml"))
    return any(path.is_file() for path in beside)


def _is_turned(path: Path) -> bool:
    """Return whether a TIFF is turned when it is read, so that its georeference does not fit."""
    if not codecs.is_tiff(path):
        return False
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        return bool(orientation_of(tiff.series[0].keyframe) != 1)


def read_raster_geometry(path: Path) -> Geometry | None:
    """Return the size and place of the pixels of an image.

    Only coordinate systems in a unit of length give a size; degrees and Mercator give none.
    """
    with opened_raster(path) as dataset:
        georeference = georeference_of_dataset(dataset)
        if georeference is None:
            return None
        metres = metres_per_unit(dataset.crs)
    a, b, _, d, e, _ = georeference.transform
    if metres is None:
        return Geometry(georeference=georeference)
    height = float(np.hypot(b, e)) * metres
    width = float(np.hypot(a, d)) * metres
    return Geometry.measured(
        height, width, "m", georeference=georeference, read_from="the georeference"
    )


def metres_per_unit(crs: Any) -> float | None:
    """Return the metres per unit of a rasterio CRS.

    Returns:
        The metres; None for degrees, for an unknown CRS, and for Mercator, whose scale grows with
        the distance from the equator.
    """
    if not crs or not crs.is_projected:
        return None
    if 'PROJECTION["Mercator' in crs.to_wkt(version="WKT1_GDAL"):
        return None
    _, metres = crs.linear_units_factor
    return float(metres)
