"""The highest score that can be expected, given how exact the true masks are.

The true mask is compared with itself moved by one pixel. A network whose outlines are one pixel
away from the truth has this score, and outlines that people draw are hardly more exact. Where two
annotators have drawn masks of the same images, the score of one against the other is the ceiling.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segkit.evaluation import counts as pixel_counts
from segkit.evaluation.counts import Layers
from segkit.task import Task

DIRECTIONS = 2
"""Down and right. Up and left exchange the two masks, which changes neither Dice nor IoU."""


def count_moved(layers: Layers) -> np.ndarray:
    """Compare the truth with itself moved by one pixel.

    Args:
        layers: The layers of one image.

    Returns:
        Pixel counts for each direction, (DIRECTIONS, 4, C) int64. Only pixels that have a label in
        both masks are counted.
    """
    down = (np.s_[1:], np.s_[:-1])
    right = (np.s_[:, 1:], np.s_[:, :-1])
    counts = []
    for here, there in (down, right):
        moved = Layers([], [], [])
        for truth, known in zip(layers.truth, layers.known, strict=True):
            both = known[here] & known[there]
            moved.truth.append(truth[here] & both)
            moved.predicted.append(truth[there] & both)
            moved.known.append(both)
        counts.append(pixel_counts.count_layers(moved))
    return np.stack(counts)


def ceiling_scores(task: Task, counts: np.ndarray) -> dict[str, Any]:
    """Return the scores of a ceiling.

    Args:
        task: The task.
        counts: Pixel counts of all images for each comparison, (comparisons, 4, C).

    Returns:
        "dice" and "iou", the means over foreground classes, and "classes" with "dice" and "iou" of
        each foreground class, all of them means over the comparisons. None where there is no score.
    """
    means = [pixel_counts.means(task, each) for each in counts]
    dice = [each["dice_foreground"] for each in means]
    iou = [each["iou_foreground"] for each in means]
    ratios = [pixel_counts.ratios(each) for each in counts]
    classes = {}
    for label in task.foreground:
        of_class = {}
        for name in ("dice", "iou"):
            values = np.array([each[name][label] for each in ratios])
            of_class[name] = pixel_counts.as_number_or_none(values.mean())
        classes[task.classes[label]] = of_class
    return {
        "dice": pixel_counts.as_number_or_none(float(np.mean(dice))),
        "iou": pixel_counts.as_number_or_none(float(np.mean(iou))),
        "classes": classes,
    }
