"""Pools the images of a cross-validation: each is scored once, by the model that did not see it.

A fold stores the pixel counts of its images, because the counts of several folds add up and their
scores do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import RunError, one_line
from segkit.evaluation.image_scores import ImageScores
from segkit.evaluation.summary import scores_of_images
from segkit.io.atomic import atomic
from segkit.task import Task


class ImageCounts(NamedTuple):
    """The pixel counts of the N images of a part."""

    names: list[str]
    groups: list[str] | None
    """Group of each image; None if there are no groups."""
    counts: np.ndarray
    """From `segkit.evaluation.counts.count`, (N, 4, C) int64."""


def write_counts(path: Path, images: Sequence[ImageScores], has_groups: bool) -> None:
    """Write the pixel counts of images; the file is complete or not there.

    Args:
        path: The file.
        images: One image or more.
        has_groups: Whether the images belong to groups.
    """
    groups = [image.group for image in images] if has_groups else []
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary,
            names=np.array([image.name for image in images], dtype=str),
            groups=np.array(groups, dtype=str),
            counts=np.stack([image.counts for image in images]),
        )


def read_counts(path: Path) -> ImageCounts:
    """Return the content of a file from `write_counts`.

    Args:
        path: The file.

    Raises:
        RunError: If the file is missing or damaged.
    """
    advice = "Remove scores.json beside it, and score the fold again with --fold and --resume"
    if not path.is_file():
        raise RunError(
            f"{path}: is missing, so the images of the folds cannot be counted together. {advice}",
            "missing-file",
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = stored["names"].tolist()
            groups = stored["groups"].tolist()
            counts = stored["counts"]
    except Exception as problem:  # a damaged file can raise anything
        raise RunError(
            f"{path}: cannot be read ({one_line(problem)}). {advice}", "damaged-file"
        ) from problem
    return ImageCounts(names, groups or None, counts)


def pooled_report(task: Task, folds: Sequence[ImageCounts]) -> dict[str, Any]:
    """Return the scores of the images of all folds together.

    Args:
        task: The task of the folds.
        folds: The counts of each fold. If one has no groups, every image is a group.

    Returns:
        The keys of `segkit.evaluation.summary.scores_of_images`, and "folds", their number.
    """
    has_groups = all(fold.groups is not None for fold in folds)
    images = []
    for fold in folds:
        groups = fold.groups if has_groups and fold.groups else fold.names
        for name, group, counts in zip(fold.names, groups, fold.counts, strict=True):
            images.append(ImageScores(name, group, counts, objects=(), boundaries=()))
    return {"folds": len(folds), **scores_of_images(task, images, has_groups)}
