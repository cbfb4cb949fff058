"""What each loss is by its paper: plain loops over the pixels of one image, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.oracles.ordered import lovasz, top_k_cross_entropy
from tests.oracles.question import Question, answers, mean_over_foreground
from tests.oracles.spatial import boundary, cl_dice


def cross_entropy(question: Question, smoothing: float = 0.0) -> float:
    """With label smoothing as Szegedy et al. 2016, section 7: q'(k) = (1 - e) q(k) + e / K, K = 2
    for yes and no.
    """
    total, weights = 0.0, 0.0
    for weight, p in answers(question):
        q = [smoothing / len(p)] * len(p)
        q[0] += 1 - smoothing
        total += weight * -sum(share * math.log(value) for share, value in zip(q, p, strict=True))
        weights += weight
    return total / weights if weights else 0.0


def focal(question: Question, gamma: float = 2.0) -> float:
    """Lin et al. 2017, equation 4: FL(p_t) = -(1 - p_t)^gamma log(p_t)."""
    total, weights = 0.0, 0.0
    for weight, (p, *_) in answers(question):
        total += weight * -((1 - p) ** gamma) * math.log(p)
        weights += weight
    return total / weights if weights else 0.0


def _index(part: float, whole: float) -> float:
    """Return part / whole; where both are 0, with no smoothing, nothing is wrong."""
    return part / whole if whole else 1.0


def tversky(
    question: Question, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0
) -> float:
    """Salehi et al. 2017, equation 3: T = sum(p g) / (sum(p g) + alpha sum(p (1 - g)) + beta sum((1
    - p) g)).
    """

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        return 1 - _index(hits + smooth, hits + alpha * false_alarms + beta * misses + smooth)

    return _mean_over_foreground(question, cost)


def focal_tversky(question: Question, gamma: float = 4 / 3, smooth: float = 1.0) -> float:
    """Abraham and Khan 2019, equation 3: (1 - TI)^(1 / gamma)."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        index = _index(hits + smooth, hits + 0.3 * false_alarms + 0.7 * misses + smooth)
        return max(0.0, 1 - index) ** (1 / gamma)

    return _mean_over_foreground(question, cost)


def dice(question: Question, smooth: float = 1.0) -> float:
    """Dice = 2 |A and B| / (|A| + |B|), soft, with `smooth` pixels added to both."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        size_of_truth, size_of_answer = hits + misses, hits + false_alarms
        return 1 - _index(2 * hits + smooth, size_of_truth + size_of_answer + smooth)

    return _mean_over_foreground(question, cost)


def log_cosh_dice(question: Question, smooth: float = 1.0) -> float:
    """Jadon 2020, table II: log(cosh(DiceLoss)), of each class."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        return math.log(
            math.cosh(1 - _index(2 * hits + smooth, 2 * hits + misses + false_alarms + smooth))
        )

    return _mean_over_foreground(question, cost)


def generalized_dice(question: Question, smooth: float = 1.0) -> float:
    """Sudre et al. 2017, equation 3, w_l = 1 / (sum of r_l)^2: over classes, or over yes and no of
    each channel.
    """
    every = range(question.p.shape[-1])
    if question.exclusive:
        return _generalized_dice(
            question, [(channel, True, question.yes[channel]) for channel in every], smooth
        )
    total = 0.0
    weights = 0.0
    for channel in every:
        cost = _generalized_dice(question, [(channel, True, 1.0), (channel, False, 1.0)], smooth)
        weight = question.yes[channel] * np.count_nonzero(question.known[:, :, channel])
        total += weight * cost
        weights += weight
    return total / weights if weights else 0.0


def _generalized_dice(
    question: Question, labels: list[tuple[int, bool, float]], smooth: float
) -> float:
    """Return the cost over labels: a channel, whether it is its yes or its no, and a weight."""
    sizes, sums = [], []
    for channel, yes, weight in labels:
        known = question.known[..., channel]
        r = [float(value == yes) for value in question.truth[..., channel][known]]
        p = [value if yes else 1 - value for value in question.p[..., channel][known]]
        sizes.append(sum(r) if weight else 0.0)
        sums.append((weight, sum(a * b for a, b in zip(r, p, strict=True)), sum(r) + sum(p)))
    smallest = min((size for size in sizes if size), default=1.0)
    top = bottom = 0.0
    for size, (weight, overlap, both) in zip(sizes, sums, strict=True):
        w = (
            weight / (size or smallest) ** 2
        )  # a label that is absent counts as much as the smallest
        top += w * (2 * overlap + smooth)
        bottom += w * (both + smooth)
    return 1 - top / bottom


def jaccard(question: Question, smooth: float = 1.0) -> float:
    """Jaccard = |A and B| / |A or B|, soft, with `smooth` pixels added to both."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        return 1 - _index(hits + smooth, hits + misses + false_alarms + smooth)

    return _mean_over_foreground(question, cost)


def _mean_over_foreground(
    question: Question, cost: Callable[[float, float, float], float]
) -> float:
    """Return the weighted mean over foreground classes of cost(sum(p g), sum(p (1 - g)), sum((1 -
    p) g)).
    """

    def of(channel: int) -> float:
        hits = false_alarms = misses = 0.0
        for row, column in np.ndindex(question.p.shape[:2]):
            if question.known[row, column, channel]:
                p, true = question.p[row, column, channel], question.truth[row, column, channel]
                hits += p * true
                false_alarms += p * (1 - true)
                misses += (1 - p) * true
        return cost(hits, false_alarms, misses)

    return mean_over_foreground(question, of)


COSTS: dict[str, Callable[[Question], float]] = {
    "boundary": boundary,
    "cl_dice": cl_dice,
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": focal,
    "focal_tversky": focal_tversky,
    "generalized_dice": generalized_dice,
    "jaccard": jaccard,
    "log_cosh_dice": log_cosh_dice,
    "lovasz": lovasz,
    "top_k_cross_entropy": top_k_cross_entropy,
    "tversky": tversky,
}
