"""Files of VIA, Supervisely, QuPath, Kaggle, Cityscapes, Roboflow and VOC."""

from __future__ import annotations

import base64
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.rasterise import Ellipse, Line, draw_mask
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    corners,
    filled,
    picture,
    png,
    qupath_feature,
    roboflow,
    run_pairs,
    supervisely_bitmap,
    supervisely_object,
    via_metadata,
    via_polygon,
    via_region,
    voc,
    write_json,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
BOX = (1, 1, 7, 5)
EXPECTED = filled([BOX], SIZE)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(path)
    return path


# VIA: https://www.robots.ox.ac.uk/~vgg/software/via/docs/user_guide.html


def via_source(root: Path, *regions: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "a.png")
    path = write_json(root / "via.json", via_metadata(root, {"a.png": regions}))
    data = DataConfig(source="via", images=root, annotations=path, **more)
    return open_source(data, task)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (via_polygon(BOX), EXPECTED),
        ({"name": "rect", "x": 1, "y": 1, "width": 6, "height": 4}, EXPECTED),
        ({"name": "circle", "cx": 6, "cy": 4, "r": 3}, draw_mask(Ellipse(6, 4, 3, 3), SIZE)),
        (
            {"name": "ellipse", "cx": 6, "cy": 4, "rx": 4, "ry": 2, "theta": math.pi / 6},
            draw_mask(Ellipse(6, 4, 4, 2, 30), SIZE),
        ),
        (
            {"name": "ellipse", "cx": 6, "cy": 4, "rx": 4, "ry": 2},
            draw_mask(Ellipse(6, 4, 4, 2), SIZE),
        ),
        ({"name": "point", "cx": 6, "cy": 4}, draw_mask(Line(np.array([[6.0, 4]]), 3), SIZE)),
        (
            {"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 6]},
            draw_mask(Line(np.array([[1.0, 1], [9, 6]]), 3), SIZE),
        ),
    ],
)
def test_regions_of_via(tmp_path: Path, shape: dict[str, Any], expected: np.ndarray) -> None:
    source = via_source(tmp_path, via_region(shape, type="cat"), line_width=3)
    np.testing.assert_array_equal(source.read("a").mask == 1, expected)


def test_via_1_numbers_its_regions_and_csv_has_a_row_for_each(tmp_path: Path) -> None:
    source = via_source(tmp_path, via_region(via_polygon(BOX), type="cat"))
    path = tmp_path / "via.json"
    content = json.loads(path.read_text())
    for entry in content.values():
        entry["regions"] = {str(number): region for number, region in enumerate(entry["regions"])}
    write_json(path, content)
    np.testing.assert_array_equal(
        open_source(source.data, CAT).read("a").mask == 1,  # type: ignore[attr-defined]
        EXPECTED,
    )
    shape = json.dumps(via_polygon(BOX)).replace('"', '""')
    table = tmp_path / "via.csv"
    table.write_text(
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        "region_attributes\n"
        f'a.png,7,"{{}}",1,0,"{shape}","{{""type"":""cat""}}"\n'
        'b.png,7,"{}",0,0,"{}","{}"\n'
    )
    image(tmp_path / "b.png")
    data = source.data.model_copy(update={"annotations": table})  # type: ignore[attr-defined]
    read = open_source(data, CAT)
    np.testing.assert_array_equal(read.read("a").mask == 1, EXPECTED)
    assert not read.read("b").mask.any()


def test_several_attributes_of_via_need_the_setting(tmp_path: Path) -> None:
    region = via_region(via_polygon(BOX), type="cat", quality={"good": True, "blurred": False})
    with fails(ConfigError, "missing-setting", "type, quality", setting="data.label_attribute"):
        via_source(tmp_path, region)
    source = via_source(tmp_path, region, label_attribute="type")
    assert source.read("a").mask.sum() == 24
    source = via_source(tmp_path, region, task=Task.binary("good"), label_attribute="quality")
    assert source.read("a").mask.sum() == 24
    with fails(ConfigError, "unknown-name", "kind", setting="data.label_attribute"):
        via_source(tmp_path, region, label_attribute="kind")


def test_regions_of_via_without_attributes_have_the_empty_label(tmp_path: Path) -> None:
    with fails(DataError, "label-name", "''"):
        via_source(tmp_path, via_region(via_polygon(BOX))).read("a")
    source = via_source(tmp_path, via_region(via_polygon(BOX)), labels={"": "cat"})
    assert source.read("a").mask.sum() == 24


@pytest.mark.parametrize(
    ("shape", "code", "values"),
    [
        ({"name": "rect", "x": 1}, "label-entry", ("'y'",)),
        ({"name": "star"}, "label-shape", ("'star'",)),
        ({}, "label-entry", ("'name'",)),
        ({"name": "circle", "cx": 1, "cy": 1, "r": -1}, "label-shape", (-1,)),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": []}, "label-shape", (1, 0)),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": [1]}, "label-shape", (3, 1)),
        ({"name": "polygon", "all_points_x": 3}, "label-entry", ("'all_points_x'", 3)),
    ],
)
def test_a_broken_region_of_via_is_named(
    tmp_path: Path, shape: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "via.json", *values):
        via_source(tmp_path, via_region(shape, type="cat")).read("a")


# Supervisely: https://developer.supervisely.com/getting-started/supervisely-annotation-format


def supervisely_source(root: Path, *objects: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "ds" / "img" / "a.png")
    content = {"size": {"height": 8, "width": 12}, "objects": objects}
    write_json(root / "ds" / "ann" / "a.png.json", content)
    write_json(root / "meta.json", {"classes": [{"title": "cat"}]})
    return open_source(DataConfig(source="supervisely", images=root, **more), task)


def test_a_polygon_of_supervisely_has_holes(tmp_path: Path) -> None:
    points = {"exterior": corners(BOX), "interior": [corners((2, 2, 4, 4)), corners((5, 2, 6, 3))]}
    source = supervisely_source(tmp_path, supervisely_object("cat", "polygon", points=points))
    expected = EXPECTED & ~filled([(2, 2, 4, 4), (5, 2, 6, 3)], SIZE)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


def test_a_bitmap_of_supervisely_has_an_origin(tmp_path: Path) -> None:
    pixels = np.arange(12).reshape(3, 4) % 5 > 1
    expected = np.zeros(SIZE, bool)
    expected[3:6, 2:6] = pixels
    source = supervisely_source(tmp_path, supervisely_bitmap("cat", 2, 3, pixels))
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)
    rgba = np.zeros((3, 4, 4), np.uint8)
    rgba[..., 0] = 7
    rgba[pixels, 3] = 255
    data = base64.b64encode(zlib.compress(png(rgba))).decode()
    shape = supervisely_object("cat", "bitmap", bitmap={"data": data, "origin": [2, 3]})
    source = supervisely_source(tmp_path, shape)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


def test_rectangles_lines_and_points_of_supervisely(tmp_path: Path) -> None:
    points = {"exterior": [[1, 1], [7, 5]], "interior": []}
    source = supervisely_source(tmp_path, supervisely_object("cat", "rectangle", points=points))
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, EXPECTED)
    line = supervisely_object("cat", "line", points=points)
    with fails(ConfigError, "missing-setting", "line", setting="data.line_width"):
        supervisely_source(tmp_path, line).read("ds/a")
    expected = draw_mask(Line(np.array([[1.0, 1], [7, 5]]), 2), SIZE)
    source = supervisely_source(tmp_path, line, line_width=2)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


BITMAP = {"origin": [0, 0]}


@pytest.mark.parametrize(
    ("shape", "code", "values"),
    [
        (supervisely_object("cat", "graph"), "label-shape", ("'graph'",)),
        (supervisely_object("cat", "polygon"), "label-entry", ("'points'",)),
        (
            supervisely_object("cat", "polygon", points={"exterior": [[1, 1]]}),
            "label-shape",
            (3, 1),
        ),
        (supervisely_object("cat", "bitmap", bitmap={**BITMAP, "data": "%"}), "label-shape", ()),
        (
            supervisely_object("cat", "bitmap", bitmap={**BITMAP, "data": "AAAA"}),
            "label-shape",
            ("zlib",),
        ),
        (
            supervisely_object(
                "cat",
                "bitmap",
                bitmap={**BITMAP, "data": base64.b64encode(zlib.compress(b"x")).decode()},
            ),
            "label-shape",
            ("PNG",),
        ),
        ({"geometryType": "polygon"}, "label-entry", ("'classTitle'",)),
    ],
)
def test_a_broken_object_of_supervisely_is_named(
    tmp_path: Path, shape: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "ds" / "ann" / "a.png.json", *values):
        supervisely_source(tmp_path, shape).read("ds/a")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "empty", tmp_path):
        open_source(DataConfig(source="supervisely", images=tmp_path), CAT)


# QuPath: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html


def qupath_source(root: Path, content: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "a.tif")
    write_json(root / "a.geojson", content)
    return open_source(DataConfig(source="qupath", images=root, **more), task)


def ring(box: tuple[float, float, float, float]) -> list[list[float]]:
    points = corners(box)
    return [*points, points[0]]


def polygon(*boxes: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring(box) for box in boxes]}


def test_polygons_of_qupath_have_holes_and_parts(tmp_path: Path) -> None:
    hole = polygon(BOX, (2, 2, 4, 4))
    several = {
        "type": "MultiPolygon",
        "coordinates": [[ring((8, 0, 10, 2))], [ring((8, 4, 12, 8)), ring((9, 5, 10, 6))]],
    }
    both = {"type": "GeometryCollection", "geometries": [hole, several]}
    expected = EXPECTED & ~filled([(2, 2, 4, 4)], SIZE)
    parts = filled([(8, 0, 10, 2), (8, 4, 12, 8)], SIZE) & ~filled([(9, 5, 10, 6)], SIZE)
    for geometry, pixels in ((hole, expected), (several, parts), (both, expected | parts)):
        feature = qupath_feature("cat", geometry)
        collection = {"type": "FeatureCollection", "features": [feature]}
        for content in (collection, [feature], feature):
            mask = qupath_source(tmp_path, content).read("a").mask
            np.testing.assert_array_equal(mask == 1, pixels)


def test_the_label_of_qupath_is_the_name_of_the_classification(tmp_path: Path) -> None:
    feature = qupath_feature(None, polygon(BOX))
    with fails(DataError, "label-name", "''"):
        qupath_source(tmp_path, [feature]).read("a")
    assert qupath_source(tmp_path, [feature], labels={"": "cat"}).read("a").mask.sum() == 24
    feature["properties"]["classification"] = {"names": ["Tumor", "Positive"]}
    source = qupath_source(tmp_path, [feature], task=Task.binary("Tumor: Positive"))
    assert source.read("a").mask.sum() == 24


def test_lines_and_points_of_qupath_need_a_width(tmp_path: Path) -> None:
    for geometry, points in (
        ({"type": "LineString", "coordinates": [[1, 1], [9, 6]]}, [[1.0, 1], [9, 6]]),
        ({"type": "Point", "coordinates": [3, 4]}, [[3.0, 4]]),
        ({"type": "MultiPoint", "coordinates": [[3, 4]]}, [[3.0, 4]]),
    ):
        feature = qupath_feature("cat", geometry)
        with fails(ConfigError, "missing-setting", setting="data.line_width"):
            qupath_source(tmp_path, [feature]).read("a")
        mask = qupath_source(tmp_path, [feature], line_width=3).read("a").mask
        np.testing.assert_array_equal(mask == 1, draw_mask(Line(np.array(points), 3), SIZE))


def test_the_file_of_qupath_may_have_the_whole_name_of_the_image(tmp_path: Path) -> None:
    source = qupath_source(tmp_path, [qupath_feature("cat", polygon(BOX))])
    for name in ("a.tif.geojson", "a.json"):
        found = next(path for path in tmp_path.iterdir() if path.suffix != ".tif")
        found.rename(tmp_path / name)
        assert open_source(source.data, CAT).read("a").mask.sum() == 24  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "code", "values"),
    [
        ({"type": "FeatureCollection"}, "label-entry", ("'features'",)),
        ({"features": [], "crs": {}}, "label-file", ()),
        ({"features": [], "coordinates": "map"}, "label-file", ()),
        ([3], "label-entry", (3,)),
        ([{"properties": {}}], "label-entry", (None,)),
        ([qupath_feature("cat", {"type": "Circle"})], "label-shape", ("'Circle'",)),
        ([qupath_feature("cat", {"type": "Polygon"})], "label-entry", (None,)),
        (
            [qupath_feature("cat", {"type": "Polygon", "coordinates": [[[1, 2]]]})],
            "label-shape",
            (3, 1),
        ),
        (
            [qupath_feature("cat", {"type": "MultiPolygon", "coordinates": [3]})],
            "label-entry",
            (3,),
        ),
        ([qupath_feature(3, polygon(BOX))], "label-entry", (3,)),  # type: ignore[arg-type]
    ],
)
def test_a_broken_file_of_qupath_is_named(
    tmp_path: Path, content: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "a.geojson", *values):
        qupath_source(tmp_path, content).read("a")


# Kaggle: https://www.kaggle.com/c/severstal-steel-defect-detection/overview/evaluation


def rle_source(root: Path, text: str, task: Task = CAT, **run_lengths: Any) -> Source:
    for name in "ab":
        image(root / "images" / f"{name}.png")
    (root / "train.csv").write_text(text)
    data = DataConfig.model_validate(
        {
            "source": "rle",
            "images": root / "images",
            "annotations": root / "train.csv",
            "run_lengths": run_lengths or None,
        }
    )
    return open_source(data, task)


@pytest.mark.parametrize(
    "table",
    [
        "ImageId,EncodedPixels\na.png,{}\nb.png,\n",
        "ImageId,EncodedPixels\na,{}\nb,-1\n",
        "id,rle,data_source\na,{},x\nb,,y\n",
        "ImageId,ClassId,EncodedPixels\na.png,cat,{}\nb.png,,\n",
        "ImageId_ClassId,EncodedPixels\na.png_cat,{}\nb.png_cat,\n",
    ],
)
def test_usual_columns_are_found(tmp_path: Path, table: str) -> None:
    for order, pixels in (("column", EXPECTED), ("row", EXPECTED)):
        text = run_pairs(pixels) if order == "column" else run_pairs(pixels.T)
        source = rle_source(tmp_path, table.format(text), order=order)
        np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)
        assert not source.read("b").mask.any()


def test_the_order_must_be_named(tmp_path: Path) -> None:
    text = "ImageId,EncodedPixels\na,1 2\nb,\n"
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.order"):
        rle_source(tmp_path, text)
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.order"):
        rle_source(tmp_path, text, image="ImageId")


def test_other_columns_must_be_named(tmp_path: Path) -> None:
    text = "slide,what,runs\na,cat,1 2\nb,,\n"
    with fails(ConfigError, "missing-setting", "slide, what, runs") as problem:
        rle_source(tmp_path, text, order="row")
    assert problem.value.setting == "data.run_lengths.image"
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.pixels"):
        rle_source(tmp_path, text, order="row", image="slide")
    with fails(ConfigError, "unknown-name", "run", setting="data.run_lengths.pixels"):
        rle_source(tmp_path, text, order="row", image="slide", pixels="run")
    source = rle_source(tmp_path, text, order="row", image="slide", pixels="runs", label="what")
    assert np.flatnonzero(source.read("a").mask).tolist() == [0, 1]


def test_a_field_may_be_longer_than_pythons_limit(tmp_path: Path) -> None:
    text = " ".join(["1 1"] * 100_000)
    source = rle_source(tmp_path, f"ImageId,EncodedPixels\na,{text}\nb,\n", order="row")
    assert source.read("a").mask.sum() == 1


@pytest.mark.parametrize("pixels", ["1", "1 x", "0 4", "90 20", "1 99999999999999999999", "1 2.5"])
def test_broken_run_lengths_are_named(tmp_path: Path, pixels: str) -> None:
    text = f"ImageId,EncodedPixels\na,1 2\na,{pixels}\nb,\n"
    with fails(DataError, "label-rle", tmp_path / "train.csv", "line 3"):
        rle_source(tmp_path, text, order="row").read("a")


# Cityscapes: https://github.com/mcordts/cityscapesScripts


STREET = Task.multiclass(["road", "car", "sky"])


def cityscapes_source(root: Path, *objects: Any, task: Task = STREET, **more: Any) -> Source:
    image(root / "leftImg8bit" / "train" / "ulm" / "ulm_0_1_leftImg8bit.png")
    content = {"imgHeight": 8, "imgWidth": 12, "objects": objects}
    path = root / "gtFine" / "train" / "ulm" / "ulm_0_1_gtFine_polygons.json"
    write_json(path, content)
    return open_source(DataConfig(source="cityscapes", images=root, **more), task)


def drawn(label: str, *box: float, **more: Any) -> dict[str, Any]:
    return {"label": label, "polygon": corners(box), **more}  # type: ignore[arg-type]


def test_later_polygons_hide_earlier_ones_and_groups_are_their_class(tmp_path: Path) -> None:
    objects = [
        drawn("road", 0, 0, 8, 8),
        drawn("cargroup", 1, 0, 3, 8),
        drawn("ego vehicle", 4, 0, 5, 8),
        drawn("sky", 6, 0, 7, 8),
        drawn("sky", 0, 0, 12, 8, deleted=1),
    ]
    source = cityscapes_source(tmp_path, *objects)
    row = [0, 1, 1, 0, VOID, 0, 2, 0, VOID, VOID, VOID, VOID]
    assert source.read("train/ulm/ulm_0_1").mask.tolist() == [row] * 8
    task = Task.multilabel(["car", "sky"])
    source = cityscapes_source(tmp_path, *objects, task=task, labels={"road": "background"})
    mask = source.read("train/ulm/ulm_0_1").mask[0]
    void = [VOID, VOID]
    other = [0, 0]
    assert mask.tolist() == [
        *[other, [1, 0], [1, 0], other, void, other, [0, 1], other],
        *[void] * 4,
    ]


def test_the_test_part_of_cityscapes_has_no_public_polygons(tmp_path: Path) -> None:
    image(tmp_path / "leftImg8bit" / "test" / "bonn" / "bonn_0_1_leftImg8bit.png")
    path = tmp_path / "gtFine" / "test" / "bonn" / "bonn_0_1_gtFine_polygons.json"
    write_json(path, {"imgHeight": 8, "imgWidth": 12, "objects": [drawn("out of roi", 0, 0, 2, 2)]})
    assert list(cityscapes_source(tmp_path).names) == ["train/ulm/ulm_0_1"]


def test_the_folders_of_cityscapes_may_be_named(tmp_path: Path) -> None:
    cityscapes_source(tmp_path)
    for more in ({}, {"annotations": tmp_path / "gtFine"}):
        data = DataConfig(source="cityscapes", images=tmp_path / "leftImg8bit", **more)
        assert list(open_source(data, STREET).names) == ["train/ulm/ulm_0_1"]
    (tmp_path / "gtFine").rename(tmp_path / "other")
    with fails(DataError, "missing-file", "gtFine", "data.annotations"):
        open_source(DataConfig(source="cityscapes", images=tmp_path), STREET)


# Roboflow: https://roboflow.com/formats/coco-json


def test_the_folders_of_roboflow_are_parts(tmp_path: Path) -> None:
    sizes = dict.fromkeys("abc", SIZE)
    made = roboflow(tmp_path, sizes, {name: [("cat", BOX)] for name in "abc"})
    source = open_source(DataConfig.model_validate(made), CAT)
    assert source.parts == {"train": ["train/a"], "validation": ["valid/b"], "test": ["test/c"]}
    for names in source.parts.values():
        np.testing.assert_array_equal(source.read(names[0]).mask == 1, EXPECTED)
    with fails(DataError, "empty", tmp_path / "train" / "x"):
        open_source(DataConfig(source="roboflow", images=tmp_path / "train" / "x"), CAT)


# VOC: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html


MASK = np.array([[0, 15, 255, 12]] * 2, np.uint8)


def test_values_of_voc_are_its_classes(tmp_path: Path) -> None:
    made = voc(tmp_path, {"x": (2, 4), "y": (2, 4)}, {"x": MASK, "y": MASK})
    data = DataConfig.model_validate(made)
    task = Task.multiclass(["background", "dog", "person"])
    with fails(DataError, "label-name", "aeroplane", "data.labels"):
        open_source(data, task)
    data = data.model_copy(update={"labels": {"*": "background"}})
    source = open_source(data, task)
    assert source.parts == {"train": ["x"], "validation": ["y"]}
    assert source.read("x").mask.tolist() == [[0, 2, VOID, 1]] * 2
    assert open_source(data, Task.binary("dog")).read("y").mask.tolist() == [[0, 0, VOID, 1]] * 2


def test_colours_of_cvat_are_those_of_its_labelmap(tmp_path: Path) -> None:
    """CVAT's format "Segmentation mask 1.1" has the folders of VOC."""
    image(tmp_path / "JPEGImages" / "a.png")
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[EXPECTED] = (250, 50, 83)
    path = tmp_path / "SegmentationClass" / "a.png"
    path.parent.mkdir()
    Image.fromarray(rgb).save(path)
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
    (tmp_path / "labelmap.txt").write_text(text)
    source = open_source(DataConfig(source="voc", images=tmp_path), CAT)
    np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)
    task = Task.multiclass(["background", "cat"])
    source = open_source(DataConfig(source="voc", images=tmp_path), task)
    np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)


def test_masks_of_voc_without_an_image_are_named(tmp_path: Path) -> None:
    voc(tmp_path, {"x": (2, 4), "y": (2, 4)}, {"x": MASK, "y": MASK})
    (tmp_path / "JPEGImages" / "x.jpg").unlink()
    with fails(DataError, "unpaired", 1, "x"):
        open_source(DataConfig(source="voc", images=tmp_path), CAT)
    with fails(DataError, "empty"):
        open_source(DataConfig(source="voc", images=tmp_path / "JPEGImages"), CAT)
