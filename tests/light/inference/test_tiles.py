from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, Task
from segkit.config import Config
from segkit.inference.tiles import cover, gaussian, predict_tiled, starts
from tests.helpers.errors import fails

LENGTH, TILE, OVERLAP = st.integers(1, 200), st.integers(16, 64), st.floats(0, 0.75)
ALIGN = st.sampled_from([1, 2, 4, 16])


@given(LENGTH, TILE, OVERLAP, ALIGN)
def test_windows_reach_both_ends_on_the_grid_and_overlap_enough(
    length: int, tile: int, overlap: float, align: int
) -> None:
    begins = starts(length, tile, overlap, align)
    assert begins[0] == 0
    assert begins[-1] < length <= begins[-1] + max(tile, length)
    assert all(begin % align == 0 for begin in begins)
    assert begins[-1] <= max(0, length - tile) + align - 1
    steps = np.diff(begins)
    assert (steps >= 1).all()
    assert (steps <= max(align, tile * (1 - overlap))).all()


@given(LENGTH, TILE, OVERLAP, ALIGN)
def test_the_number_of_windows_is_the_smallest_possible(
    length: int, tile: int, overlap: float, align: int
) -> None:
    step = max(
        s
        for s in range(1, tile + 1)
        if s % align == 0 and (s == align or s <= tile * (1 - overlap))
    )
    needed = 1
    while (needed - 1) * step + tile < length:
        needed += 1
    assert len(starts(length, tile, overlap, align)) == needed


@given(st.integers(1, 90), st.integers(1, 90), TILE, OVERLAP, ALIGN)
def test_every_pixel_is_covered(
    height: int, width: int, tile: int, overlap: float, align: int
) -> None:
    seen = np.zeros((height, width), int)
    for window in cover(height, width, tile, overlap, align):
        assert 0 < seen[window].shape[0] <= tile
        assert 0 < seen[window].shape[1] <= tile
        seen[window] += 1
    assert seen.min() >= 1


def test_a_tile_smaller_than_the_network_s_stride_is_refused() -> None:
    """Windows begin at multiples of 2**depth: smaller ones would leave gaps between them."""
    with fails(ConfigError, "not-for-network", 64, 32, setting="predict.tile"):
        Config.model_validate(
            {"task": Task.binary("x"), "model": {"depth": 6}, "predict": {"tile": 32}}
        )


def test_weights_are_a_gaussian_that_never_reaches_zero() -> None:
    weights = gaussian(64, 33)
    assert (weights.shape, weights.dtype) == ((64, 33, 1), np.float32)
    assert weights.min() == pytest.approx(1e-3)
    assert weights[..., 0].argmax() % 33 == 16
    assert weights[32, 20, 0] == pytest.approx(
        np.exp(-0.5 * (0.5 / 8) ** 2 - 0.5 * (4 / (33 / 8)) ** 2), rel=1e-5
    )
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])


def pixelwise(images: np.ndarray) -> np.ndarray:
    """A network that looks at single pixels: its prediction must not show the windows."""
    return np.concatenate([images, 1 - images, 0.5 * images[..., :1]], axis=-1)


@given(st.integers(1, 70), st.integers(1, 70), TILE, OVERLAP, ALIGN, st.integers(1, 5))
def test_blended_windows_of_a_pixelwise_network_are_its_prediction_of_the_whole_image(
    height: int, width: int, tile: int, overlap: float, align: int, batch_size: int
) -> None:
    image = np.random.default_rng(height * 100 + width).random((height, width, 2), np.float32)
    blended = predict_tiled(image, pixelwise, tile, overlap, batch_size, align)
    assert blended.shape == (height, width, 5)
    np.testing.assert_allclose(blended, pixelwise(image[None])[0], atol=1e-5)


def test_the_blend_is_the_weighted_mean_of_the_windows() -> None:
    numbers = iter(range(2))
    blended = predict_tiled(
        np.zeros((6, 10, 1)), lambda images: np.full_like(images, next(numbers)), 6, 0.3, 1
    )
    left, right = gaussian(6, 6)[:, 4:, 0], gaussian(6, 6)[:, :2, 0]
    np.testing.assert_allclose(blended[:, :4], 0)
    np.testing.assert_allclose(blended[:, 4:6, 0], right / (left + right), rtol=1e-5)
    np.testing.assert_allclose(blended[:, 6:], 1)


def test_an_image_of_one_window_is_not_blended_and_batches_are_no_larger_than_the_setting() -> None:
    shapes: list[tuple[int, ...]] = []

    def watched(images: np.ndarray) -> np.ndarray:
        shapes.append(images.shape)
        return images

    predict_tiled(np.zeros((20, 30, 1), np.float32), watched, 32, 0.25, 4)
    predict_tiled(np.zeros((32, 100, 1), np.float32), watched, 32, 0.0, 3)
    assert shapes == [(1, 20, 30, 1), (3, 32, 32, 1), (1, 32, 32, 1)]
    shapes.clear()
    predict_tiled(np.zeros((32, 70, 1), np.float32), watched, 32, 0.0, 4, align=32)
    assert shapes == [(2, 32, 32, 1), (1, 32, 6, 1)]  # one shape a batch
