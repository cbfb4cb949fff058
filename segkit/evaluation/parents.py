"""Scores of parents: groups of classes, where a pixel belongs if it has one of the classes."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from segkit.evaluation.counts import Layers, as_number_or_none, count_layers, ratios
from segkit.task import Task
from segkit.task.layers import layers_of, possible_pixels


def count_parents(task: Task, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Count the pixels of a mask that agree and disagree with the truth, per parent.

    A pixel of which the truth says only the parent is known here.

    Args:
        task: The task of both masks.
        target: The true mask of one image as `Task.encode` returns it.
        mask: The predicted mask as `Task.decode` returns it.

    Returns:
        (4, P) int64 for the P parents of the task, as `counts.count` returns it for classes.
    """
    if not task.parents:
        return np.zeros((4, 0), np.int64)
    layers = Layers([], [], [])
    predicted = list(layers_of(task, mask))
    for members in task.parents.values():
        labels = [task.classes.index(name) for name in members]
        is_inside, is_outside = _inside_and_outside(task, target, labels)
        known = is_inside | is_outside
        layers.truth.append(is_inside)
        layers.predicted.append(reduce(np.logical_or, [predicted[i] for i in labels]) & known)
        layers.known.append(known)
    return count_layers(layers)


def parent_scores(task: Task, counts: np.ndarray) -> dict[str, dict[str, float | int | None]]:
    """Return the scores of each parent.

    Args:
        task: The task.
        counts: (4, P), from `count_parents`, summed over images.

    Returns:
        "iou", "dice", "precision", "recall", "pixels_true" and "pixels_predicted" by the name of
        the parent. A score that is not defined is None.
    """
    values = ratios(counts)
    true_positives, false_positives, false_negatives = counts[:3].tolist()
    scores: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(task.parents):
        scores[name] = {score: as_number_or_none(values[score][i]) for score in values}
        scores[name]["pixels_true"] = true_positives[i] + false_negatives[i]
        scores[name]["pixels_predicted"] = true_positives[i] + false_positives[i]
    return scores


def _inside_and_outside(
    task: Task, target: np.ndarray, labels: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that certainly have one of the classes, and those that have none."""
    possible = possible_pixels(task, target)
    is_outside = ~np.any(possible[..., labels], axis=-1)
    if task.stores_ids:
        others = [i for i in range(task.channels) if i not in labels]
        is_inside = ~np.any(possible[..., others], axis=-1)
    else:
        is_inside = np.any(target[..., labels] == 1, axis=-1)
    return np.asarray(is_inside), np.asarray(is_outside)
