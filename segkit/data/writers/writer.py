"""The base class of formats that `segkit convert` writes, and the objects of a mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from segkit.data.sources.source import Sample
from segkit.errors import DataError
from segkit.io.images import write_image
from segkit.task import VOID, Task
from segkit.task.layers import as_planes, layer_of

FOLDERS = {"train": "train", "validation": "val", "test": "test"}
"""The folder of each part."""


class LabelledObject(NamedTuple):
    """A connected piece of a class."""

    label: str
    left: int
    top: int
    pixels: np.ndarray
    """(H, W) bool, in the smallest box around the piece."""


class Writer(ABC):
    """Writes the samples of all parts into a folder.

    Args:
        task: The task of the masks.
        folder: The folder.
        parts: The parts that have samples.
    """

    def __init__(self, task: Task, folder: Path, parts: Sequence[str]) -> None:
        self.task = task
        self.folder = folder
        self.parts = parts
        self.labels = [task.classes[index] for index in task.foreground]

    @abstractmethod
    def add(self, sample: Sample, part: str) -> None:
        """Write a sample.

        Raises:
            DataError: If the format cannot store its mask.
        """

    @abstractmethod
    def finish(self) -> dict[str, Any]:
        """Write what describes all samples, and return the section `data` that reads them."""

    @property
    def losses(self) -> list[str]:
        """What the format could not store: a sentence each."""
        return []

    def write_image(self, folder: Path, sample: Sample) -> Path:
        """Write an image and return its path."""
        return write_image(folder, sample.name, sample.image)


def encoded(task: Task, sample: Sample) -> np.ndarray:
    """Return the mask of a sample as its target; raises `DataError` if it does not fit."""
    return task.encode(sample.mask, sample.name, void=VOID)


def class_layers_of(task: Task, target: np.ndarray) -> dict[str, np.ndarray]:
    """Return the pixels (H, W) bool of each foreground class in a mask of `encoded`, by name."""
    return {task.classes[index]: layer_of(task, target, index) for index in task.foreground}


def objects_of(task: Task, target: np.ndarray) -> Iterator[LabelledObject]:
    """Yield the connected pieces of each foreground class; pixels that touch at corners connect.

    Args:
        task: The task.
        target: The mask as `encoded` returns it.
    """
    for index in task.foreground:
        layer = layer_of(task, target, index).astype(np.uint8)
        count, numbers, boxes, _ = cv2.connectedComponentsWithStats(layer, connectivity=8)
        for number in range(1, count):
            left, top, width, height = boxes[number, :4].tolist()
            box = numbers[top : top + height, left : left + width]
            yield LabelledObject(task.classes[index], left, top, box == number)


def unlabelled_pixels(task: Task, target: np.ndarray, name: str, tool: str) -> np.ndarray:
    """Return the pixels without a label, for formats in which a pixel has one for all classes.

    Args:
        task: The task.
        target: The mask as `encoded` returns it.
        name: The name of the sample, for the message.
        tool: The format, for the message.

    Returns:
        (H, W) bool.

    Raises:
        DataError: If a pixel is unlabelled for some of its classes, and absent in others.
    """
    planes = as_planes(target)
    anywhere: np.ndarray = (planes == VOID).any(axis=-1)
    is_absent = (planes == 0) & anywhere[..., None]
    if task.layered and is_absent.any():
        raise DataError(
            f"{name}: {int(is_absent.any(axis=-1).sum())} pixels are unlabelled for one class and "
            f"labelled as absent for another, which {tool} cannot store; use --to coco, folder or "
            f"tfds",
            "void-partly",
        )
    return anywhere
