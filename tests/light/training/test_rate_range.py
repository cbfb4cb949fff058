"""The learning-rate range test: rates, the suggestion, and the plot."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segkit.errors import RunError
from segkit.training.lr_suggestion import draw_losses, has_diverged, rates, smoothed, suggest
from tests.helpers.errors import fails

pytestmark = pytest.mark.long

TRIED = rates(1e-6, 1.0, 121)


def valley(at: float) -> list[float]:
    """A loss that is flat, falls, is least at the rate `at` and explodes."""
    return [
        2 - 1.5 * math.exp(-((math.log10(rate / at)) ** 2)) + 50 * max(0.0, rate / at - 3)
        for rate in TRIED
    ]


def test_rates_rise_by_one_factor() -> None:
    factors = np.divide(TRIED[1:], TRIED[:-1])
    assert TRIED[0] == 1e-6
    assert TRIED[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(factors, factors[0])


def test_smoothing_is_a_weighted_mean_of_what_was_seen() -> None:
    losses = list(np.random.default_rng(0).random(30))
    for n in (1, 2, 30):
        weights = 0.8 ** np.arange(n)[::-1]
        assert smoothed(losses)[n - 1] == pytest.approx(np.average(losses[:n], weights=weights))


@pytest.mark.parametrize("at", [1e-4, 1e-3, 1e-2])
def test_the_suggestion_is_a_tenth_of_the_best_rate(at: float) -> None:
    assert (
        at / 10 / 1.1 <= suggest(TRIED, valley(at)) <= 2 * at / 10
    )  # smoothing looks some steps back


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    with fails(RunError, "not-measurable", 121, f"{TRIED[0]:.1e}"):
        suggest(TRIED, [1.0 + i for i in range(121)])


def test_a_loss_that_still_falls_at_the_last_rate_suggests_nothing() -> None:
    with fails(RunError, "not-measurable", f"{TRIED[-1]:.1e}"):
        suggest(TRIED, [2.0 - 0.01 * i for i in range(121)])
    with fails(RunError, "not-measurable"):
        suggest(TRIED, [1.0] * 60 + [2.0 - 0.1 * i for i in range(61)])


def test_a_loss_that_explodes_after_its_least_suggests_a_tenth_of_that_rate() -> None:
    losses = [2.0 - 0.01 * i for i in range(80)]
    assert suggest(TRIED, [*losses, math.nan]) == TRIED[79] / 10


def test_the_test_ends_when_the_loss_explodes() -> None:
    losses = valley(1e-3)
    ends = [n for n in range(1, 122) if has_diverged(losses[:n])]
    assert 1e-3 < TRIED[ends[0] - 1] < 1e-1
    assert has_diverged([1.0, math.nan])
    assert not has_diverged([])
    assert not has_diverged([1.0, 100.0])  # a few steps say nothing


def test_the_picture_shows_the_suggestion_where_it_is() -> None:
    suggestions = [1e-6, 1e-4, 1e-2, 1.0]
    columns = [red_column(draw_losses(TRIED, valley(1e-3), rate)) for rate in suggestions]
    distances = np.diff(columns)
    assert distances.min() > 100
    assert np.ptp(distances) <= 2  # the axis is logarithmic


def red_column(picture: np.ndarray) -> float:
    """Return the column of the red vertical line: most of its pixels are red."""
    red = (picture == (0xD0, 0x30, 0x30)).all(axis=-1).sum(axis=0)
    return float(np.median(np.flatnonzero(red > picture.shape[0] / 4)))


def test_losses_that_are_not_finite_are_not_drawn() -> None:
    picture = draw_losses(TRIED[:3], [1.0, 1.0, math.nan], 1e-6)
    assert picture.dtype == np.uint8
    assert picture.shape == (500, 800, 3)


def test_a_huge_loss_at_the_end_does_not_flatten_the_curve() -> None:
    losses = valley(1e-3)[:100]
    blue = (0x20, 0x60, 0xC0)
    for last in (2.0, 1e9):
        drawn = (draw_losses(TRIED, [*losses, last], 1e-4) == blue).all(axis=-1)
        rows = np.flatnonzero(drawn[:, 80:400].any(axis=1))
        assert np.ptp(rows) > 100
