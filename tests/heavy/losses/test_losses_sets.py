"""The contract of every loss for targets that name sets of classes. Runs on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from segkit import VOID, Task, catalog
from segkit.losses.presence import Presence
from segkit.losses.targets import as_channels, possible
from tests.helpers.loss_cases import (
    batch,
    channels_of,
    costs,
    loss_of,
    questions,
    slope,
)
from tests.oracles.losses import COSTS
from tests.oracles.question import activated

CLASSES = ["background", "vessel", "liver", "tumour"]
OPEN, PARENT, LIVER, ALL = 4, 5, 6, 7
"""Target values: background or vessel, liver or tumour, liver alone, all classes."""
SETS = [["background", "vessel"], ["liver", "tumour"], ["liver"], CLASSES]
TASKS = {
    "softmax": Task.multiclass(CLASSES, sets=SETS),
    "sigmoid": Task.multiclass(CLASSES, sets=SETS, head="sigmoid"),
}
PLAIN = {head: task.without_sets for head, task in TASKS.items()}
WEIGHTS = {"vessel": 3.0, "liver": 0.5}
SPATIAL = ("boundary", "cl_dice")
"""Losses that look at the neighbours of a pixel."""
every_loss = pytest.mark.parametrize("name", sorted(catalog.LOSSES))
every_head = pytest.mark.parametrize("head", list(TASKS))


def test_each_set_says_no_for_the_classes_that_it_lacks() -> None:
    target = np.array([[[0, 3, OPEN, PARENT, LIVER, ALL, VOID]]], np.uint8)
    found = [ops.convert_to_numpy(x) for x in as_channels(target, TASKS["softmax"])]
    channels, known = (x[0, 0].astype(int).tolist() for x in found)
    assert channels == [
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert known == [
        [1, 1, 1, 1],
        [1, 1, 1, 1],
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    members = ops.convert_to_numpy(possible(*map(ops.convert_to_tensor, found)))[0, 0]
    assert members[2:].astype(int).tolist() == [
        [1, 1, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 1, 0],
        [1, 1, 1, 1],
        [1, 1, 1, 1],
    ]


@every_loss
@every_head
def test_agrees_with_the_oracle(name: str, head: str) -> None:
    task = TASKS[head]
    for seed, weights in ((1, None), (2, WEIGHTS)):
        target, logits = batch(task, seed)
        found = costs(loss_of(name, task, class_weights=weights), target, logits)
        wanted = [COSTS[name](question) for question in questions(task, target, logits, weights)]
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=4e-5)


@every_loss
@every_head
def test_a_set_of_all_classes_is_void_and_has_no_gradient(name: str, head: str) -> None:
    task = TASKS[head]
    target, logits = batch(task, seed=3)
    full = np.where(target == VOID, ALL, target).astype(np.uint8)
    void = np.where(target == ALL, VOID, target).astype(np.uint8)
    loss = loss_of(name, task, class_weights=WEIGHTS)
    np.testing.assert_array_equal(costs(loss, full, logits), costs(loss, void, logits))
    unknown = void == VOID
    assert unknown.any()
    assert not slope(loss, full, logits)[unknown].any()
    changed = np.where(unknown[..., None], np.float32(30), logits)
    np.testing.assert_array_equal(costs(loss, full, changed), costs(loss, full, logits))


@every_loss
@every_head
def test_a_set_of_one_class_costs_bit_for_bit_what_the_class_costs(name: str, head: str) -> None:
    target, logits = batch(PLAIN[head], seed=4)
    alone = np.where(target == 2, LIVER, target).astype(np.uint8)
    settings = {"class_weights": WEIGHTS}
    if "entropy" in name or name == "focal":
        settings["label_smoothing"] = 0.1  # type: ignore[assignment]
    plain = loss_of(name, PLAIN[head], **settings)
    with_sets = loss_of(name, TASKS[head], **settings)
    wanted = costs(plain, target, logits)
    np.testing.assert_array_equal(costs(with_sets, target, logits), wanted)
    np.testing.assert_array_equal(costs(with_sets, alone, logits), wanted)
    np.testing.assert_array_equal(slope(with_sets, alone, logits), slope(plain, target, logits))


@every_loss
@every_head
def test_the_loss_falls_when_probability_moves_into_the_set(name: str, head: str) -> None:
    task = TASKS[head]
    target, logits = batch(task, seed=5, void=0.2)
    target = np.where(target == VOID, VOID, OPEN).astype(np.uint8)
    direction = np.array([1, 1, -1, -1], np.float32)
    before = costs(loss_of(name, task), target, logits)
    after = costs(loss_of(name, task), target, logits + direction)
    assert (after < before).all()
    found = slope(loss_of(name, task), target, logits)
    assert (found * direction).sum() < 0


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "top_k_cross_entropy"])
def test_moving_probability_inside_the_set_changes_nothing(name: str) -> None:
    task = TASKS["softmax"]
    target, logits = batch(task, seed=6)
    target[:] = PARENT
    p = activated(logits, softmax=True)
    p[..., 2:] = p[..., 2:].sum(axis=-1, keepdims=True) * np.array([0.9, 0.1])
    moved = np.log(p).astype(np.float32)
    np.testing.assert_allclose(
        costs(loss_of(name, task), target, moved),
        costs(loss_of(name, task), target, logits),
        rtol=1e-5,
    )


@every_loss
@every_head
def test_order_and_company_do_not_matter(name: str, head: str) -> None:
    task = TASKS[head]
    target, logits = batch(task, seed=7, images=3)
    loss = loss_of(name, task, class_weights=WEIGHTS)
    together = costs(loss, target, logits)
    alone = [costs(loss, target[i : i + 1], logits[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    if name in SPATIAL:
        return
    order = np.random.default_rng(0).permutation(target[0].size)
    shuffled = target.reshape(3, -1)[:, order].reshape(target.shape)
    moved = logits.reshape(3, -1, task.channels)[:, order].reshape(logits.shape)
    np.testing.assert_allclose(costs(loss, shuffled, moved), together, rtol=1e-5)


@every_loss
@every_head
def test_precision_and_extreme_logits_do_not_matter(name: str, head: str) -> None:
    task = TASKS[head]
    target, logits = batch(task, seed=8)
    loss = loss_of(name, task)
    half = ops.cast(ops.convert_to_tensor(logits), "float16")
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    np.testing.assert_array_equal(costs(loss, target, half), costs(loss, target, rounded))
    for size in (30.0, 1e4):
        extreme = np.where(logits > 0, np.float32(size), np.float32(-size))
        assert np.isfinite(costs(loss, target, extreme)).all()
        assert np.isfinite(slope(loss, target, extreme)).all()
    p = activated(logits, task.head == "softmax").astype(np.float32)
    on_probabilities = loss_of(name, task, from_logits=False)
    np.testing.assert_allclose(
        costs(on_probabilities, target, p), costs(loss, target, logits), rtol=1e-4
    )


@every_loss
@every_head
def test_what_a_target_leaves_open_does_not_matter_to_a_class(name: str, head: str) -> None:
    task = TASKS[head]
    if task.head == "softmax" and COSTS[name].__name__ in ("cross_entropy", "focal"):
        return  # which sum the probabilities of the set
    target, logits = batch(task, seed=9)
    known = channels_of(task, target)[1]
    p = activated(logits, task.head == "softmax").astype(np.float32)
    changed = np.where(known, p, 1 - p)
    loss = loss_of(name, task, from_logits=False)
    if name == "top_k_cross_entropy" and task.head == "softmax":
        return
    np.testing.assert_array_equal(costs(loss, target, changed), costs(loss, target, p))


@pytest.mark.parametrize(
    ("values", "labels", "known"),
    [
        ([2, 2, 0], "any", [1, 1, 1]),
        ([2, OPEN, 0], "any", [0, 1, 1]),
        ([1, OPEN, 0], "any", [1, 1, 1]),
        ([2, VOID, 0], "any", [1, 1, 1]),
        ([2, 2, 0], "one", [1]),
        ([2, OPEN, 0], "one", [0]),
    ],
)
def test_a_set_leaves_open_whether_an_image_shows_its_classes(
    values: list[int], labels: str, known: list[int]
) -> None:
    presence = Presence(TASKS["softmax"], labels)
    target = np.array([[values]], np.uint8)
    classes = 3 if labels == "any" else 4
    zeros = np.zeros((1, classes), np.float32)
    for channel in range(3):
        moved = zeros.copy()
        moved[0, channel - 3] = 5.0
        changes = ops.convert_to_numpy(presence.call(target, moved)) != ops.convert_to_numpy(
            presence.call(target, zeros)
        )
        assert bool(changes[0]) == bool(known[channel % len(known)])
