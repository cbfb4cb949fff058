"""The losses for targets that are probabilities (`Task.soft`). Runs on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from sklearn.metrics import log_loss

from segkit import VOID, ConfigError, DataError, Task, catalog, losses
from segkit.config.loss import SOFT
from segkit.losses.presence import Presence
from segkit.losses.targets import as_channels, hard_channels
from segkit.task.soft import as_probabilities, hard_target, soft_of_mask
from tests.helpers.errors import fails
from tests.helpers.loss_cases import NAMES, SIZE, TASKS, batch, gradient, loss_of
from tests.oracles import soft_losses
from tests.oracles.question import activated

SOFT_TASKS = {name: task.model_copy(update={"soft": True}) for name, task in TASKS.items()}
OVERLAPS = ("dice", "focal_tversky", "generalized_dice", "jaccard", "log_cosh_dice", "tversky")
"""Losses that are 0 only where the prediction is the target."""
every_task = pytest.mark.parametrize("kind", list(SOFT_TASKS))
every_soft_loss = pytest.mark.parametrize(
    "name",
    [
        "cross_entropy",
        "dice",
        "generalized_dice",
        *(
            pytest.param(name, marks=pytest.mark.one_backend)
            for name in ("focal_tversky", "jaccard", "log_cosh_dice", "tversky")
        ),
    ],
)
few = settings(max_examples=10)
seeds = st.integers(0, 10**6)


def soft_batch(task: Task, seed: int, void: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities with VOID as losses take them, and logits, both (2, 5, 6, C) float32."""
    rng = np.random.default_rng(seed)
    shape = (2, *SIZE, task.channels)
    target = rng.uniform(0, 1, shape) ** 2
    unknown = rng.random(shape) < void
    if task.stores_ids:
        target /= target.sum(axis=-1, keepdims=True)
        unknown[:] = unknown[..., :1]
    logits = rng.uniform(-4, 4, shape).astype(np.float32)
    return np.where(unknown, VOID, target).astype(np.float32), logits


def value(loss: Any, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(loss.call(target, ops.convert_to_tensor(prediction)))


def test_the_config_and_the_classes_agree_which_losses_are_defined() -> None:
    task = SOFT_TASKS["binary"]
    assert {"cross_entropy", "generalized_dice", *OVERLAPS} == set(SOFT)
    for name in catalog.LOSSES:
        if name in SOFT:
            loss_of(name, task)
            continue
        with fails(ConfigError, "not-for-task", *SOFT, setting=f"loss.{name}"):
            loss_of(name, task)
    with fails(ConfigError, "contradiction", setting="label_smoothing"):
        loss_of("cross_entropy", task, label_smoothing=0.1)


@pytest.mark.one_backend
@every_soft_loss
@every_task
@few
@given(seed=seeds, void=st.sampled_from([0.0, 0.3, 1.0]), weighted=st.booleans())
def test_masks_cost_what_they_cost_as_ordinary_masks(
    name: str, kind: str, seed: int, void: float, weighted: bool
) -> None:
    task = SOFT_TASKS[kind]
    weights = {task.classes[-1]: 3.0} if weighted else None
    target, logits = batch(TASKS[kind], seed, void)
    coded = np.stack([soft_of_mask(task, mask) for mask in target])
    found = value(loss_of(name, task, class_weights=weights), as_probabilities(task, coded), logits)
    expected = value(loss_of(name, TASKS[kind], class_weights=weights), target, logits)
    if name == "cross_entropy":
        np.testing.assert_allclose(found, expected, rtol=2e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@every_task
@few
@given(seed=seeds, weights=st.none() | st.lists(st.sampled_from([0.5, 1.0, 4.0]), min_size=4))
def test_cross_entropy_agrees_with_the_oracle(
    kind: str, seed: int, weights: list[float] | None
) -> None:
    task = SOFT_TASKS[kind]
    target, logits = soft_batch(task, seed)
    by_name = dict(zip(task.weighted, weights, strict=False)) if weights else None
    given_weights = by_name or {}
    yes = [given_weights.get(name, 1.0) for name in task.classes]
    no = [given_weights.get("background", 1.0)] if task.implies_background else yes
    softmax = task.head == "softmax"
    p = activated(logits, softmax)
    truth = np.where(target == VOID, np.nan, target)
    found = value(loss_of("cross_entropy", task, class_weights=by_name), target, logits)
    for image, cost in enumerate(found):
        expected = soft_losses.cross_entropy(truth[image], p[image], softmax, yes, no)
        assert cost == pytest.approx(expected, rel=2e-5)


def test_cross_entropy_is_the_mean_log_loss_over_annotators() -> None:
    task = SOFT_TASKS["softmax"]
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (4, *SIZE))
    logits = rng.uniform(-4, 4, (1, *SIZE, 3)).astype(np.float32)
    target = np.stack([(masks == label).mean(axis=0) for label in range(3)], axis=-1)[None]
    p = activated(logits, softmax=True).reshape(-1, 3)
    expected = np.mean([log_loss(mask.ravel(), p, labels=[0, 1, 2]) for mask in masks])
    [found] = value(loss_of("cross_entropy", task), target.astype(np.float32), logits)
    assert found == pytest.approx(expected, rel=1e-5)


@every_task
@few
@given(seed=seeds)
def test_overlap_losses_agree_with_the_oracles(kind: str, seed: int) -> None:
    task = SOFT_TASKS[kind]
    target, logits = soft_batch(task, seed)
    p = activated(logits, task.head == "softmax")
    truth = np.where(target == VOID, np.nan, target)
    rates = {"dice": (0.5, 0.5, 0.5), "jaccard": (1.0, 1.0, 1.0), "tversky": (0.3, 0.7, 1.0)}
    for name, (alpha, beta, smooth) in rates.items():
        found = value(loss_of(name, task), target, logits)
        for image, cost in enumerate(found):
            expected = soft_losses.tversky(
                truth[image], p[image], task.foreground, alpha, beta, smooth
            )
            assert cost == pytest.approx(expected, rel=1e-5, abs=1e-6), name
    found = value(loss_of("dice", task), target, logits)
    for image, cost in enumerate(found):
        expected = soft_losses.dice_by_distance(truth[image], p[image], task.foreground, 1.0)
        assert cost == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.one_backend
@pytest.mark.parametrize("name", OVERLAPS)
@every_task
@few
@given(seed=seeds, smooth=st.sampled_from([1e-3, 1.0, 5.0]))
def test_an_overlap_loss_is_0_at_the_target_and_larger_elsewhere(
    name: str, kind: str, seed: int, smooth: float
) -> None:
    task = SOFT_TASKS[kind]
    target, logits = soft_batch(task, seed)
    loss = loss_of(name, task, from_logits=False, smooth=smooth)
    same = np.where(target == VOID, np.float32(0.5), target)
    np.testing.assert_allclose(value(loss, target, same), 0, atol=2e-5)
    other = activated(logits, task.head == "softmax").astype(np.float32)
    halfway = (same + other) / 2
    assert (value(loss, target, other) > 1e-3).all()
    assert (value(loss, target, halfway) < value(loss, target, other)).all()
    majority = (same >= 0.5).astype(np.float32)
    # with the product t p in place of min(t, p), the majority would cost less than the target
    assert (value(loss, target, majority) > 1e-3).all()


@pytest.mark.one_backend
@every_task
@few
@given(seed=seeds)
def test_cross_entropy_is_least_at_the_target(kind: str, seed: int) -> None:
    task = SOFT_TASKS[kind]
    target, logits = soft_batch(task, seed)
    loss = loss_of("cross_entropy", task, from_logits=False)
    same = np.where(target == VOID, np.float32(0.5), target)
    other = activated(logits, task.head == "softmax").astype(np.float32)
    assert (value(loss, target, same) < value(loss, target, other)).all()


@every_soft_loss
@every_task
def test_void_pixels_do_not_matter_and_get_no_gradient(name: str, kind: str) -> None:
    task = SOFT_TASKS[kind]
    target, logits = soft_batch(task, 3)
    loss = loss_of(name, task, class_weights={task.classes[-1]: 2.0})
    unknown = target == VOID
    assert unknown.any()
    slope = gradient(lambda x: loss.call(target, x), logits)
    assert np.isfinite(slope).all()
    assert not slope[unknown].any()
    assert np.count_nonzero(slope[~unknown]) > 0.5 * np.count_nonzero(~unknown)
    changed = np.where(unknown, np.float32(7), logits)
    np.testing.assert_array_equal(value(loss, target, changed), value(loss, target, logits))
    nothing = np.full_like(target, VOID)
    np.testing.assert_array_equal(value(loss, nothing, logits), 0)
    assert not gradient(lambda x: loss.call(nothing, x), logits).any()


@every_soft_loss
def test_a_loss_that_is_called_checks_arrays(name: str) -> None:
    task = SOFT_TASKS["softmax"]
    target, logits = soft_batch(task, 0)
    loss = loss_of(name, task)
    assert np.isfinite(float(loss(target, logits)))
    with fails(DataError, "probabilities", "1.5"):
        loss(np.where(target == VOID, VOID, np.float32(1.5)), logits)
    with fails(DataError, "mask-channels"):
        loss(target[..., 0], logits)
    with fails(DataError, "mask-values"):
        loss_of(name, TASKS["multilabel"])(target, logits)
    ids = np.array([[[[0, 1, 0], [VOID] * 3]]], np.uint8)
    assert np.isfinite(float(loss(ids, logits[:1, :1, :2])))  # whole numbers are probabilities, too


def test_a_weighted_sum_takes_soft_targets() -> None:
    task = SOFT_TASKS["multilabel"]
    target, logits = soft_batch(task, 0)
    total = losses.make(task, {"cross_entropy": 1.0, "dice": 0.5})
    parts = [float(loss_of(name, task)(target, logits)) for name in ("cross_entropy", "dice")]
    assert float(total(target, logits)) == pytest.approx(parts[0] + parts[1] / 2, rel=1e-6)
    with fails(ConfigError, "not-for-task", setting="loss.focal"):
        losses.make(task, {"focal": 1})


@every_task
@few
@given(seed=seeds)
def test_hard_channels_are_the_mask_of_the_task(kind: str, seed: int) -> None:
    task = SOFT_TASKS[kind]
    rng = np.random.default_rng(seed)
    coded = rng.choice(np.array([0, 127, 254], np.uint8), (2, *SIZE, task.channels))
    if task.stores_ids:
        coded[..., 0] = np.maximum(coded[..., 0], 127)
        coded[0, 0, 0] = VOID
    channels, known = as_channels(as_probabilities(task, coded), task)
    found = ops.convert_to_numpy(hard_channels(channels, known, task))
    for image, target in enumerate(coded):
        expected, _ = as_channels(
            hard_target(task, target)[None], task.model_copy(update={"soft": False})
        )
        np.testing.assert_array_equal(found[image], ops.convert_to_numpy(expected)[0])


@pytest.mark.one_backend
def test_an_image_head_learns_from_the_most_probable_classes() -> None:
    task = Task.multiclass(NAMES, soft=True)
    target = np.zeros((1, *SIZE, 3), np.float32)
    target[..., 0] = 0.6
    target[..., 1] = 0.4
    target[0, 0, 0] = [0.2, 0.2, 0.6]
    logits = np.array([[0.3, -0.2]], np.float32)
    found = ops.convert_to_numpy(Presence(task).call(target, logits))
    mask = np.zeros((1, *SIZE), np.uint8)
    mask[0, 0, 0] = 2
    expected = Presence(Task.multiclass(NAMES)).call(mask, logits)
    np.testing.assert_array_equal(found, ops.convert_to_numpy(expected))
