"""Cuts validation images into windows, and summarises what their masks contain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from segkit.data.batches.cache import Samples
from segkit.system.replicas import Replicas
from segkit.system.threads import prefetch
from segkit.task import Task
from segkit.task.layers import labelled_pixels, layers_of
from segkit.task.soft import hard_target

LARGEST = 1024
"""Largest height and width, in pixels, of a validation image that is not cut."""


class Window(NamedTuple):
    """A rectangle of an image."""

    name: str
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class MaskSummary(NamedTuple):
    """Image sizes, and the classes and labels that the masks contain."""

    sizes: np.ndarray
    """Height and width of each image, (N, 2) int64, in pixels."""
    classes: np.ndarray
    """Whether any mask contains each class, (C,) bool."""
    labelled: bool
    """Whether any pixel is labelled."""


def windows_of(name: str, height: int, width: int, largest: int = LARGEST) -> list[Window]:
    """Cut an image into windows of nearly equal size that contain each pixel once.

    Args:
        name: Name of the image.
        height: Its height, in pixels.
        width: Its width, in pixels.
        largest: Largest height and width of a window, in pixels.

    Returns:
        The windows, row by row.

    >>> [window.shape for window in windows_of("a", 30, 25, largest=20)]
    [(15, 13), (15, 12), (15, 13), (15, 12)]
    """
    windows = []
    for rows in _divide(height, largest):
        for columns in _divide(width, largest):
            windows.append(Window(name, rows, columns))
    return windows


def _divide(length: int, largest: int) -> list[slice]:
    number = -(-length // largest)
    edges = [-(-i * length // number) for i in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def summarise_masks(
    samples: Samples, names: Sequence[str], task: Task, replicas: Replicas
) -> MaskSummary:
    """Summarise the masks of some images. Each process reads its share of them.

    Args:
        samples: Reads an image and its encoded target by name.
        names: Names of the images.
        task: The task that encoded the targets.
        replicas: The processes that take part.

    Returns:
        The same summary in every process.
    """
    found = np.zeros((len(names), 3 + task.channels), np.int64)
    own = range(replicas.process, len(names), replicas.processes)
    targets = prefetch(lambda index: samples(names[index])[1], own)
    for index, target in zip(own, targets, strict=True):
        has_class = [layer.any() for layer in layers_of(task, hard_target(task, target))]
        found[index] = [*target.shape[:2], labelled_pixels(target).any(), *has_class]
    found = replicas.largest(found)
    return MaskSummary(found[:, :2], found[:, 3:].max(axis=0) > 0, bool(found[:, 2].any()))
