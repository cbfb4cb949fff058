"""Where Dice was lost: every wrong pixel has exactly one cause.

For one class, 1 - Dice = wrong / (2 * right + wrong), where `wrong` counts the false positives and
false negatives and `right` the true positives. The wrong pixels are split into causes, so the
losses of all causes add up to 1 - Dice exactly.

A wrong pixel gets the first cause that applies:

1. *confusion* with class k, or *missed* or *invented*, if its whole object is wrong. A true object
   without a single predicted pixel of its class is missed; a predicted object without a single true
   pixel of its class is invented. Where another foreground class stands in the other mask instead,
   the pixel is confused with that class.
2. *boundary*, if it lies within the tolerance of the true outline of the class.
3. *confusion* with class k, if another foreground class stands in the other mask.
4. *rest*: holes, missing halves, objects that run into each other.

Objects are connected pixels of one class (8 neighbours). Pixels without a label are left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from segkit.evaluation.counts import Layers, split_layers
from segkit.task import Task

TOLERANCE = 2.0
"""Pixels within this distance of the true outline are boundary errors."""

CONFUSED = "confused with "
"""Begins the name of a cause; the name of the other class follows."""


class ErrorCauses(NamedTuple):
    """Wrong pixels of each class by their cause; C is the number of classes of the task."""

    boundary: np.ndarray
    """(C,) int64."""
    missed: np.ndarray
    """(C,) int64."""
    invented: np.ndarray
    """(C,) int64."""
    confused: np.ndarray
    """(C, C) int64: wrong pixels of the class of the row that involve the class of the column."""
    rest: np.ndarray
    """(C,) int64."""

    def total(self) -> np.ndarray:
        """Return the number of wrong pixels of each class, (C,) int64."""
        return self.boundary + self.missed + self.invented + self.confused.sum(axis=1) + self.rest

    def plus(self, other: ErrorCauses) -> ErrorCauses:
        """Return the sums of two images, or of two sets of images."""
        return ErrorCauses(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def no_errors(task: Task) -> ErrorCauses:
    """Return counts of zero, to which those of images are added."""
    classes = task.channels
    zeros = [np.zeros(classes, np.int64) for _ in range(4)]
    confused = np.zeros((classes, classes), np.int64)
    return ErrorCauses(zeros[0], zeros[1], zeros[2], confused, zeros[3])


def find_causes(
    task: Task, target: np.ndarray, mask: np.ndarray, tolerance: float = TOLERANCE
) -> ErrorCauses:
    """Count the wrong pixels of one image by their cause.

    Args:
        task: The task of both masks.
        target: The true mask as `Task.encode` returns it; VOID where it has no label.
        mask: The predicted mask as `Task.decode` returns it, of the same size.
        tolerance: Largest distance of a boundary error from the true outline, in pixels.

    Returns:
        The counts of every foreground class; those of a background class are 0.
    """
    return find_causes_in_layers(task, split_layers(task, target, mask), tolerance)


def find_causes_in_layers(task: Task, layers: Layers, tolerance: float = TOLERANCE) -> ErrorCauses:
    """Do the same as `find_causes` with the layers of an image."""
    causes = no_errors(task)
    for label in task.foreground:
        if np.array_equal(layers.truth[label], layers.predicted[label]):
            continue
        _add_class(causes, task, label, layers, tolerance)
    return causes


def loss_by_cause(task: Task, counts: np.ndarray, causes: ErrorCauses) -> list[dict[str, float]]:
    """Express wrong pixels as losses of Dice.

    Args:
        task: The task.
        counts: Pixel counts of the same images as `segkit.evaluation.counts.count` returns them,
            (4, C) int64.
        causes: The causes of the wrong pixels.

    Returns:
        For each foreground class the loss of each cause ("boundary", "missed", "invented",
        "confused with NAME", "rest"). They add up to 1 - Dice. The dict of a class that occurs
        neither in the true nor in the predicted masks is empty.
    """
    losses = []
    for label in task.foreground:
        true_positives, false_positives, false_negatives = counts[:3, label]
        size = 2 * true_positives + false_positives + false_negatives
        losses.append(_losses_of_class(task, label, causes, int(size)) if size else {})
    return losses


def _losses_of_class(task: Task, label: int, causes: ErrorCauses, size: int) -> dict[str, float]:
    losses = {
        "boundary": causes.boundary[label] / size,
        "missed": causes.missed[label] / size,
        "invented": causes.invented[label] / size,
    }
    for other in task.foreground:
        if other != label:
            losses[CONFUSED + task.classes[other]] = causes.confused[label, other] / size
    losses["rest"] = causes.rest[label] / size
    return {cause: float(loss) for cause, loss in losses.items()}


def _add_class(
    causes: ErrorCauses,
    task: Task,
    label: int,
    layers: Layers,
    tolerance: float,
) -> None:
    """Add the wrong pixels of one class of one image to `causes`."""
    true_layer = layers.truth[label]
    predicted_layer = layers.predicted[label]
    missed = _objects_apart(true_layer, predicted_layer)
    invented = _objects_apart(predicted_layer, true_layer)
    wrong = true_layer ^ predicted_layer
    near = wrong & ~missed & ~invented & _near_outline(true_layer, tolerance)
    unexplained = wrong & ~near
    for other in task.foreground:
        if other == label:
            continue
        true_other = layers.truth[other]
        predicted_other = layers.predicted[other]
        instead = (true_other ^ predicted_other) & unexplained
        instead &= np.where(true_layer, predicted_other, true_other)
        causes.confused[label, other] += np.count_nonzero(instead)
        unexplained &= ~instead
    causes.boundary[label] += np.count_nonzero(near)
    causes.missed[label] += np.count_nonzero(unexplained & missed)
    causes.invented[label] += np.count_nonzero(unexplained & invented)
    causes.rest[label] += np.count_nonzero(unexplained & ~missed & ~invented)


def _objects_apart(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the objects of a mask (H, W) bool that share no pixel with another mask."""
    number, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    apart = np.ones(number, bool)
    apart[0] = False
    apart[numbers[other]] = False
    return apart[numbers]


def _near_outline(mask: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the pixels within `tolerance` of a pixel on the other side of a mask's outline."""
    radius = math.floor(tolerance)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= tolerance**2).astype(np.uint8)
    inside = mask.astype(np.uint8)
    near_inside = cv2.dilate(inside, disc)
    near_outside = cv2.dilate(1 - inside, disc)
    return np.where(mask, near_outside, near_inside).astype(bool)
