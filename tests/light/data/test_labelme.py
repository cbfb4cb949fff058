"""labelme's files, as its version 5 writes them (https://github.com/wkentaro/labelme)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.rasterise import Ellipse, Line, draw_mask
from segkit.data.sources.labelme import open_labelme
from segkit.data.sources.source import Source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    filled,
    labelme_file,
    labelme_shape,
    picture,
    png,
    write_json,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
PETS = Task.multiclass(["background", "cat", "dog"])


def source(root: Path, *shapes: Any, task: Task = CAT, **more: Any) -> Source:
    Image.fromarray(picture(*SIZE)).save(root / "a.png")
    write_json(root / "a.json", labelme_file(shapes, "a.png", SIZE))
    return open_labelme(DataConfig(source="labelme", images=root, **more), task)


def mask_shape(label: str, points: Any, pixels: np.ndarray, **settings: Any) -> dict[str, Any]:
    text = base64.b64encode(png(pixels, **settings)).decode()
    return labelme_shape(label, points, "mask", mask=text)


def test_a_polygon_without_a_type_is_read_as_in_old_files(tmp_path: Path) -> None:
    shape = labelme_shape("cat", [[1, 1], [7, 1], [7, 5], [1, 5]])
    del shape["shape_type"], shape["mask"], shape["flags"]
    expected = filled([(1, 1, 7, 5)], SIZE)
    np.testing.assert_array_equal(source(tmp_path, shape).read("a").mask == 1, expected)


@pytest.mark.parametrize("points", [[[1, 1], [7, 5]], [[7, 5], [1, 1]], [[7, 1], [1, 5]]])
def test_a_rectangle_has_any_two_opposite_corners(tmp_path: Path, points: Any) -> None:
    shape = labelme_shape("cat", points, "rectangle")
    expected = filled([(1, 1, 7, 5)], SIZE)
    np.testing.assert_array_equal(source(tmp_path, shape).read("a").mask == 1, expected)


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "oriented_rectangle"])
def test_a_rectangle_with_all_corners_is_a_polygon(tmp_path: Path, kind: str) -> None:
    shape = labelme_shape("cat", [[1, 1], [7, 1], [7, 5], [1, 5]], kind)
    expected = filled([(1, 1, 7, 5)], SIZE)
    np.testing.assert_array_equal(source(tmp_path, shape).read("a").mask == 1, expected)


def test_a_circle_has_its_centre_and_a_point_on_its_edge(tmp_path: Path) -> None:
    shape = labelme_shape("cat", [[5, 4], [8, 4]], "circle")
    expected = draw_mask(Ellipse(5, 4, 3, 3), SIZE)
    np.testing.assert_array_equal(source(tmp_path, shape).read("a").mask == 1, expected)


@pytest.mark.parametrize("scale", [1, 255, bool])
def test_a_mask_has_its_first_and_last_pixel(tmp_path: Path, scale: Any) -> None:
    pixels = np.arange(12).reshape(3, 4) % 5 > 1
    stored = pixels if scale is bool else pixels.astype(np.uint8) * scale
    expected = np.zeros(SIZE, bool)
    expected[3:6, 2:6] = pixels
    for last in ([5, 5], [6, 6]):  # the last pixel, or the corner of the box
        shape = mask_shape("cat", [[2, 3], last], stored)
        np.testing.assert_array_equal(source(tmp_path, shape).read("a").mask == 1, expected)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("line", [[1, 1], [9, 6]]),
        ("linestrip", [[1, 1], [9, 1], [9, 6]]),
        ("point", [[4, 4]]),
        ("points", [[4, 4], [6, 6]]),
    ],
)
def test_lines_and_points_need_a_width(tmp_path: Path, kind: str, points: Any) -> None:
    shape = labelme_shape("cat", points, kind)
    with fails(ConfigError, "missing-setting", tmp_path / "a.json", "shapes[0]", kind) as problem:
        source(tmp_path, shape).read("a")
    assert problem.value.setting == "data.line_width"
    mask = source(tmp_path, shape, line_width=3).read("a").mask
    expected = draw_mask(Line(np.array(points, float), 3), SIZE)
    np.testing.assert_array_equal(mask == 1, expected)


def test_later_shapes_hide_earlier_ones_and_ignored_regions_are_void(tmp_path: Path) -> None:
    shapes = [
        labelme_shape("cat", [[0, 0], [8, 8]], "rectangle"),
        labelme_shape("dog", [[2, 0], [4, 8]], "rectangle"),
        labelme_shape("_background_", [[5, 0], [6, 8]], "rectangle"),
        labelme_shape("__ignore__", [[7, 0], [10, 8]], "rectangle"),
        labelme_shape("cat", [[9, 0], [11, 8]], "rectangle"),
    ]
    expected = [1, 1, 2, 2, 1, 0, 1, VOID, VOID, 1, 1, 0]
    for task, row in ((PETS, expected), (Task.binary("cat"), None)):
        own = row
        if row is None:
            own = [1, 1, 0, 0, 1, 0, 1, VOID, VOID, 1, 1, 0]
        labels = None if row else {"dog": "background"}
        found = source(tmp_path, *shapes, task=task, labels=labels).read("a").mask
        assert found.tolist() == [own] * 8


def test_a_hole_by_a_background_shape_is_kept_in_a_multilabel_task(tmp_path: Path) -> None:
    shapes = [
        labelme_shape("cat", [[0, 0], [8, 8]], "rectangle"),
        labelme_shape("_background_", [[2, 2], [4, 4]], "rectangle"),
        labelme_shape("dog", [[3, 3], [6, 6]], "rectangle"),
        labelme_shape("__ignore__", [[5, 5], [10, 8]], "rectangle"),
    ]
    mask = source(tmp_path, *shapes, task=Task.multilabel(["cat", "dog"])).read("a").mask
    hole, void = filled([(2, 2, 4, 4)], SIZE), filled([(5, 5, 10, 8)], SIZE)
    cat = np.where(filled([(0, 0, 8, 8)], SIZE) & ~hole, 1, 0)
    dog = np.where(filled([(3, 3, 6, 6)], SIZE), 1, 0)
    np.testing.assert_array_equal(mask[..., 0], np.where(void, VOID, cat))
    np.testing.assert_array_equal(mask[..., 1], np.where(void, VOID, dog))


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (labelme_shape("cat", [[1, 1], [2, 2]]), (3, 2)),
        (labelme_shape("cat", [[1, 1], [2, 2], [3]]), ([3],)),
        (labelme_shape("cat", [[1, 1], [2, 2], [3, "4"]]), (120, "'4'")),
        (labelme_shape("cat", [[1, 1], [2, 2], [3, True]]), (120, True)),
        (labelme_shape("cat", [[1, 1], [2, 2], [3, float("nan")]]), (120, "nan")),
        (labelme_shape("cat", [[1, 1], [2, 2], [3, 1e9]]), (120, 1e9)),
        (labelme_shape("cat", None), (None,)),
        (labelme_shape("cat", [[1, 1]], "rectangle"), (2, 1)),
        (labelme_shape("cat", [[1, 1]], "circle"), (2, 1)),
        (labelme_shape("cat", [[1, 1], [1, 1]], "circle"), (0,)),
        (labelme_shape("cat", [[1, 1]], "cuboid"), ("'cuboid'",)),
        (labelme_shape("cat", [[1, 1], [2, 2]], "mask", mask="%%"), ("'%%'",)),
        (labelme_shape("cat", [[1, 1], [2, 2]], "mask", mask="AAAA"), ("PNG",)),
        (labelme_shape("cat", [[1, 1], [2, 2]], "mask"), (None,)),
        (mask_shape("cat", [[1, 1], [2, 2]], np.ones((3, 2), bool)), ("2 x 3", "2 x 2")),
    ],
)
def test_a_broken_shape_is_named(tmp_path: Path, shape: Any, values: tuple[Any, ...]) -> None:
    good = labelme_shape("cat", [[1, 1], [7, 5]], "rectangle")
    with fails(DataError, "label-shape", tmp_path / "a.json", "shapes[1]", *values) as problem:
        source(tmp_path, good, shape).read("a")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("content", "code", "values"),
    [
        ('{"shapes": [', "label-file", ()),
        ("", "label-file", ()),
        ("\xff", "label-file", ()),
        ("[]", "label-entry", ("[]",)),
        ("{}", "label-entry", ("'shapes'",)),
        ('{"shapes": {}}', "label-entry", ("'shapes'", "{}")),
        ('{"shapes": [3]}', "label-entry", ("shapes[0]", 3)),
        ('{"shapes": [{"label": 3}]}', "label-entry", ("shapes[0]", "'label'", 3)),
        ('{"shapes": [], "imageHeight": 8}', "label-entry", ("'imageWidth'",)),
        ('{"shapes": [], "imageHeight": "8", "imageWidth": 12}', "label-entry", ("'8'",)),
        ('{"shapes": [], "imageHeight": 0, "imageWidth": 12}', "label-entry", (0,)),
        ('{"shapes": [], "imageHeight": NaN, "imageWidth": 12}', "label-entry", ("nan",)),
    ],
)
def test_a_broken_file_is_named(
    tmp_path: Path, content: str, code: str, values: tuple[Any, ...]
) -> None:
    opened = source(tmp_path)
    (tmp_path / "a.json").write_text(content, encoding="latin-1")
    with fails(DataError, code, tmp_path / "a.json", *values):
        opened.read("a")


def test_files_may_be_in_a_folder_of_their_own(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    (images / "x").mkdir(parents=True)
    Image.fromarray(picture(*SIZE)).save(images / "x" / "ä.jpg")
    shape = labelme_shape("cat", [[1, 1], [7, 5]], "rectangle")
    write_json(labels / "x" / "ä.json", labelme_file([shape], "..\\..\\images\\x\\ä.jpg", SIZE))
    data = DataConfig(source="labelme", images=images, annotations=labels)
    opened = open_labelme(data, CAT)
    assert list(opened.names) == ["x/ä"]
    assert opened.read("x/ä").mask.sum() == 24
    assert opened.files("x/ä") == [images / "x" / "ä.jpg", labels / "x" / "ä.json"]


def test_a_renamed_file_is_found_by_the_image_that_it_names(tmp_path: Path) -> None:
    opened = source(tmp_path, labelme_shape("cat", [[1, 1], [7, 5]], "rectangle"))
    (tmp_path / "a.json").rename(tmp_path / "first.json")
    write_json(tmp_path / "settings.json", {"of": "another program"})
    opened = open_labelme(opened.data, CAT)  # type: ignore[attr-defined]
    assert opened.read("a").mask.sum() == 24


def test_a_file_that_names_another_image_which_exists_is_refused(tmp_path: Path) -> None:
    opened = source(tmp_path)
    Image.fromarray(picture(*SIZE)).save(tmp_path / "b.png")
    content = json.loads((tmp_path / "a.json").read_text())
    write_json(tmp_path / "a.json", {**content, "imagePath": "b.png"})
    with fails(DataError, "label-image", tmp_path / "a.json", "'b.png'", "a.png"):
        opened.read("a")


def test_the_image_inside_the_file_is_not_needed(tmp_path: Path) -> None:
    opened = source(tmp_path)
    content = json.loads((tmp_path / "a.json").read_text())
    write_json(tmp_path / "a.json", {**content, "imageData": "x" * 1_000_000})
    assert not opened.read("a").mask.any()
