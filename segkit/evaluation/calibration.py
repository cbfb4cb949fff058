"""Calibration of probabilities: expected calibration error, Brier score and temperature.

Every function takes distributions (N, K) as `Task.as_distributions` makes them, one per prediction.
A softmax head makes one prediction per pixel, over C classes. A sigmoid head makes C predictions
per pixel, over yes and no. NumPy and SciPy only.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from segkit.inference.temperature import SMALLEST, divide_logits
from segkit.task import Task
from segkit.task.layers import class_layers, known_distributions

BINS = 15
"""Bins of the expected calibration error, as in Guo et al., 2017."""
LOWEST_TEMPERATURE = 0.1
HIGHEST_TEMPERATURE = 10.0
_SMALLEST_LIKELIHOOD = 1e-30
_TOLERANCE = 1e-6
"""Accuracy of the temperature's logarithm; it is finer than the four decimals that are returned."""


def flatten_known(
    task: Task, probabilities: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions of an image that have a known truth.

    Args:
        task: Decides how channels become distributions.
        probabilities: (..., C), of the head's activation.
        target: Encoded by `task`; VOID pixels are left out, and under softmax also pixels with
            several possible classes.

    Returns:
        Distributions (N, K) float32, and the index of the true one of the K (N,) int64. N is the
        number of known pixels under softmax, and of known pixels and classes under sigmoid.
    """
    distributions = task.as_distributions(probabilities)
    truth = task.as_distributions(class_layers(task, target)).argmax(-1)
    known = known_distributions(task, target)
    return distributions[known], truth[known]


def tally(distributions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Sum what `reliability` needs, in bins of the confidence.

    The confidence is the largest probability of a distribution. The bins are equal parts of [0, 1].
    Tallies of several images can be added.

    Args:
        distributions: (N, K), from `flatten_known`.
        truth: (N,), from `flatten_known`.

    Returns:
        (5, BINS) float64: number of predictions, and sums of their confidence, of correct ones, of
        Brier scores and of negative log-likelihoods. All are 0 for N = 0.
    """
    confidence = distributions.max(-1, initial=0)
    likelihood = _likelihood(distributions, truth)
    squares = (distributions**2).sum(-1, dtype=np.float64)
    brier = (squares - 2 * likelihood + 1) / 2
    correct = distributions.argmax(-1) == truth
    loss = -np.log(np.maximum(likelihood, SMALLEST))
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    columns = (np.ones(len(bins)), confidence, correct, brier, loss)
    return np.stack([np.bincount(bins, column, BINS) for column in columns])


def reliability(sums: np.ndarray) -> dict[str, float]:
    """Return the calibration scores of a tally; 0 is the best value of each.

    Args:
        sums: (5, BINS), from `tally`.

    Returns:
        "ece": the mean over predictions of |confidence - share of correct predictions| of the bin
        (Naeini et al., 2015). "brier": half the squared distance to the truth, which is
        (p - truth)^2 for yes and no. "nll": the mean negative log-likelihood. All are NaN without
        a prediction.
    """
    number, confidence, correct, brier, nll = sums
    total = number.sum()
    if not total:
        return {"ece": math.nan, "brier": math.nan, "nll": math.nan}
    gaps = np.abs(confidence - correct).sum()
    return {
        "ece": float(gaps / total),
        "brier": float(brier.sum() / total),
        "nll": float(nll.sum() / total),
    }


def fit_temperature(distributions: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """Return the temperature with the smallest weighted negative log-likelihood.

    The negative log-likelihood is convex in the inverse temperature, so it has one minimum.
    Source: Guo et al., On calibration of modern neural networks, 2017.

    Args:
        distributions: (N, K), from `flatten_known`.
        truth: (N,), from `flatten_known`.
        weights: (N,), weight of each prediction.

    Returns:
        A temperature from 0.1 to 10, with four decimals; 1 for N = 0, or if none is better than 1.
    """
    if not len(truth):
        return 1.0

    def cost(logarithm: float) -> float:
        likelihood = _likelihood(divide_logits(distributions, math.exp(logarithm)), truth)
        return float(weights @ -np.log(np.maximum(likelihood, _SMALLEST_LIKELIHOOD)))

    bounds = (math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
    options = {"xatol": _TOLERANCE}
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options=options)
    if found.fun >= cost(0.0):
        return 1.0
    return round(math.exp(found.x), 4)


def _likelihood(distributions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the predicted probability of the truth, (N,)."""
    return np.take_along_axis(distributions, truth[:, None], -1)[:, 0]
