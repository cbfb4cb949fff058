"""Which classes are taken for which others, in pixels."""

from __future__ import annotations

from functools import reduce

import numpy as np

from segkit.evaluation.counts import Layers, count_layers
from segkit.task import Task

_PIXELS = 2**16
"""Pixels that are counted at once. It bounds the memory, and float32 counts them exactly."""


def confusion_labels(task: Task) -> list[str]:
    """Return the names of the rows and columns of a confusion matrix.

    They are the classes of the task. A binary task has the background as the first row.
    """
    if task.implies_background:
        return ["background", *task.classes]
    return list(task.classes)


def count_confusion(task: Task, layers: Layers) -> np.ndarray:
    """Count how often one class is predicted in the place of another.

    Off the diagonal, row i and column j count the pixels at which class i is missing and class j is
    predicted and wrong. The diagonal counts the right pixels of each class. If exactly one class
    holds at each pixel, this is the usual confusion matrix. If classes overlap, it is the pairwise
    confusion.

    Args:
        task: The task.
        layers: The layers of one image.

    Returns:
        (K, K) int64 for the K names of `confusion_labels`; the rows are the true classes.
    """
    counts = count_layers(layers)
    if task.implies_background:
        true_positives, false_positives, false_negatives, rest = counts[:, 0]
        return np.array([[rest, false_positives], [false_negatives, true_positives]])
    confusion = np.zeros((task.channels, task.channels), np.int64)
    missing = [np.greater(*pair) for pair in zip(layers.truth, layers.predicted, strict=True)]
    wrong = [np.greater(*pair) for pair in zip(layers.predicted, layers.truth, strict=True)]
    both = reduce(np.logical_or, missing) & reduce(np.logical_or, wrong)
    places = np.flatnonzero(both)
    for first in range(0, places.size, _PIXELS):
        block = places[first : first + _PIXELS]
        missing_there = np.stack([layer.ravel()[block] for layer in missing]).astype(np.float32)
        wrong_there = np.stack([layer.ravel()[block] for layer in wrong]).astype(np.float32)
        confusion += (missing_there @ wrong_there.T).astype(np.int64)
    np.fill_diagonal(confusion, counts[0])
    return confusion
