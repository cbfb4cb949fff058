"""Thresholds of classes, chosen from histograms of their probabilities.

NumPy only. The size of the histograms does not depend on the number of pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segkit.errors import ConfigError
from segkit.evaluation.counts import ratios
from segkit.task import Task
from segkit.task.layers import class_layers, known_pixels

STEPS = 1000
"""Number of bins; the thresholds that are tried are 1/1000, 2/1000, ..., 999/1000."""
EDGES = (np.arange(1, STEPS) / STEPS).astype(np.float32)
_ENDS = np.concatenate([[-np.inf], EDGES, [np.inf]]).astype(np.float32)
_MAXIMIZED = {"dice": "dice", "precision": "recall", "recall": "precision"}
"""Score that is maximized for a goal, under the condition that the goal is reached."""


class Goal(NamedTuple):
    """The score that thresholds are chosen for."""

    score: str
    """Either "dice", "precision" or "recall"."""
    least: float | None = None
    """Least precision or recall, above 0 and at most 1; None for "dice"."""

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Return the goal of "dice", "precision=0.9" or "recall=0.9".

        Raises:
            ConfigError: For any other text.
        """
        score, _, value = text.partition("=")
        if text == "dice":
            return cls("dice")
        least = _number_or_zero(value)
        if score in ("precision", "recall") and 0 < least <= 1:
            return cls(score, least)
        raise ConfigError(
            f"allowed are dice, precision=P and recall=R, with P or R above 0 and at most 1; "
            f"found {text!r}",
            setting="--for",
        )

    def check(self, task: Task) -> None:
        """Raise `ConfigError` if the task has no thresholds, and the goal needs them."""
        if task.thresholds is None and self.least is not None:
            raise ConfigError(
                f"{self} needs thresholds. An exclusive task has none: its mask is the most "
                "probable class. Use --for dice",
                "not-for-task",
                setting="--for",
            )

    def __str__(self) -> str:
        if self.least is None:
            return self.score
        return f"{self.score}={self.least:g}"


def threshold_histogram(task: Task, probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Count the known pixels between every two thresholds, per class.

    Bin k holds the pixels of probabilities p with k/1000 <= p < (k + 1)/1000, as `Task.decode`
    compares. Histograms of several images can be added.

    Args:
        task: A task with thresholds.
        probabilities: (..., C).
        target: Encoded by `task`; VOID pixels are left out.

    Returns:
        (2, C, STEPS) int64: first the pixels without the class, then those with it.
    """
    truth = class_layers(task, target)
    known = known_pixels(task, target)
    bins = threshold_bins(probabilities)
    histograms = np.zeros((2, task.channels, STEPS), np.int64)
    for i in range(task.channels):
        chosen = known[..., i]
        histograms[:, i] = count_bins(bins[..., i][chosen], truth[..., i][chosen])
    return histograms


def threshold_bins(probabilities: np.ndarray) -> np.ndarray:
    """Return the number of `EDGES` that each probability reaches, 0 to STEPS - 1.

    This is `np.searchsorted(EDGES, probabilities, side="right")`, several times as fast.

    Args:
        probabilities: From 0 to 1.
    """
    values = np.asarray(probabilities, np.float32)
    bins = np.clip((values * STEPS).astype(np.int64), 0, STEPS - 1)  # one too many or too few
    bins += values >= _ENDS[bins + 1]
    bins -= values < _ENDS[bins]
    return bins


def count_bins(bins: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count the pixels of one class in each bin.

    Args:
        bins: (N,), from `threshold_bins`.
        truth: Which pixels have the class, (N,) bool.

    Returns:
        (2, STEPS) int64: first the pixels without the class, then those with it.
    """
    return np.bincount(bins + STEPS * truth, minlength=2 * STEPS).reshape(2, STEPS)


def choose_threshold(histograms: np.ndarray, goal: Goal, default: float = 0.5) -> float | None:
    """Return the best threshold of one class.

    Args:
        histograms: (2, STEPS), one class of `threshold_histogram`.
        goal: "dice" maximizes Dice. "precision=P" maximizes recall where the precision is at least
            P, and "recall=R" maximizes precision where the recall is at least R.
        default: Of equally good thresholds, the nearest to this value is returned.

    Returns:
        One of `EDGES`; None if no threshold reaches the goal, or no pixel has the class.
    """
    without, having = histograms
    positive = having.sum()
    if not positive:
        return None
    tp = positive - np.cumsum(having)[:-1]
    tn = np.cumsum(without)[:-1]
    fp = without.sum() - tn
    scores = ratios(np.stack([tp, fp, positive - tp, tn]))
    value = scores[_MAXIMIZED[goal.score]]
    allowed = ~np.isnan(value)
    if goal.least is not None:
        allowed &= scores[goal.score] >= goal.least
    if not allowed.any():
        return None
    best = np.flatnonzero(allowed & (value == value[allowed].max()))
    distances = np.abs(EDGES[best] - default)
    return float(EDGES[best[distances.argmin()]])


def _number_or_zero(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
