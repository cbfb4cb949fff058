"""Points grow to discs over unlabelled pixels, wherever they come from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, ConfigError, Task, inspect
from segkit.config import DataConfig
from segkit.data.rasterise import Points, draw_mask
from segkit.data.sources.points import grow_points
from segkit.data.sources.source import open_source
from tests.helpers import coco_json
from tests.helpers.errors import fails
from tests.helpers.label_sets import labelme_file, labelme_shape, picture, write_json

PETS = Task.multiclass(["background", "cat", "dog"])
SIZE = (20, 24)


def nearest(points: dict[tuple[int, int], int], radius: float) -> np.ndarray:
    """The oracle: each pixel has the value of its nearest point, if that is near enough."""
    mask = np.full(SIZE, VOID, np.uint8)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            closest = radius
            for (y, x), value in points.items():
                distance = math.hypot(row - y, column - x)
                if distance < closest or (distance == closest == radius):
                    closest = distance
                    mask[row, column] = value
    return mask


@given(
    radius=st.sampled_from([1.0, 2.0, 2.5, 4.0]),
    values=st.lists(st.integers(0, 3), min_size=1, max_size=2),
    place=st.tuples(st.integers(0, 19), st.integers(0, 9)),
)
def test_points_grow_to_discs_and_the_nearer_one_has_a_pixel(
    radius: float, values: list[int], place: tuple[int, int]
) -> None:
    places = [place, (10, 15)]  # an odd distance in columns or none that is equal on a pixel
    points = dict(zip(places, values, strict=False))
    mask = np.full(SIZE, VOID, np.uint8)
    for where, value in points.items():
        mask[where] = value
    grown = grow_points(mask, radius)
    expected = nearest(points, radius)
    if len(points) == 2:
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        away = [np.hypot(rows - y, columns - x) for y, x in points]
        expected = np.where(away[0] == away[1], grown, expected)  # either may have such a pixel
    np.testing.assert_array_equal(grown, expected)


def test_points_change_no_other_label_and_strokes_do_not_grow() -> None:
    mask = np.full(SIZE, VOID, np.uint8)
    mask[2, 2:12] = 1
    mask[5, 5] = 2
    grown = grow_points(mask, 3)
    assert (grown[2, 2:12] == 1).all()
    assert (grown[mask != VOID] == mask[mask != VOID]).all()
    assert grown[2, 12] == VOID
    assert grown[8, 5] == grown[3, 5] == 2
    assert (grown == 1).sum() == 10


@pytest.mark.parametrize(("side", "grows"), [(1, True), (3, True), (4, False)])
def test_a_dot_of_a_brush_is_a_point_up_to_three_pixels(side: int, grows: bool) -> None:
    mask = np.full(SIZE, VOID, np.uint8)
    mask[5 : 5 + side, 5 : 5 + side] = 1
    assert ((grow_points(mask, 2) == 1).sum() > side * side) == grows


def test_points_are_the_pixels_that_contain_them() -> None:
    points = Points(np.array([[0.0, 0.0], [3.9, 1.0], [6.0, 4.0]]))
    expected = np.zeros((4, 6), bool)
    expected[0, 0] = expected[1, 3] = True
    np.testing.assert_array_equal(draw_mask(points, (4, 6)), expected)


def test_single_pixels_of_a_mask_file_grow_in_every_class(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(picture(*SIZE)).save(tmp_path / "images" / "a.png")
    mask = np.full(SIZE, VOID, np.uint8)
    mask[5, 5] = 2
    mask[15, 15] = 0
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks", point_radius=2)
    found = open_source(data, PETS).read("a").mask
    np.testing.assert_array_equal(found, nearest({(5, 5): 2, (15, 15): 0}, 2))


@pytest.mark.parametrize(("around", "reported"), [(0, True), (VOID, False)])
def test_points_that_cannot_grow_are_reported(tmp_path: Path, around: int, reported: bool) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        Image.fromarray(picture(*SIZE, number)).save(tmp_path / "images" / f"{number}.png")
        mask = np.full(SIZE, around, np.uint8)
        mask[5, 5] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    settings = ["data.point_radius=2", "data.mask_values={0: background, 1: cat, 255: void}"]
    classes = ["background", "cat"]
    found = inspect(tmp_path / "images", tmp_path / "masks", classes=classes, settings=settings)
    assert ("points" in [problem.code for problem in found.problems]) == reported


def labelme(root: Path, *shapes: Any, **settings: Any) -> np.ndarray:
    Image.fromarray(picture(*SIZE)).save(root / "a.png")
    write_json(root / "a.json", labelme_file(shapes, "a.png", SIZE))
    data = DataConfig(source="labelme", images=root, **settings)
    return open_source(data, PETS).read("a").mask


def test_points_of_a_tool_grow_beside_its_shapes(tmp_path: Path) -> None:
    shapes = [
        labelme_shape("cat", [[0, 0], [24, 0], [24, 4], [0, 4]]),
        labelme_shape("dog", [[5.5, 5.5]], "point"),
        labelme_shape("background", [[15.5, 15.5]], "point"),
    ]
    found = labelme(tmp_path, *shapes, outside_shapes="void", point_radius=3)
    expected = nearest({(5, 5): 2, (15, 15): 0}, 3)
    expected[:4] = 1
    np.testing.assert_array_equal(found, expected)


def test_points_need_a_setting_that_says_what_they_are(tmp_path: Path) -> None:
    point = labelme_shape("dog", [[5.5, 5.5]], "point")
    with fails(ConfigError, "missing-setting", "data.point_radius", setting="data.line_width"):
        labelme(tmp_path, point)
    with fails(
        ConfigError,
        "contradiction",
        "data.outside_shapes: void",
        "data.line_width",
        setting="data.point_radius",
    ):
        labelme(tmp_path, point, point_radius=3)
    line = labelme_shape("dog", [[5, 5], [9, 9]], "line")
    with fails(ConfigError, "missing-setting", setting="data.line_width"):
        labelme(tmp_path, line, point_radius=3, outside_shapes="void")


def test_lines_are_strokes_if_nothing_is_known_outside(tmp_path: Path) -> None:
    line = labelme_shape("dog", [[2, 5.5], [12, 5.5]], "line")
    found = labelme(tmp_path, line, line_width=2, outside_shapes="void")
    assert set(np.unique(found).tolist()) == {2, VOID}
    assert (found == 2).sum() >= 20


def test_keypoints_of_a_coco_file_grow(tmp_path: Path) -> None:
    keypoints = [2.5, 1.5, 2, 0, 0, 0]
    entry = coco_json.annotation(coco_json.PERSON_ID, [], keypoints=keypoints)
    data = coco_json.save(tmp_path, coco_json.content(entry))
    data = data.model_copy(update={"point_radius": 1.0, "outside_shapes": "void"})
    found = open_source(data, coco_json.BOTH).read("a").mask
    expected = np.full((4, 6), VOID, np.uint8)
    for row, column in ((1, 2), (0, 2), (2, 2), (1, 1), (1, 3)):
        expected[row, column] = 1
    np.testing.assert_array_equal(found[..., 0], expected)
    np.testing.assert_array_equal(found[..., 1], np.where(expected == 1, 0, VOID))


def test_a_setting_of_shapes_is_refused_for_mask_files() -> None:
    for name, value in (("outside_shapes", "void"), ("boxes", "bounds")):
        with fails(ConfigError, "contradiction", "folder", "labelme", setting=f"data.{name}"):
            open_source(DataConfig.model_validate({name: value}), PETS)
