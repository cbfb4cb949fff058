"""Label Studio's JSON export (https://labelstud.io/guide/export)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data import rle_pack
from segkit.data.rasterise import Ellipse, Line, draw_mask
from segkit.data.sources.labelstudio import open_labelstudio
from segkit.data.sources.source import Source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    brush,
    filled,
    picture,
    png,
    studio_region,
    studio_task,
    write_json,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
PIXELS = np.arange(96).reshape(SIZE) % 7 > 3


def source(root: Path, tasks: Any, task: Task = CAT, **more: Any) -> Source:
    (root / "images").mkdir(exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(root / "images" / "a b.png")
    path = write_json(root / "export.json", tasks)
    data = DataConfig(source="labelstudio", images=root / "images", annotations=path, **more)
    return open_labelstudio(data, task)


def one(root: Path, *result: Any, task: Task = CAT, **more: Any) -> np.ndarray:
    tasks = [studio_task("/data/upload/1/3f2a77c1-a%20b.png", list(result))]
    return source(root, tasks, task, **more).read("a b").mask


def box(**more: Any) -> dict[str, Any]:
    value = {"x": 25, "y": 12.5, "width": 50, "height": 50, "rectanglelabels": ["cat"], **more}
    return studio_region("rectanglelabels", value, SIZE)


def test_a_brush_stroke_is_its_alpha(tmp_path: Path) -> None:
    mask = one(tmp_path, brush("cat", rle_pack.encode_brush(PIXELS), SIZE))
    np.testing.assert_array_equal(mask == 1, PIXELS)


def test_a_brush_without_strokes_is_nothing(tmp_path: Path) -> None:
    empty = brush("cat", [], SIZE)
    empty["value"]["brushlabels"] = []
    assert one(tmp_path, empty, box()).sum() == 24


def test_a_bitmask_is_a_png(tmp_path: Path) -> None:
    address = "data:image/png;base64," + base64.b64encode(png(PIXELS)).decode()
    value = {"imageDataURL": address, "bitmasklabels": ["cat"]}
    mask = one(tmp_path, studio_region("bitmasklabels", value, SIZE))
    np.testing.assert_array_equal(mask == 1, PIXELS)


def test_a_polygon_is_in_percent(tmp_path: Path) -> None:
    points = [[25, 12.5], [75, 12.5], [75, 62.5], [25, 62.5]]
    value = {"points": points, "closed": True, "polygonlabels": ["cat"]}
    mask = one(tmp_path, studio_region("polygonlabels", value, SIZE))
    np.testing.assert_array_equal(mask == 1, filled([(3, 1, 9, 5)], SIZE))


def test_a_rectangle_turns_about_its_upper_left_corner(tmp_path: Path) -> None:
    np.testing.assert_array_equal(one(tmp_path, box()) == 1, filled([(3, 1, 9, 5)], SIZE))
    turned = one(tmp_path, box(x=75, rotation=90, width=25, height=75))
    np.testing.assert_array_equal(turned == 1, filled([(3, 1, 9, 4)], SIZE))  # half is outside


def test_an_ellipse_turns_about_its_centre(tmp_path: Path) -> None:
    value = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 25, "rotation": 30}
    region = studio_region("ellipselabels", {**value, "ellipselabels": ["cat"]}, SIZE)
    expected = draw_mask(Ellipse(6, 4, 3, 2, 30), SIZE)
    np.testing.assert_array_equal(one(tmp_path, region) == 1, expected)


def test_a_keypoint_needs_a_width(tmp_path: Path) -> None:
    value = {"x": 50, "y": 50, "width": 0.4, "keypointlabels": ["cat"]}
    region = studio_region("keypointlabels", value, SIZE)
    with fails(ConfigError, "missing-setting", setting="data.line_width"):
        one(tmp_path, region)
    expected = draw_mask(Line(np.array([[6.0, 4.0]]), 4), SIZE)
    np.testing.assert_array_equal(one(tmp_path, region, line_width=4) == 1, expected)


def test_a_label_may_be_a_result_of_its_own(tmp_path: Path) -> None:
    region = box()
    del region["value"]["rectanglelabels"]
    region |= {"type": "rectangle", "id": "z1"}
    label = studio_region("labels", {"labels": ["cat"]}, SIZE, id="z1")
    other = studio_region("choices", {"choices": ["blurred"]}, SIZE)
    np.testing.assert_array_equal(
        one(tmp_path, region, label, other) == 1, filled([(3, 1, 9, 5)], SIZE)
    )


def test_a_region_with_two_labels_is_in_both_classes(tmp_path: Path) -> None:
    task = Task.multilabel(["cat", "dog"])
    mask = one(tmp_path, box(rectanglelabels=["cat", "dog"]), task=task)
    assert mask.sum(axis=(0, 1)).tolist() == [24, 24]


@pytest.mark.parametrize(
    "reference",
    [
        "a b.png",
        "/data/upload/1/3f2a77c1-a b.png",
        "/data/local-files/?d=some%20where/images/a%20b.png",
        "/data/local-files/?d=images%5Ca%20b.png",
        "s3://bucket/key/a%20b.png",
        "https://example.org/x/a%20b.png?token=1",
        "C:\\pictures\\a b.png",
    ],
)
def test_the_image_of_a_task_is_found_by_its_name(tmp_path: Path, reference: str) -> None:
    assert source(tmp_path, [studio_task(reference, [box()])]).read("a b").mask.sum() == 24


def test_the_image_may_have_any_field(tmp_path: Path) -> None:
    task = studio_task("", [box()])
    task["data"] = {"patient": "7", "photo": "a b.png"}
    assert source(tmp_path, [task]).read("a b").mask.sum() == 24


def test_cancelled_and_missing_annotations_mean_that_nobody_labelled_the_image(
    tmp_path: Path,
) -> None:
    for task in (
        studio_task("a b.png", [box()], was_cancelled=True),
        {**studio_task("a b.png", []), "annotations": []},
    ):
        with fails(DataError, "empty"):
            source(tmp_path, [task])
    assert not source(tmp_path, [studio_task("a b.png", [])]).read("a b").mask.any()


def test_several_annotations_are_refused_unless_one_is_the_ground_truth(tmp_path: Path) -> None:
    task = studio_task("a b.png", [box()])
    task["annotations"].append({"id": 9, "result": []})
    with fails(DataError, "label-entry", tmp_path / "export.json", "task [0]", 2):
        source(tmp_path, [task])
    task["annotations"][0]["ground_truth"] = True
    assert source(tmp_path, [task]).read("a b").mask.sum() == 24


@pytest.mark.parametrize(
    ("region", "code", "values"),
    [
        (brush("cat", rle_pack.encode_brush(PIXELS[:4]), SIZE), "label-rle", (384, 192)),
        (brush("cat", rle_pack.encode_brush(PIXELS)[:-9], SIZE), "label-rle", ()),
        (brush("cat", [0, 300], SIZE), "label-rle", ()),
        (brush("cat", [255] * 60, SIZE), "label-rle", ("12 x 8",)),
        (studio_region("brushlabels", {"brushlabels": ["cat"]}, SIZE), "label-shape", (None,)),
        (box(x=None), "label-entry", ("'x'", None)),
        (box(x=float("nan")), "label-entry", ("'x'", "nan")),
        (box(width="3"), "label-entry", ("'width'", "'3'")),
        (box(x=1e14), "label-shape", (120,)),
        (studio_region("polygonlabels", {"polygonlabels": ["cat"]}, SIZE), "label-shape", (None,)),
        (
            studio_region(
                "polygonlabels", {"points": [[0, 0], [1, 10**400]], "polygonlabels": ["cat"]}, SIZE
            ),
            "label-shape",
            ("inf",),
        ),
        (box(rectanglelabels=[3]), "label-entry", (3,)),
        (box() | {"image_rotation": 90}, "label-entry", ("image_rotation",)),
        (box() | {"type": "vectorlabels"}, "label-shape", ("vector",)),
        (box() | {"original_width": "x"}, "label-entry", ("'original_width'", "'x'")),
        (box() | {"original_width": 13}, "mask-size", (13, 8, 12)),
    ],
)
def test_a_broken_region_is_named(
    tmp_path: Path, region: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "export.json", *values) as problem:
        one(tmp_path, region)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("tasks", "values"),
    [
        ({}, ("{}",)),
        ([3], ("task [0]", 3)),
        ([{"image": "a b.png", "label": []}], ("JSON-MIN",)),
        ([{"data": [], "annotations": []}], ("'data'",)),
        ([{"data": {}, "annotations": 3}], ("'annotations'", 3)),
        ([studio_task("a b.png", []), studio_task("x/a b.png", [])], ("task [1]", "a b")),
    ],
)
def test_another_file_is_refused(tmp_path: Path, tasks: Any, values: tuple[Any, ...]) -> None:
    with fails(DataError, "label-entry", tmp_path / "export.json", *values):
        source(tmp_path, tasks)
