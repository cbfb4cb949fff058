"""Pixel counts, and the scores that follow from them. NumPy only; `metrics` gives the same numbers during training."""

from __future__ import annotations

from typing import Any

import numpy as np

from segkit.task import Task
from segkit.task.layers import class_layers, known_pixels


def count(task: Task, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return true positives, false positives, false negatives and true negatives: (4, C) int64.

    `target` is encoded and `mask` decoded, as `task` does; VOID pixels of the target are left out.
    """
    truth, answer = class_layers(task, target), class_layers(task, mask)
    known = known_pixels(task, target)
    axes = tuple(range(truth.ndim - 1))
    cells = (truth & answer, ~truth & answer & known, truth & ~answer, ~truth & ~answer & known)
    return np.stack([cell.sum(axis=axes, dtype=np.int64) for cell in cells])


def ratios(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return iou, dice, precision and recall of each class (C,); NaN where there is nothing to divide by."""
    tp, fp, fn = counts[:3].astype(np.float64)
    with np.errstate(invalid="ignore"):
        return {
            "iou": tp / (tp + fp + fn),
            "dice": 2 * tp / (2 * tp + fp + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
        }


def means(task: Task, counts: np.ndarray) -> dict[str, float]:
    """Return the mean scores over classes; absent ones (no such pixel in truth or answer) are left out.

    `iou_with_background` is over every class; in a binary task that is the object and the rest.
    """
    values = ratios(counts)
    every = values["iou"]
    if task.implies_background:
        every = np.append(every, ratios(counts[[3, 2, 1, 0]])["iou"])
    foreground = list(task.foreground)
    return {
        "iou_foreground": mean_known(values["iou"][foreground]),
        "dice_foreground": mean_known(values["dice"][foreground]),
        "iou_with_background": mean_known(every),
    }


def mean_known(values: np.ndarray) -> float:
    """Return the mean of the values that are not NaN, NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def report(task: Task, counts: np.ndarray, images: int) -> dict[str, Any]:
    """Return what stands in scores.json; a score that cannot be computed is None, absent classes are named.

    The counts are summed over all images first ("dataset"): an image counts by its pixels, not as one.
    """
    values = {name: [_number(v) for v in row] for name, row in ratios(counts).items()}
    tp, fp, fn = counts[:3].tolist()
    classes = {
        name: {
            **{score: values[score][i] for score in values},
            "pixels_true": tp[i] + fn[i],
            "pixels_predicted": tp[i] + fp[i],
        }
        for i, name in enumerate(task.classes)
    }
    absent = [name for i, name in enumerate(task.classes) if tp[i] + fp[i] + fn[i] == 0]
    mean = {name: _number(value) for name, value in means(task, counts).items()}
    return {
        "aggregation": "dataset",
        "images": images,
        "mean": mean,
        "classes": classes,
        "absent": absent,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
