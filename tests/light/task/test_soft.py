"""Soft targets: the mean of masks, probabilities in 8 bits, and the masks that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, ConfigError, DataError, Task
from segkit.task import as_task, with_sets
from segkit.task.soft import (
    LEVELS,
    as_probabilities,
    as_soft,
    check_soft_batch,
    drawn_target,
    encode_probabilities,
    hard_target,
    mean_of_masks,
    soft_of_mask,
    trained_shape,
)
from tests.helpers.errors import fails
from tests.oracles.soft_losses import shares

CLASSES = ["background", "liver", "kidney"]
TASKS = {
    "binary": Task.binary("crack", soft=True),
    "multilabel": Task.multilabel(["a", "b"], soft=True),
    "softmax": Task.multiclass(CLASSES, soft=True),
    "sigmoid": Task.multiclass(CLASSES, head="sigmoid", soft=True),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
seeds = st.integers(0, 10**6)


def masks_of(task: Task, count: int, seed: int, void: float = 0.3) -> list[np.ndarray]:
    """Return random encoded masks of one image."""
    rng = np.random.default_rng(seed)
    shape = task.target_shape(5, 7)
    values = task.channels if task.stores_ids else 2
    found = []
    for _ in range(count):
        mask = rng.integers(0, values, shape)
        found.append(np.where(rng.random(shape) < void, VOID, mask).astype(np.uint8))
    return found


@every_task
@given(seed=seeds, count=st.integers(1, 5))
def test_a_soft_target_is_the_share_of_annotators(task: Task, seed: int, count: int) -> None:
    masks = masks_of(task, count, seed)
    target = mean_of_masks(task, masks)
    assert target.dtype == np.uint8
    expected = shares(masks, task.channels, task.stores_ids)
    unknown = np.isnan(expected)
    np.testing.assert_array_equal(target == VOID, unknown)
    found = as_probabilities(task, target)
    assert found.dtype == np.float32
    assert (found[unknown] == VOID).all()
    np.testing.assert_allclose(found[~unknown], expected[~unknown], atol=1 / LEVELS)
    if not task.stores_ids:
        np.testing.assert_allclose(found[~unknown], expected[~unknown], atol=0.5001 / LEVELS)


@every_task
@given(seed=seeds, count=st.integers(1, 4))
def test_annotators_who_agree_are_one_mask(task: Task, seed: int, count: int) -> None:
    [mask] = masks_of(task, 1, seed)
    target = mean_of_masks(task, [mask] * count)
    np.testing.assert_array_equal(target, soft_of_mask(task, mask))
    np.testing.assert_array_equal(hard_target(task, target), mask)
    np.testing.assert_array_equal(drawn_target(task, target, "a"), mask)
    assert set(np.unique(as_probabilities(task, target))) <= {0.0, 1.0, 255.0}


@every_task
@given(seed=seeds)
def test_void_of_one_annotator_leaves_the_other(task: Task, seed: int) -> None:
    one, other = masks_of(task, 2, seed)
    void = np.full_like(one, VOID)
    np.testing.assert_array_equal(mean_of_masks(task, [one, void]), soft_of_mask(task, one))
    assert (mean_of_masks(task, [void, void]) == VOID).all()
    both = mean_of_masks(task, [one, other])
    np.testing.assert_array_equal(both, mean_of_masks(task, [other, one]))


def test_of_equal_shares_the_first_class_wins_and_one_half_is_yes() -> None:
    softmax = TASKS["softmax"]
    ties = mean_of_masks(
        softmax, [np.array([[1, 2, 0]], np.uint8), np.array([[2, 0, 1]], np.uint8)]
    )
    assert hard_target(softmax, ties).tolist() == [[1, 0, 0]]
    binary = TASKS["binary"]
    half = mean_of_masks(binary, [np.array([[[1]]], np.uint8), np.array([[[0]]], np.uint8)])
    assert hard_target(binary, half).tolist() == [[[1]]]
    assert as_probabilities(binary, half).tolist() == [[[0.5]]]


def test_a_task_that_is_not_soft_keeps_its_masks() -> None:
    mask = np.array([[0, 1, VOID]], np.uint8)
    task = Task.multiclass(CLASSES)
    assert hard_target(task, mask) is mask
    assert trained_shape(task, 2, 3) == (2, 3)
    assert trained_shape(TASKS["softmax"], 2, None) == (2, None, 3)
    assert not as_task({"kind": "binary", "classes": ["a"]}).soft  # as runs without soft saved it
    assert not task.trains_like(TASKS["softmax"])


@every_task
@given(seed=seeds)
def test_probabilities_are_kept_to_half_a_level(task: Task, seed: int) -> None:
    values = np.random.default_rng(seed).dirichlet([0.5] * 4, (5, 7))[..., : task.channels]
    if task.stores_ids:
        values = values / values.sum(axis=-1, keepdims=True)
    target = encode_probabilities(task, values, "a.npy")
    np.testing.assert_allclose(target / LEVELS, values, atol=0.5001 / LEVELS)
    np.testing.assert_array_less(np.abs(as_probabilities(task, target) - values), 2 / LEVELS)
    if task.stores_ids:
        np.testing.assert_allclose(as_probabilities(task, target).sum(-1), 1, atol=1e-6)


def test_classes_are_drawn_with_their_probabilities() -> None:
    softmax = TASKS["softmax"]
    values = np.broadcast_to([0.2, 0.5, 0.3], (200, 200, 3))
    target = encode_probabilities(softmax, values, "a")
    drawn = drawn_target(softmax, target, "a")
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / drawn.size, [0.2, 0.5, 0.3], atol=0.01)
    np.testing.assert_array_equal(drawn_target(softmax, target, "a"), drawn)
    assert (drawn_target(softmax, target, "b") != drawn).any()
    layers = TASKS["multilabel"]
    drawn = drawn_target(layers, encode_probabilities(layers, values[..., :2], "a"), "a")
    np.testing.assert_allclose(drawn.mean(axis=(0, 1)), [0.2, 0.5], atol=0.01)


@pytest.mark.parametrize(
    ("values", "found"),
    [([0.5, 0.5, 1.2], "1.2"), ([-0.1, 0.6, 0.5], "-0.1"), ([0.5, 0.5, np.nan], "nan")],
)
def test_values_that_are_no_probabilities_are_refused(values: list[float], found: str) -> None:
    with fails(DataError, "probabilities", "a.npy", found):
        encode_probabilities(TASKS["softmax"], np.array([[values]]), "a.npy")
    with fails(DataError, "probabilities", "target", found):
        check_soft_batch(TASKS["softmax"], np.array([[[values]]]), "target")


def test_exclusive_probabilities_sum_to_1() -> None:
    values = np.array([[[0.5, 0.2, 0.2]]])
    with fails(DataError, "probabilities", "a.npy", 0.9):
        encode_probabilities(TASKS["sigmoid"], values, "a.npy")
    encode_probabilities(TASKS["multilabel"], values[..., :2], "a.npy")
    with fails(DataError, "mask-channels", "a.npy", "(1, 1, 3)"):
        encode_probabilities(TASKS["multilabel"], values, "a.npy")
    with fails(DataError, "probabilities", "target", VOID):
        check_soft_batch(TASKS["softmax"], np.array([[[[VOID, 0.5, 0.5]]]]), "target")
    check_soft_batch(TASKS["softmax"], np.array([[[[VOID] * 3, [0, 1, 0]]]]), "target")
    valid = np.array([[False]])
    assert encode_probabilities(TASKS["sigmoid"], values, "a.npy", valid).tolist() == [[[VOID] * 3]]


def test_mirroring_exchanges_the_channels_of_pairs() -> None:
    settings: dict[str, Any] = {"flip_pairs": [["left a", "right a"]], "soft": True}
    names = ["background", "left a", "right a"]
    target = np.array([[[10, 200, 44]]], np.uint8)
    assert Task.multiclass(names, **settings).mirror(target).tolist() == [[[10, 44, 200]]]
    assert Task.multilabel(names, **settings).mirror(target).tolist() == [[[10, 44, 200]]]


def test_sets_of_classes_and_soft_labels_exclude_each_other() -> None:
    with fails(ConfigError, "contradiction", "liver or kidney", setting="task.soft"):
        as_soft(Task.multiclass(CLASSES, sets=[["liver", "kidney"]]))
    with fails(ConfigError, "contradiction", setting="task.sets"):
        with_sets(TASKS["softmax"], [["liver", "kidney"]])
    parents = {"organ": ["liver", "kidney"]}
    soft = as_soft(Task.multiclass(CLASSES, parents=parents))
    assert soft.soft
    assert soft.sets == ()
    assert soft.parents == {"organ": ("liver", "kidney")}
    assert Task.model_validate(soft.model_dump(mode="json")) == soft
    assert Task.multiclass(CLASSES, parents=parents, soft=True) == soft
