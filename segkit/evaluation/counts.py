"""Pixel counts, and the scores that follow from them. NumPy only.

`segkit.metrics` computes the same scores during training.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from segkit.task import Task
from segkit.task.layers import known_layers, layers_of


def count(task: Task, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Count the pixels of a mask that agree and disagree with the truth, per class.

    Args:
        task: The task of both.
        target: Encoded by `task.encode`; VOID pixels are left out, and for each class also pixels
            that may have it or not. Leading axes are allowed.
        mask: Decoded by `task.decode`, with the same leading axes.

    Returns:
        (4, C) int64: true positives, false positives, false negatives and true negatives.
    """
    rank = len(task.target_shape(1, 1))
    joined = target.ndim - rank + 1
    rows = math.prod(target.shape[:joined])
    one_target = target.reshape(rows, *target.shape[joined:])
    one_mask = mask.reshape(one_target.shape[: 2 + task.layered])
    return count_layers(split_layers(task, one_target, one_mask))


class Layers(NamedTuple):
    """The layers of one image, one entry per class; each is (H, W) bool."""

    truth: list[np.ndarray]
    predicted: list[np.ndarray]
    """Without the pixels that are not in `known`."""
    known: list[np.ndarray]
    """Pixels of which the truth says whether they have the class."""


def split_layers(task: Task, target: np.ndarray, mask: np.ndarray) -> Layers:
    """Return the true and the predicted layer of each class, from which all scores follow.

    Args:
        task: The task of both masks.
        target: The true mask of one image as `Task.encode` returns it.
        mask: The predicted mask as `Task.decode` returns it, of the same size.
    """
    known = list(known_layers(task, target))
    predicted = []
    for layer, labelled in zip(layers_of(task, mask), known, strict=True):
        predicted.append(layer & labelled)
    return Layers(list(layers_of(task, target)), predicted, known)


def count_layers(layers: Layers) -> np.ndarray:
    """Count the pixels of layers as `count` does.

    Args:
        layers: The layers of one image.

    Returns:
        (4, C) int64: true positives, false positives, false negatives and true negatives.
    """
    cells = []
    for truth, predicted, known in zip(*layers, strict=True):
        right = np.count_nonzero(truth & predicted)
        false_positives = np.count_nonzero(predicted) - right
        false_negatives = np.count_nonzero(truth) - right
        labelled = np.count_nonzero(known)
        rest = labelled - right - false_positives - false_negatives
        cells.append((right, false_positives, false_negatives, rest))
    return np.array(cells, np.int64).T


def ratios(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of pixel counts, per class.

    Args:
        counts: (4, C), from `count`; sums over images are allowed.

    Returns:
        "iou", "dice", "precision" and "recall", each (C,) float64; NaN where the denominator is 0.
    """
    tp, fp, fn = counts[:3].astype(np.float64)
    with np.errstate(invalid="ignore"):
        return {
            "iou": tp / (tp + fp + fn),
            "dice": 2 * tp / (2 * tp + fp + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
        }


def class_scores(sums: np.ndarray, score: str) -> np.ndarray:
    """Return a score of each class for sums of counts.

    Args:
        sums: Sums of counts from `count`, (..., 4, C).
        score: A key of `ratios`, such as "dice".

    Returns:
        (..., C); NaN where the denominator is 0.
    """
    return ratios(np.moveaxis(sums, -2, 0))[score]


def mean_score(task: Task, sums: np.ndarray, score: str) -> np.ndarray:
    """Return the mean of a score over the foreground classes, as `means` defines it.

    Args:
        task: The task of the counts.
        sums: Sums of counts from `count`, (..., 4, C).
        score: A key of `ratios`, such as "dice".

    Returns:
        (...); NaN where no foreground class occurs.
    """
    values = class_scores(sums, score)[..., list(task.foreground)]
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)


def means(task: Task, counts: np.ndarray) -> dict[str, float]:
    """Return mean scores over classes; classes without a pixel in truth and mask are left out.

    Args:
        task: The task of the counts.
        counts: (4, C), from `count`.

    Returns:
        "iou_foreground", "dice_foreground" and "iou_with_background". The last one is over every
        class, and over the object and the rest in a binary task. NaN if all classes are left out.
    """
    values = ratios(counts)
    every = values["iou"]
    if task.implies_background:
        background_counts = counts[[3, 2, 1, 0]]
        every = np.append(every, ratios(background_counts)["iou"])
    foreground = list(task.foreground)
    return {
        "iou_foreground": mean_known(values["iou"][foreground]),
        "dice_foreground": mean_known(values["dice"][foreground]),
        "iou_with_background": mean_known(every),
    }


def mean_known(values: np.ndarray) -> float:
    """Return the mean of the values that are not NaN, or NaN if there is none."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan")
    return float(known.mean())


def score_report(task: Task, counts: np.ndarray, images: int) -> dict[str, Any]:
    """Return scores as they stand in scores.json.

    The counts are summed over all images before scores are computed (aggregation "dataset"), so an
    image with more pixels has more weight.

    Args:
        task: The task of the counts.
        counts: (4, C), from `count`, summed over images.
        images: Number of images.

    Returns:
        "aggregation", "images", "mean", "classes" and "absent". "absent" lists the classes without
        a pixel in truth and mask. A score that is not defined is None.
    """
    values = ratios(counts)
    tp, fp, fn = counts[:3].tolist()
    classes = {}
    absent = []
    for i, label in enumerate(task.classes):
        scores: dict[str, Any] = {score: as_number_or_none(values[score][i]) for score in values}
        scores["pixels_true"] = tp[i] + fn[i]
        scores["pixels_predicted"] = tp[i] + fp[i]
        classes[label] = scores
        if tp[i] + fp[i] + fn[i] == 0:
            absent.append(label)
    return {
        "aggregation": "dataset",
        "images": images,
        "mean": {name: as_number_or_none(value) for name, value in means(task, counts).items()},
        "classes": classes,
        "absent": absent,
    }


def as_number_or_none(value: float) -> float | None:
    """Return a score for JSON, None for NaN."""
    if np.isnan(value):
        return None
    return float(value)
