"""Whether probabilities can be believed: temperature, entropy, expected calibration error and Brier score. NumPy only.

Every function sees probabilities as `Task.as_distributions` gives them, (..., questions, answers), so that one formula serves
every head.
"""

from __future__ import annotations

import math

import numpy as np

from segkit.inference.temperature import SMALLEST, divide_logits
from segkit.task import Task
from segkit.task.layers import class_layers, known_pixels

BINS = 15
"""Of the expected calibration error, as in Guo et al., 2017."""
COLDEST, HOTTEST = 0.1, 10.0
"""Between these a temperature is looked for."""


def flatten_known(
    task: Task, probabilities: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what an image asks and says, without VOID: the answers (N, answers), and which is right (N,).

    `probabilities` are (..., C), `target` is encoded; N is pixels (softmax) or pixels times classes (sigmoid).
    """
    answers = task.as_distributions(probabilities)
    truth = task.as_distributions(class_layers(task, target)).argmax(-1)
    known = known_pixels(task, target)[..., : truth.shape[-1]]
    return answers[known], truth[known]


def tally(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return sums for `reliability`, (5, BINS): number, confidence, right ones, Brier score, negative log-likelihood.

    `answers` (N, A) and `truth` (N,) are as `questions` returns them. Bins are equal parts of the confidence, the
    probability of the most probable answer, from 0 to 1. Tallies of several images are added.
    """
    confidence = answers.max(-1, initial=0)
    said = np.take_along_axis(answers, truth[:, None], -1)[:, 0]
    brier = ((answers**2).sum(-1, dtype=np.float64) - 2 * said + 1) / 2
    right = answers.argmax(-1) == truth
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    columns = (np.ones(len(bins)), confidence, right, brier, -np.log(np.maximum(said, SMALLEST)))
    return np.stack([np.bincount(bins, column, BINS) for column in columns])


def reliability(sums: np.ndarray) -> dict[str, float]:
    """Return "ece", "brier" and "nll" of a tally, each 0 for perfect and sure answers, NaN for no pixel.

    ece: mean over all known pixels of |confidence - share of right answers| of the pixel's bin (Naeini et al., 2015).
    brier: half the squared distance to the truth, which is (p - truth)^2 for yes/no. nll: mean negative log-likelihood.
    """
    number, confidence, right, brier, nll = sums
    total = number.sum()
    if not total:
        return {"ece": math.nan, "brier": math.nan, "nll": math.nan}
    gaps = np.abs(confidence - right).sum()
    return {
        "ece": float(gaps / total),
        "brier": float(brier.sum() / total),
        "nll": float(nll.sum() / total),
    }


def fit_temperature(answers: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """Return the temperature, 0.1 to 10, at which the weighted negative log-likelihood is least; 1 without a pixel.

    `answers` (N, A), `truth` (N,), `weights` (N,). Golden-section search: there is one minimum, since the likelihood is
    convex in the inverse temperature.
    """
    if not len(truth):
        return 1.0

    def cost(logarithm: float) -> float:
        said = np.take_along_axis(divide_logits(answers, math.exp(logarithm)), truth[:, None], -1)[
            :, 0
        ]
        return float(weights @ -np.log(np.maximum(said, 1e-30)))

    low, high, golden = math.log(COLDEST), math.log(HOTTEST), (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > 1e-4:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = cost(right)
    best = (low + high) / 2
    return round(math.exp(best), 4) if cost(best) < cost(0.0) else 1.0
