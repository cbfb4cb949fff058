"""Means over images and groups against plain loops, and how often intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from segkit.evaluation.intervals import (
    PROMISED,
    group_numbers,
    group_sums,
    interval_of,
    interval_of_difference,
    paired_differences,
    per_image,
    per_image_scores,
    pooled,
)


def dice(sums: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return 2 * sums[..., 0] / (2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_sums_of_groups_are_those_of_a_loop(names: list[str], random: object) -> None:
    values = np.arange(3.0 * len(names)).reshape(len(names), 3)
    sums = group_sums(values, group_numbers(names))
    for row, group in zip(sums, sorted(set(names)), strict=True):
        expected = sum(value for value, name in zip(values, names, strict=True) if name == group)
        np.testing.assert_array_equal(row, expected)


def test_the_pooled_score_is_that_of_all_pixels_and_the_other_the_mean_of_the_images() -> None:
    counts = np.array([[10, 0, 0], [100, 50, 50]])
    groups = group_numbers(["a", "b"])
    assert pooled(counts, groups, dice).value == pytest.approx(220 / 320)
    assert per_image(dice(counts), groups).value == pytest.approx((1 + 200 / 300) / 2)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_interval_contains_a_perfect_score(value: float) -> None:
    found = per_image(np.full(30, value), np.arange(30))
    assert found.low <= found.value <= found.high
    assert found.low == pytest.approx(found.high, abs=1e-5)


def test_scores_that_are_estimated_together_are_those_of_one_alone() -> None:
    random = np.random.default_rng(0)
    values = random.random((40, 70))
    groups = np.repeat(np.arange(20), 2)
    together = per_image_scores(values, groups, [column % 2 == 0 for column in range(70)], 200)
    for column in (0, 1, 68, 69):
        alone = per_image(values[:, column], groups, share=column % 2 == 0, resamples=200)
        assert together[column] == pytest.approx(alone)


def test_images_without_a_score_are_left_out_and_too_few_groups_have_no_interval() -> None:
    values = np.array([0.5, math.nan, 0.9, 0.7])
    found = per_image(values, np.arange(4))
    assert found.value == pytest.approx(0.7)
    assert (found.lowest, found.highest, found.groups) == (0.5, 0.9, 3)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    nothing = per_image(np.array([math.nan]), np.arange(1))
    assert nothing.groups == 0
    assert math.isnan(nothing.value)


def test_groups_and_not_images_decide_whether_there_is_an_interval() -> None:
    values = np.linspace(0.5, 0.9, 10 * PROMISED)
    few = per_image(values, np.arange(10 * PROMISED) % (PROMISED - 1))
    assert math.isnan(few.low)
    enough = per_image(values, np.arange(10 * PROMISED) % PROMISED)
    assert enough.low < enough.value < enough.high


def test_the_interval_is_students_on_the_scale_of_logits() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(1, 0.2, 100_000)
    drawn = 1 / (1 + np.exp(-logits))
    value = 1 / (1 + math.exp(-1))
    low, high = interval_of(value, drawn, groups=25)
    reach = scipy.stats.t.ppf(0.975, 24) * 0.2 * math.sqrt(25 / 24)
    assert math.log(low / (1 - low)) == pytest.approx(1 - reach, abs=0.01)
    assert math.log(high / (1 - high)) == pytest.approx(1 + reach, abs=0.01)


def test_the_ends_stay_in_the_range_of_the_score() -> None:
    low, high = interval_of(1.0, np.ones(50), groups=30)
    assert 0.999 < low <= high <= 1
    low, high = interval_of(0.0, np.zeros(50), groups=30)
    assert 0 <= low <= high < 0.001
    low, high = interval_of(1.0, np.linspace(0, 9, 50), groups=30, share=False)
    assert low == 0
    assert high > 5
    assert np.isnan(interval_of(0.5, np.full(5, np.nan), groups=30)).all()


def mean_of(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


@pytest.mark.parametrize("size", [1, 3], ids=["images", "groups of 3"])
def test_the_interval_of_a_paired_difference_of_means_is_that_of_students_test(size: int) -> None:
    random = np.random.default_rng(0)
    hard = np.repeat(random.normal(0.7, 0.2, 40), size)
    before = hard + random.normal(0, 0.02, 40 * size)
    after = hard + 0.01 + random.normal(0, 0.02, 40 * size)
    groups = np.repeat(np.arange(40), size)
    one = np.ones(40 * size)
    found = paired_differences(
        np.stack([before, one], axis=1), np.stack([after, one], axis=1), groups, {"": mean_of}
    )[""]
    means = [values.reshape(40, size).mean(axis=1) for values in (after, before)]
    expected = scipy.stats.ttest_rel(*means).confidence_interval(0.95)
    assert found.value == pytest.approx((after - before).mean())
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-4)
    assert found.groups == 40
    unpaired = per_image(before, groups, share=False)
    assert unpaired.high - unpaired.low > 5 * (found.high - found.low)


def test_few_groups_have_no_interval_of_a_difference() -> None:
    counts = np.arange(1, 1 + 3 * (PROMISED - 1)).reshape(-1, 3)
    found = paired_differences(counts, counts[::-1], np.arange(len(counts)), {"": dice})[""]
    assert math.isnan(found.low)
    assert found.value == 0
    assert found.lowest < 0 < found.highest


def test_a_difference_of_nothing_is_zero_and_an_unknown_one_has_no_ends() -> None:
    assert interval_of_difference(0.0, np.zeros(9), 30) == (0, 0)
    assert np.isnan(interval_of_difference(0.0, np.full(9, np.nan), 30)).all()


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 4], ids=["images", "groups of 4"])
def test_95_of_100_intervals_hold_the_true_value(size: int) -> None:
    """A binomial count of n = 400, p = 0.95 is below 367 once in 800 times."""
    random = np.random.default_rng(0)
    shared = np.repeat(random.normal(0, 0.6, 2000), size)
    quality = 1 / (1 + np.exp(-(1.0 + shared + random.normal(0, 0.6, 2000 * size))))
    area = random.uniform(200, 600, 2000 * size)
    right = area * quality
    wrong = (area - right) * random.uniform(0.3, 0.7, 2000 * size)
    counts = np.stack([right, wrong, 2 * (area - right) - wrong], axis=-1)
    true_pooled = dice(counts.sum(axis=0))
    true_mean = dice(counts).mean()
    held = np.zeros(2)
    for _ in range(400):
        chosen = random.integers(0, 2000, 50)
        rows = (chosen[:, None] * size + np.arange(size)).ravel()
        groups = np.repeat(np.arange(50), size)
        first = pooled(counts[rows], groups, dice, resamples=400)
        second = per_image(dice(counts[rows]), groups, resamples=400)
        held += [first.low <= true_pooled <= first.high, second.low <= true_mean <= second.high]
    assert (held >= 367).all(), held
    assert (held <= 395).all(), held
