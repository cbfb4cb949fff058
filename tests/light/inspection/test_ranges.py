"""The range of images of more than 8 bits, and warnings about their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import Task
from segkit.config import InputConfig
from segkit.data.sources.source import Sample
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.inspection.input_statistics import measure_input
from segkit.inspection.intensities import PERCENTILES, intensities, usual_values
from segkit.inspection.near_duplicates import near_pairs
from segkit.inspection.ranges import odd_ranges

CRACK = Task.binary("crack")
SIZE = (60, 70)


def facts(images: Sequence[np.ndarray]) -> list[SampleFingerprint]:
    found = []
    for number, image in enumerate(images):
        mask = np.zeros(image.shape[:2], np.uint8)
        found.append(facts_of(CRACK, "train", Sample(f"i{number}", image, mask), mask))
    return found


def measured(images: Sequence[np.ndarray]) -> InputConfig:
    return measure_input(facts(images), facts(images))


def cells(seed: int, bands: int = 1) -> np.ndarray:
    """Return a 16-bit fluorescence image: dim background and brighter cells, 200 to about 1500."""
    rng = np.random.default_rng(seed)
    image = rng.normal(300, 25, (*SIZE, bands))
    for _ in range(6):
        y, x = rng.integers(0, 50, 2)
        image[y : y + 9, x : x + 9] += rng.uniform(200, 1000)
    return image.clip(200, 2500).astype(np.uint16)


def codes(images: Sequence[np.ndarray]) -> dict[str, int]:
    """Return the warnings about images: each code and the number of images."""
    return {problem.code: problem.number for problem in odd_ranges(facts(images))}


@pytest.mark.parametrize("bands", [1, 3])
def test_statistics_of_images_without_oddities_are_numpys(bands: int) -> None:
    images = [cells(seed, bands) for seed in range(24)]
    pixels = np.concatenate([image.reshape(-1, bands) for image in images]).astype(float)
    found = measured(images)
    np.testing.assert_allclose(found.mean, pixels.mean(0), atol=1e-4)
    np.testing.assert_allclose(found.std, pixels.std(0), atol=1e-4)
    ends = np.percentile(
        [image.reshape(-1, bands) for image in images], (0.5, 99.5), axis=1
    )  # (2, images, bands)
    assert ends[0].min() <= found.low < np.median(ends[0]) + 20
    assert np.median(ends[1]) < found.high <= ends[1].max()


@pytest.mark.parametrize("hot", [range(1), range(24)], ids=["one image", "each image"])
@pytest.mark.parametrize("value", [65535, 0])
def test_trap_36_a_defective_pixel_does_not_set_the_scale(hot: Sequence[int], value: int) -> None:
    images = [cells(seed) + np.uint16(20000 if value == 0 else 0) for seed in range(24)]
    clean = measured(images)
    for number in hot:
        images[number][number, 5] = value
    found = measured(images)
    for name in ("low", "high"):
        assert getattr(found, name) == pytest.approx(
            getattr(clean, name), abs=0.05 * (clean.high - clean.low)
        )
    np.testing.assert_allclose(found.mean, clean.mean, atol=0.05 * clean.std[0])
    np.testing.assert_allclose(
        found.std, clean.std, rtol=0.5
    )  # extremes would make it 3 times as much, or more
    assert codes(images) == {"outliers": len(hot)}


@pytest.mark.parametrize("value", [-9999.0, 3.4e38, -3.4e38, 1e20, math.nan, math.inf])
def test_trap_36_nodata_is_in_no_statistic(value: float) -> None:
    images = [
        230 + 8 * np.random.default_rng(seed).normal(size=(*SIZE, 2)).astype(np.float32)
        for seed in range(6)
    ]
    inside = [image[9:] for image in images]
    for image in images:
        image[:9] = value
    whole_of_it = np.full((*SIZE, 2), value, np.float32)
    found, expected = measured([*images, whole_of_it]), measured(inside)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-4)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-3)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2)
    each = intensities(images[0])
    assert (each.low, each.high) == (inside[0].min(), inside[0].max())
    assert each.counted.tolist() == [51 * 70] * 2
    found_codes = codes(images)
    assert found_codes == ({"nodata": 6} if math.isfinite(value) else {})
    assert usual_values(images[0]) == pytest.approx(
        (each.percentiles[0].min(), each.percentiles[-1].max())
    )


def test_trap_36_nodata_is_found_where_values_spread_as_widely() -> None:
    """-9999 is nodata for values of 0 to 3000 and of 200 to 260; 0 is nodata for the latter."""
    for low, high, value in (
        (0, 3000, -9999),
        (200, 260, -9999),
        (200, 260, 0),
        (1000, 9000, -32768),
    ):
        image = np.random.default_rng(0).uniform(low, high, (*SIZE, 1)).astype(np.float32)
        image[:5] = value
        found = intensities(image)
        assert (found.nodata, found.counted.tolist()) == (value, [55 * 70])
        assert low <= found.low < found.high <= high


@pytest.mark.parametrize("other", [math.nan, math.inf])
def test_images_of_one_value_beside_nan_have_that_value(other: float) -> None:
    image = np.full((*SIZE, 2), 3.0, np.float32)
    image[4:9, :, 1] = other
    found = intensities(image)
    assert (found.low, found.high, found.nodata) == (3, 3, None)
    assert usual_values(image) == (3, 3)
    assert usual_values(image[4:9, :, 1:]) == (0, 0)


def test_black_and_saturated_pixels_of_ordinary_images_are_no_nodata() -> None:
    rng = np.random.default_rng(0)
    saturated = rng.uniform(200, 90000, (*SIZE, 1)).clip(0, 65535).astype(np.uint16)
    masked = rng.normal(300, 60, (*SIZE, 1)).clip(1, 600).astype(np.float32)
    masked[:, :20] = 0
    two_values = np.zeros((*SIZE, 1), np.float32)
    two_values[:9] = 1
    opaque = np.concatenate([saturated // 50, np.full_like(saturated, 65535)], axis=-1)
    found = measured([opaque])
    assert (found.mean[1], found.std[1]) == (65535, 1)
    for image in (saturated, masked, two_values, opaque):
        assert intensities(image).nodata is None


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e3), st.integers(0, 30))
def test_a_few_pixels_of_any_value_do_not_move_the_percentiles_far(
    value: float, spread: float, pixels: int
) -> None:
    image = spread * np.random.default_rng(0).random((*SIZE, 1)).astype(np.float32)
    before = intensities(image)
    image[:1, :pixels] = value
    after = intensities(image)
    assert np.abs(after.percentiles - before.percentiles).max() <= 0.02 * spread
    mean, expected = after.sums[0] / after.counted, before.sums[0] / before.counted
    assert np.abs(mean - expected).max() <= 0.1 * spread


def test_sparse_objects_are_no_outliers() -> None:
    image = np.zeros((*SIZE, 1), np.uint16)
    image[3, 3:8] = 40000  # 0.1 % of the pixels, and all there is
    found = measured([image] * 3)
    assert (found.low, found.high) == (0, 40000)
    assert codes([image] * 3) == {}


def test_the_range_of_8_bits_stays_that_of_all_pixels() -> None:
    dark = np.full((*SIZE, 1), 20, np.uint8)
    dark[0, 0], dark[1, 1] = 255, 3
    found = measured([dark, dark + 1])
    assert (found.low, found.high) == (0, 255)
    np.testing.assert_allclose(found.mean, np.mean([dark, dark + 1]), atol=1e-4)
    assert codes([dark, dark + 1]) == {}


def test_one_bad_image_of_many_does_not_set_the_scale() -> None:
    images = [cells(seed) for seed in range(24)]
    clean = measured(images)
    images[7][:20] = 60000 + images[7][:20]  # a third of it is overexposed
    found = measured(images)
    assert found.high == pytest.approx(clean.high, rel=0.5)


def test_limits_are_far_outside_the_range() -> None:
    found = measured([cells(seed) for seed in range(24)])
    lowest, highest = found.limits
    assert lowest == 0
    assert highest == pytest.approx(found.high + 10 * (found.high - found.low))
    wide = found.model_copy(update={"low": 5, "high": 60000})
    assert wide.limits == (0, 65535)
    unknown = found.model_copy(update={"low": 7, "high": 7, "dtype": "float32"})
    assert unknown.limits[0] < -1e38
    assert unknown.limits[1] > 1e38


def test_outliers_do_not_make_images_near_duplicates() -> None:
    noise = [
        np.random.default_rng(seed).integers(300, 800, (64, 64, 1)).astype(np.uint16)
        for seed in range(4)
    ]
    for image in noise:
        image[5, 5] = 65535
    dem = [
        np.random.default_rng(seed).normal(230, 9, (64, 64, 1)).astype(np.float32)
        for seed in range(4)
    ]
    for image in dem:
        image[:16] = -9999
    assert list(near_pairs(facts(noise))) == []
    assert list(near_pairs(facts(dem))) == []


def scaled(factor: float, dtype: str) -> Callable[[int], np.ndarray]:
    return lambda seed: ((cells(seed) / 2500.0) * factor).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "one", "other"),
    [("uint16", 65535, 4095), ("float32", 255, 1), ("float32", 65535, 255)],
)
@pytest.mark.parametrize("dark", [2, 6, 11])
def test_trap_47_images_of_two_scales_are_a_warning(
    dtype: str, one: float, other: float, dark: int
) -> None:
    images = [scaled(other if seed < dark else one, dtype)(seed) for seed in range(12)]
    [problem] = odd_ranges(facts(images))
    assert (problem.code, problem.level, problem.number) == (
        "mixed-scale",
        "warning",
        min(dark, 12 - dark),
    )


def empty(seed: int) -> np.ndarray:
    """Return the background of `cells` alone."""
    return np.random.default_rng(seed).normal(300, 25, (*SIZE, 1)).clip(200, 2500).astype(np.uint16)


@pytest.mark.parametrize(
    "images",
    [
        [cells(seed) for seed in range(12)],
        [*map(cells, range(6)), *map(empty, range(6))],
        [*map(cells, range(6)), *(np.zeros((*SIZE, 1), np.uint16),) * 6],
        [*map(cells, range(11)), (cells(11) // 20).astype(np.uint16)],
        [],
        [(cells(seed) / 16).astype(np.uint8) for seed in range(6)]
        + [np.full((*SIZE, 1), 200, np.uint8)],
        [cells(seed)[:20, :20] for seed in range(12)],
        [(cells(0) / 2**i).astype(np.float32) for i in range(12)],
    ],
    ids=["cells", "empty", "black", "one dark", "none", "8 bits", "crops", "every brightness"],
)
def test_ordinary_images_have_one_scale(images: list[np.ndarray]) -> None:
    assert "mixed-scale" not in codes(images)


def test_percentiles_hold_the_middle_and_the_ends() -> None:
    assert PERCENTILES[0] == 100 - PERCENTILES[-1] == 0.5
    assert 50.0 in PERCENTILES
