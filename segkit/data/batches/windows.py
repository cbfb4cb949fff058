"""Validation images cut into windows that cover every pixel once, and what their masks show. NumPy only."""

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

LARGEST = 1024
"""Pixels a side up to which a validation image is taken whole."""


class Window(NamedTuple):
    """A part of an image."""

    name: str
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class Shown(NamedTuple):
    """What the masks of some images show."""

    sizes: np.ndarray
    """Height and width of each image, (N, 2) int64."""
    classes: np.ndarray
    """Whether any mask shows each class, (C,) bool."""
    labelled: bool
    """Whether any pixel is labelled."""


def windows_of(name: str, height: int, width: int, largest: int = LARGEST) -> list[Window]:
    """Return windows of nearly equal size, `largest` pixels a side at most, that hold each pixel of an image once.

    >>> [window.shape for window in windows_of("a", 30, 25, largest=20)]
    [(15, 13), (15, 12), (15, 13), (15, 12)]
    """
    return [
        Window(name, rows, columns)
        for rows in _pieces(height, largest)
        for columns in _pieces(width, largest)
    ]


def _pieces(length: int, largest: int) -> list[slice]:
    number = -(-length // largest)
    edges = [-(-i * length // number) for i in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def look_at(samples: Samples, names: Sequence[str], task: Task, replicas: Replicas) -> Shown:
    """Return what the masks of all images show; of several processes each reads its share of the images.

    Args:
        samples: Reads an image and its encoded target by name.
        names: Names of the images.
        task: The task that encoded the targets.
        replicas: The processes that take part.

    Returns:
        The same in every process.
    """
    found = np.zeros((len(names), 3 + task.channels), np.int64)
    own = range(replicas.process, len(names), replicas.processes)
    targets = prefetch(lambda index: samples(names[index])[1], own)
    for index, target in zip(own, targets, strict=True):
        shown = [layer.any() for layer in layers_of(task, target)]
        found[index] = [*target.shape[:2], labelled_pixels(target).any(), *shown]
    found = replicas.largest(found)
    return Shown(found[:, :2], found[:, 3:].max(axis=0) > 0, bool(found[:, 2].any()))
