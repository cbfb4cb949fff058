"""Scores of single images, and the table scores.csv that holds them.

An object is a set of connected pixels of one class (8 neighbours). A true object is *found* if at
least one of its pixels is predicted as its class, otherwise it is *missed*. A predicted object
without a true pixel of its class is *invented*. Pixels without a label are left out everywhere.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from segkit.evaluation import counts as pixel_counts
from segkit.evaluation.surfaces import BAND, TOLERANCE, BoundaryScores, boundary_scores
from segkit.io.atomic import named_by_user
from segkit.task import Task

OVERLAPS = ("iou", "dice", "precision", "recall")


class BoundarySettings(NamedTuple):
    """How boundary scores are measured."""

    spacing: tuple[float, float] = (1.0, 1.0)
    """Height and width of a pixel in `unit`; the median if the images differ."""
    tolerance: float = TOLERANCE
    """Of the normalised surface Dice, in the unit of the spacing."""
    band: float = BAND
    """Width of the band of boundary IoU, as a share of the diagonal."""
    unit: str | None = None
    """The unit of distances, "pixels" or such as "mm"; None if it has no name."""
    varies: bool = False
    """Whether images have pixels of different sizes, which are then measured each by its own."""


class ObjectCounts(NamedTuple):
    """Objects of one class in one image."""

    true: int
    found: int
    missed: int
    invented: int


class ImageScores(NamedTuple):
    """What is known about the prediction of one image."""

    name: str
    group: str
    """The group that the image belongs to; its name if there are no groups."""
    counts: np.ndarray
    """Pixel counts as `segkit.evaluation.counts.count` returns them, (4, C) int64."""
    objects: tuple[ObjectCounts, ...]
    """Of each foreground class, in the order of `Task.foreground`."""
    boundaries: tuple[BoundaryScores, ...]
    """Of each foreground class; empty if they were not asked for."""
    distance_unit: str | None = None
    """The unit of the distances in `boundaries`; None if it has no name."""


def score_image(
    task: Task,
    name: str,
    target: np.ndarray,
    mask: np.ndarray,
    group: str = "",
    boundary: BoundarySettings | None = None,
) -> ImageScores:
    """Compare the predicted with the true mask of one image.

    Args:
        task: The task of both masks.
        name: Name of the image.
        target: The true mask as `Task.encode` returns it; VOID where it has no label.
        mask: The predicted mask as `Task.decode` returns it, of the same size.
        group: Group of the image; empty if there are no groups.
        boundary: How boundary scores are measured; None leaves them out.

    Returns:
        The counts and scores of every foreground class.
    """
    layers = pixel_counts.split_layers(task, target, mask)
    return score_layers(task, name, layers, group, boundary)


def score_layers(
    task: Task,
    name: str,
    layers: pixel_counts.Layers,
    group: str = "",
    boundary: BoundarySettings | None = None,
) -> ImageScores:
    """Do the same as `score_image` with the layers of an image."""
    objects = []
    boundaries = []
    for label in task.foreground:
        truth = layers.truth[label]
        predicted = layers.predicted[label]
        objects.append(count_objects(truth, predicted))
        if boundary is not None:
            scores = boundary_scores(
                truth, predicted, boundary.spacing, boundary.tolerance, boundary.band
            )
            boundaries.append(scores)
    return ImageScores(
        name=name,
        group=group or name,
        counts=pixel_counts.count_layers(layers),
        objects=tuple(objects),
        boundaries=tuple(boundaries),
        distance_unit=boundary.unit if boundary is not None else None,
    )


def count_objects(truth: np.ndarray, predicted: np.ndarray) -> ObjectCounts:
    """Count the true and predicted objects of one class.

    Args:
        truth: True mask, (H, W) bool.
        predicted: Predicted mask, (H, W) bool.

    Returns:
        The numbers of true, found, missed and invented objects.

    >>> count_objects(np.array([[True, False, True]]), np.array([[True, False, False]]))
    ObjectCounts(true=2, found=1, missed=1, invented=0)
    """
    true_objects, found = _overlapping(truth, predicted)
    predicted_objects, right = _overlapping(predicted, truth)
    return ObjectCounts(
        true=true_objects,
        found=found,
        missed=true_objects - found,
        invented=predicted_objects - right,
    )


def _overlapping(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Return the number of objects of a mask, and of those that share a pixel with another mask."""
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    touched = np.zeros(count, bool)
    touched[numbers[other & mask]] = True
    return count - 1, int(touched.sum())


def mean_overlaps(task: Task, scores: ImageScores) -> dict[str, float]:
    """Return the means of IoU, Dice, precision and recall over the foreground classes of an image.

    A class without the score is left out; a mean is NaN if no class has the score.
    """
    ratios = pixel_counts.ratios(scores.counts)
    foreground = list(task.foreground)
    return {name: pixel_counts.mean_known(ratios[name][foreground]) for name in OVERLAPS}


def mean_boundaries(scores: ImageScores) -> BoundaryScores:
    """Return the means of the boundary scores over the foreground classes that have them."""
    columns = np.array(scores.boundaries, dtype=float).T
    return BoundaryScores(*(pixel_counts.mean_known(column) for column in columns))


def worst_first(task: Task, scores: Sequence[ImageScores]) -> list[ImageScores]:
    """Return the images by their mean Dice, the lowest first and those without a score last."""

    def key(image: ImageScores) -> tuple[bool, float, str]:
        dice = mean_overlaps(task, image)["dice"]
        unknown = math.isnan(dice)
        return unknown, 0.0 if unknown else dice, image.name

    return sorted(scores, key=key)


def as_rows(task: Task, scores: Sequence[ImageScores]) -> list[dict[str, str | int | float]]:
    """Return the rows of scores.csv.

    Args:
        task: The task of the masks.
        scores: The images, in the order of the rows.

    Returns:
        One dict for each image: "image", "group", the means ("mean dice", ...) and the scores of
        each foreground class ("CLASS dice", ...). A score that does not exist is "".
    """
    return [_row(task, image) for image in scores]


def write_table(path: Path, task: Task, scores: Sequence[ImageScores]) -> None:
    """Write scores.csv: UTF-8, one row for each image, worst first.

    Args:
        path: The file; an existing one is replaced.
        task: The task of the masks.
        scores: One image or more.
    """
    rows = as_rows(task, worst_first(task, scores))
    with (
        named_by_user(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(task: Task, image: ImageScores) -> dict[str, str | int | float]:
    row: dict[str, str | int | float] = {"image": image.name, "group": image.group}
    for name, value in mean_overlaps(task, image).items():
        row[f"mean {name}"] = _cell(value)
    if image.boundaries:
        for name, value in mean_boundaries(image)._asdict().items():
            row[f"mean {name}"] = _cell(value)
        row["distance unit"] = image.distance_unit or ""
    ratios = pixel_counts.ratios(image.counts)
    true_positives, false_positives, false_negatives = image.counts[:3]
    for number, label in enumerate(task.foreground):
        of_class = task.classes[label]
        for name in OVERLAPS:
            row[f"{of_class} {name}"] = _cell(ratios[name][label])
        if image.boundaries:
            for name, value in image.boundaries[number]._asdict().items():
                row[f"{of_class} {name}"] = _cell(value)
        row[f"{of_class} pixels_true"] = int(true_positives[label] + false_negatives[label])
        row[f"{of_class} pixels_predicted"] = int(true_positives[label] + false_positives[label])
        for name, count in image.objects[number]._asdict().items():
            row[f"{of_class} objects_{name}"] = count
    return row


def _cell(value: float) -> str | float:
    return "" if math.isnan(value) else round(float(value), 6)
