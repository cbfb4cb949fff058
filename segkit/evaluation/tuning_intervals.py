"""Intervals of Dice before and after tuning, and of its change on the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from segkit.evaluation.counts import class_scores, mean_score
from segkit.evaluation.intervals import Estimate, Score, paired_differences, pooled_scores
from segkit.evaluation.summary import ends_of, with_ends
from segkit.task import Task

_MEAN = "mean foreground"
"""Name of the mean among the names of scores, all others of which are numbers of classes."""


def dice_intervals(task: Task, image_counts: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return the intervals of the Dice of all pixels.

    Args:
        task: The task of the counts.
        image_counts: Pixel counts of each image, (images, 4, C).
        groups: Number of each image's group, (images,).

    Returns:
        {"mean": {"dice_foreground": ...}, "classes": {CLASS: {"dice": ...}}} with the keys of
        `segkit.evaluation.summary.ends_of`.
    """
    estimates = pooled_scores(image_counts, groups, _dice_scores(task))
    return _in_layout(task, estimates, ends_of)


def dice_changes(
    task: Task, before: np.ndarray, after: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    """Return by how much the Dice of all pixels changes, with intervals that pair the images.

    Args:
        task: The task of the counts.
        before: Pixel counts of each image before tuning, (images, 4, C).
        after: Pixel counts of the same images after it.
        groups: Number of each image's group, (images,).

    Returns:
        The layout of `dice_intervals`, each also with "value", the Dice after minus that before.
    """
    estimates = paired_differences(before, after, groups, _dice_scores(task))
    return _in_layout(task, estimates, with_ends)


def _dice_scores(task: Task) -> dict[str, Score]:
    """Return the mean Dice and that of each class, as functions of sums of counts."""
    scores: dict[str, Score] = {_MEAN: partial(_mean_dice, task)}
    for label in range(task.channels):
        scores[str(label)] = partial(_class_dice, label)
    return scores


def _mean_dice(task: Task, sums: np.ndarray) -> np.ndarray:
    return mean_score(task, sums, "dice")


def _class_dice(label: int, sums: np.ndarray) -> np.ndarray:
    return class_scores(sums[..., label : label + 1], "dice")[..., 0]


def _in_layout(
    task: Task,
    estimates: Mapping[str, Estimate],
    as_report: Callable[[Estimate], dict[str, Any]],
) -> dict[str, Any]:
    """Return estimates in the layout of the scores in a report."""
    classes = {}
    for label, of_class in enumerate(task.classes):
        classes[of_class] = {"dice": as_report(estimates[str(label)])}
    return {"mean": {"dice_foreground": as_report(estimates[_MEAN])}, "classes": classes}
