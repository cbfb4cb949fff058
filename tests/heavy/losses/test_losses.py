"""The contract of every loss of the catalog, for every kind of task. Runs on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from segkit import VOID, ConfigError, Task, catalog, losses
from tests.helpers.errors import fails
from tests.helpers.loss_cases import (
    TASKS,
    batch,
    channels_of,
    costs,
    loss_of,
    needed,
    questions,
    slope,
)
from tests.oracles.losses import COSTS
from tests.oracles.question import activated

every_loss = pytest.mark.parametrize("name", sorted(catalog.LOSSES))
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
few = settings(max_examples=15)
seeds = st.integers(0, 10**6)
voids = st.sampled_from([0.0, 0.3, 0.9, 1.0])
OVER_PIXELS = ("cross_entropy", "focal", "top_k_cross_entropy")
SETTINGS: dict[str, dict[str, Any]] = {
    "boundary": {"include_background": True},
    "cl_dice": {"iterations": 1, "smooth": 3.0, "include_background": True},
    "cross_entropy": {"label_smoothing": 0.2},
    "dice": {"smooth": 3.0, "include_background": True},
    "focal": {"gamma": 1.5},
    "focal_tversky": {"gamma": 0.6, "false_positives": 0.2, "false_negatives": 0.8},
    "generalized_dice": {"smooth": 4.0},
    "jaccard": {"smooth": 0.5},
    "log_cosh_dice": {"smooth": 2.0, "include_background": True},
    "lovasz": {"smooth": 0.5, "include_background": True},
    "top_k_cross_entropy": {"share": 0.3, "label_smoothing": 0.1},
    "tversky": {
        "false_positives": 0.1,
        "false_negatives": 0.9,
        "smooth": 2.0,
        "include_background": True,
    },
}


def weights_for(task: Task, values: list[float]) -> dict[str, float]:
    return dict(zip(task.weighted, values, strict=False))


def void_of(task: Task, target: np.ndarray) -> np.ndarray:
    """Return where a prediction (B, H, W, C) is about unlabelled pixels."""
    return ~channels_of(task, target)[1]


def test_every_loss_has_an_oracle() -> None:
    assert set(COSTS) == set(SETTINGS) == set(catalog.LOSSES)


@every_loss
@every_task
@few
@given(
    seed=seeds,
    void=voids,
    weights=st.none() | st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=3, max_size=3),
)
def test_agrees_with_the_oracle(
    name: str, task: Task, seed: int, void: float, weights: list[float] | None
) -> None:
    by_name = weights_for(task, weights) if weights else None
    if by_name and not sum(by_name[task.classes[i]] for i in task.foreground):
        by_name[task.classes[-1]] = 2.0  # all foreground weights 0 is refused, see below
    target, logits = batch(task, seed, void)
    found = costs(loss_of(name, task, class_weights=by_name), target, logits)
    wanted = [COSTS[name](question) for question in questions(task, target, logits, by_name)]
    # Focal Tversky has a floor that keeps its gradient finite. It moves the value by up to
    # floor ** 0.75 = 3e-5.
    np.testing.assert_allclose(
        found, wanted, rtol=2e-5, atol=4e-5 if name == "focal_tversky" else 1e-6
    )


@every_loss
@every_task
@few
@given(seed=seeds, void=voids, other=st.sampled_from([-1e4, -1.0, 0.0, 30.0, 1e4]))
def test_void_pixels_never_matter(
    name: str, task: Task, seed: int, void: float, other: float
) -> None:
    target, logits = batch(task, seed, void)
    changed = np.where(void_of(task, target), np.float32(other), logits)
    loss = loss_of(name, task)
    np.testing.assert_array_equal(costs(loss, target, changed), costs(loss, target, logits))


@every_loss
@every_task
def test_void_pixels_get_no_gradient_and_the_others_do(name: str, task: Task) -> None:
    target, logits = batch(task, seed=1)
    found, unknown = slope(loss_of(name, task), target, logits), void_of(task, target)
    assert unknown.any()
    assert not found[unknown].any()
    assert np.isfinite(found).all()
    # those look at the worst, at what is within the hinge, and at centrelines
    share = {"top_k_cross_entropy": 0.1, "lovasz": 0.3, "cl_dice": 0.2}.get(name, 0.5)
    assert np.count_nonzero(found[~unknown]) >= share * np.count_nonzero(~unknown)


@every_loss
@every_task
def test_an_image_without_a_known_pixel_costs_0_with_gradient_0(name: str, task: Task) -> None:
    target, logits = batch(task, seed=2, void=0.0)
    alone = costs(loss_of(name, task), target, logits)
    target[0] = VOID
    found = costs(loss_of(name, task), target, logits)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(alone[1], rel=1e-6)
    assert not slope(loss_of(name, task), target, logits)[0].any()


@every_loss
@every_task
def test_gives_one_float32_an_image_and_keras_the_mean_of_them(name: str, task: Task) -> None:
    target, logits = batch(task, seed=3, images=3)
    loss = loss_of(name, task)
    target = needed(loss, target)
    each = loss.call(target, ops.convert_to_tensor(logits))
    assert tuple(each.shape) == (3,)
    assert keras.backend.standardize_dtype(each.dtype) == "float32"
    mean = ops.convert_to_numpy(loss(target, logits))
    assert mean == pytest.approx(ops.convert_to_numpy(each).mean(), rel=1e-6)


@every_loss
@every_task
def test_an_image_costs_the_same_in_any_company(name: str, task: Task) -> None:
    target, logits = batch(task, seed=4, images=4)
    target[2] = VOID
    loss = loss_of(name, task, class_weights=weights_for(task, [1.0, 3.0, 2.0]))
    alone = [costs(loss, target[i : i + 1], logits[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(costs(loss, target, logits), alone, rtol=1e-6)


@every_loss
@every_task
@pytest.mark.parametrize("size", [30.0, 1e4])
def test_extreme_logits_keep_value_and_gradient_finite(name: str, task: Task, size: float) -> None:
    target, logits = batch(task, seed=5)
    extreme = np.where(logits > 0, np.float32(size), np.float32(-size))
    loss = loss_of(name, task)
    assert np.isfinite(costs(loss, target, extreme)).all()
    assert np.isfinite(slope(loss, target, extreme)).all()


@every_loss
@every_task
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_predictions_are_summed_in_float32(
    name: str, task: Task, dtype: str
) -> None:
    target, logits = batch(task, seed=6)
    logits[0, 0] = 1e4
    half = ops.cast(ops.convert_to_tensor(logits), dtype)
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    loss = loss_of(name, task)
    np.testing.assert_array_equal(costs(loss, target, half), costs(loss, target, rounded))
    assert np.isfinite(slope(loss, target, logits, dtype)).all()


@every_loss
@every_task
def test_logits_and_their_probabilities_cost_the_same(name: str, task: Task) -> None:
    target, logits = batch(task, seed=7)
    p = activated(logits, task.head == "softmax").astype(np.float32)
    on_logits, on_probabilities = loss_of(name, task), loss_of(name, task, from_logits=False)
    np.testing.assert_allclose(
        costs(on_probabilities, target, p), costs(on_logits, target, logits), rtol=1e-4
    )


@every_loss
@every_task
def test_only_the_proportions_of_class_weights_count(name: str, task: Task) -> None:
    target, logits = batch(task, seed=8)
    weights = weights_for(task, [1.0, 2.0, 5.0])
    tenfold = {key: 10 * weight for key, weight in weights.items()}
    once, ten = (loss_of(name, task, class_weights=given) for given in (weights, tenfold))
    np.testing.assert_allclose(costs(ten, target, logits), costs(once, target, logits), rtol=1e-6)
    plain = costs(loss_of(name, task), target, logits)
    if task.kind == "binary" and name not in OVER_PIXELS:
        np.testing.assert_allclose(
            costs(once, target, logits), plain, rtol=1e-6
        )  # one class: nothing to weigh
    else:
        assert np.abs(costs(once, target, logits) - plain).max() > 1e-4


@pytest.mark.parametrize("name", OVER_PIXELS)
@pytest.mark.parametrize("kind", ["binary", "softmax"])
def test_pixels_of_a_class_of_weight_0_are_out(name: str, kind: str) -> None:
    task = TASKS[kind]
    target, logits = batch(task, seed=9)
    without = np.where(target == 0, VOID, target).astype(np.uint8)
    loss = loss_of(name, task, class_weights={"background": 0.0})
    np.testing.assert_allclose(costs(loss, target, logits), costs(loss, without, logits), rtol=1e-6)
    np.testing.assert_allclose(
        costs(loss, target, logits), costs(loss_of(name, task), without, logits), rtol=1e-6
    )
    assert (
        np.abs(costs(loss_of(name, task), target, logits) - costs(loss, target, logits)).max()
        > 1e-3
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in sorted(catalog.LOSSES)
        for kind in ("multilabel", "softmax", "one_against_the_rest")
        if not (
            kind == "softmax" and name in OVER_PIXELS
        )  # weighs pixels, not answers: the test above
    ],
)
def test_a_class_of_weight_0_does_not_count(name: str, kind: str) -> None:
    task = TASKS[kind]
    target, logits = batch(task, seed=9)
    p = activated(logits, task.head == "softmax").astype(np.float32)
    changed = p.copy()
    changed[..., 1] = 1 - p[..., 1]
    weighed = loss_of(name, task, from_logits=False, class_weights={task.classes[1]: 0.0})
    np.testing.assert_array_equal(costs(weighed, target, changed), costs(weighed, target, p))
    plain = loss_of(name, task, from_logits=False)
    assert np.abs(costs(plain, target, changed) - costs(plain, target, p)).max() > 1e-3


def test_weights_that_leave_nothing_or_name_nothing_are_refused() -> None:
    target, logits = batch(TASKS["binary"], seed=9)
    with fails(ConfigError, "wrong-value", {"crack": 0.0}, setting="class_weights"):
        costs(loss_of("dice", TASKS["binary"], class_weights={"crack": 0.0}), target, logits)
    with fails(ConfigError, "unknown-name", "background, crack", "krack", setting="class_weights"):
        loss_of("cross_entropy", TASKS["binary"], class_weights={"krack": 2.0})


@every_loss
@every_task
def test_survives_get_config_and_serialisation(name: str, task: Task) -> None:
    target, logits = batch(task, seed=10)
    loss = loss_of(name, task, class_weights=weights_for(task, [1.0, 3.0, 2.0]), **SETTINGS[name])
    wanted = costs(loss, target, logits)
    again = type(loss).from_config(loss.get_config())
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    for copy in (again, loaded):
        assert type(copy) is type(loss)
        assert copy.get_config() == loss.get_config()
        np.testing.assert_array_equal(costs(copy, target, logits), wanted)
    if name != "boundary" or task.exclusive:  # whose only setting is about the background
        assert (
            np.abs(
                costs(loss_of(name, task, class_weights=loss.class_weights), target, logits)
                - wanted
            ).max()
            > 1e-5
        )


def test_no_two_parts_share_the_name_that_they_are_saved_by() -> None:
    """A loss and a metric have the same name (Dice); loading must not confuse them."""
    parts = [
        catalog.load_part(table, name)
        for table in (catalog.LOSSES, catalog.METRICS)
        for name in table
    ]
    for part in parts:
        assert keras.saving.get_registered_object(keras.saving.get_registered_name(part)) is part


@every_task
def test_the_sum_of_losses_is_their_weighted_sum(task: Task) -> None:
    target, logits = batch(task, seed=11)
    terms = {"focal": {"weight": 0.5, "gamma": 3.0}, "jaccard": 2}
    found = losses.make(task, terms)
    focal, jaccard = loss_of("focal", task, gamma=3.0), loss_of("jaccard", task)
    wanted = 0.5 * costs(focal, target, logits) + 2 * costs(jaccard, target, logits)
    np.testing.assert_allclose(costs(found, target, logits), wanted, rtol=1e-6)
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(found))
    np.testing.assert_array_equal(costs(loaded, target, logits), costs(found, target, logits))
    both = costs(loss_of("cross_entropy", task), target, logits) + costs(
        loss_of("dice", task), target, logits
    )
    np.testing.assert_allclose(costs(losses.make(task), target, logits), both, rtol=1e-6)


def test_a_setting_that_a_loss_lacks_is_named() -> None:
    with fails(ConfigError, "unknown-setting", "weight", setting="loss.dice.gamma"):
        losses.make(TASKS["binary"], {"dice": {"gamma": 2.0}})
    with fails(ConfigError, "unknown-name", "'dice'", setting="loss"):
        losses.make(TASKS["binary"], {"dyce": 1.0})
