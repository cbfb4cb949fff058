"""The images of several folds are counted as if one evaluation had scored them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit import Task
from segkit.errors import RunError
from segkit.evaluation import counts as pixel_counts
from segkit.evaluation.image_scores import ImageScores
from segkit.evaluation.pooling import ImageCounts, pooled_report, read_counts, write_counts
from segkit.evaluation.summary import scores_of_images
from tests.helpers.errors import fails

TASK = Task.multiclass(["background", "a", "b"])


def images_of(count: int, seed: int, groups: int | None = None) -> list[ImageScores]:
    """Return images with random pixel counts; each has its own name as group without groups."""
    counts = np.random.default_rng(seed).integers(1, 100, (count, 4, TASK.channels))
    images = []
    for i, of_image in enumerate(counts):
        name = f"fold {seed}, ünï {i}"
        group = name if groups is None else f"{seed}/{i % groups}"
        images.append(ImageScores(name, group, of_image, objects=(), boundaries=()))
    return images


@pytest.mark.parametrize("groups", [None, 12])
def test_the_report_is_that_of_all_images_together(groups: int | None, tmp_path: Path) -> None:
    folds = [images_of(24, seed, groups) for seed in range(3)]
    stored = []
    for number, images in enumerate(folds):
        write_counts(tmp_path / f"{number}.npz", images, groups is not None)
        stored.append(read_counts(tmp_path / f"{number}.npz"))
    found = pooled_report(TASK, stored)
    together = [image for images in folds for image in images]
    assert found == {"folds": 3, **scores_of_images(TASK, together, groups is not None)}
    total = sum(image.counts for image in together)
    assert found["mean"] == pixel_counts.score_report(TASK, total, 72)["mean"]
    assert found["images"] == 72
    assert found["groups"] == (None if groups is None else 36)
    ends = found["intervals"]["mean"]["dice_foreground"]
    assert ends["groups"] == (72 if groups is None else 36)
    assert ends["low"] < found["mean"]["dice_foreground"] < ends["high"]


def test_a_fold_without_groups_makes_every_image_a_group() -> None:
    folds = []
    for seed, groups in enumerate((["x", "x"], None)):
        images = images_of(2, seed)
        counts = np.stack([image.counts for image in images])
        folds.append(ImageCounts([image.name for image in images], groups, counts))
    found = pooled_report(TASK, folds)
    assert found["groups"] is None
    assert found["intervals"]["mean"]["dice_foreground"]["groups"] == 4


def test_missing_and_damaged_counts_say_how_to_make_them_again(tmp_path: Path) -> None:
    path = tmp_path / "image_counts.npz"
    with fails(RunError, "missing-file", path, "--resume"):
        read_counts(path)
    path.write_bytes(b"PK\x03\x04")
    with fails(RunError, "damaged-file", path, "--resume"):
        read_counts(path)
