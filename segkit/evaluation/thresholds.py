"""Thresholds of yes/no classes, chosen from histograms of their probabilities. NumPy only, memory of a fixed size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segkit.errors import ConfigError
from segkit.evaluation.counts import ratios
from segkit.task import Task
from segkit.task.layers import class_layers, known_pixels

STEPS = 1000
"""Thresholds that are tried: 1/1000, 2/1000 ... 999/1000."""
EDGES = (np.arange(1, STEPS) / STEPS).astype(np.float32)


class Goal(NamedTuple):
    """What thresholds are chosen for: the highest Dice, or a wanted precision or recall."""

    score: str
    least: float | None = None

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Return the goal of "dice", "precision=0.9" or "recall=0.9". Raises `ConfigError` for anything else."""
        score, equals, value = text.partition("=")
        try:
            least = float(value) if equals else None
        except ValueError:
            least = -1.0
        if (score == "dice" and least is None) or (
            score in ("precision", "recall") and least and 0 < least <= 1
        ):
            return cls(score, least)
        raise ConfigError(
            f"is dice, precision=P or recall=R, with P or R above 0 and at most 1; found {text!r}",
            setting="--for",
        )

    def check(self, task: Task) -> None:
        """Raise `ConfigError` if the task has no thresholds to reach the goal with."""
        if task.thresholds is None and self.least is not None:
            raise ConfigError(
                f"{self} needs thresholds, and an exclusive task has none: it takes the most probable class; say dice",
                "not-for-task",
                setting="--for",
            )

    def __str__(self) -> str:
        return self.score if self.least is None else f"{self.score}={self.least:g}"


def threshold_histogram(task: Task, probabilities: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return how many known pixels lie between two thresholds, (2, C, STEPS) int64: first those without the class.

    `probabilities` are (..., C), `target` is encoded. A pixel of bin k is from threshold k/1000 on, as `Task.decode`
    compares. Histograms of several images are added.
    """
    truth, known = class_layers(task, target), known_pixels(task, target)
    bins = np.searchsorted(EDGES, np.asarray(probabilities, np.float32), side="right")
    layers = [
        [
            np.bincount(bins[..., i][known[..., i] & (truth[..., i] == yes)], minlength=STEPS)
            for i in range(task.channels)
        ]
        for yes in (False, True)
    ]
    return np.asarray(layers, np.int64)


def choose_threshold(histograms: np.ndarray, goal: Goal, default: float = 0.5) -> float | None:
    """Return the threshold of one class, (2, STEPS), that serves the goal best; None where no threshold reaches it.

    "dice": the highest. "precision=P": the most recall with a precision of at least P; "recall=R": the most precision
    with a recall of at least R. Of equals the nearest to `default`. A class without a pixel has no best threshold: None.
    """
    without, having = histograms
    positive = having.sum()
    if not positive:
        return None
    tp = positive - np.cumsum(having)[:-1]  # from threshold k on
    fp = without.sum() - np.cumsum(without)[:-1]
    scores = ratios(np.stack([tp, fp, positive - tp, np.cumsum(without)[:-1]]))
    value = {"dice": scores["dice"], "precision": scores["recall"], "recall": scores["precision"]}[
        goal.score
    ]
    reached = (
        np.ones(len(tp), bool) if goal.least is None else scores[goal.score] >= goal.least
    )  # NaN is not
    value = np.where(reached & ~np.isnan(value), value, -1.0)
    if value.max() < 0:
        return None
    best = np.flatnonzero(value == value.max())
    return float(EDGES[best[np.abs(EDGES[best] - default).argmin()]])
