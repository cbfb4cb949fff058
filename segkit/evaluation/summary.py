"""The report of an evaluation, as it is in scores.json.

It has the keys of `segkit.evaluation.counts.score_report`, whose scores are those of all pixels
together, and:

- "open": for each class "known", the share of the pixels of which the truth says whether they have
  the class, and "dice_bounds", the Dice if all other pixels were predicted wrong, and if all were
  right. They are equal where everything is known.
- "parents", if the task has any: the scores of each parent, from `parents.parent_scores`.
- "groups": number of groups, or None if there are none.
- "intervals": 95 % intervals of the scores in "mean" and "classes", in the same layout. Each is
  {"low", "high", "lowest", "highest", "groups"}. "low" and "high" are None below 20 groups;
  "lowest" and "highest" are the scores of single groups. Without groups every image is a group.
- "per_image": {"mean", "classes"}: means of the scores of single images, each with "value" and its
  interval. With boundary scores also "hd95", "average_surface_distance", "surface_dice" and
  "boundary_iou".
- "lost": 1 - Dice of each foreground class by cause: "boundary", "missed", "invented",
  "confused with CLASS" and "rest". They add up to 1 - Dice.
- "ceiling": {"moved": ...}, the "dice" and "iou" of the true masks against themselves moved by one
  pixel; with the masks of a second annotator also "annotators".
- "worst": up to ten images with the lowest mean Dice, each {"image", "dice"}.
- "stands_out": one sentence about the images with the lowest scores.
- "confusion": {"classes", "pixels"}: a row for each true class, a column for each predicted one.
- "reliability": for each foreground class {"error", "bins"}: the expected calibration error of its
  probabilities, and ten bins {"count", "probability", "true"}: number of pixels, mean probability
  and share of true pixels, None in an empty bin.
- "thresholds", in tasks with thresholds: for each class {"chosen", "thresholds", "precision",
  "recall", "dice"}: the threshold in use, and the scores at 99 thresholds, None where undefined.
- "boundary", with boundary scores: {"spacing", "tolerance", "band", "unit", "varies"}. "unit" is
  that of distances: "pixels", "mm", ..., or None for the unit that `data.pixel_size` does not name.
  "spacing" is the height and width of a pixel, the median if "varies" is true.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from segkit.evaluation import counts as pixel_counts
from segkit.evaluation.ceiling import ceiling_scores
from segkit.evaluation.confusion import confusion_labels
from segkit.evaluation.counts import as_number_or_none
from segkit.evaluation.error_causes import loss_by_cause
from segkit.evaluation.image_facts import describe, find_difference
from segkit.evaluation.image_scores import (
    OVERLAPS,
    ImageScores,
    mean_boundaries,
    mean_overlaps,
    worst_first,
)
from segkit.evaluation.intervals import (
    Estimate,
    Score,
    group_numbers,
    per_image_scores,
    pooled_scores,
)
from segkit.evaluation.measurements import Measurements
from segkit.evaluation.open_pixels import open_scores
from segkit.evaluation.parents import parent_scores
from segkit.evaluation.probability_curves import ProbabilityCurves
from segkit.evaluation.surfaces import BoundaryScores
from segkit.task import Task

DISTANCES = ("hd95", "average_surface_distance")
"""The scores that are no shares."""
WORST = 10
"""Number of images that a report names."""


def build_report(measured: Measurements, has_groups: bool) -> dict[str, Any]:
    """Return the report of an evaluation.

    Args:
        measured: The counts and scores of all images.
        has_groups: Whether the images belong to groups.

    Returns:
        The report, whose keys the docstring of this file lists.
    """
    task = measured.task
    report = scores_of_images(task, measured.images, has_groups)
    if not measured.images:
        return report
    report["open"] = open_scores(task, measured.counts().sum(axis=0), measured.open)
    if task.parents:
        report["parents"] = parent_scores(task, measured.parents)
    names = [image.group for image in measured.images]
    if measured.boundary is not None:
        report["boundary"] = measured.boundary._asdict()
    report["lost"] = _losses(measured, measured.counts().sum(axis=0))
    report["ceiling"] = _ceiling(measured)
    report["stands_out"] = _stands_out(measured, names if has_groups else [])
    report["confusion"] = {
        "classes": confusion_labels(task),
        "pixels": measured.confusion.tolist(),
    }
    return report | _curves(measured.curves)


def _curves(curves: ProbabilityCurves) -> dict[str, Any]:
    """Return what follows from the probabilities; nothing if they are unknown."""
    if not curves.images:
        return {}
    found: dict[str, Any] = {"reliability": curves.reliability()}
    thresholds = curves.thresholds()
    if thresholds is not None:
        found["thresholds"] = thresholds
    return found


def scores_of_images(task: Task, images: Sequence[ImageScores], has_groups: bool) -> dict[str, Any]:
    """Return those keys of the report that follow from the scores of single images.

    Args:
        task: The task of the masks.
        images: The scored images.
        has_groups: Whether the images belong to groups.

    Returns:
        The keys of `segkit.evaluation.counts.score_report`; with one image or more also "groups",
        "intervals", "per_image" and "worst".
    """
    counts = np.zeros((0, 4, task.channels), np.int64)
    if images:
        counts = np.stack([image.counts for image in images])
    report = pixel_counts.score_report(task, counts.sum(axis=0), len(images))
    if not images:
        return report
    groups = group_numbers([image.group for image in images])
    report["groups"] = int(groups.max()) + 1 if has_groups else None
    report["intervals"] = _intervals(task, counts, groups)
    report["per_image"] = _per_image(task, images, groups)
    report["worst"] = _worst(task, images)
    return report


def _intervals(task: Task, counts: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return the intervals of the scores of the summed counts."""
    scores: dict[str, Score] = {}
    for name in ("iou_foreground", "dice_foreground", "iou_with_background"):
        scores[name] = partial(_mean_score, task, name)
    for label in range(task.channels):
        for name in OVERLAPS:
            scores[f"{label} {name}"] = partial(_class_score, label, name)
    estimates = pooled_scores(counts, groups, scores)
    classes = {}
    for label, of_class in enumerate(task.classes):
        classes[of_class] = {name: ends_of(estimates[f"{label} {name}"]) for name in OVERLAPS}
    mean = {name: ends_of(estimates[name]) for name in scores if name.endswith("ground")}
    return {"mean": mean, "classes": classes}


def _mean_score(task: Task, name: str, sums: np.ndarray) -> np.ndarray:
    """Return a mean score of `counts.means` for sums of counts (..., 4, C)."""
    if name == "dice_foreground":
        return pixel_counts.mean_score(task, sums, "dice")
    if name == "iou_foreground":
        return pixel_counts.mean_score(task, sums, "iou")
    values = pixel_counts.class_scores(sums, "iou")
    if task.implies_background:
        rest = pixel_counts.class_scores(sums[..., [3, 2, 1, 0], :], "iou")
        values = np.concatenate([values, rest], axis=-1)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)


def _class_score(label: int, name: str, sums: np.ndarray) -> np.ndarray:
    """Return a score of one class for sums of counts (..., 4, C)."""
    return pixel_counts.class_scores(sums[..., label : label + 1], name)[..., 0]


def _per_image(task: Task, images: Sequence[ImageScores], groups: np.ndarray) -> dict[str, Any]:
    """Return the means of the images' own scores, over classes and of each foreground class."""
    names = list(OVERLAPS)
    if images[0].boundaries:
        names += BoundaryScores._fields
    rows = [_values(task, image) for image in images]
    columns = np.array(rows, dtype=float)
    shares = [name not in DISTANCES for name in names] * (1 + len(task.foreground))
    estimates = per_image_scores(columns, groups, shares)
    blocks = []
    for first in range(0, len(estimates), len(names)):
        block = estimates[first : first + len(names)]
        blocks.append({name: with_ends(each) for name, each in zip(names, block, strict=True)})
    labels = [task.classes[label] for label in task.foreground]
    return {"mean": blocks[0], "classes": dict(zip(labels, blocks[1:], strict=True))}


def _values(task: Task, image: ImageScores) -> list[float]:
    """Return the scores of an image: the means over classes, then those of each class."""
    values = list(mean_overlaps(task, image).values())
    if image.boundaries:
        values += mean_boundaries(image)
    ratios = pixel_counts.ratios(image.counts)
    for number, label in enumerate(task.foreground):
        values += [float(ratios[name][label]) for name in OVERLAPS]
        if image.boundaries:
            values += image.boundaries[number]
    return values


def ends_of(estimate: Estimate) -> dict[str, float | int | None]:
    """Return an interval and the spread of the groups as they are in a report.

    Args:
        estimate: The estimate of a score.

    Returns:
        "low", "high", "lowest", "highest" and "groups"; numbers that are not known are None.
    """
    return {
        "low": as_number_or_none(estimate.low),
        "high": as_number_or_none(estimate.high),
        "lowest": as_number_or_none(estimate.lowest),
        "highest": as_number_or_none(estimate.highest),
        "groups": estimate.groups,
    }


def with_ends(estimate: Estimate) -> dict[str, float | int | None]:
    """Return the "value" of an estimate, and its ends (`ends_of`).

    Args:
        estimate: The estimate of a score.
    """
    return {"value": as_number_or_none(estimate.value), **ends_of(estimate)}


def _losses(measured: Measurements, counts: np.ndarray) -> dict[str, dict[str, float]]:
    task = measured.task
    labels = [task.classes[label] for label in task.foreground]
    losses = loss_by_cause(task, counts, measured.causes)
    return dict(zip(labels, losses, strict=True))


def _ceiling(measured: Measurements) -> dict[str, Any]:
    ceiling = {"moved": ceiling_scores(measured.task, measured.moved)}
    if measured.twice:
        annotators = ceiling_scores(measured.task, measured.annotators[None])
        ceiling["annotators"] = {"images": measured.twice, **annotators}
    return ceiling


def _worst(task: Task, images: Sequence[ImageScores]) -> list[dict[str, Any]]:
    """Return the images with the lowest mean Dice, the lowest first."""
    worst = []
    for image in worst_first(task, images)[:WORST]:
        dice = mean_overlaps(task, image)["dice"]
        if not math.isnan(dice):
            worst.append({"image": image.name, "dice": dice})
    return worst


def _stands_out(measured: Measurements, groups: list[str]) -> str:
    """Return a sentence about the images with the lowest scores."""
    dice = np.array([mean_overlaps(measured.task, image)["dice"] for image in measured.images])
    facts = {}
    for name in measured.facts[0]:
        facts[name] = np.array([each[name] for each in measured.facts])
    return describe(find_difference(dice, facts, groups))
