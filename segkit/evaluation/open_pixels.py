"""Pixels whose truth is open: how many there are, and the lowest and highest Dice that they allow.

A pixel is open for a class if the true mask does not say whether it has the class: it is unlabelled
(VOID), or several classes are possible. All other scores leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segkit.evaluation.counts import Layers, as_number_or_none, ratios
from segkit.task import Task
from segkit.task.layers import layer_of

ALL_PIXELS = "all pixels"
"""What is scored if every pixel has a label."""
FEW_LABELLED = 0.5
"""Share of labelled pixels below which most outlines and objects have no label."""


def count_open(task: Task, layers: Layers, mask: np.ndarray) -> np.ndarray:
    """Count the open pixels of one image, per class.

    Args:
        task: The task of the masks.
        layers: The layers of the image.
        mask: The predicted mask as `Task.decode` returns it.

    Returns:
        (2, C) int64: the open pixels that are predicted to have the class, and the other ones.
    """
    counts = []
    for label, known in enumerate(layers.known):
        open_pixels = known.size - int(np.count_nonzero(known))
        chosen = 0
        if open_pixels:
            chosen = int(np.count_nonzero(layer_of(task, mask, label) & ~known))
        counts.append((chosen, open_pixels - chosen))
    return np.array(counts, np.int64).T


def dice_bounds(counts: np.ndarray, open_pixels: np.ndarray) -> np.ndarray:
    """Return the Dice of each class if all open pixels are predicted wrong, and if all are right.

    Args:
        counts: (4, C), from `counts.count`.
        open_pixels: (2, C), from `count_open`.

    Returns:
        (2, C) float64; NaN where a class would be neither in the truth nor in the prediction.
    """
    chosen, others = open_pixels
    wrong = counts + np.stack([0 * chosen, chosen, others, 0 * chosen])
    right = counts + np.stack([chosen, 0 * chosen, 0 * chosen, others])
    return np.stack([ratios(wrong)["dice"], ratios(right)["dice"]])


def open_scores(task: Task, counts: np.ndarray, open_pixels: np.ndarray) -> dict[str, Any]:
    """Return the share of known pixels and the bounds of Dice of each class.

    Args:
        task: The task of the counts.
        counts: (4, C), from `counts.count`, summed over images.
        open_pixels: (2, C), from `count_open`, summed over images.

    Returns:
        By the name of each class "known", the share of the pixels that are not open, and
        "dice_bounds", the lowest and the highest Dice. None where there are no pixels.
    """
    bounds = dice_bounds(counts, open_pixels)
    known = counts.sum(axis=0)
    total = known + open_pixels.sum(axis=0)
    scores: dict[str, Any] = {}
    for label, name in enumerate(task.classes):
        share = None
        if total[label]:
            share = float(known[label] / total[label])
        ends = [as_number_or_none(bound) for bound in bounds[:, label]]
        scores[name] = {"known": share, "dice_bounds": ends}
    return scores


def labelled_share(report: Mapping[str, Any]) -> float | None:
    """Return the share of the pixels that are labelled, as the mean over the classes.

    Args:
        report: A report, whose "open" has the share of each class.

    Returns:
        From 0 to 1; None if the report does not say it.
    """
    shares = []
    for values in report.get("open", {}).values():
        if values["known"] is not None:
            shares.append(values["known"])
    if not shares:
        return None
    return float(sum(shares) / len(shares))


def is_sparse(report: Mapping[str, Any]) -> bool:
    """Return whether less than half of the scored pixels are labelled, as with strokes.

    Args:
        report: A report.
    """
    share = labelled_share(report)
    return share is not None and share < FEW_LABELLED


def scored_pixels(report: Mapping[str, Any]) -> str:
    """Return the pixels that are scored in words, such as "the 2.9 % of the pixels with a label".

    Args:
        report: A report.

    Returns:
        The words; `ALL_PIXELS` if all are labelled.
    """
    share = labelled_share(report)
    if share is None or share == 1:
        return ALL_PIXELS
    return f"the {100 * share:.3g} % of the pixels that are labelled"
