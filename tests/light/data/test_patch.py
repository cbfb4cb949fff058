"""A patch warped out of the part that it needs is the patch cut out of the whole image warped."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segkit import VOID, Task
from segkit.config import AugmentConfig
from segkit.data.batches.patch import (
    Turn,
    foreground_pixel,
    map_of,
    region,
    sample_start,
    sample_turn,
    warp,
)

SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))
CROPS = st.tuples(st.integers(1, 40), st.integers(1, 40))
TURNS = st.builds(
    Turn,
    st.floats(-np.pi, np.pi),
    st.floats(0.5, 2.0),
    st.sampled_from([-1, 1]),
    st.sampled_from([-1, 1]),
)
UNKNOWN = np.full(4, VOID)


def smooth(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack(
        [100 + (i + 1) * rows * 0.3 - columns * 0.4 for i in range(channels)], axis=-1
    ).astype(np.float32)


def drawn(size: tuple[int, int], crop: tuple[int, int], seed: int, turn: Turn) -> np.ndarray:
    return map_of(sample_start(size, crop, None, np.random.default_rng(seed)), crop, turn)


def cut_from_the_whole(
    array: np.ndarray, matrix: np.ndarray, crop: tuple[int, int], fill: float, kind: int
) -> np.ndarray:
    """Warp the whole image, on a canvas that holds all of it, and cut the patch out."""
    reach = 2 * sum(array.shape[:2]) + 2 * sum(crop) + 4
    canvas = matrix.copy()
    canvas[:, 2] -= matrix[:, :2] @ [reach, reach]
    size = (2 * reach + crop[1], 2 * reach + crop[0])
    whole = cv2.warpAffine(
        array, canvas, size, flags=kind | cv2.WARP_INVERSE_MAP, borderValue=[fill] * 4
    )
    return whole[reach : reach + crop[0], reach : reach + crop[1]].reshape(*crop, *array.shape[2:])


@given(SIZES, CROPS, TURNS, st.integers(0, 99))
def test_crop_before_warp_is_warp_before_crop(
    size: tuple[int, int], crop: tuple[int, int], turn: Turn, seed: int
) -> None:
    matrix, image = drawn(size, crop, seed, turn), smooth(size)
    found = warp(image, matrix, crop, np.full(3, 50.0), cv2.INTER_LINEAR)
    wanted = cut_from_the_whole(image, matrix, crop, 50.0, cv2.INTER_LINEAR)
    assert found.shape == (*crop, 3)
    np.testing.assert_allclose(
        found, wanted, atol=0.5
    )  # both take coordinates to 1/32 pixel; the step to 50 is large


@given(SIZES, CROPS, TURNS, st.integers(0, 99))
def test_the_warp_is_the_one_of_the_formula(
    size: tuple[int, int], crop: tuple[int, int], turn: Turn, seed: int
) -> None:
    matrix, image = drawn(size, crop, seed, turn), smooth(size)[..., 0]
    ids = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size) % 200
    rows, columns = np.mgrid[: crop[0], : crop[1]]
    x, y = np.einsum(
        "ij,jhw->ihw", matrix, np.stack([columns, rows, np.ones_like(rows)]).astype(float)
    )
    wanted = ndimage.map_coordinates(image, [y, x], order=1, mode="grid-constant", cval=90.0)
    np.testing.assert_allclose(
        warp(image, matrix, crop, np.full(4, 90.0), cv2.INTER_LINEAR), wanted, atol=4.0
    )
    nearest = np.full(crop, VOID)
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    nearest[inside] = ids[row[inside], column[inside]]
    clear = np.minimum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)) > 0.03
    found = warp(ids, matrix, crop, UNKNOWN, cv2.INTER_NEAREST)
    np.testing.assert_array_equal(found[clear], nearest[clear])


@given(SIZES, CROPS, st.sampled_from([-1, 1]), st.sampled_from([-1, 1]), st.integers(0, 99))
def test_without_a_turn_a_patch_is_cut_and_flipped_exactly(
    size: tuple[int, int], crop: tuple[int, int], across: int, down: int, seed: int
) -> None:
    start = sample_start(size, crop, None, np.random.default_rng(seed))
    for dtype in (np.uint8, np.uint16, np.float32):
        image = np.random.default_rng(0).integers(0, 256, (*size, 2)).astype(dtype)
        margins = [(crop[i], crop[i]) for i in range(2)]
        framed = np.pad(image, [*margins, (0, 0)], constant_values=7)
        row, column = start[0] + crop[0], start[1] + crop[1]
        wanted = framed[row : row + crop[0], column : column + crop[1]][::down, ::across]
        patch = warp(
            image,
            map_of(start, crop, Turn(0, 1, across, down)),
            crop,
            np.full(2, 7),
            cv2.INTER_LINEAR,
        )
        np.testing.assert_array_equal(patch, wanted)
        assert patch.dtype == dtype


@given(SIZES, CROPS, TURNS, st.integers(0, 99))
def test_only_what_a_patch_shows_is_needed(
    size: tuple[int, int], crop: tuple[int, int], turn: Turn, seed: int
) -> None:
    rows, columns = region(drawn(size, crop, seed, turn), crop, size)
    assert 0 <= rows.start < rows.stop <= size[0]
    assert 0 <= columns.start < columns.stop <= size[1]
    reach = np.hypot(*crop) / turn.scale + 4
    assert rows.stop - rows.start <= reach
    assert columns.stop - columns.start <= reach


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 9])
def test_every_channel_is_filled_with_its_own_value(channels: int) -> None:
    fill = np.arange(channels) + 10.0
    patch = warp(
        smooth((8, 8), channels), map_of((0, 0), (8, 8), Turn(0.5)), (8, 8), fill, cv2.INTER_LINEAR
    )
    np.testing.assert_allclose(patch[0, 0], fill)
    np.testing.assert_allclose(patch[4, 4], smooth((8, 8), channels)[4, 4], atol=1.0)


def test_a_margin_surrounds_the_same_patch() -> None:
    image, crop, turn = smooth((60, 70)), (20, 24), Turn(0.3, 1.2, -1, 1)
    inner = warp(image, map_of((15, 20), crop, turn), crop, np.zeros(3), cv2.INTER_LINEAR)
    outer = warp(image, map_of((15, 20), crop, turn, 5), (30, 34), np.zeros(3), cv2.INTER_LINEAR)
    np.testing.assert_allclose(outer[5:-5, 5:-5], inner, atol=0.1)


def test_a_mapped_image_that_cannot_be_written_is_warped() -> None:
    image = np.frombuffer(smooth((30, 30)).tobytes(), np.float32).reshape(30, 30, 3)
    assert not image.flags.writeable
    assert warp(
        image, map_of((3, 4), (8, 8), Turn(0.2)), (8, 8), np.zeros(3), cv2.INTER_LINEAR
    ).shape == (8, 8, 3)


def test_turns_stay_within_the_settings_and_fill_them() -> None:
    settings, rng = (
        AugmentConfig(rotate=30.0, scale=0.5, flip_vertical=True),
        np.random.default_rng(0),
    )
    turns = [sample_turn(settings, rng) for _ in range(3000)]
    angles, scales = (
        np.degrees([turn.angle for turn in turns]),
        np.array([turn.scale for turn in turns]),
    )
    assert -30 <= angles.min() < -29
    assert 29 < angles.max() <= 30
    assert 1 / 1.5 <= scales.min() < 0.67
    assert 1.49 < scales.max() <= 1.5
    assert abs(np.mean(angles == 0) - 0.1) < 0.02  # one of ten is not turned
    for chosen in ([turn.across for turn in turns], [turn.down for turn in turns]):
        assert abs(np.mean(np.array(chosen) == -1) - 0.5) < 0.03


def test_settings_of_zero_give_no_turn() -> None:
    still = AugmentConfig(rotate=0, scale=0, flip_horizontal=False)
    assert {sample_turn(still, np.random.default_rng(seed)) for seed in range(20)} == {Turn()}


@pytest.mark.parametrize(
    "task",
    [Task.multiclass(["background", "x", "y"]), Task.multilabel(["x", "y"])],
    ids=["ids", "labels"],
)
def test_a_foreground_pixel_is_of_each_class_as_likely(task: Task) -> None:
    ids = np.zeros((20, 20), np.uint8)
    ids[:10], ids[19, 19] = 1, 2
    target = ids if task.exclusive else np.stack([ids == 1, ids == 2], axis=-1).astype(np.uint8)
    rng = np.random.default_rng(0)
    found = [foreground_pixel(target, task, rng) for _ in range(200)]
    classes = [int(ids[pixel]) for pixel in found if pixel]
    assert set(classes) == {1, 2}
    assert 70 < classes.count(2) < 130
    assert foreground_pixel(np.zeros_like(target), task, rng) is None
