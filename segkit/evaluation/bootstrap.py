"""How far a score would move if other images of the same kind had been drawn: the bootstrap over images. NumPy only.

Scores here are functions of sums over images (pixel counts, tallies of reliability), so to draw images again is to add
up other rows. Source: Efron and Tibshirani, An introduction to the bootstrap, 1993 (percentile intervals).
"""

from __future__ import annotations

import math

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
_ROWS = 256
"""Resamples that are added up at once: memory stays flat however many images there are."""


def resampled(each: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return sums over images drawn with replacement, as many as there are: (images, ...) -> (resamples, ...) float64.

    Equal `seed`, number of images and `resamples` draw the same images: scores of two networks are then paired, and
    their difference holds no luck of the draw. Raises `ValueError` without an image.

    >>> resampled(np.array([[2], [2], [2]]), resamples=2)
    array([[6.],
           [6.]])
    """
    images = len(each)
    if not images:
        raise ValueError("no images to draw from")
    values, random = each.reshape(images, -1).astype(np.float64), np.random.default_rng(seed)
    sums = np.empty((resamples, values.shape[1]))
    for first in range(0, resamples, _ROWS):
        rows = min(_ROWS, resamples - first)
        drawn = random.integers(0, images, (rows, images)) + images * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        sums[first : first + rows] = times @ values
    return sums.reshape(resamples, *each.shape[1:])


def interval(scores: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the middle `level` of resampled scores (resamples,); NaN are left out, NaN if none is left.

    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    known = scores[~np.isnan(scores)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def is_more_than_chance(ends: tuple[float, float]) -> bool:
    """Return whether the interval of a difference lies wholly on one side of 0; 0 itself, and NaN, is no difference.

    >>> is_more_than_chance((0.01, 0.02)), is_more_than_chance((-0.01, 0.02)), is_more_than_chance((0.0, 0.0))
    (True, False, False)
    """
    return ends[0] > 0 or ends[1] < 0
