"""Masks, GeoTIFFs and GeoPackages of maps, read back by rasterio, pyogrio and shapely."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.config import RunConfig
from segkit.inference.files import Summary, predict_files
from segkit.inference.large.files import separate_large
from segkit.inference.large.memory_budget import MemoryBudget
from segkit.inference.large.predict import predict_large
from segkit.inference.outputs.shape_options import ShapeOptions
from segkit.inference.outputs.writer import Outputs
from tests.helpers.extras import NO_GEO
from tests.helpers.maps import (
    bands_of,
    config_of_map,
    network_of_map,
    north_up,
    place,
    write_raster,
    write_vrt,
)
from tests.helpers.stand_in import picture

pytestmark = pytest.mark.long

rasterio = pytest.importorskip("rasterio", reason=NO_GEO)
warp = pytest.importorskip("rasterio.warp", reason=NO_GEO)
features = pytest.importorskip("rasterio.features", reason=NO_GEO)
pyogrio = pytest.importorskip("pyogrio", reason=NO_GEO)
shapely = pytest.importorskip("shapely", reason=NO_GEO)

LAND = Task.multiclass(["background", "house", "road"])
HOUSE = Task.binary("house")
BOTH = Task.multilabel(["house", "road"])
TURNED = rasterio.Affine(2, 0.5, 1000, 0.5, -2, 2000)
LAEA = "+proj=laea +lat_0=50 +lon_0=10 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m"


def measured(height: int = 50, width: int = 60) -> np.ndarray:
    """Return an image (H, W, 4) uint16 with areas of several sizes."""
    return np.concatenate([picture(1, height, width)] * 2, axis=-1)[..., :4] * np.uint16(15) + 1


def write(path: Path, image: np.ndarray, **how: Any) -> Path:
    if path.suffix == ".vrt":
        return write_vrt(path, write_raster(path.parent / "raw" / "source.tif", image, **how))
    return write_raster(path, image, **how)


def predicted(
    path: Path,
    out: Path,
    task: Task = LAND,
    formats: tuple[str, ...] = (),
    shapes: ShapeOptions | None = None,
    **data: Any,
) -> Summary:
    config = config_of_map(task, measured(), **data)
    return predict_files(
        lambda batch: network_of_map(batch, task),
        RunConfig.model_validate(dict(config)),
        {"a": path},
        Outputs(out, formats=formats, shapes=shapes or ShapeOptions()),
    )


def objects_in(path: Path) -> tuple[dict[str, Any], Any, dict[str, np.ndarray]]:
    """Return what pyogrio reads of a GeoPackage: its header, shapes and columns."""
    about, _, geometries, fields = pyogrio.raw.read(path)
    columns = dict(zip(about["fields"].tolist(), fields, strict=True))
    return about, shapely.from_wkb(geometries), columns


@pytest.mark.parametrize("name", ["a.tif", "a.jp2", "a.vrt"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", LAEA])
@pytest.mark.parametrize("transform", [north_up(0.5), TURNED])
def test_masks_have_the_grid_of_the_image(
    tmp_path: Path, name: str, crs: str, transform: Any
) -> None:
    path = write(tmp_path / "in" / name, measured(), crs=crs, transform=transform)
    assert predicted(path, tmp_path / "out", formats=("geotiff",)).failed == []
    expected = place(path)
    for folder in ("out", "out-geotiff"):
        found = place(tmp_path / folder / "a.tif")
        assert found.crs == expected.crs
        assert found.transform.almost_equals(expected.transform, 1e-9)
        assert found.size == expected.size


@pytest.mark.parametrize("name", ["a.tif", "a.vrt"])
def test_pixels_without_data_are_the_nodata_value_of_both_files(tmp_path: Path, name: str) -> None:
    image = measured()
    image[:9, :20] = 0
    path = write(tmp_path / "in" / name, image, nodata=0)
    assert predicted(path, tmp_path / "out", formats=("geotiff", "geopackage")).failed == []
    for folder in ("out", "out-geotiff"):
        with rasterio.open(tmp_path / folder / "a.tif") as file:
            assert file.nodata == VOID
            hidden = file.read_masks(1) == 0
        assert (hidden == (image == 0).all(axis=-1)).all()
    _, shapes, _ = objects_in(tmp_path / "out-geopackage" / "a.gpkg")
    hole = shapely.box(400_000, 5_800_000 - 90, 400_000 + 200, 5_800_000)
    assert shapely.area(shapely.intersection(shapes, hole)).max() == 0


@pytest.mark.parametrize("task", [HOUSE, LAND, BOTH], ids=lambda task: task.kind)
def test_a_geotiff_has_ids_names_and_colours(tmp_path: Path, task: Task) -> None:
    path = write(tmp_path / "in" / "a.tif", measured(700, 600))
    assert predicted(path, tmp_path / "out", task, ("geotiff",)).failed == []
    expected = task.decode(network_of_map(measured(700, 600)[None], task)[0])
    with rasterio.open(tmp_path / "out-geotiff" / "a.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2]
        values = np.moveaxis(file.read(), 0, -1)
        if task is BOTH:
            assert file.descriptions == ("house", "road")
        else:
            assert file.tags(1)["CLASS_1"] == "house"
            assert file.colormap(1)[1][:3] == task.palette[0 if task is HOUSE else 1]
    assert (values == np.atleast_3d(expected)).all()


def test_a_geopackage_has_class_score_and_area(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.jp2", measured(), transform=north_up(0.5))
    formats = ("geopackage", "geotiff", "instances")
    assert predicted(path, tmp_path / "out", formats=formats).failed == []
    about, shapes, columns = objects_in(tmp_path / "out-geopackage" / "a.gpkg")
    assert rasterio.crs.CRS.from_user_input(about["crs"]) == place(path).crs
    assert columns["area_m2"] == pytest.approx(columns["area_px"] * 0.25)
    assert shapely.area(shapes) == pytest.approx(columns["area_m2"])
    assert shapely.is_valid(shapes).all()
    ids = bands_of(tmp_path / "out-geotiff" / "a.tif")[..., 0]
    burnt = features.rasterize(
        [
            (shape, LAND.classes.index(name))
            for shape, name in zip(shapes, columns["class"], strict=True)
        ],
        ids.shape,
        transform=place(path).transform,
        dtype="uint8",
    )
    assert (burnt == ids).all()
    table = (tmp_path / "out-instances" / "a.csv").read_text().splitlines()[1:]
    scores = [float(line.split(",")[8]) for line in table]
    assert columns["score"].tolist() == pytest.approx(scores)


EARTH = 6378137.0
ECCENTRICITY = 0.00669437999014


def area_of_cell(latitude: float, side: float) -> float:
    """Return the area of a cell of `side` degrees at a latitude on WGS 84, m², by the integral."""

    def above_equator(angle: float) -> float:
        sine = math.sin(math.radians(angle))
        root = math.sqrt(ECCENTRICITY)
        part = sine / (1 - ECCENTRICITY * sine**2) + math.atanh(root * sine) / root
        return EARTH**2 * (1 - ECCENTRICITY) / 2 * part

    strip = above_equator(latitude + side / 2) - above_equator(latitude - side / 2)
    return strip * math.radians(side)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_areas_are_those_on_the_ground_where_the_scale_changes(tmp_path: Path, crs: str) -> None:
    side = 0.001
    transform = north_up(side, 10, 60)
    if crs == "EPSG:3857":
        xs, ys = warp.transform("EPSG:4326", crs, [10, 10.001], [60, 60])
        transform = north_up(xs[1] - xs[0], xs[0], ys[0])
    path = write(tmp_path / "in" / "a.tif", measured(), crs=crs, transform=transform)
    assert predicted(path, tmp_path / "out", formats=("geopackage",)).failed == []
    _, _, columns = objects_in(tmp_path / "out-geopackage" / "a.gpkg")
    of_a_pixel = columns["area_m2"] / columns["area_px"]
    expected = area_of_cell(60, side)
    if crs == "EPSG:3857":
        expected /= 2  # as high as wide on the ground
    assert of_a_pixel == pytest.approx(np.full(len(of_a_pixel), expected), rel=0.01)


def test_an_image_on_no_map_is_written_in_pixels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "in" / "a.tif", measured(), crs=None, transform=rasterio.Affine.identity()
    )
    assert predicted(path, tmp_path / "out", formats=("geopackage", "geotiff")).failed == []
    about, shapes, columns = objects_in(tmp_path / "out-geopackage" / "a.gpkg")
    assert about["crs"] is None or "Undefined" in about["crs"]
    assert shapely.area(shapes) == pytest.approx(columns["area_px"])
    assert np.isnan(columns["area_m2"]).all()
    assert place(tmp_path / "out-geotiff" / "a.tif").crs is None


def test_no_object_makes_an_empty_layer(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.tif", np.full((20, 20, 4), 1, np.uint16))
    assert predicted(path, tmp_path / "out", HOUSE, ("geopackage",)).failed == []
    about, shapes, columns = objects_in(tmp_path / "out-geopackage" / "a.gpkg")
    assert len(shapes) == 0
    assert set(columns) == {"class", "score", "area_px", "area_m2"}
    assert rasterio.crs.CRS.from_user_input(about["crs"]) == place(path).crs


def test_the_files_do_not_depend_on_the_time(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.tif", measured())
    for out in ("one", "two"):
        assert predicted(path, tmp_path / out, formats=("geopackage", "geotiff")).failed == []
    for name in ("geopackage/a.gpkg", "geotiff/a.tif"):
        assert (tmp_path / f"one-{name}").read_bytes() == (tmp_path / f"two-{name}").read_bytes()


@pytest.mark.parametrize("distance", [0.7, 1.5, 4.0])
def test_thinned_polygons_stay_within_the_distance(tmp_path: Path, distance: float) -> None:
    path = write(tmp_path / "in" / "a.tif", measured())
    outlines = {}
    for name, simplify in (("exact", 0.0), ("thin", distance)):
        options = ShapeOptions.parse(0, simplify)
        assert predicted(path, tmp_path / name, HOUSE, ("geopackage",), options).failed == []
        _, outlines[name], columns = objects_in(tmp_path / f"{name}-geopackage" / "a.gpkg")
    assert shapely.is_valid(outlines["thin"]).all()
    before = shapely.get_num_coordinates(outlines["exact"])
    after = shapely.get_num_coordinates(outlines["thin"])
    assert (after <= before).all()
    assert after.sum() < before.sum()
    moved = shapely.hausdorff_distance(outlines["exact"], outlines["thin"])
    assert moved.max() <= 10 * distance + 1e-6
    assert shapely.area(outlines["exact"]) == pytest.approx(columns["area_m2"])


@pytest.mark.parametrize("name", ["a.jp2", "a.vrt"])
def test_windows_of_a_map_make_the_mask_of_the_whole(tmp_path: Path, name: str) -> None:
    """`--memory` reads JPEG 2000 and VRT by windows; a network of single pixels shows no seams."""
    image = measured(150, 170)
    how = {}
    if name == "a.vrt":
        image[:40, :70] = 0
        how = {"nodata": 0}
    path = write(tmp_path / "in" / name, image, **how)
    config = config_of_map(LAND, measured(), bands=(3, 2, 1))
    config = RunConfig.model_validate(
        {**dict(config), "input": config.input.model_copy(update={"channels": 3})}
    )

    def network(batch: np.ndarray) -> np.ndarray:
        assert batch.shape[-1] == 3
        return network_of_map(batch, LAND)

    outputs = Outputs(tmp_path / "whole")
    assert predict_files(network, config, {"a": path}, outputs).failed == []
    _, large = separate_large(config, {"a": path}, Outputs(tmp_path / "out"), 1)
    assert large == {"a": path}
    [mask] = predict_large(network, config, path, tmp_path / "out", "a", MemoryBudget(3, 2**20))
    assert place(mask) == place(path)
    assert (bands_of(mask) == bands_of(tmp_path / "whole" / "a.tif")).all()
    with rasterio.open(mask) as file:
        assert file.nodata == (VOID if how else None)
