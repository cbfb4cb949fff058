"""Batches with two views of each image: strongly augmented for the student, weakly for the teacher.

A batch is a pair of dictionaries. Without images of `train.unlabelled` the labelled images
themselves are the strong view.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from segkit.data.batches.cache import Batch
from segkit.task.layers import labelled_pixels

IMAGES = "images"
"""Labelled images, augmented, (B, H, W, bands)."""
STRONG = "strong"
"""Augmented images without masks, (U, H, W, bands)."""
WEAK = "weak"
"""The last of these again without changes of intensities: the same pixels show the same places."""
TARGET = "target"
"""The encoded target of the labelled images."""
COUNTED = "counted"
"""1 inside the images without masks, otherwise 0, (U, H, W) uint8."""
ViewBatch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Images by name and targets by name."""
AnyBatch = Batch | ViewBatch
"""A batch of any training."""


class Maker(Protocol):
    """Makes batches of augmented images; any number of threads may call it."""

    def __call__(self, step: int) -> Batch:
        """Return the images and targets of a step."""

    def views(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the images of a step, the same without changes of intensities, and targets."""

    def as_needed(self, targets: np.ndarray) -> np.ndarray:
        """Return the targets of `views` in the form that the losses need."""


class ViewMaker:
    """Makes the batches of a training with the consistency term.

    Args:
        labelled: Makes the batches of labelled images.
        others: Makes the batches of images without masks, whose targets are VOID outside of the
            images; None if the unlabelled pixels of the labelled images are used.
    """

    def __init__(self, labelled: Maker, others: Maker | None) -> None:
        self.labelled = labelled
        self.others = others

    def __call__(self, step: int) -> ViewBatch:
        """Return the batch of a step."""
        if self.others is None:
            images, weak, target = self.labelled.views(step)
            return {IMAGES: images, WEAK: weak}, {TARGET: self.labelled.as_needed(target)}
        images, target = self.labelled(step)
        strong, weak, outside = self.others.views(step)
        counted = np.stack([labelled_pixels(one) for one in outside]).astype(np.uint8)
        return {IMAGES: images, STRONG: strong, WEAK: weak}, {TARGET: target, COUNTED: counted}
