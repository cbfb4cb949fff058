"""Tables of scores on a terminal of 80 columns: nothing wraps, and nothing is cut."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from segkit import Task
from segkit.config import DecodeConfig
from segkit.config.decode import Rule
from segkit.evaluation.counts import score_report
from segkit.evaluation.tables import scores_table
from segkit.evaluation.tuning_intervals import dice_changes, dice_intervals
from segkit.evaluation.tuning_tables import tuned_tables
from segkit.run.tuned import Tuned

CLASSES = ["background", "left ventricle", "myocardium"]
TASKS = {
    "multiclass": Task.multiclass(CLASSES),
    "multilabel": Task.multilabel(CLASSES, thresholds=[0.5, 0.25, 0.125]),
}


def lines_of(renderable: RenderableType) -> list[str]:
    """Return what 80 columns show; a second, wide rendering must have the same lines."""
    lines = []
    for width in (80, 200):
        console = Console(width=width, file=io.StringIO(), record=True)
        console.print(renderable)
        text = console.export_text()
        lines.append([" ".join(line.split()) for line in text.splitlines()])
    narrow, wide = lines
    assert [line for line in narrow if "─" not in line] == [
        line for line in wide if "─" not in line
    ]
    return narrow


def scores_of(task: Task, pixels: int, images: int) -> dict[str, Any]:
    counts = np.full((4, task.channels), pixels, np.int64)
    scores = score_report(task, counts, images)
    scores["reliability"] = {"ece": 0.0125, "brier": 0.25, "nll": None}
    scores["images_with_prediction"] = dict.fromkeys(task.classes, images)
    return scores


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("pixels", [0, 617_283_945])
def test_scores_of_a_billion_pixels_fit_into_80_columns(kind: str, pixels: int) -> None:
    task = TASKS[kind]
    lines = lines_of(scores_table({"part": "validation", **scores_of(task, pixels, 12345)}))
    for label in task.classes:
        (row,) = [line for line in lines if line.startswith(label)]
        assert row.endswith(f"{2 * pixels:,} {2 * pixels:,}")
    if pixels:
        assert "mean foreground 0.3333 0.5000" in lines


@pytest.mark.parametrize("kind", TASKS)
def test_scores_before_and_after_tuning_are_columns_of_80(kind: str) -> None:
    task = TASKS[kind]
    rules = [Rule(), Rule(2048, True, True), Rule(smallest=8)]
    tuned = Tuned(
        made="2020-01-01T00:00:00+00:00",
        part="validation",
        images=12345,
        goal="precision=0.95",
        thresholds=task.thresholds,
        decode=DecodeConfig(temperature=1.2345).with_rules(task, rules),
        before=scores_of(task, 10, 99),
        after=scores_of(task, 0, 101),
    )
    lines = lines_of(tuned_tables(task, tuned))
    assert "class score before after" in lines
    threshold = {"multiclass": "", "multilabel": " 0.250"}[kind]
    assert f"left ventricle{threshold} 2048 pixels yes yes" in lines
    assert "left ventricle Dice 0.5000 -" in lines
    assert lines.count("predicted in 99 101") == 3
    assert "mean foreground Dice 0.5000 -" in lines
    assert "all classes calibration error (ECE) 0.0125 0.0125" in lines
    assert "temperature 1.2345" in lines
    assert not any(line.startswith("Dice before") for line in lines)  # of an older version


def test_intervals_of_tuning_fit_into_80_columns() -> None:
    task = TASKS["multilabel"]
    random = np.random.default_rng(0)
    before = random.integers(1, 50, (24, 4, 3))
    after = before.copy()
    after[:, 0] += 9
    groups = np.arange(24)
    scores = []
    for counts in (before, after):
        of_all = scores_of(task, 1, 24) | score_report(task, counts.sum(axis=0), 24)
        scores.append({**of_all, "intervals": dice_intervals(task, counts, groups)})
    tuned = Tuned(
        made="2020-01-01T00:00:00+00:00",
        part="validation",
        images=24,
        goal="dice",
        thresholds=task.thresholds,
        decode=DecodeConfig(),
        before=scores[0],
        after=scores[1],
        change=dice_changes(task, before, after, groups),
    )
    lines = lines_of(tuned_tables(task, tuned))
    assert "Dice before 95 % after 95 % change 95 %" in lines
    change = tuned.change["mean"]["dice_foreground"]
    [row] = [line for line in lines if line.startswith("mean foreground") and "+" in line]
    assert row.endswith(f"{change['value']:+.3f} {change['low']:+.3f} {change['high']:+.3f}")


def test_scores_of_folds_name_who_gave_them() -> None:
    task = TASKS["multiclass"]
    pooled = {"folds": 5, **scores_of(task, 10, 99)}
    assert "fold" in lines_of(scores_table(pooled))[0]
    assert "not of this model" not in lines_of(scores_table(pooled))[0]
    title = lines_of(scores_table({**pooled, "part": "folds"}))[0]
    assert "5 folds, not of this model" in title
