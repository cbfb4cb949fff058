"""What an evaluation keeps of the images: scores of each image, and sums over images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segkit.evaluation.ceiling import DIRECTIONS, count_moved
from segkit.evaluation.confusion import confusion_labels, count_confusion
from segkit.evaluation.counts import count, split_layers
from segkit.evaluation.error_causes import find_causes_in_layers, no_errors
from segkit.evaluation.image_facts import image_facts
from segkit.evaluation.image_scores import BoundarySettings, ImageScores, score_layers
from segkit.evaluation.open_pixels import count_open
from segkit.evaluation.parents import count_parents
from segkit.evaluation.probability_curves import ProbabilityCurves
from segkit.task import VOID, Task
from segkit.task.layers import decided_pixels


class Scene(NamedTuple):
    """One image with its masks."""

    name: str
    image: np.ndarray
    """(H, W, channels)."""
    target: np.ndarray
    """The true mask as `Task.encode` returns it."""
    mask: np.ndarray
    """The predicted mask as `Task.decode` returns it."""
    second: np.ndarray | None = None
    """The mask of a second annotator as `Task.encode` returns it."""
    spacing: tuple[float, float] | None = None
    """Height and width of a pixel; None for those of the `BoundarySettings`."""
    probabilities: np.ndarray | None = None
    """(H, W, C), with the temperature of the run; None if they are unknown."""
    drawn: np.ndarray | None = None
    """The true mask for calibration; None for `target`."""


class Measurements:
    """Counts and scores of images, which are added one after the other.

    The images themselves are not kept.

    Args:
        task: The task of all masks.
        boundary: How boundary scores are measured; None leaves them out.
    """

    def __init__(self, task: Task, boundary: BoundarySettings | None = None) -> None:
        self.task = task
        self.boundary = boundary
        self.images: list[ImageScores] = []
        self.facts: list[dict[str, float]] = []
        """From `image_facts`, of each image."""
        self.causes = no_errors(task)
        self.curves = ProbabilityCurves(task)
        names = confusion_labels(task)
        self.confusion = np.zeros((len(names), len(names)), np.int64)
        self.moved = np.zeros((DIRECTIONS, 4, task.channels), np.int64)
        """Pixel counts of the truth against itself moved by one pixel."""
        self.open = np.zeros((2, task.channels), np.int64)
        """Open pixels, from `count_open`."""
        self.parents = np.zeros((4, len(task.parents)), np.int64)
        """Pixel counts of the parents of classes."""
        self.annotators = np.zeros((4, task.channels), np.int64)
        """Pixel counts of the second annotator's masks against the true masks."""
        self.twice = 0
        """Number of images with a mask of a second annotator."""

    def add(self, scene: Scene, group: str = "") -> None:
        """Score an image.

        Args:
            scene: The image with its masks.
            group: Group of the image; empty if there are no groups.
        """
        layers = split_layers(self.task, scene.target, scene.mask)
        boundary = self.boundary
        if boundary is not None and scene.spacing is not None:
            boundary = boundary._replace(spacing=scene.spacing)
        self.images.append(score_layers(self.task, scene.name, layers, group, boundary))
        self.facts.append(image_facts(self.task, scene.image, scene.target))
        self.causes = self.causes.plus(find_causes_in_layers(self.task, layers))
        self.confusion += count_confusion(self.task, layers)
        self.moved += count_moved(layers)
        if scene.probabilities is not None:
            self.curves.add(scene.target, scene.probabilities, scene.drawn)
        self.open += count_open(self.task, layers, scene.mask)
        self.parents += count_parents(self.task, scene.target, scene.mask)
        if scene.second is not None:
            self.annotators += _compare_annotators(self.task, scene.target, scene.second)
            self.twice += 1

    def counts(self) -> np.ndarray:
        """Return the pixel counts of each image, (images, 4, C) int64."""
        if not self.images:
            return np.zeros((0, 4, self.task.channels), np.int64)
        return np.stack([image.counts for image in self.images])


def _compare_annotators(task: Task, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return pixel counts (4, C) of two encoded masks, without what one of them leaves open."""
    target = np.where(decided_pixels(task, second), first, np.uint8(VOID))
    mask = second.reshape(first.shape[: 2 + task.layered])
    return count(task, target, mask)
