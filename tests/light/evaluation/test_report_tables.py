"""The tables of an evaluation on a terminal of 80 columns: nothing wraps, and nothing is cut."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from segkit import Task
from segkit.evaluation.counts import score_report
from segkit.evaluation.image_scores import BoundarySettings
from segkit.evaluation.measurements import Measurements, Scene
from segkit.evaluation.report_tables import evaluation_tables
from segkit.evaluation.summary import build_report

CLASSES = ["background", "left ventricle", "myocardium"]
TASKS = {
    "multiclass": Task.multiclass(CLASSES),
    "multilabel": Task.multilabel(CLASSES),
    "binary": Task.binary("left ventricle"),
}


def lines_of(report: dict[str, Any]) -> list[str]:
    """Return the lines on 80 columns, each at most 80 characters."""
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(evaluation_tables(report))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    return [" ".join(line.split()) for line in lines]


def report_of(task: Task, images: int, grouped: bool = False) -> dict[str, Any]:
    """Return a report of random masks, with boundary scores and two annotators."""
    random = np.random.default_rng(0)
    measured = Measurements(task, BoundarySettings(spacing=(0.25, 0.5), tolerance=3))
    shape = task.target_shape(12, 12)
    top = task.channels if task.stores_ids else 2
    for number in range(images):
        target = random.integers(0, top, shape, np.uint8)
        mask = random.integers(0, top, shape[: 2 + task.layered], np.uint8)
        image = random.integers(0, 255, (12, 12, 3), np.uint8)
        scene = Scene(f"image {number:05}", image, target, mask, target)
        measured.add(scene, f"patient {number // 2}" if grouped else "")
    return build_report(measured, grouped)


@pytest.mark.parametrize("kind", TASKS)
def test_an_evaluation_fits_into_80_columns(kind: str) -> None:
    report = report_of(TASKS[kind], 30)
    lines = lines_of(report)
    for label, losses in report["lost"].items():
        dice = report["classes"][label]["dice"]
        value = report["per_image"]["classes"][label]["dice"]["value"]
        [row] = [line for line in lines if line.startswith(f"{label} Dice")]
        ends = report["intervals"]["classes"][label]["dice"]
        assert f"{dice:.4f} {ends['low']:.3f}-{ends['high']:.3f} {value:.4f}" in row
        [row] = [line for line in lines if line.startswith(f"{label} {1 - dice:.4f}")]
        assert f"{losses['boundary']:.4f} {losses['missed']:.4f}" in row
        ceiling = report["ceiling"]["moved"]["classes"][label]["dice"]
        assert row.endswith(f"{losses['rest']:.4f} {ceiling:.4f}")
    for image in report["worst"]:
        assert f"{image['image']} {image['dice']:.4f}" in lines
    assert any("0.25 x 0.5" in line for line in lines)
    # the masks of both annotators are the same
    assert any("30" in line and line.endswith("1.0000") for line in lines)


def test_the_table_of_boundaries_names_its_unit() -> None:
    report = report_of(TASKS["multiclass"], 30)
    for unit, named in (("km", True), ("pixels", True), (None, False)):
        report["boundary"] |= {"unit": unit, "varies": True}
        lines = lines_of(report)
        assert any(str(unit) in line for line in lines) is named
    report["boundary"]["unit"] = "mm"
    [header] = [line for line in lines_of(report) if line.startswith("class HD95")]
    assert header.count(", mm") == 2  # of the distances, not of the shares


@pytest.mark.parametrize(("grouped", "found"), [(True, 15), (False, 19)])
def test_without_intervals_the_spread_is_shown(grouped: bool, found: int) -> None:
    report = report_of(TASKS["binary"], 30 if grouped else 19, grouped)
    lines = lines_of(report)
    assert any("20" in line and str(found) in line for line in lines)
    ends = report["intervals"]["mean"]["dice_foreground"]
    assert any(f"{ends['lowest']:.3f}-{ends['highest']:.3f}" in line for line in lines)


def test_a_report_of_an_older_version_has_the_scores_alone() -> None:
    task = TASKS["multiclass"]
    lines = lines_of(score_report(task, np.full((4, 3), 7), 5))
    assert "mean foreground 0.3333 0.5000" in lines
    assert not any("%" in line for line in lines)


def test_a_class_that_occurs_nowhere_has_no_losses() -> None:
    task = TASKS["multiclass"]
    measured = Measurements(task)
    nothing = np.zeros((5, 5), np.uint8)
    for number in range(3):
        measured.add(Scene(str(number), np.zeros((5, 5, 3), np.uint8), nothing, nothing))
    lines = lines_of(build_report(measured, False))
    assert "myocardium - - - - - - -" in lines
