"""Losses of probabilities as targets, as plain loops over pixels in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def shares(
    masks: Sequence[np.ndarray], classes: int, exclusive: bool, void: int = 255
) -> np.ndarray:
    """Return the share of annotators who chose each class, (H, W, C); NaN where nobody said it."""
    height, width = masks[0].shape[:2]
    found = np.full((height, width, classes), np.nan)
    for row, column, label in np.ndindex(height, width, classes):
        votes = []
        for mask in masks:
            value = mask[row, column] if exclusive else mask[row, column, label]
            if value != void:
                votes.append(value == label if exclusive else value == 1)
        if votes:
            found[row, column, label] = sum(votes) / len(votes)
    return found


def cross_entropy(
    truth: np.ndarray,
    p: np.ndarray,
    softmax: bool,
    yes: Sequence[float],
    no: Sequence[float],
) -> float:
    """Return the cost as if each class of a pixel were a pixel of its own, with weight w t.

    `truth` is (H, W, C), NaN where it is unknown. `yes` and `no` weigh the classes.
    """
    total = 0.0
    weights = 0.0
    for place in np.ndindex(truth.shape):
        t = float(truth[place])
        if math.isnan(t):
            continue
        label = place[-1]
        total += yes[label] * t * -math.log(p[place])
        weights += yes[label] * t
        if not softmax:
            total += no[label] * (1 - t) * -math.log(1 - p[place])
            weights += no[label] * (1 - t)
    return total / weights if weights else 0.0


def tversky(
    truth: np.ndarray, p: np.ndarray, foreground: Sequence[int], alpha: float, beta: float, s: float
) -> float:
    """Return the cost with excess max(p - t, 0) and shortfall max(t - p, 0) of each pixel.

    Classes are averaged by their numbers of known pixels.
    """
    costs = []
    known = []
    for label in foreground:
        known.append(np.count_nonzero(~np.isnan(truth[..., label])))
        common = 0.0
        excess = 0.0
        shortfall = 0.0
        for row, column in np.ndindex(truth.shape[:2]):
            t = float(truth[row, column, label])
            if math.isnan(t):
                continue
            probability = float(p[row, column, label])
            common += min(t, probability)
            excess += max(probability - t, 0.0)
            shortfall += max(t - probability, 0.0)
        costs.append(1 - (common + s) / (common + alpha * excess + beta * shortfall + s))
    return float(np.average(costs, weights=known))


def dice_by_distance(
    truth: np.ndarray, p: np.ndarray, foreground: Sequence[int], s: float
) -> float:
    """Return 1 - (|t| + |p| - |t - p| + s) / (|t| + |p| + s): DML1 of Wang et al., 2023.

    Classes are averaged by their numbers of known pixels.
    """
    costs = []
    weights = []
    for label in foreground:
        known = ~np.isnan(truth[..., label])
        t = truth[..., label][known]
        q = p[..., label][known]
        size = t.sum() + q.sum()
        costs.append(1 - (size - np.abs(t - q).sum() + s) / (size + s))
        weights.append(t.size)
    return float(np.average(costs, weights=weights))
