"""Scores of single images against scikit-learn and SciPy, and the table of them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from sklearn.metrics import f1_score, precision_score, recall_score

from segkit.evaluation.image_scores import (
    BoundarySettings,
    ImageScores,
    ObjectCounts,
    count_objects,
    mean_overlaps,
    score_image,
    worst_first,
    write_table,
)
from segkit.evaluation.surfaces import boundary_scores
from segkit.task import VOID, Task

TISSUE = Task.multiclass(["background", "tumour, left", "b"])
MASKS = arrays.arrays(bool, (9, 11))


@given(MASKS, MASKS)
def test_objects_are_those_of_scipy(truth: np.ndarray, predicted: np.ndarray) -> None:
    everywhere = np.ones((3, 3))
    true_numbers, true_count = ndimage.label(truth, everywhere)
    predicted_numbers, predicted_count = ndimage.label(predicted, everywhere)
    found = sum((predicted[true_numbers == n]).any() for n in range(1, true_count + 1))
    right = sum((truth[predicted_numbers == n]).any() for n in range(1, predicted_count + 1))
    assert count_objects(truth, predicted) == ObjectCounts(
        true_count, found, true_count - found, predicted_count - right
    )


@given(
    arrays.arrays(np.uint8, (8, 8), elements={"min_value": 0, "max_value": 2}),
    arrays.arrays(np.uint8, (8, 8), elements={"min_value": 0, "max_value": 2}),
)
@settings(max_examples=30)
def test_means_over_classes_are_those_of_scikit_learn(
    truth: np.ndarray, predicted: np.ndarray
) -> None:
    scores = score_image(TISSUE, "a", TISSUE.encode(truth, "a"), predicted)
    means = mean_overlaps(TISSUE, scores)
    oracles = {"dice": f1_score, "precision": precision_score, "recall": recall_score}
    each = {}
    for name, oracle in oracles.items():
        each[name] = oracle(
            truth.ravel(), predicted.ravel(), labels=[1, 2], average=None, zero_division=np.nan
        )
    each["iou"] = each["dice"] / (2 - each["dice"])
    for name, values in each.items():
        expected = np.nan if np.isnan(values).all() else np.nanmean(values)
        np.testing.assert_allclose(means[name], expected)


def example(name: str, columns: int, group: str = "") -> ImageScores:
    """Return the scores of an image whose object of class 1 is `columns` columns too narrow."""
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:15] = 1
    truth[0, 0] = VOID
    predicted = np.where(truth == VOID, 1, truth)
    predicted[:, 15 - columns : 15] = 0
    predicted[18:, 18:] = 2
    target = TISSUE.encode(truth, name, void=VOID)
    return score_image(
        TISSUE, name, target, predicted, group, BoundarySettings((0.5, 0.5), tolerance=1.0)
    )


def test_the_worst_image_is_the_first_and_one_without_objects_the_last() -> None:
    empty = np.zeros((4, 4), np.uint8)
    nothing = score_image(TISSUE, "nothing", TISSUE.encode(empty, "nothing"), empty)
    images = [nothing, example("good", 1), example("bad", 9), example("fair", 4)]
    assert [image.name for image in worst_first(TISSUE, images)] == [
        "bad",
        "fair",
        "good",
        "nothing",
    ]


def test_the_table_holds_every_number_of_every_image(tmp_path: Path) -> None:
    images = [example("good", 1, "patient 1"), example('bad "1", left', 4, "patient 2")]
    write_table(tmp_path / "scores.csv", TISSUE, images)
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == ['bad "1", left', "good"]
    assert [row["group"] for row in rows] == ["patient 2", "patient 1"]
    row = rows[0]
    assert float(row["tumour, left dice"]) == pytest.approx(2 * 60 / 160, abs=1e-6)
    assert float(row["tumour, left iou"]) == pytest.approx(0.6)
    assert float(row["tumour, left precision"]) == 1
    assert float(row["tumour, left recall"]) == pytest.approx(0.6)
    assert int(row["tumour, left pixels_true"]) == 100
    assert int(row["tumour, left pixels_predicted"]) == 60
    counted = [int(row[f"b objects_{name}"]) for name in ("true", "found", "missed", "invented")]
    assert counted == [0, 0, 0, 1]
    assert row["b recall"] == ""
    assert float(row["mean dice"]) == pytest.approx(0.75 / 2)
    truth = np.zeros((20, 20), bool)
    truth[5:15, 5:15] = True
    narrow = truth.copy()
    narrow[:, 11:] = False
    expected = boundary_scores(truth, narrow, (0.5, 0.5), tolerance=1.0)
    for name, value in expected._asdict().items():
        assert float(row[f"tumour, left {name}"]) == pytest.approx(value, abs=1e-6)
    assert float(row["b hd95"]) == pytest.approx(math.hypot(10, 10), abs=1e-6)


def test_without_boundary_settings_the_table_has_no_boundary_scores(tmp_path: Path) -> None:
    truth = np.eye(4, dtype=np.uint8)
    image = score_image(TISSUE, "a", TISSUE.encode(truth, "a"), truth)
    write_table(tmp_path / "scores.csv", TISSUE, [image])
    header = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "hd95" not in header
    assert "mean dice" in header
    assert image.group == "a"
