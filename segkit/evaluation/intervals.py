"""Means of scores over images with 95 % bootstrap intervals over groups.

A score is averaged in two ways. "dataset" adds the pixel counts of all images first, so an image
counts by its pixels. "per image" takes the mean of the images' own scores; images without a score
are left out.

The bootstrap draws whole groups (patients, scenes, slides), because images of one group resemble
each other. Without groups every image is a group by itself. The interval of a share (Dice, IoU) is
symmetric on the logit scale, that of a distance on its own scale: the value plus and minus the
bootstrap's standard error times the quantile of Student's t. In 24 simulated pools this held the
true value more often than the percentiles of the resamples, which are too narrow for few groups,
and than BCa. How often the intervals hold the true value is measured in
benchmarks/interval_coverage.py. Below `PROMISED` groups no interval is returned, and the spread of
the groups' scores is shown instead.

Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapters 6 and 12; Field and
Welsh, 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x (whole groups).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from segkit.evaluation.bootstrap import LEVEL, RESAMPLES, resampled

PROMISED = 20
"""Groups from which an interval is returned."""
_CLOSEST = 1e-6
"""Distance from 0 and 1 that a share keeps, so that its logit is finite."""

_COLUMNS = 32
"""Scores that are resampled at once. It bounds the memory for any number of classes."""

Score = Callable[[np.ndarray], np.ndarray]
"""Maps sums (..., K) to scores (...); NaN where there is no score."""

Ends = Callable[[float, np.ndarray, int], tuple[float, float]]
"""Returns the ends of an interval from the value, the resampled values and the number of groups."""


class Estimate(NamedTuple):
    """A mean score, with an interval or the spread of the groups."""

    value: float
    """NaN if no image has the score."""
    low: float
    """Lower end of the interval; NaN below `PROMISED` groups."""
    high: float
    """Upper end of the interval; NaN below `PROMISED` groups."""
    lowest: float
    """Smallest score of a group."""
    highest: float
    """Largest score of a group."""
    groups: int
    """Number of groups that have the score."""


def group_numbers(groups: Sequence[str]) -> np.ndarray:
    """Return the number of each image's group, (images,) int64, from 0 on.

    >>> group_numbers(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    return np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)[1]


def group_sums(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Add up the rows of each group.

    Args:
        values: One row for each image, (images, ...).
        groups: Number of each image's group, (images,), from 0 on without a gap.

    Returns:
        (groups, ...) float64.
    """
    sums = np.zeros((int(groups.max()) + 1, *values.shape[1:]))
    np.add.at(sums, groups, values)
    return sums


def pooled(
    counts: np.ndarray, groups: np.ndarray, score: Score, resamples: int = RESAMPLES
) -> Estimate:
    """Estimate a score of the counts of all images, with an interval over groups.

    Args:
        counts: Counts of each image, (images, ...), one image or more.
        groups: Number of each image's group, (images,).
        score: The score of sums of counts.
        resamples: Number of bootstrap resamples.

    Returns:
        The score of the summed counts.
    """
    return pooled_scores(counts, groups, {"": score}, resamples)[""]


def pooled_scores(
    counts: np.ndarray,
    groups: np.ndarray,
    scores: Mapping[str, Score],
    resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Estimate several scores as `pooled` does, from the same resamples.

    Args:
        counts: Counts of each image, (images, ...), one image or more.
        groups: Number of each image's group, (images,).
        scores: The scores of sums of counts.
        resamples: Number of bootstrap resamples.

    Returns:
        The estimate of each score.
    """
    sums = group_sums(counts, groups)
    drawn = _drawn(sums, resamples)
    return {name: _estimate(sums, drawn, score, interval_of) for name, score in scores.items()}


def paired_differences(
    before: np.ndarray,
    after: np.ndarray,
    groups: np.ndarray,
    scores: Mapping[str, Score],
    resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Estimate by how much scores of the same images differ between two predictions.

    Each resample draws the same groups for both, so what makes an image hard for both cancels.

    Args:
        before: Counts of each image for one prediction, (images, ...), one image or more.
        after: Counts of the same images for the other prediction.
        groups: Number of each image's group, (images,).
        scores: The scores of sums of counts.
        resamples: Number of bootstrap resamples.

    Returns:
        The score of the summed counts after minus that before, by the name of the score.
    """
    sums = group_sums(np.stack([before, after], axis=1), groups)
    drawn = _drawn(sums, resamples)
    pair = -before.ndim  # the axis of before and after in sums (..., 2, K)
    estimates = {}
    for name, score in scores.items():
        change = partial(_difference, score, pair)
        estimates[name] = _estimate(sums, drawn, change, interval_of_difference)
    return estimates


def _difference(score: Score, pair: int, sums: np.ndarray) -> np.ndarray:
    return score(sums.take(1, axis=pair)) - score(sums.take(0, axis=pair))


def per_image(
    values: np.ndarray, groups: np.ndarray, *, share: bool = True, resamples: int = RESAMPLES
) -> Estimate:
    """Estimate the mean of the images' scores, with an interval over groups.

    Args:
        values: Score of each image, (images,); NaN where it has none.
        groups: Number of each image's group, (images,).
        share: Whether the score lies between 0 and 1; otherwise it is a distance.
        resamples: Number of bootstrap resamples.

    Returns:
        The mean of the known scores.
    """
    return per_image_scores(values[:, None], groups, [share], resamples)[0]


def per_image_scores(
    values: np.ndarray,
    groups: np.ndarray,
    shares: Sequence[bool],
    resamples: int = RESAMPLES,
) -> list[Estimate]:
    """Estimate the means of several scores as `per_image` does, from the same resamples.

    Args:
        values: Scores of each image, (images, S); NaN where an image does not have one.
        groups: Number of each image's group, (images,).
        shares: Whether each score lies between 0 and 1; otherwise it is a distance. (S,)
        resamples: Number of bootstrap resamples.

    Returns:
        The estimate of each score.
    """
    estimates = []
    for first in range(0, len(shares), _COLUMNS):
        columns = values[:, first : first + _COLUMNS]
        known = ~np.isnan(columns)
        sums = group_sums(np.stack([np.where(known, columns, 0.0), known], axis=-1), groups)
        drawn = _drawn(sums, resamples)
        for column in range(columns.shape[1]):
            of_score = None if drawn is None else drawn[:, column]
            ends = partial(interval_of, share=shares[first + column])
            estimates.append(_estimate(sums[:, column], of_score, _mean, ends))
    return estimates


def _mean(sums: np.ndarray) -> np.ndarray:
    """Return the means of sums (..., 2) of values and their number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def interval_of(
    value: float, drawn: np.ndarray, groups: int, *, share: bool = True
) -> tuple[float, float]:
    """Return the ends of the interval of a score.

    Args:
        value: The score.
        drawn: The score of each bootstrap resample, (resamples,); NaN are left out.
        groups: Number of groups that were drawn from, 2 or more.
        share: Whether the score lies between 0 and 1; otherwise it is 0 or more.

    Returns:
        The lower and the upper end; both NaN if no resample has the score.
    """
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return math.nan, math.nan
    if not share:
        reach = _reach(known, groups)
        return max(value - reach, 0.0), value + reach
    reach = _reach(_logit(known), groups)
    middle = float(_logit(np.array(value)))
    return min(value, _logistic(middle - reach)), max(value, _logistic(middle + reach))


def interval_of_difference(value: float, drawn: np.ndarray, groups: int) -> tuple[float, float]:
    """Return the ends of the interval of a difference of two scores.

    Args:
        value: The difference.
        drawn: The difference of each bootstrap resample, (resamples,); NaN are left out.
        groups: Number of groups that were drawn from, 2 or more.

    Returns:
        The lower and the upper end; both NaN if no resample has the difference.
    """
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return math.nan, math.nan
    reach = _reach(known, groups)
    return value - reach, value + reach


def _reach(drawn: np.ndarray, groups: int) -> float:
    """Return half the width of an interval: standard error times the quantile of Student's t."""
    from scipy.stats import t as student  # takes longer to import than all of this module

    widening = math.sqrt(groups / (groups - 1)) * float(student.ppf((1 + LEVEL) / 2, groups - 1))
    return widening * float(drawn.std())


def _logit(shares: np.ndarray) -> np.ndarray:
    inside = np.clip(shares, _CLOSEST, 1 - _CLOSEST)
    return np.log(inside / (1 - inside))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _drawn(sums: np.ndarray, resamples: int) -> np.ndarray | None:
    """Return the sums of resampled groups; None if there are too few groups for an interval."""
    if len(sums) < PROMISED:
        return None
    return resampled(sums, resamples)


def _estimate(sums: np.ndarray, drawn: np.ndarray | None, score: Score, ends: Ends) -> Estimate:
    value = float(score(sums.sum(axis=0)))
    each = score(sums)
    known = each[~np.isnan(each)]
    if not known.size:
        return Estimate(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    low = math.nan
    high = math.nan
    if drawn is not None and known.size >= PROMISED:
        low, high = ends(value, score(drawn), known.size)
    return Estimate(value, low, high, float(known.min()), float(known.max()), known.size)
