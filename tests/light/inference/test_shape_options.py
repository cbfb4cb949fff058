"""--smallest leaves small objects out of all formats of objects; --simplify needs polygons."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from segkit import ConfigError, DataError, Task
from segkit.data.pixel_size import PixelSize
from segkit.data.polygons import outlines
from segkit.inference.files import predict_files
from segkit.inference.outputs.object_polygons import thinned
from segkit.inference.outputs.objects import find_objects, without_small_objects
from segkit.inference.outputs.shape_options import ShapeOptions
from segkit.inference.outputs.writer import Outputs
from segkit.inference.predict import _parse_outputs
from segkit.io.images import write_picture
from segkit.io.masks import read_mask
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.extras import NO_GEO
from tests.helpers.stand_in import answer_of, config_of, network, picture


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_objects_keep_their_pixels_and_are_numbered_anew(kind: str) -> None:
    task = task_of(kind)
    answer = answer_of(task, picture(2, 40, 50))
    numbers, objects = find_objects(task, answer.mask, answer.calibrated)
    few, kept = without_small_objects(numbers, objects, 5)
    expected = [found for found in objects if found.area >= 5]
    assert 0 < len(kept) < len(objects)
    assert [found._replace(number=0) for found in kept] == [
        found._replace(number=0) for found in expected
    ]
    assert [found.number for found in kept] == list(range(1, len(kept) + 1))
    for new, old in zip(kept, expected, strict=True):
        assert ((few == new.number) == (numbers == old.number)).all()
    assert np.count_nonzero(few) == sum(found.area for found in kept)
    same, all_objects = without_small_objects(numbers, objects, 0)
    assert same is numbers
    assert all_objects is objects


def written(root: Path, task: Task, shapes: ShapeOptions) -> dict[str, Any]:
    formats = ("coco", "geojson", "instances")
    write_picture(root / "a.png", picture(2, 40, 50))
    summary = predict_files(
        lambda batch: network(batch, task),
        config_of(task),
        {"a": root / "a.png"},
        Outputs(root / "out", formats=formats, shapes=shapes),
    )
    assert summary.failed == []
    geojson = json.loads((root / "out-geojson" / "a.geojson").read_text())
    coco = json.loads((root / "out-coco" / "annotations.json").read_text())
    with (root / "out-instances.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        "geojson": [feature["properties"]["area"] for feature in geojson["features"]],
        "coco": [entry["area"] for entry in coco["annotations"]],
        "instances": [int(row["area"]) for row in rows],
        "mask": read_mask(root / "out" / "a.png"),
    }


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_all_formats_leave_out_the_same_objects_and_the_mask_stays(
    tmp_path: Path, kind: str
) -> None:
    task = task_of(kind)
    whole = written(tmp_path / "whole", task, ShapeOptions())
    large = written(tmp_path / "large", task, ShapeOptions.parse("6", 0))
    expected = [area for area in whole["geojson"] if area >= 6]
    assert 0 < len(expected) < len(whole["geojson"])
    assert large["geojson"] == large["coco"] == large["instances"] == expected
    assert (whole["mask"] == large["mask"]).all()


def test_the_smallest_object_may_be_an_area(tmp_path: Path) -> None:
    options = ShapeOptions.parse("20 m2", 0)
    assert options.smallest_in_pixels(PixelSize((2, 1), "m"), "a") == 10
    assert options.smallest_in_pixels(PixelSize((50, 50), "cm"), "a") == 80
    for unknown in (None, PixelSize((1, 1), None)):
        with fails(DataError, "pixel-size", "a.png", "20 m2"):
            options.smallest_in_pixels(unknown, "a.png")
    answer = answer_of(task_of("binary"), picture(2, 40, 50))
    in_metres = replace(answer, shapes=options, pixel_size=PixelSize((2, 1), "m"))
    assert all(found.area >= 10 for found in in_metres.objects[1])


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ((-1, 0), "--smallest"),
        (("12 apples", 0), "--smallest"),
        (("", 0), "--smallest"),
        ((0, -0.5), "--simplify"),
        ((0, float("nan")), "--simplify"),
        ((0, float("inf")), "--simplify"),
    ],
)
def test_other_values_are_refused(values: tuple[Any, float], setting: str) -> None:
    with fails(ConfigError, "wrong-value", setting=setting):
        ShapeOptions.parse(*values)


def test_an_option_that_changes_no_file_is_refused(tmp_path: Path) -> None:
    with fails(ConfigError, "missing-setting", setting="--smallest"):
        _parse_outputs(tmp_path, {"smallest": 5})
    assert _parse_outputs(tmp_path, {"smallest": 5, "formats": ["coco"]}).shapes.smallest == 5
    pytest.importorskip("shapely", reason=NO_GEO)
    with fails(ConfigError, "missing-setting", setting="--simplify"):
        _parse_outputs(tmp_path, {"simplify": 1.0, "formats": ["coco", "instances"]})
    outputs = _parse_outputs(tmp_path, {"simplify": 1.0, "formats": ["geojson"]})
    assert outputs.shapes.simplify == 1


def test_thin_polygons_of_a_geojson_are_rings_in_the_same_direction(tmp_path: Path) -> None:
    pytest.importorskip("shapely", reason=NO_GEO)
    task = task_of("binary")
    write_picture(tmp_path / "a.png", picture(2, 40, 50))
    predict_files(
        lambda batch: network(batch, task),
        config_of(task),
        {"a": tmp_path / "a.png"},
        Outputs(tmp_path / "out", formats=("geojson",), shapes=ShapeOptions(0, 1.5)),
    )
    content = json.loads((tmp_path / "out-geojson" / "a.geojson").read_text())
    for feature in content["features"]:
        polygons = feature["geometry"]["coordinates"]
        if feature["geometry"]["type"] == "Polygon":
            polygons = [polygons]
        for outer, *holes in polygons:
            assert signed_area(outer) > 0
            assert all(signed_area(hole) < 0 for hole in holes)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("distance", [0.8, 2.5])
def test_thin_polygons_of_any_mask_do_not_cross_themselves(seed: int, distance: float) -> None:
    shapely = pytest.importorskip("shapely", reason=NO_GEO)
    rng = np.random.default_rng(seed)
    layer = gaussian_filter(rng.normal(size=(40, 40)), rng.uniform(0, 2)) > 0.02
    _, regions = cv2.connectedComponents(layer.astype(np.uint8), connectivity=8)
    for number in range(1, regions.max() + 1):
        parts = [[one.outer, *one.holes] for one in outlines(regions == number)]
        exact, thin = (
            shapely.MultiPolygon([(rings[0], rings[1:]) for rings in polygons])
            for polygons in (parts, thinned(parts, distance))
        )
        assert shapely.is_valid(thin)
        assert shapely.hausdorff_distance(exact, thin) <= distance + 1e-9


def signed_area(ring: list[list[float]]) -> float:
    assert ring[0] == ring[-1]
    x, y = np.array(ring).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
