"""Reads vector files through pyogrio, and draws their features on the grid of an image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError, one_line
from segkit.io import codecs
from segkit.io.files import check_is_file
from segkit.io.geometry import Georeference
from segkit.io.rasters import raster_size, read_raster_georeference
from segkit.system.packages import need

BEGINNINGS = {
    ".gpkg": b"SQLite format 3\0",
    ".geojson": b"{",
    ".json": b"{",
    ".shp": b"\0\0\x27\x0a",
    ".fgb": b"fgb",
}
"""The first bytes of the vector files that are read. Files of other kinds may name servers."""
SUFFIXES = tuple(BEGINNINGS)
SIDE = 64
"""Pieces into which the longest side of an image is divided before it is projected."""
DEGREES = (360.0, 90.0)
"""The largest longitude and latitude of a coordinate in degrees."""
Shapes = np.ndarray[Any, np.dtype[np.object_]]
"""Geometries of shapely, (N,)."""


class VectorLayer(NamedTuple):
    """The features of a layer."""

    path: Path
    shapes: Shapes
    """Empty where a feature has no geometry."""
    crs: str | None
    """The coordinate system as the file states it; None if it states none."""
    values: list[Any]
    """The value of the column of each feature; empty without a column."""


class LayerInfo(NamedTuple):
    """What the header of a layer says."""

    columns: dict[str, str]
    """The type of each column as NumPy calls it, "object" for text."""
    features: int


def is_vector(path: Path) -> bool:
    """Return whether a file has the suffix of a vector file; a .json may also be COCO."""
    return path.suffix.lower() in SUFFIXES


def layer_names(path: Path) -> list[str]:
    """Return the names of the layers of a vector file that have geometries.

    Raises:
        DataError: If the file cannot be read, or if pyogrio is not installed.
    """
    pyogrio = _pyogrio(path)
    with codecs.naming(path):
        layers = pyogrio.list_layers(path.absolute())
    return [str(name) for name, kind in layers.tolist() if kind is not None]


def choose_layer(path: Path, name: str | None, setting: str) -> str:
    """Return the name of the layer that is read.

    Args:
        path: The vector file.
        name: The name that the user chose; None if the file has only one layer.
        setting: The setting that names the layer.

    Raises:
        ConfigError: If there is no such layer, or several and none is chosen.
    """
    names = layer_names(path)
    if name is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names) or "none"
    if name is None:
        raise ConfigError(
            f"{path} has {len(names)} layers ({listed}); name one of them",
            "missing-setting",
            setting=setting,
        )
    if name not in names:
        raise ConfigError(
            f"{path} has no layer {name!r}; its layers are {listed}",
            "unknown-name",
            setting=setting,
        )
    return name


def layer_info(path: Path, layer: str) -> LayerInfo:
    """Return the columns and the number of features of a layer."""
    pyogrio = _pyogrio(path)
    with codecs.naming(path):
        found = pyogrio.read_info(path.absolute(), layer=layer, force_feature_count=True)
    columns = zip(found["fields"].tolist(), found["dtypes"].tolist(), strict=True)
    return LayerInfo({str(name): str(kind) for name, kind in columns}, int(found["features"]))


def read_layer(path: Path, layer: str, column: str | None = None) -> VectorLayer:
    """Return the features of a layer.

    Args:
        path: The vector file.
        layer: The layer.
        column: The column whose values are returned; None for no column.

    Raises:
        DataError: If the file or a geometry in it cannot be read.
    """
    pyogrio = _pyogrio(path)
    shapely = need("shapely", "geo")
    columns = []
    if column is not None:
        columns = [column]
    with codecs.naming(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        about, _, geometries, fields = pyogrio.raw.read(
            path.absolute(), layer=layer, columns=columns, force_2d=True
        )
        shapes = shapely.from_wkb(geometries)
    shapes = np.where(shapely.is_missing(shapes), shapely.Polygon(), shapes)
    values = []
    if column is not None:
        values = fields[0].tolist()
    crs = about["crs"]
    if crs is not None and "Undefined" in crs:  # GeoPackage has an entry of this name
        crs = None
    return VectorLayer(path, shapes, crs, values)


def _pyogrio(path: Path) -> Any:
    """Return pyogrio, after a check that the file is one of those that segkit reads."""
    check_is_file(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", "missing-file")
    beginning = BEGINNINGS.get(path.suffix.lower())
    if beginning is None:
        raise DataError(
            f"{path}: vector files that segkit reads are {', '.join(SUFFIXES)}; convert it, for "
            f"example with ogr2ogr",
            "vector-file",
        )
    with path.open("rb") as stream:
        start = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if not start.startswith(beginning):
        raise DataError(
            f"{path}: is no {path.suffix} file by its content, or a damaged one", "vector-file"
        )
    try:
        need("pyogrio", "geo")
        need("pyogrio.raw", "geo")
        return need("pyogrio", "geo")
    except ConfigError as problem:
        raise DataError(f"{path}: {problem}", problem.code) from problem


class MapGrid(NamedTuple):
    """The pixels of an image on the map."""

    georeference: Georeference
    height: int
    width: int

    @property
    def outline(self) -> Any:
        """The edge of the image in coordinates of its map, a polygon with `SIDE` points a side."""
        shapely = need("shapely", "geo")
        down = np.linspace(0, self.height, SIDE + 1)
        across = np.linspace(0, self.width, SIDE + 1)
        sides = [
            np.column_stack([across, np.zeros_like(across)]),
            np.column_stack([np.full_like(down, self.width), down]),
            np.column_stack([across[::-1], np.full_like(across, self.height)]),
            np.column_stack([np.zeros_like(down), down[::-1]]),
        ]
        return shapely.Polygon(self.georeference(np.concatenate(sides)))


def read_grid(path: Path) -> MapGrid:
    """Return the grid of an image.

    Args:
        path: The file, or the address of a page in it.

    Raises:
        DataError: If the file cannot be read, or does not say where it lies ("not-on-map").
    """
    georeference = read_raster_georeference(path)
    if georeference is None:
        raise DataError(
            f"{path}: does not say where on the map it lies, so vector labels cannot be drawn on "
            f"it. Save it as a GeoTIFF, or add a world file (.tfw, .jgw)",
            "not-on-map",
        )
    return MapGrid(georeference, *raster_size(path))


def same_crs(one: str, other: str) -> bool:
    """Return whether two texts, such as EPSG:32633 and its WKT, are one coordinate system."""
    if one == other:
        return True
    crs = need("rasterio.crs", "geo")
    return bool(crs.CRS.from_user_input(one) == crs.CRS.from_user_input(other))


def is_crs(text: str) -> bool:
    """Return whether a text names a coordinate system."""
    crs = need("rasterio.crs", "geo")
    errors = need("rasterio.errors", "geo")
    try:
        crs.CRS.from_user_input(text)
    except (errors.CRSError, ValueError):
        return False
    return True


def are_degrees(crs: str) -> bool:
    """Return whether the coordinates of a coordinate system are degrees."""
    found = need("rasterio.crs", "geo")
    return bool(found.CRS.from_user_input(crs).is_geographic)


def fit_degrees(shapes: Shapes) -> bool:
    """Return whether all coordinates can be degrees."""
    shapely = need("shapely", "geo")
    if not len(shapes):
        return True
    bounds = shapely.total_bounds(shapes)
    if np.isnan(bounds).any():
        return True
    left, bottom, right, top = np.abs(bounds)
    return bool(max(left, right) <= DEGREES[0] and max(bottom, top) <= DEGREES[1])


def projected(shapes: Shapes, source: str, target: str, longest: float | None = None) -> Shapes:
    """Return shapes in another coordinate system.

    Args:
        shapes: Shapes in the coordinate system `source`.
        source: The coordinate system of the shapes.
        target: The coordinate system of the result.
        longest: Edges are divided into pieces of at most this length first, in units of `source`,
            because a straight edge is curved on another map. None leaves the edges as they are.

    Returns:
        The shapes. Those that the target cannot show are empty.

    Raises:
        DataError: If no rule leads from one coordinate system to the other ("not-on-map").
    """
    if same_crs(source, target):
        return shapes
    shapely = need("shapely", "geo")
    warp = need("rasterio.warp", "geo")
    gdal_errors = need("rasterio._err", "geo")  # rasterio.errors has no base class of them
    if longest is not None and longest > 0:
        shapes = shapely.segmentize(shapes, longest)

    def project(points: np.ndarray) -> np.ndarray:
        try:
            xs, ys = warp.transform(source, target, points[:, 0], points[:, 1])
        except gdal_errors.CPLE_BaseError as problem:
            raise DataError(
                f"coordinates in {source[:60]!r} cannot be moved to {target[:60]!r}: "
                f"{one_line(problem)}",
                "not-on-map",
            ) from problem
        return np.column_stack([xs, ys])

    with np.errstate(invalid="ignore"):
        moved = shapely.transform(shapes, project)
    bounds = shapely.bounds(moved)
    lost = ~np.isfinite(bounds).all(axis=1)
    moved[lost] = shapely.Polygon()
    return moved


def draw_shapes(
    shapes: Sequence[Any] | Shapes, grid: MapGrid, all_touched: bool = False
) -> np.ndarray:
    """Return the pixels of shapes.

    Args:
        shapes: Shapes in the coordinates of the image's map. Empty ones have no pixel.
        grid: The grid of the image.
        all_touched: Whether a pixel that a shape only touches belongs to it. Otherwise its centre
            must be inside.

    Returns:
        (H, W) bool.
    """
    shapely = need("shapely", "geo")
    features = need("rasterio.features", "geo")
    affine = need("affine", "geo")
    visible = [shape for shape in shapes if not shapely.is_empty(shape)]
    if not visible:
        return np.zeros((grid.height, grid.width), bool)
    drawn = features.rasterize(
        visible,
        (grid.height, grid.width),
        fill=0,
        default_value=1,
        transform=affine.Affine(*grid.georeference.transform),
        all_touched=all_touched,
        dtype="uint8",
    )
    return np.asarray(drawn, bool)
