"""Confidence intervals of scores, by drawing the images again (bootstrap). NumPy only.

The scores are functions of sums over images (pixel counts, calibration tallies), so a resample is
another sum of the same rows.

Source: Efron and Tibshirani, An introduction to the bootstrap, 1993 (percentile intervals).
"""

from __future__ import annotations

import math

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
_ROWS = 256
"""Resamples that are summed at once. It bounds the memory for any number of images."""


def resampled(each: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return sums over images drawn with replacement.

    Each resample has as many images as there are. The draws depend only on `seed`, the number of
    images and `resamples`, so the differences of two networks' resamples are paired.

    Args:
        each: (images, ...), what is summed, one row per image.
        resamples: Number of sums.
        seed: Seed of the draws.

    Returns:
        (resamples, ...) float64.

    Raises:
        ValueError: If there is no image.

    >>> resampled(np.array([[2], [2], [2]]), resamples=2)
    array([[6.],
           [6.]])
    """
    images = len(each)
    if not images:
        raise ValueError("no images to draw from")
    values = each.reshape(images, -1).astype(np.float64)
    random = np.random.default_rng(seed)
    sums = np.empty((resamples, values.shape[1]))
    for first in range(0, resamples, _ROWS):
        rows = min(_ROWS, resamples - first)
        drawn = random.integers(0, images, (rows, images)) + images * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        sums[first : first + rows] = times @ values
    return sums.reshape(resamples, *each.shape[1:])


def interval(scores: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval that holds the middle share of resampled scores.

    Args:
        scores: (resamples,); NaN are left out.
        level: The share, from 0 to 1.

    Returns:
        The lower and the upper end, NaN if all scores are NaN.

    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    known = scores[~np.isnan(scores)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def is_more_than_chance(ends: tuple[float, float]) -> bool:
    """Return whether the interval of a difference does not contain 0; False for NaN.

    >>> is_more_than_chance((0.01, 0.02)), is_more_than_chance((-0.01, 0.02))
    (True, False)
    >>> is_more_than_chance((0.0, 0.0))
    False
    """
    return ends[0] > 0 or ends[1] < 0
