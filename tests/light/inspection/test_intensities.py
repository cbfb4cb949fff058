"""Histograms and statistics of values, compared with plain NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit.inspection import intensities as module
from segkit.inspection.intensities import PERCENTILES, intensities, intensity_histogram

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
IMAGES = arrays.arrays(np.uint8, SHAPES) | arrays.arrays(
    np.uint8, SHAPES, elements=st.sampled_from([0, 7, 255])
)


def counted(image: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.bincount(image[..., band].ravel(), minlength=256) for band in range(image.shape[-1])]
    )


@given(IMAGES, st.integers(1, 30))
def test_a_histogram_is_a_count(image: np.ndarray, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        np.testing.assert_array_equal(intensity_histogram(image), counted(image))


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::-1], lambda a: a[:, ::-2], lambda a: a.swapaxes(0, 1), lambda a: a[:, 3:]],
)
@pytest.mark.parametrize("bands", [1, 3, 4, 6])
def test_a_histogram_of_a_view_is_that_of_its_copy(
    view: Callable[[np.ndarray], np.ndarray], bands: int
) -> None:
    image = view(np.random.default_rng(0).integers(0, 256, (40, 30, bands)).astype(np.uint8))
    np.testing.assert_array_equal(intensity_histogram(image), counted(image))


def test_more_pixels_than_float32_can_count_are_counted() -> None:
    image = np.zeros((4097, 4099, 1), np.uint8)
    image[0, :2] = 9
    assert intensity_histogram(image)[0, [0, 9]].tolist() == [
        4097 * 4099 - 2,
        2,
    ]  # odd and above 2**24


def test_an_empty_image_has_an_empty_histogram() -> None:
    assert intensity_histogram(np.zeros((0, 5, 2), np.uint8)).sum() == 0
    assert intensity_histogram(np.zeros((5, 0, 2), np.uint8)).shape == (2, 256)


@given(IMAGES)
def test_8_bit_intensities_are_numpys(image: np.ndarray) -> None:
    found, pixels = intensities(image), image.reshape(-1, image.shape[-1]).astype(np.float64)
    np.testing.assert_array_equal(found.sums, [pixels.sum(0), (pixels**2).sum(0)])
    np.testing.assert_allclose(
        found.percentiles, np.percentile(pixels, PERCENTILES, axis=0), rtol=1e-12
    )
    assert (found.low, found.high) == (pixels.min(), pixels.max())


def test_8_bit_percentiles_are_those_of_all_pixels() -> None:
    image = np.random.default_rng(0).normal(100, 30, (700, 900, 3)).clip(0, 255).astype(np.uint8)
    exact = np.percentile(image.reshape(-1, 3), PERCENTILES, axis=0)
    np.testing.assert_allclose(intensities(image).percentiles, exact, rtol=1e-12)
