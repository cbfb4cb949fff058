"""The bootstrap against plain loops and scipy, and how often its intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit.evaluation.bootstrap import interval, is_more_than_chance, resampled

POSITIVE = arrays.arrays(
    np.int64, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=st.integers(0, 10**9)
)


def dice(sums: np.ndarray) -> np.ndarray:
    """Return 2 tp / (2 tp + fp + fn) of (..., 3)."""
    return 2 * sums[..., 0] / (2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def images(random: np.random.Generator, number: int, overlap: float = 40.0) -> np.ndarray:
    """Return (number, 3) true positives, false positives and false negatives of images."""
    return random.poisson(np.array([overlap, 12, 8]) * random.gamma(4, 0.25, (number, 1)))


@given(POSITIVE)
def test_a_resample_is_a_sum_of_as_many_images_as_there_are(each: np.ndarray) -> None:
    ones = np.concatenate([each, np.ones((len(each), 1), np.int64)], axis=1)
    sums = resampled(ones, resamples=5)
    assert (sums[:, -1] == len(each)).all()
    assert (sums[:, :-1] >= each.min(0) * len(each)).all()
    assert (sums[:, :-1] <= each.max(0) * len(each)).all()


def test_each_resample_equals_a_loop_over_how_often_each_image_was_drawn() -> None:
    each = images(np.random.default_rng(0), 9).reshape(9, 3, 1)
    times = resampled(np.eye(9), resamples=600)  # over several blocks of rows
    assert (times.sum(1) == 9).all()
    assert len(np.unique(times, axis=0)) > 500
    expected = [sum(n * image for n, image in zip(row, each, strict=True)) for row in times]
    np.testing.assert_allclose(resampled(each, resamples=600), expected)


def test_every_image_is_drawn_as_often_as_any_other() -> None:
    times = resampled(np.eye(10), resamples=4000)
    np.testing.assert_allclose(times.mean(0), 1, atol=0.06)
    np.testing.assert_allclose(times.var(0), 0.9, atol=0.1)  # of a binomial: n p (1 - p)


@given(POSITIVE, st.integers(0, 3))
def test_two_networks_see_the_same_draws(each: np.ndarray, seed: int) -> None:
    other = each // 2
    both = resampled(each, 40, seed) - resampled(other, 40, seed)
    np.testing.assert_allclose(resampled(each - other, 40, seed), both)


def test_intervals_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    each, other = images(random, 30), images(random, 30, overlap=43.0)
    ours = interval(dice(resampled(each, 20_000)) - dice(resampled(other, 20_000)))

    def difference(drawn: np.ndarray) -> float:
        return float(dice(each[drawn].sum(0)) - dice(other[drawn].sum(0)))

    theirs = scipy.stats.bootstrap(
        (np.arange(30),),
        difference,
        n_resamples=20_000,
        vectorized=False,
        method="percentile",
        rng=2,
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.05 * (theirs.high - theirs.low))


def test_intervals_contain_the_truth_about_as_often_as_their_level() -> None:
    random, held = np.random.default_rng(3), 0
    truth = 2 * 40 / (2 * 40 + 12 + 8)  # images differ in size alone, so it is the same for all
    for _ in range(400):
        low, high = interval(dice(resampled(images(random, 40), resamples=500)))
        held += low <= truth <= high
    assert 0.90 <= held / 400 <= 0.98  # 0.95, less what the percentile method loses with 40 images


def test_equal_networks_are_called_different_in_about_one_of_twenty_comparisons() -> None:
    random, called = np.random.default_rng(4), 0
    for _ in range(400):
        one, other = (resampled(images(random, 40), resamples=500) for _ in range(2))
        called += is_more_than_chance(interval(dice(one) - dice(other)))
    assert 0.02 <= called / 400 <= 0.10


def test_equal_predictions_are_no_difference() -> None:
    each = images(np.random.default_rng(5), 12)
    ends = interval(dice(resampled(each)) - dice(resampled(each.copy())))
    assert ends == (0, 0)
    assert not is_more_than_chance(ends)


def test_a_small_difference_on_every_image_is_more_than_chance() -> None:
    each = images(np.random.default_rng(6), 12)
    worse = each + np.array([0, 1, 0])
    assert is_more_than_chance(interval(dice(resampled(each)) - dice(resampled(worse))))
    assert is_more_than_chance(interval(dice(resampled(worse)) - dice(resampled(each))))


def test_scores_that_cannot_be_computed_are_left_out() -> None:
    assert interval(np.array([np.nan, 0.25, np.nan, 0.25])) == (0.25, 0.25)
    assert all(np.isnan(interval(np.array([np.nan]))))
    assert not is_more_than_chance(interval(np.array([np.nan])))


def test_no_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="image"):
        resampled(np.zeros((0, 4, 2)))
