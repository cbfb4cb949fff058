"""Plans of data sets in which not every class was annotated everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.data.sources.source import Sample
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.planning.budget import SAMPLES, SAMPLES_PER_CLASS, fit_budget
from segkit.planning.rules import LEAST_KNOWN, known_share
from tests.helpers.errors import holds
from tests.light.planning.test_plan import GIB, facts, machine, planned

BODY = Task.multiclass(
    ["background", "liver", "vessel"],
    sets=[["background", "vessel"], ["background", "liver"], ["liver", "vessel"]],
)


def fact_of(task: Task, target: np.ndarray) -> SampleFingerprint:
    image = np.zeros((*target.shape[:2], 3), np.uint8)
    return facts_of(task, "train", Sample("a", image, target), target)


def test_complete_masks_and_strokes_are_known() -> None:
    target = np.zeros((10, 10), np.uint8)
    target[:3] = 1
    strokes = np.full((10, 10), VOID, np.uint8)
    strokes[0, :4] = 1
    strokes[9, :6] = 0
    assert known_share(BODY, [fact_of(BODY, target), fact_of(BODY, strokes)]) == 1
    assert known_share(BODY, [fact_of(BODY, np.full((10, 10), VOID, np.uint8))]) == 1
    assert known_share(BODY, []) == 1


def test_the_known_share_is_that_of_pixels_and_classes() -> None:
    target = np.full((10, 10), 3, np.uint8)  # background or vessel
    target[:2] = 1  # liver, so no vessel
    assert known_share(BODY, [fact_of(BODY, target)]) == pytest.approx((100 + 20) / 200)
    full = np.zeros((10, 10), np.uint8)
    found = known_share(BODY, [fact_of(BODY, target), fact_of(BODY, full)])
    assert found == pytest.approx((100 + 20 + 200) / 400)
    neither = np.full((10, 10), 5, np.uint8)  # liver or vessel
    assert known_share(BODY, [fact_of(BODY, neither)]) == LEAST_KNOWN


def test_in_a_multilabel_task_each_class_is_counted() -> None:
    task = Task.multilabel(["a", "b"])
    target = np.zeros((10, 10, 2), np.uint8)
    target[..., 1] = VOID
    target[:1, :, 1] = 1
    assert known_share(task, [fact_of(task, target)]) == pytest.approx((100 + 10) / 200)


def test_a_part_of_the_labels_needs_more_samples() -> None:
    task = Task.binary("crack")
    drafted = planned(task, facts(task, size=(256, 256)))
    needed = SAMPLES + SAMPLES_PER_CLASS
    for known in (1.0, 0.4):
        plan = fit_budget(drafted, 100, 3, 60, 8 * GIB, machine(1.0), known=known)
        assert holds(plan.reasons["model.stem"], round(needed / known))


def test_without_a_time_budget_the_epochs_are_more() -> None:
    task = Task.binary("crack")
    drafted = planned(task, facts(task, size=(256, 256)))
    epochs = []
    for known in (1.0, 0.5):
        plan = fit_budget(drafted, 100, 3, None, 8 * GIB, machine(1.0), known=known)
        epochs.append(plan.config.train.epochs)
    assert epochs[1] == 2 * epochs[0]
