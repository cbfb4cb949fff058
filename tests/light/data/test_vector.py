"""Vector labels drawn on maps, compared with rasterio.features and with shapely's point tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig, changed, read
from segkit.config.config import Config
from segkit.data.sources.source import Source, open_source
from segkit.data.sources.vector import open_other_labels
from tests.helpers.errors import fails
from tests.helpers.extras import NO_GEO
from tests.helpers.maps import (
    DEGREES,
    LEFT,
    TOP,
    UTM,
    centres_inside,
    moved,
    north_up,
    write_features,
    write_raster,
)

pytestmark = pytest.mark.long

rasterio = pytest.importorskip("rasterio", reason=NO_GEO)
shapely = pytest.importorskip("shapely", reason=NO_GEO)
warp = pytest.importorskip("rasterio.warp", reason=NO_GEO)
features = pytest.importorskip("rasterio.features", reason=NO_GEO)

HEIGHT = 60
WIDTH = 80
LAND = Task.multiclass(["background", "house", "road"])
HOUSE = Task.binary("house")
BOTH = Task.multilabel(["house", "road"])
ENGINEERING = (
    'LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
)


def box(left: float, top: float, right: float, bottom: float) -> Any:
    """Return a box by pixels of an image at (LEFT, TOP) with pixels of 10 m, y down."""
    return shapely.box(LEFT + 10 * left, TOP - 10 * bottom, LEFT + 10 * right, TOP - 10 * top)


def circle(column: float, row: float, radius: float) -> Any:
    return shapely.Point(LEFT + 10 * column, TOP - 10 * row).buffer(10 * radius)


def image(path: Path, **how: Any) -> Path:
    values = np.random.default_rng(3).integers(1, 4000, (HEIGHT, WIDTH, 2)).astype(np.uint16)
    return write_raster(path, values, **how)


def opened(root: Path, labels: Path, task: Task = LAND, **settings: Any) -> Source:
    """Open the images of root/in with vector labels; `vector` is the section of that name."""
    stated = {"source": "vector", "images": root / "in", "annotations": labels, **settings}
    return open_source(DataConfig.model_validate(stated), task)


SHAPES = [circle(20, 20, 9.3), box(40, 10, 70.6, 20.4), circle(60, 45, 12.7)]
CLASSES = ["house", "road", "house"]


def expected_ids(shapes: Sequence[Any], classes: Sequence[str], transform: Any) -> np.ndarray:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    for shape, name in zip(shapes, classes, strict=True):
        ids[centres_inside(shape, HEIGHT, WIDTH, transform)] = LAND.classes.index(name)
    return ids


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb"])
@pytest.mark.parametrize("name", ["a.tif", "a.jp2"])
def test_a_pixel_has_the_class_of_the_feature_around_its_centre(
    tmp_path: Path, suffix: str, name: str
) -> None:
    image(tmp_path / "in" / name)
    crs = DEGREES if suffix == ".geojson" else UTM
    labels = write_features(
        tmp_path / f"l{suffix}", moved(SHAPES, UTM, crs), {"class": CLASSES}, crs
    )
    source = opened(tmp_path, labels, vector={"class_column": "class"})
    mask = source.read("a").mask
    expected = expected_ids(SHAPES, CLASSES, north_up())
    assert (mask != expected).sum() <= 2  # centres on an edge
    assert {0, 1, 2} == set(np.unique(mask).tolist())
    drawn = features.rasterize(
        [(shape, LAND.classes.index(kind)) for shape, kind in zip(SHAPES, CLASSES, strict=True)],
        (HEIGHT, WIDTH),
        transform=north_up(),
        dtype="uint8",
    )
    if suffix != ".geojson":
        assert (mask == drawn).all()


@pytest.mark.parametrize(
    "transform",
    [
        rasterio.Affine(10, 0, LEFT, 0, -10, TOP),
        rasterio.Affine(7, 3, LEFT, 3, -7, TOP),
        rasterio.Affine(10, 0, LEFT, 0, 10, TOP - 600),
    ],
)
def test_grids_may_be_turned_or_have_y_down(tmp_path: Path, transform: Any) -> None:
    image(tmp_path / "in" / "a.tif", transform=transform)
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    mask = opened(tmp_path, labels, vector={"class_column": "class"}).read("a").mask
    assert (mask != expected_ids(SHAPES, CLASSES, transform)).sum() <= 2


def test_long_edges_follow_the_map_of_the_labels(tmp_path: Path) -> None:
    """The edge of a box in degrees is a curve in UTM, far from the line between its corners."""
    image(tmp_path / "in" / "a.tif", transform=north_up(1000, 200_000, 6_700_000))
    [outline] = moved([shapely.box(200_000, 6_640_000, 280_000, 6_700_000)], UTM, DEGREES)
    left, bottom, right, top = outline.bounds
    labelled = shapely.box(left - 5, (bottom + top) / 2, right + 5, top + 5)
    labels = write_features(tmp_path / "l.gpkg", [labelled], {"n": [1]}, DEGREES)
    mask = opened(tmp_path, labels, HOUSE).read("a").mask
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x = 200_000 + 1000 * columns.ravel()
    y = 6_700_000 - 1000 * rows.ravel()
    _, latitudes = warp.transform(UTM, DEGREES, x, y)
    expected = np.reshape(latitudes, (HEIGHT, WIDTH)) >= (bottom + top) / 2
    assert (mask.astype(bool) != expected).sum() <= 2


def test_on_top_decides_where_features_overlap(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    shapes = [box(10, 10, 30, 30), box(20, 20, 50, 50)]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"class": ["house", "road"]})
    vector = {"class_column": "class"}
    with fails(DataError, "overlap", labels, "house", "road"):
        opened(tmp_path, labels, vector=vector).read("a")
    for top in ("house", "road"):
        mask = opened(tmp_path, labels, vector=vector, on_top=(top,)).read("a").mask
        assert (mask[20:30, 20:30] == LAND.classes.index(top)).all()
        assert (mask == 1).sum() + (mask == 2).sum() == 400 + 900 - 100
    both = opened(tmp_path, labels, BOTH, vector=vector).read("a").mask
    assert both.shape == (HEIGHT, WIDTH, 2)
    assert both.sum(axis=(0, 1)).tolist() == [400, 900]


def test_neighbours_that_share_an_edge_do_not_overlap(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    rng = np.random.default_rng(0)
    cells = shapely.voronoi_polygons(
        shapely.MultiPoint(rng.uniform((LEFT, TOP - 600), (LEFT + 800, TOP), (40, 2)))
    )
    shapes = list(cells.geoms)
    kinds = [("house", "road")[number % 2] for number in range(len(shapes))]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"class": kinds})
    mask = opened(tmp_path, labels, vector={"class_column": "class"}).read("a").mask
    assert (mask > 0).all()


def test_outside_of_the_labelled_area_pixels_are_void(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES}, layer="labels")
    write_features(labels, [box(0, 0, 50, HEIGHT)], {"n": [1]}, layer="done")
    [area] = moved([box(0, 0, 50, HEIGHT)], UTM, DEGREES)
    other = write_features(tmp_path / "area.geojson", [area], {"n": [1]}, DEGREES)
    for where in ({"area_layer": "done"}, {"area": other}):
        vector = {"class_column": "class", "layer": "labels", **where}
        for task in (LAND, BOTH, Task.multiclass(["house", "road"], background=None)):
            if task.can_be_nothing:
                mask = opened(tmp_path, labels, task, vector=vector).read("a").mask
                assert (mask[:, 50:] == VOID).all()
                assert (mask[:, :50] != VOID).all()
        sample = opened(tmp_path, labels, vector=vector).read("a")
        assert sample.valid is None  # the image itself has data everywhere


def test_pixels_without_data_are_void(tmp_path: Path) -> None:
    values = np.full((HEIGHT, WIDTH, 2), 7, np.uint16)
    values[:, :15] = 0
    write_raster(tmp_path / "in" / "a.tif", values, nodata=0)
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    sample = opened(tmp_path, labels, vector={"class_column": "class"}).read("a")
    assert sample.valid is not None
    assert (sample.valid == (values != 0).all(axis=-1)).all()
    assert (sample.mask[:, :15] == VOID).all()
    assert (sample.mask[:, 15:] != VOID).all()


def test_values_of_the_column_have_meanings(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    shapes = [box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10), box(60, 0, 70, 10)]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"code": [1, 2, 3, 4]})
    meanings = {1: "house", 2: "road", 3: "void", 4: "background"}
    vector = {"class_column": "code", "class_values": meanings}
    mask = opened(tmp_path, labels, vector=vector).read("a").mask
    assert [int(mask[5, column]) for column in (5, 25, 45, 65)] == [1, 2, VOID, 0]
    layers = opened(tmp_path, labels, BOTH, vector=vector).read("a").mask
    assert layers[5, 45].tolist() == [VOID, VOID]
    assert layers[5, 5].tolist() == [1, 0]


def test_empty_values_are_called_null(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    shapes = [box(0, 0, 10, 10), box(20, 0, 30, 10)]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"class": ["house", None]})
    with fails(DataError, "vector-class", labels, "null"):
        opened(tmp_path, labels, vector={"class_column": "class"})
    vector = {"class_column": "class", "class_values": {None: "void"}}
    assert opened(tmp_path, labels, vector=vector).read("a").mask[5, 25] == VOID


def test_an_object_wins_over_unlabelled_features(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    shapes = [box(0, 0, 10, 10), box(5, 0, 15, 10)]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"class": ["house", "void"]})
    mask = opened(tmp_path, labels, vector={"class_column": "class"}).read("a").mask
    assert (mask[:10, :10] == 1).all()
    assert (mask[:10, 10:15] == VOID).all()


def test_an_unknown_value_is_an_error_with_the_class_that_was_meant(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": ["house", "raod", "house"]})
    with fails(DataError, "vector-class", labels, "raod", "road", "data.vector.class_values"):
        opened(tmp_path, labels, vector={"class_column": "class"})


def test_wrong_columns_layers_and_meanings_are_named(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES}, layer="one")
    with fails(ConfigError, "missing-setting", "class", setting="data.vector.class_column"):
        opened(tmp_path, labels)
    with fails(ConfigError, "unknown-name", "clas", "class", setting="data.vector.class_column"):
        opened(tmp_path, labels, vector={"class_column": "clas"})
    with fails(ConfigError, "unknown-name", "villa", setting="data.vector.class_values"):
        vector = {"class_column": "class", "class_values": {"house": "villa"}}
        opened(tmp_path, labels, vector=vector)
    with fails(ConfigError, "unknown-name", "two", "one", setting="data.vector.layer"):
        opened(tmp_path, labels, vector={"class_column": "class", "layer": "two"})
    write_features(labels, SHAPES, {"class": CLASSES}, layer="two")
    with fails(ConfigError, "missing-setting", "one", "two", setting="data.vector.layer"):
        opened(tmp_path, labels, vector={"class_column": "class"})
    with fails(ConfigError, "missing-setting", setting="data.vector.class_values"):
        DataConfig.model_validate({"vector": {"class_values": {"a": "b"}}})


def test_every_feature_is_the_class_of_a_task_of_one_class(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    mask = opened(tmp_path, labels, HOUSE).read("a").mask
    assert (mask == (expected_ids(SHAPES, CLASSES, north_up()) > 0)).all()


def test_without_a_coordinate_system_the_setting_is_named(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES}, None)
    vector: dict[str, Any] = {"class_column": "class"}
    with fails(ConfigError, "missing-setting", labels, setting="data.vector.crs"):
        opened(tmp_path, labels, vector=vector)
    expected = expected_ids(SHAPES, CLASSES, north_up())
    for crs in (UTM, "image"):
        mask = opened(tmp_path, labels, vector={**vector, "crs": crs}).read("a").mask
        assert (mask != expected).sum() <= 2
    with fails(ConfigError, "wrong-value", "EPSG:none", setting="data.vector.crs"):
        opened(tmp_path, labels, vector={**vector, "crs": "EPSG:none"})


def test_a_geojson_in_metres_without_a_coordinate_system_is_refused(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.geojson", SHAPES, {"class": CLASSES}, DEGREES)
    assert "crs84" in labels.read_text().lower() or "crs" not in labels.read_text()
    vector = {"class_column": "class"}
    with fails(ConfigError, "mismatch", labels, setting="data.vector.crs"):
        opened(tmp_path, labels, vector=vector)
    mask = opened(tmp_path, labels, vector={**vector, "crs": UTM}).read("a").mask
    assert (mask != expected_ids(SHAPES, CLASSES, north_up())).sum() <= 2


def test_an_image_without_a_coordinate_system_is_named(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif", crs=None)
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    vector = {"class_column": "class"}
    with fails(ConfigError, "missing-setting", "a.tif", setting="data.vector.crs"):
        opened(tmp_path, labels, vector=vector)
    mask = opened(tmp_path, labels, vector={**vector, "crs": "image"}).read("a").mask
    assert (mask == expected_ids(SHAPES, CLASSES, north_up())).all()


def test_an_image_on_no_map_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    image(tmp_path / "in" / "b.tif", crs=None, transform=rasterio.Affine.identity())
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    source = opened(tmp_path, labels, vector={"class_column": "class"})
    source.read("a")
    with fails(DataError, "not-on-map", tmp_path / "in" / "b.tif"):
        source.read("b")


def test_an_image_on_a_map_that_cannot_be_reached_is_an_error_when_it_is_read(
    tmp_path: Path,
) -> None:
    """An engineering coordinate system has no relation to the earth; damaged tags become one."""
    image(tmp_path / "in" / "a.tif", crs=ENGINEERING)
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    source = opened(tmp_path, labels, vector={"class_column": "class"})
    with fails(DataError, "not-on-map", tmp_path / "in" / "a.tif"):
        source.read("a")
    image(tmp_path / "in" / "b.tif")
    source = opened(tmp_path, labels, vector={"class_column": "class"})
    assert (source.read("b").mask == expected_ids(SHAPES, CLASSES, north_up())).all()


def test_features_outside_of_all_images_are_counted(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    image(tmp_path / "in" / "b.tif", transform=north_up(10, LEFT + 800, TOP))
    shapes = [*SHAPES, box(100, 10, 110, 20), box(1000, 0, 1001, 1), box(2000, 0, 2001, 1)]
    labels = write_features(tmp_path / "l.gpkg", shapes, {"class": ["house"] * len(shapes)})
    source = opened(tmp_path, labels, HOUSE)
    assert source.outside == (2, 6)  # type: ignore[attr-defined]
    assert "2 of them" in source.read_as  # type: ignore[attr-defined]
    assert source.read("b").mask.sum() == 100


def test_labels_of_another_place_are_an_error(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", [box(5000, 0, 5001, 1)], {"class": ["house"]})
    with fails(DataError, "vector-outside", labels, 1):
        opened(tmp_path, labels, HOUSE)


def test_a_file_without_features_is_an_error(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = tmp_path / "l.geojson"
    labels.write_text('{"type": "FeatureCollection", "features": []}')
    with fails(DataError, "empty", labels):
        opened(tmp_path, labels, HOUSE)


def test_lines_and_points_need_a_width(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    line = shapely.LineString([(LEFT, TOP - 305), (LEFT + 800, TOP - 305)])
    labels = write_features(tmp_path / "l.gpkg", [line], {"class": ["road"]})
    with fails(ConfigError, "missing-setting", labels, 1, setting="data.vector.line_width"):
        opened(tmp_path, labels, HOUSE)
    mask = opened(tmp_path, labels, HOUSE, vector={"line_width": 30}).read("a").mask
    assert np.flatnonzero(mask[:, 40]).tolist() == [29, 30, 31]


def test_all_touched_takes_every_pixel_of_a_feature(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", [box(10.6, 10.6, 12.2, 12.2)], {"n": [1]})
    centres = opened(tmp_path, labels, HOUSE).read("a").mask
    touched = opened(tmp_path, labels, HOUSE, vector={"all_touched": True}).read("a").mask
    assert (centres.sum(), touched.sum()) == (1, 9)


def test_one_image_may_be_named_instead_of_a_folder(tmp_path: Path) -> None:
    path = image(tmp_path / "ortho.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    data = DataConfig.model_validate(
        {"source": "vector", "images": path, "annotations": labels, "blocks": 32}
    )
    source = open_source(data, HOUSE)
    assert len(source.names) > 1
    sample = source.read(source.names[1])
    assert sample.geometry is not None
    assert sample.geometry.georeference is not None
    assert sample.geometry.pixel_size == (10, 10)
    assert sample.geometry.georeference.transform[2] > LEFT


def test_other_labels_are_read_like_those_of_a_config(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.tif")
    image(tmp_path / "new" / "b.tif", transform=north_up(10, LEFT + 800, TOP))
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"code": [1, 2, 1]}, layer="one")
    area = write_features(tmp_path / "area.gpkg", [box(0, 0, 80, 60)], {"n": [1]})
    vector = {
        "layer": "one",
        "class_column": "code",
        "class_values": {1: "house", 2: "road"},
        "area": area,
    }
    data = DataConfig.model_validate(
        {"source": "vector", "images": tmp_path / "in", "annotations": labels, "vector": vector}
    )
    other = write_features(tmp_path / "o.gpkg", [box(90, 10, 100, 20)], {"code": [2]}, layer="two")
    mask = open_other_labels(tmp_path / "new", other, LAND, data).read("b").mask
    assert (mask[10:20, 10:20] == 2).all()
    assert (mask == 2).sum() == 100
    assert (mask != VOID).all()  # the area of the training is not that of these images


def test_folders_name_the_parts(tmp_path: Path) -> None:
    for part in ("train", "val"):
        image(tmp_path / "in" / part / "a.tif")
    labels = write_features(tmp_path / "l.gpkg", SHAPES, {"class": CLASSES})
    source = opened(tmp_path, labels, HOUSE)
    assert source.parts == {"train": ["train/a"], "validation": ["val/a"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.gpkg", b"no database"),
        ("l.geojson", b"<OGRVRTDataSource></OGRVRTDataSource>"),
        ("l.kml", b"<kml></kml>"),
        ("l.shp", b""),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    image(tmp_path / "in" / "a.tif")
    (tmp_path / name).write_bytes(content)
    with fails(DataError, "vector-file", tmp_path / name):
        opened(tmp_path, tmp_path / name, HOUSE)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with fails(ConfigError, "missing-setting", setting="data"):
        open_source(DataConfig(source="vector", images=tmp_path), HOUSE)
    labels = tmp_path / "l.gpkg"
    with fails(ConfigError, "contradiction", setting="data.pages"):
        opened(tmp_path, labels, HOUSE, pages="samples")
    image(tmp_path / "in" / "a.tif")
    with fails(DataError, "missing-file", labels):
        opened(tmp_path, labels, HOUSE)


def test_paths_of_the_section_start_at_the_config(tmp_path: Path) -> None:
    text = """task: {kind: binary, classes: [house]}
data:
  source: vector
  relative_to: config
  images: in
  annotations: labels.gpkg
  vector: {area: area.gpkg, class_column: kind, class_values: {1: house, null: void}}
"""
    (tmp_path / "config.yaml").write_text(text)
    config = read(tmp_path / "config.yaml")
    assert config.data.annotations == tmp_path / "labels.gpkg"
    assert config.data.vector.area == tmp_path / "area.gpkg"
    assert config.data.vector.class_values == {"1": "house", "null": "void"}
    again = Config.model_validate(config.model_dump(mode="json"))
    assert again.data.vector == config.data.vector
    other = changed(config, ["data.vector.line_width=3"])
    assert other.data.vector.line_width == 3
