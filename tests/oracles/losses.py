"""What each loss is by its paper: plain loops over the pixels of one image, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Question:
    """One image: truth 0/1, known, and probability p of each pixel and class, all (H, W, C); a weight for each class.

    `yes` weighs pixels (or one-against-the-rest questions) whose answer is yes, `no` those whose answer is no.
    """

    truth: np.ndarray
    known: np.ndarray
    p: np.ndarray
    softmax: bool
    foreground: tuple[int, ...]
    yes: tuple[float, ...]
    no: tuple[float, ...]


def activated(logits: np.ndarray, softmax: bool) -> np.ndarray:
    """Return the probabilities of logits (..., C), in float64."""
    logits = logits.astype(np.float64)
    if not softmax:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(question: Question) -> float:
    return _mean_over_answers(question, lambda p: -math.log(p))


def focal(question: Question, gamma: float = 2.0) -> float:
    """Lin et al. 2017, equation 4: FL(p_t) = -(1 - p_t)^gamma log(p_t)."""
    return _mean_over_answers(question, lambda p: -((1 - p) ** gamma) * math.log(p))


def _mean_over_answers(question: Question, cost: Callable[[float], float]) -> float:
    """Return the weighted mean of cost(p_t), p_t the probability given to what is true."""
    total, weights = 0.0, 0.0
    for row, column, channel in np.ndindex(question.p.shape):
        if not question.known[row, column, channel]:
            continue
        p, true = question.p[row, column, channel], bool(question.truth[row, column, channel])
        if question.softmax and not true:
            continue  # of exclusive classes only the true one enters
        weight = question.yes[channel] if true else question.no[channel]
        total += weight * cost(p if true else 1 - p)
        weights += weight
    return total / weights if weights else 0.0


def tversky(question: Question, alpha: float = 0.3, beta: float = 0.7) -> float:
    """Salehi et al. 2017, equation 3: T = sum(p g) / (sum(p g) + alpha sum(p (1 - g)) + beta sum((1 - p) g))."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        return 1 - (hits + 1) / (hits + alpha * false_alarms + beta * misses + 1)

    return _mean_over_foreground(question, cost)


def focal_tversky(question: Question, gamma: float = 4 / 3) -> float:
    """Abraham and Khan 2019, equation 3: (1 - TI)^(1 / gamma)."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        index = (hits + 1) / (hits + 0.3 * false_alarms + 0.7 * misses + 1)
        return max(0.0, 1 - index) ** (1 / gamma)

    return _mean_over_foreground(question, cost)


def dice(question: Question) -> float:
    """Dice = 2 |A and B| / (|A| + |B|), soft, with one pixel added to both."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        size_of_truth, size_of_answer = hits + misses, hits + false_alarms
        return 1 - (2 * hits + 1) / (size_of_truth + size_of_answer + 1)

    return _mean_over_foreground(question, cost)


def jaccard(question: Question) -> float:
    """Jaccard = |A and B| / |A or B|, soft, with one pixel added to both."""

    def cost(hits: float, false_alarms: float, misses: float) -> float:
        return 1 - (hits + 1) / (hits + misses + false_alarms + 1)

    return _mean_over_foreground(question, cost)


def _mean_over_foreground(question: Question, cost: Callable[[float, float, float], float]) -> float:
    """Return the weighted mean over foreground classes of cost(sum(p g), sum(p (1 - g)), sum((1 - p) g))."""
    total, weights = 0.0, 0.0
    for channel in question.foreground:
        hits = false_alarms = misses = 0.0
        for row, column in np.ndindex(question.p.shape[:2]):
            if question.known[row, column, channel]:
                p, true = question.p[row, column, channel], question.truth[row, column, channel]
                hits += p * true
                false_alarms += p * (1 - true)
                misses += (1 - p) * true
        total += question.yes[channel] * cost(hits, false_alarms, misses)
        weights += question.yes[channel]
    return total / weights


COSTS: dict[str, Callable[[Question], float]] = {
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": focal,
    "focal_tversky": focal_tversky,
    "jaccard": jaccard,
    "tversky": tversky,
}
