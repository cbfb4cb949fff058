"""Reliability of probabilities, and precision and recall over thresholds.

Both follow from histograms of the probabilities of each class, whose size does not depend on the
number of images. NumPy only.

The probabilities are those that a prediction delivers, with the run's temperature and before its
rules for objects. Pixels without a label are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segkit.evaluation.counts import as_number_or_none, ratios
from segkit.evaluation.thresholds import EDGES, STEPS, count_bins, threshold_bins
from segkit.task import Task
from segkit.task.layers import class_layers, known_pixels

BINS = 10
"""Bins of equal width in a reliability diagram."""
EVERY = 10
"""Of the thresholds 1/1000, 2/1000, ..., every tenth is in the report."""
_DIGITS = 6


class ProbabilityCurves:
    """Histograms of probabilities, to which images are added one after the other.

    Args:
        task: The task of the probabilities.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.images = 0
        self.histograms = np.zeros((2, task.channels, STEPS), np.int64)
        """Pixels without and with each class, by their probability."""
        self.sums = np.zeros((task.channels, BINS))
        """Sum of the probabilities in each bin of the reliability diagram."""
        self.true = np.zeros((task.channels, BINS), np.int64)
        """Pixels with each class in each bin of the reliability diagram."""

    def add(
        self, target: np.ndarray, probabilities: np.ndarray, drawn: np.ndarray | None = None
    ) -> None:
        """Add an image.

        Args:
            target: The true mask as `Task.encode` returns it.
            probabilities: (H, W, C), as the prediction delivers them.
            drawn: The true mask for the reliability diagram; None for `target`.
        """
        truth = class_layers(self.task, target)
        true = truth if drawn is None else class_layers(self.task, drawn)
        known = known_pixels(self.task, target)
        bins = threshold_bins(probabilities)
        for label in range(self.task.channels):
            chosen = known[..., label]
            found = bins[..., label][chosen]
            self.histograms[:, label] += count_bins(found, truth[..., label][chosen])
            values = probabilities[..., label][chosen]
            tenths = found * BINS // STEPS
            self.sums[label] += np.bincount(tenths, values, minlength=BINS)
            self.true[label] += np.bincount(tenths[true[..., label][chosen]], minlength=BINS)
        self.images += 1

    def reliability(self) -> dict[str, Any]:
        """Return the reliability diagram of each foreground class.

        A bin holds the pixels whose probability of the class is in one tenth of [0, 1]. The lower
        end belongs to the bin.

        Returns:
            By class: "error", the expected calibration error of the class (the mean over pixels of
            |mean probability - share of true pixels| of their bin), and "bins": for each bin
            "count", and the means "probability" and "true", None in an empty bin.
        """
        histograms = self.histograms.sum(axis=0)
        counts = histograms.reshape(self.task.channels, BINS, -1).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            probability = self.sums / counts
            true = self.true / counts
        diagrams = {}
        for label in self.task.foreground:
            gaps = np.abs(self.sums[label] - self.true[label]).sum()
            total = int(counts[label].sum())
            bins = []
            for number in range(BINS):
                bins.append(
                    {
                        "count": int(counts[label, number]),
                        "probability": _rounded(probability[label, number]),
                        "true": _rounded(true[label, number]),
                    }
                )
            error = round(float(gaps / total), _DIGITS) if total else None
            diagrams[self.task.classes[label]] = {"error": error, "bins": bins}
        return diagrams

    def thresholds(self) -> dict[str, Any] | None:
        """Return precision, recall and Dice over thresholds.

        Returns:
            By foreground class: "chosen", the threshold of the task, and the lists "thresholds",
            "precision", "recall" and "dice", in which undefined scores are None. None for a task
            without thresholds.
        """
        if self.task.thresholds is None:
            return None
        places = slice(EVERY - 1, None, EVERY)
        curves = {}
        for label in self.task.foreground:
            scores = ratios(_counts_by_threshold(*self.histograms[:, label]))
            curve: dict[str, Any] = {"chosen": self.task.thresholds[label]}
            curve["thresholds"] = [round(float(edge), 3) for edge in EDGES[places]]
            for name in ("precision", "recall", "dice"):
                curve[name] = [_rounded(value) for value in scores[name][places]]
            curves[self.task.classes[label]] = curve
        return curves


def _counts_by_threshold(without: np.ndarray, having: np.ndarray) -> np.ndarray:
    """Return pixel counts (4, STEPS - 1) of one class, a column for each of `EDGES`."""
    positive = having.sum()
    tp = positive - np.cumsum(having)[:-1]
    tn = np.cumsum(without)[:-1]
    fp = without.sum() - tn
    return np.stack([tp, fp, positive - tp, tn])


def _rounded(value: float) -> float | None:
    number = as_number_or_none(value)
    return None if number is None else round(number, _DIGITS)
