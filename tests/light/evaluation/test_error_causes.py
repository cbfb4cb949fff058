"""Every wrong pixel has one cause, and planted faults are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from segkit.evaluation import counts
from segkit.evaluation.error_causes import find_causes, loss_by_cause, no_errors
from segkit.task import VOID, Task

CELL = Task.binary("cell")
TISSUE = Task.multiclass(["background", "a", "b"])
LAYERS = Task.multilabel(["a", "b"])
SIZE = 200


def masks_of(task: Task) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Return encoded targets, some pixels without a label, and decoded masks of 12 x 12 pixels."""
    values = range(task.channels) if task.stores_ids else range(2)
    shape = (12, 12, task.channels) if task.layered else (12, 12)
    masks = arrays.arrays(np.uint8, shape, elements=st.sampled_from([*values]))
    targets = arrays.arrays(np.uint8, shape, elements=st.sampled_from([*values, VOID]))
    encoded = targets.map(lambda mask: task.encode(mask, "mask", void=VOID))
    return st.tuples(encoded, masks)


@pytest.mark.parametrize("task", [CELL, TISSUE, LAYERS], ids=lambda task: task.kind)
@given(data=st.data())
def test_the_causes_add_up_to_the_loss_of_dice(task: Task, data: st.DataObject) -> None:
    target, mask = data.draw(masks_of(task))
    counted = counts.count(task, target, mask)
    causes = find_causes(task, target, mask)
    foreground = list(task.foreground)
    wrong = counted[1] + counted[2]
    np.testing.assert_array_equal(causes.total()[foreground], wrong[foreground])
    dice = counts.ratios(counted)["dice"][foreground]
    for losses, value in zip(loss_by_cause(task, counted, causes), dice, strict=True):
        if np.isnan(value):
            assert losses == {}
        else:
            np.testing.assert_allclose(sum(losses.values()), 1 - value, atol=1e-12)


def discs(task: Task = CELL, seed: int = 0) -> np.ndarray:
    """Return a mask of 12 discs of radius 14 that do not touch, of classes in turn."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    classes = task.foreground if task.stores_ids else [1]
    for number in range(12):
        row = 25 + 50 * (number // 4) + random.integers(-3, 4)
        column = 25 + 50 * (number % 4) + random.integers(-3, 4)
        inside = (rows - row) ** 2 + (columns - column) ** 2 <= 14**2
        mask[inside] = classes[number % len(classes)]
    return mask


def share_of(cause: str, task: Task, truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return which share of the loss of all classes has a cause."""
    target = task.encode(truth, "mask", void=VOID)
    counted = counts.count(task, target, predicted)
    losses = loss_by_cause(task, counted, find_causes(task, target, predicted))
    wanted = sum(loss for each in losses for name, loss in each.items() if name.startswith(cause))
    total = sum(sum(each.values()) for each in losses)
    assert total > 0
    return wanted / total


def without(mask: np.ndarray, numbers: list[int]) -> np.ndarray:
    objects, _ = ndimage.label(mask > 0)
    return np.where(np.isin(objects, numbers), 0, mask).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_planted_faults_are_attributed_to_their_cause(seed: int) -> None:
    truth = discs(seed=seed)
    wider = ndimage.binary_dilation(truth, iterations=1).astype(np.uint8)
    thinner = ndimage.binary_erosion(truth, iterations=1).astype(np.uint8)
    moved = np.roll(truth, 2, axis=1)
    fewer = without(truth, [1, 5])
    for cause, true_mask, predicted in [
        ("boundary", truth, wider),
        ("boundary", truth, thinner),
        ("boundary", truth, moved),
        ("missed", truth, fewer),
        ("invented", fewer, truth),
    ]:
        assert share_of(cause, CELL, true_mask, predicted) >= 0.9


def test_a_disc_of_another_class_is_confused_with_it() -> None:
    truth = discs(TISSUE)
    objects, _ = ndimage.label(truth > 0)
    swapped = np.where(objects == 1, 3 - truth, truth).astype(np.uint8)
    assert share_of("confused with", TISSUE, truth, swapped) == 1


def test_a_class_that_is_read_as_another_where_both_may_hold_is_confused() -> None:
    truth = np.zeros((SIZE, SIZE, 2), np.uint8)
    truth[..., 0] = discs()
    predicted = truth[..., ::-1]
    assert share_of("confused with", LAYERS, truth, predicted) == 1


def test_a_hole_and_a_missing_half_have_no_other_cause() -> None:
    truth = np.zeros((SIZE, SIZE), np.uint8)
    truth[40:160, 40:160] = 1
    hole = truth.copy()
    hole[80:120, 80:120] = 0
    half = truth.copy()
    half[:, 100:] = 0
    assert share_of("rest", CELL, truth, hole) == 1
    assert share_of("rest", CELL, truth, half) >= 0.9


def test_counts_of_images_are_added() -> None:
    truth = discs()
    target = CELL.encode(truth, "mask", void=VOID)
    one = find_causes(CELL, target, without(truth, [2]))
    both = one.plus(one).plus(no_errors(CELL))
    assert both.total().tolist() == (2 * one.total()).tolist()
