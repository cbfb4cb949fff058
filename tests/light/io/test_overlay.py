"""Masks drawn over images: styles, overlaps, colours, and sheets of pictures with their names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from segkit import VOID, ConfigError, Task
from segkit.io.images import as_display
from segkit.io.overlay import (
    SAFE_COLOURS,
    STYLES,
    UNLABELLED,
    OverlayStyle,
    check_overlay,
    is_mostly_unlabelled,
    legend_of,
    overlay,
    overlay_palette,
    panel,
)
from segkit.task.palette import Colour, default_palette
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails

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


@pytest.mark.parametrize("count", [2, 3])
def test_where_classes_overlap_the_colours_of_all_are_seen(count: int) -> None:
    colours = [RED, GREEN, (0, 0, 250)][:count]
    task = Task.multilabel(["a", "b", "c"][:count], palette=colours)
    mask = np.ones((40, 40, count), np.uint8)
    shown = overlay(task, np.zeros((40, 40, 3), np.uint8), mask, opacity=1.0, style="fill")
    found, numbers = np.unique(shown.reshape(-1, 3), axis=0, return_counts=True)
    assert {tuple(colour) for colour in found.tolist()} == set(colours)
    assert numbers.min() > 40 * 40 / (2 * count)


def test_outlines_that_lie_on_each_other_are_both_seen() -> None:
    task = Task.multilabel(["a", "b"], palette=[RED, GREEN])
    mask = np.zeros((40, 40, 2), np.uint8)
    mask[5:35, 5:35] = 1
    shown = overlay(task, np.zeros((40, 40, 3), np.uint8), mask, style="outlines")
    for colour in (RED, GREEN):
        assert (shown[5, 5:35] == colour).all(axis=-1).sum() > 10


def test_outlines_leave_the_inside_as_it_is_and_fill_has_no_outline() -> None:
    task = Task.binary("a", palette=[RED])
    outlined = overlay(task, IMAGE, square(), style="outlines")
    assert outlined[4, 4].tolist() == [100, 100, 100]
    assert outlined[2, 2].tolist() == list(RED)
    filled = overlay(task, IMAGE, square(), style="fill")
    assert filled[2, 2].tolist() == filled[4, 4].tolist() == [160, 60, 60]


def test_outlines_of_large_images_are_wider() -> None:
    mask = np.zeros((1700, 1700), np.uint8)
    mask[100:1600, 100:1600] = 1
    task = Task.binary("a", palette=[RED])
    shown = overlay(task, np.zeros((1700, 1700, 3), np.uint8), mask, style="outlines")
    assert (shown[800] == RED).all(axis=-1).sum() == 2 * 3


@pytest.mark.parametrize(
    ("wanted", "style"), [(True, "both"), (False, None), *((name, name) for name in STYLES)]
)
def test_a_style_is_named_or_the_usual_one(wanted: bool | str, style: OverlayStyle | None) -> None:
    assert check_overlay(wanted) == style


def test_an_unknown_style_is_refused() -> None:
    with fails(ConfigError, "unknown-name", "dots", *STYLES, setting="overlay"):
        check_overlay("dots")


MACHADO = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""How linear RGB is seen: Machado et al., 2009, severity 1.0."""


def least_difference(colours: list[Colour], deficiency: str) -> float:
    """Return the least CIEDE2000 difference of two colours as they are seen."""
    values = np.array(colours) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ MACHADO[deficiency].T, 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(encoded[None])[0]
    pairs = itertools.combinations(lab, 2)
    return min(float(deltaE_ciede2000(one, other)) for one, other in pairs)


@pytest.mark.parametrize("deficiency", MACHADO)
def test_colour_blind_people_can_tell_the_colours_of_overlays_apart(deficiency: str) -> None:
    names = [str(i) for i in range(len(SAFE_COLOURS))]
    colours = overlay_palette(Task.multilabel(names))
    assert least_difference(list(colours), deficiency) > 10
    if deficiency != "none":
        assert least_difference(default_palette(names, None), deficiency) < 10


def test_chosen_colours_and_the_colours_of_mask_files_stay() -> None:
    chosen = Task.multilabel(["a", "b"], palette=[RED, GREEN])
    assert list(overlay_palette(chosen)) == [RED, GREEN]
    usual = Task.multiclass(["background", "a", "b"])
    assert list(usual.palette) == default_palette(list(usual.classes), "background")
    assert list(overlay_palette(usual)) == [(0, 0, 0), *SAFE_COLOURS[:2]]
    many = Task.multilabel([str(i) for i in range(8)])
    assert overlay_palette(many) == many.palette


def test_pixels_without_data_do_not_change_the_contrast() -> None:
    image = np.arange(100, 200, dtype=np.uint16).reshape(10, 10, 1)
    holed = np.concatenate([image, np.full_like(image, 60000)])
    valid = np.repeat([True, False], 100).reshape(20, 10)
    np.testing.assert_array_equal(as_display(holed, valid)[:10], as_display(image))
    task = Task.binary("a")
    mask = np.zeros((20, 10), np.uint8)
    shown = overlay(task, holed, mask, valid=valid)
    np.testing.assert_array_equal(shown[:10], as_display(image))
    assert as_display(holed, np.zeros_like(valid)).shape == (20, 10, 3)


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


def test_names_are_drawn_below_their_pictures() -> None:
    task = Task.binary("a", palette=[RED])
    blue = np.full((10, 20, 3), (0, 0, 250), np.uint8)
    plain = panel(task, [[blue, blue], [blue, blue]], ["image", "truth"])
    named = panel(task, [[blue, blue], [blue, blue]], ["image", "truth"], [["first"], ["", "b"]])
    assert named.shape[0] == plain.shape[0] + 2 * 17
    below_first = named[24 + 112 : 24 + 112 + 17]
    dark = below_first.min(axis=-1) < 100
    assert dark[:, 6:60].any()
    assert not dark[:, 236:].any()
    long_name = "a folder/" * 20 + "z"
    cut = panel(task, [[blue, blue]], ["image", "truth"], [[long_name]])
    dark = cut[24 + 112 : 24 + 112 + 17].min(axis=-1) < 100
    assert not dark[:, 6 + 224 :].any()


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


@pytest.mark.parametrize(
    ("task", "absent"),
    [
        (Task.binary("a"), 0),
        (Task.multiclass(["a", "background"]), 1),
        (Task.multiclass(["background", "a"], sets=[["background", "a"]]), 0),
    ],
)
def test_pixels_of_no_class_are_dark_among_unlabelled_ones(task: Task, absent: int) -> None:
    target = np.full((9, 9), VOID, np.uint8)
    target[1, 1:5] = absent
    target[3, 1:5] = 1 - absent
    if task.sets:
        target[5, 1:5] = 2
    target = task.encode(target)
    white = np.full((9, 9, 3), 255, np.uint8)
    plain = overlay(task, white, target)
    drawn = overlay(task, white, target, has_strokes=True)
    is_changed = (plain != drawn).any(-1)
    expected = np.zeros((9, 9), bool)
    expected[1, 1:5] = True
    np.testing.assert_array_equal(is_changed, expected)
    assert drawn[1, 1].max() < 100
    assert is_mostly_unlabelled(target)
    assert not is_mostly_unlabelled(np.zeros_like(target))


def test_a_pixel_that_may_have_another_class_is_not_dark() -> None:
    task = Task.multilabel(["a", "b"])
    target = np.full((9, 9, 2), VOID, np.uint8)
    target[1] = 0
    target[3, :, 0] = 0
    white = np.full((9, 9, 3), 255, np.uint8)
    is_dark = overlay(task, white, target, has_strokes=True).max(-1) < 100
    assert is_dark[1].all()
    assert not is_dark[[0, *range(2, 9)]].any()


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (Task.binary("a"), ["a", "background", "unlabelled"]),
        (Task.multiclass(["ground", "a", "b"], background="ground"), ["a", "b", "ground"]),
        (Task.multiclass(["a", "b"], background=None), ["a", "b"]),
        (Task.multilabel(["a", "b"]), ["a", "b", "none of the classes"]),
        (Task.multilabel(["a"]), ["a", "none of the classes"]),
    ],
)
def test_the_legend_of_strokes_names_what_has_no_class(task: Task, names: list[str]) -> None:
    plain = legend_of(task)
    assert [name for name, _ in plain] == [task.classes[index] for index in task.foreground]
    found = [name for name, _ in legend_of(task, has_strokes=True)]
    assert found == [*names, *([] if "unlabelled" in names else ["unlabelled"])]
