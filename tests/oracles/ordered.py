"""Losses that look at the worst pixels first, by their definitions on sets of pixels."""

from __future__ import annotations

import math

import numpy as np

from tests.oracles.question import Question, answers, mean_over_foreground


def top_k_cross_entropy(question: Question, share: float = 0.1) -> float:
    """Wu et al. 2016, section 3.2: the mean over the k answers with the lowest probability of the
    truth.
    """
    counted = sorted((p[0], weight) for weight, p in answers(question) if weight)
    worst = counted[: max(1, math.ceil(round(share * len(counted), 6)))]
    total = sum(weight for _, weight in worst)
    return sum(-weight * math.log(p) for p, weight in worst) / total if worst else 0.0


def lovasz(question: Question, smooth: float = 1.0) -> float:
    """Berman et al. 2018, definition 1: sum of m_i (D({1..i}) - D({1..i - 1})), errors m falling, D
    the Jaccard loss.
    """

    def cost(channel: int) -> float:
        pixels = [tuple(place) for place in np.argwhere(question.known[..., channel])]
        truth = {pixel for pixel in pixels if question.truth[(*pixel, channel)]}
        errors = {
            pixel: _error(question.p[(*pixel, channel)], pixel in truth, question.softmax)
            for pixel in pixels
        }
        order = sorted(pixels, key=lambda pixel: -errors[pixel])
        total, before = 0.0, 0.0
        for i, pixel in enumerate(order):
            after = _jaccard_loss(truth, set(order[: i + 1]), smooth)
            total += errors[pixel] * (after - before)
            before = after
        return total

    return mean_over_foreground(question, cost)


def _error(p: float, true: bool, softmax: bool) -> float:
    """Equation 8 for the hinge, equation 9 for softmax."""
    if softmax:
        return 1 - p if true else p
    logit = math.log(p) - math.log1p(-p)
    return max(0.0, 1 - logit * (1 if true else -1))


def _jaccard_loss(truth: set[tuple[int, ...]], wrong: set[tuple[int, ...]], smooth: float) -> float:
    """Return the Jaccard loss of the answer that is wrong at just these pixels."""
    answer = truth ^ wrong
    return 1 - (len(truth & answer) + smooth) / (len(truth | answer) + smooth)
