"""Confusion matrices against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from segkit.evaluation.confusion import confusion_labels, count_confusion
from segkit.evaluation.counts import split_layers
from segkit.task import VOID, Task
from tests.helpers.draws import masks, task_of

LAYERS = Task.multilabel(["a", "b", "c"])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "one against the rest"])
@given(data=st.data())
def test_one_class_at_each_pixel_gives_the_matrix_of_scikit_learn(
    kind: str, data: st.DataObject
) -> None:
    task = task_of(kind)
    truth = data.draw(masks(task))
    predicted = data.draw(st.permutations(range(truth.size)))
    values = np.where(truth == VOID, 0, truth).ravel()[predicted].reshape(truth.shape)
    target = task.encode(truth, "a", void=VOID)
    found = count_confusion(task, split_layers(task, target, values))
    known = truth != VOID
    if not known.any():
        assert not found.any()
        return
    size = len(confusion_labels(task))
    expected = confusion_matrix(truth[known], values[known], labels=range(size))
    np.testing.assert_array_equal(found, expected)


@given(masks(LAYERS))
def test_overlapping_classes_give_the_pairs_of_missing_and_wrong_classes(
    truth: np.ndarray,
) -> None:
    predicted = np.where(truth == VOID, 1, truth)[::-1, ::-1].copy()
    target = LAYERS.encode(truth, "a", void=VOID)
    found = count_confusion(LAYERS, split_layers(LAYERS, target, predicted))
    expected = np.zeros((3, 3), int)
    for row, column in np.ndindex(truth.shape[:2]):
        true = truth[row, column]
        mask = predicted[row, column]
        for i in range(3):
            expected[i, i] += true[i] == 1 and mask[i] == 1
            for j in range(3):
                missing = true[i] == 1 and mask[i] == 0
                expected[i, j] += missing and true[j] == 0 and mask[j] == 1
    np.testing.assert_array_equal(found, expected)
