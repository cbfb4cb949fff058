from __future__ import annotations

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.io.overlay import UNLABELLED, overlay, panel
from tests.helpers.draws import KINDS, task_of

RED, GREEN = (250, 0, 0), (0, 250, 0)
IMAGE = np.full((9, 9, 3), 100, np.uint8)


def square(value: int = 1) -> np.ndarray:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = value
    return mask


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1)])
def test_a_class_is_tinted_and_outlined_in_its_colour(shape: tuple[int, ...]) -> None:
    shown = overlay(Task.binary("a", palette=[RED]), IMAGE, square().reshape(shape), opacity=0.4)
    assert shown.dtype == np.uint8
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[4, 4].tolist() == [160, 60, 60]
    outline = (shown == RED).all(axis=-1)
    expected = square().astype(bool)
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(outline, expected)


def test_the_border_of_the_image_is_no_outline() -> None:
    shown = overlay(Task.binary("a", palette=[RED]), IMAGE, np.ones((9, 9), np.uint8))
    assert not (shown == RED).all(axis=-1).any()


def test_the_background_stays_as_it_is_and_each_class_has_its_colour() -> None:
    task = Task.multiclass(["a", "background", "b"], palette=[RED, (0, 0, 0), GREEN])
    mask = np.full((9, 9), 1, np.uint8)
    mask[0], mask[8] = 0, 2
    shown = overlay(task, IMAGE, mask)
    assert [shown[row, 4].tolist() for row in (0, 4, 8)] == [list(RED), [100] * 3, list(GREEN)]


def test_overlapping_classes_are_both_seen() -> None:
    task = Task.multilabel(["a", "b"], palette=[RED, GREEN])
    mask = np.stack([square(), np.zeros((9, 9), np.uint8)], axis=-1)
    mask[4, 4, 1] = 1
    shown = overlay(task, IMAGE, mask)
    assert shown[4, 4].tolist() == list(GREEN)
    assert shown[2, 2].tolist() == list(RED)


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_pixels_are_grey(kind: str) -> None:
    task = task_of(kind)
    target = np.full(task.target_shape(9, 9), VOID, np.uint8)
    expected = [int(50 + 0.5 * value) for value in UNLABELLED]
    assert np.unique(overlay(task, IMAGE, target).reshape(-1, 3), axis=0).tolist() == [expected]


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint16, 1), (np.float32, 4), (np.uint8, 1)])
def test_images_of_any_depth_can_be_drawn_on_and_stay_unchanged(dtype: type, channels: int) -> None:
    image = np.arange(81 * channels, dtype=dtype).reshape(9, 9, channels)
    before = image.copy()
    assert overlay(Task.binary("a"), image, square()).shape == (9, 9, 3)
    np.testing.assert_array_equal(image, before)


def test_a_panel_shows_every_picture_and_a_legend_of_the_foreground() -> None:
    task = Task.multiclass(["background", "a", "b"], palette=[(1, 2, 3), RED, GREEN])
    blue, pink = (
        np.full((10, 20, 3), (0, 0, 250), np.uint8),
        np.full((30, 20, 3), (250, 0, 250), np.uint8),
    )
    sheet = panel(task, [[blue, blue], [pink, blue]], ["image", "truth"])
    colours = {tuple(colour): number for colour, number in zip(*_colours(sheet), strict=True)}
    assert colours[0, 0, 250] == 3 * 224 * 112
    assert colours[250, 0, 250] == 224 * 336
    assert colours[RED] == colours[GREEN] == 13 * 13
    assert (1, 2, 3) not in colours


def _colours(sheet: np.ndarray) -> tuple[list[list[int]], list[int]]:
    found, numbers = np.unique(sheet.reshape(-1, 3), axis=0, return_counts=True)
    return found.tolist(), numbers.tolist()


def test_a_long_legend_takes_more_lines_and_loses_no_class() -> None:
    names = [f"a class with a long name {i}" for i in range(12)]
    colours = [(200 + i, 5 * i, 77) for i in range(12)]
    short, long = (
        panel(Task.multilabel(names[:n], palette=colours[:n]), [[IMAGE]], ["image"])
        for n in (1, 12)
    )
    assert long.shape[0] == short.shape[0] + 11 * 20
    assert set(colours) <= set(map(tuple, _colours(long)[0]))
