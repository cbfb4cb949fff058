"""Every allowed setting gives finite, right values, and every other one is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from segkit import VOID, ConfigError, DataError, Task, losses, metrics
from segkit.config.loss import LARGEST, TERMS, parse_terms
from segkit.losses import checks
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, batch, channels_of, costs, loss_of, questions, slope
from tests.oracles.losses import COSTS

CRACK, SOFTMAX = TASKS["binary"], TASKS["softmax"]
OVERLAP = ("dice", "jaccard", "tversky", "focal_tversky", "log_cosh_dice")
ABOVE_0 = ("generalized_dice", "lovasz", "cl_dice")
SMOOTH = [1e-300, 1e-38, 1e-20, 1e-12, 1e-8, 1e-7, 1e-5, 1e-3, 0.5, 1.0, 1e3, 1e8, LARGEST]
EXTREMES: dict[str, dict[str, list[Any]]] = {
    "boundary": {"include_background": [True, False]},
    "cl_dice": {"smooth": SMOOTH, "iterations": [1, 9], "include_background": [True, False]},
    "cross_entropy": {"label_smoothing": [0, 1e-9, 0.999999]},
    "dice": {"smooth": [0, *SMOOTH], "include_background": [True, False]},
    "focal": {"gamma": [0, 1e-6, 0.3, 5, 100], "label_smoothing": [0, 0.9]},
    "focal_tversky": {
        "smooth": [0, *SMOOTH],
        "gamma": [1e-9, 0.1, 0.5, 1, 100],
        "false_positives": [0, 1e-9, 1e12],
        "false_negatives": [0, 1e-9, 1e12],
    },
    "generalized_dice": {"smooth": SMOOTH},
    "jaccard": {"smooth": [0, *SMOOTH], "include_background": [True, False]},
    "log_cosh_dice": {"smooth": [0, *SMOOTH]},
    "lovasz": {"smooth": SMOOTH, "include_background": [True, False]},
    "top_k_cross_entropy": {"share": [1e-12, 0.5, 1], "label_smoothing": [0, 0.9]},
    "tversky": {
        "smooth": [0, *SMOOTH],
        "false_positives": [0, 1e-9, 1e12],
        "false_negatives": [0, 1e-9, 1e12],
    },
}
every_loss = pytest.mark.parametrize("name", sorted(EXTREMES))
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def images(task: Task, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a target and logits (2, H, W, C) of a kind, such as "empty" or "one pixel"."""
    target, logits = batch(task, seed)
    if kind == "one pixel":
        return target[:, :1, :1], logits[:, :1, :1]
    values = {"empty": 0, "full": 1, "void": VOID}
    if kind in values:
        target[:] = values[kind]
    return target, logits


def test_the_extremes_are_those_of_every_setting() -> None:
    for name, ranges in EXTREMES.items():
        own = set(TERMS[name].model_fields) - {"weight"}
        assert own - {"include_background"} <= set(ranges) <= own


@every_loss
@every_task
@settings(max_examples=15)
@given(data=st.data())
def test_every_setting_gives_finite_costs_and_gradients(
    name: str, task: Task, data: st.DataObject
) -> None:
    chosen = {
        setting: data.draw(st.sampled_from(values), label=setting)
        for setting, values in EXTREMES[name].items()
    }
    kind = data.draw(st.sampled_from(["empty", "full", "void", "random", "one pixel"]))
    size = data.draw(st.sampled_from([1.0, 30.0, 1e4]))
    heavy = data.draw(st.sampled_from([1e-12, 1.0, 1e12]))
    assert parse_terms({name: chosen})
    target, logits = images(task, kind, seed=data.draw(st.integers(0, 99)))
    loss = loss_of(name, task, class_weights={task.classes[-1]: heavy}, **chosen)
    found = costs(loss, target, size * logits)
    steep = slope(loss, target, size * logits)
    assert np.isfinite(found).all()
    assert np.isfinite(steep).all()
    assert found.min() > -1e-5
    if kind == "void":
        assert not found.any()
        assert not steep.any()


@pytest.mark.parametrize(
    ("name", "smooth"),
    [
        (name, smooth)
        for name in (*OVERLAP, *ABOVE_0)
        for smooth in (0.0, *SMOOTH)
        if smooth or name in OVERLAP
    ],
)
def test_every_smoothing_gives_the_value_of_the_formula(name: str, smooth: float) -> None:
    for task in (CRACK, SOFTMAX):
        for seed, kind in enumerate(("random", "empty", "full", "one pixel")):
            target, logits = images(task, kind, seed)
            found = costs(loss_of(name, task, smooth=smooth), target, logits)
            wanted = [
                COSTS[name](question, smooth=smooth) for question in questions(task, target, logits)
            ]
            np.testing.assert_allclose(
                found, wanted, rtol=1e-4, atol=5e-5, err_msg=f"{task.kind} {kind}"
            )


@pytest.mark.parametrize("gamma", [0.05, 0.25, 0.5, 0.75, 1.0, 3.0])
def test_every_exponent_of_focal_tversky_gives_the_value_of_the_formula(gamma: float) -> None:
    for seed in range(3):
        target, logits = batch(SOFTMAX, seed)
        found = costs(loss_of("focal_tversky", SOFTMAX, gamma=gamma), target, logits)
        wanted = [
            COSTS["focal_tversky"](each, gamma=1 / gamma)
            for each in questions(SOFTMAX, target, logits)
        ]
        np.testing.assert_allclose(found, wanted, atol=4e-5)


@pytest.mark.parametrize("weight", [1e-12, 1e12])
@pytest.mark.parametrize(
    "name", sorted(set(EXTREMES) - {"top_k_cross_entropy"})
)  # which counts all that weigh
def test_extreme_class_weights_leave_the_other_classes_their_cost(name: str, weight: float) -> None:
    target, logits = batch(TASKS["multilabel"], seed=1)
    heavy = loss_of(name, TASKS["multilabel"], class_weights={"a": weight})
    wanted = loss_of(
        name,
        TASKS["multilabel"],
        class_weights={"a": 1.0, "b": 0.0, "c": 0.0} if weight > 1 else {"a": 0.0},
    )
    np.testing.assert_allclose(
        costs(heavy, target, logits), costs(wanted, target, logits), rtol=1e-5
    )


WRONG: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {"smooth": value})
        for name in (*OVERLAP, *ABOVE_0)
        for value in (-1, math.nan, math.inf, 1e13, "1", True)
    ),
    *((name, {"smooth": 0}) for name in ABOVE_0),
    *(
        (name, {"gamma": value})
        for name in ("focal", "focal_tversky")
        for value in (-1, math.nan, 101)
    ),
    ("focal_tversky", {"gamma": 0}),
    *(("tversky", {side: -0.1}) for side in ("false_positives", "false_negatives")),
    *(("cross_entropy", {"label_smoothing": value}) for value in (-0.1, 1, math.nan)),
    *(("top_k_cross_entropy", {"share": value}) for value in (0, 1.1, math.nan)),
    *(("cl_dice", {"iterations": value}) for value in (0, 2.5, True)),
    *(
        ("dice", {"class_weights": weights})
        for weights in ({"crack": -1.0}, {"crack": math.nan}, {"crack": 0}, [1], 2)
    ),
]


@pytest.mark.parametrize(("name", "chosen"), WRONG)
def test_a_setting_out_of_range_is_refused(name: str, chosen: dict[str, Any]) -> None:
    with fails(ConfigError, "wrong-value", setting=next(iter(chosen))):
        loss_of(name, CRACK, **chosen)


@pytest.mark.parametrize(
    ("name", "chosen", "meant"),
    [
        ("dice", {"false_positives": 0.3}, None),
        ("jaccard", {"false_negatives": 0.3}, None),
        ("dice", {"smoth": 1.0}, "smooth"),
        ("lovasz", {"include_backgroud": True}, "include_background"),
        ("cross_entropy", {"class_weight": {"crack": 2.0}}, "class_weights"),
    ],
)
def test_a_setting_that_a_loss_would_ignore_is_refused(
    name: str, chosen: dict[str, Any], meant: str | None
) -> None:
    values = [] if meant is None else [repr(meant)]
    with fails(ConfigError, "unknown-setting", *values, setting=next(iter(chosen))):
        loss_of(name, CRACK, **chosen)


def test_class_weights_go_by_names() -> None:
    with fails(ConfigError, "unknown-name", "background, crack", 0, setting="class_weights"):
        losses.Dice(CRACK, from_logits=True, class_weights={0: 1.0, 1: 2.0})
    with fails(ConfigError, "unknown-name", "'crack'", setting="class_weights"):
        losses.Dice(CRACK, from_logits=True, class_weights={"krack": 1.0})


def test_weights_of_a_sum_are_checked() -> None:
    one = losses.Dice(CRACK, from_logits=True)
    for weights in ([-1.0], [math.nan], [1.0, 2.0], [[1.0]], []):
        with fails(ConfigError, "wrong-value", setting="weights"):
            losses.WeightedSum([one], weights)
    with fails(ConfigError, "wrong-value", setting="losses"):
        losses.WeightedSum(["dice"], [1.0])
    for terms in ({"dice": -1}, {"dice": {"smooth": -1}}, {"dice": [1, -1]}):
        with fails(ConfigError, "wrong-value"):
            losses.make(CRACK, terms)


@pytest.mark.parametrize("task", ["binary", None, 3, CRACK.classes])
def test_what_is_no_task_is_refused(task: Any) -> None:
    for kind in (losses.Dice, losses.Lovasz, metrics.IoU, metrics.Scores):
        with fails(ConfigError, "wrong-value", setting="task"):
            kind(task, from_logits=True)


@every_task
@pytest.mark.parametrize("value", [7, 254, -1, 0.5, math.nan])
def test_targets_out_of_range_are_refused(task: Task, value: float) -> None:
    target, logits = batch(task, seed=1)
    wrong = target.astype(np.float32)
    wrong.flat[3] = value
    for check in (loss_of("dice", task), losses.make(task)):
        with fails(DataError, "mask-values"):
            check(wrong, logits)
    with fails(DataError, "mask-values"):
        metrics.IoU(task, from_logits=True).update_state(wrong, logits)
    fine = target.astype(np.float32)
    assert float(loss_of("dice", task)(fine, logits)) == float(
        loss_of("dice", task)(target, logits)
    )


@every_task
def test_lists_and_numbers_work_as_in_keras(task: Task) -> None:
    target, logits = batch(task, seed=2)
    for loss in (loss_of("dice", task), losses.make(task)):
        plain = float(loss(target, logits))
        assert float(loss(target.tolist(), logits.tolist())) == pytest.approx(plain)
        assert float(loss(target, logits, sample_weight=2.3)) == pytest.approx(2.3 * plain)
        each = costs(loss, target, logits)
        assert float(loss(target, logits, sample_weight=[1.0, 3.0])) == pytest.approx(
            (each[0] + 3 * each[1]) / 2
        )
    one, other = (metrics.IoU(task, from_logits=True) for _ in range(2))
    one.update_state(target, logits)
    other.update_state(target.tolist(), logits.tolist())
    assert float(one.result()) == float(other.result())


@pytest.mark.slow
def test_images_of_20_megapixels_cost_what_a_part_of_them_does() -> None:
    """An image that is made of 10,000 equal parts; smoothing of the part is a 10,000th."""
    part, logits = batch(CRACK, seed=3, images=1)
    part = np.tile(part, (1, 9, 8, 1))[:, :45, :45]
    logits = np.tile(logits, (1, 9, 8, 1))[:, :45, :45]
    large, answers = (np.tile(array, (1, 100, 100, 1)) for array in (part, logits))
    assert large.size > 2**24
    known = int(channels_of(CRACK, part)[1].sum())
    same = {
        "top_k_cross_entropy": {"share": known // 10 / known}
    }  # a whole number of pixels in both
    for name in sorted(set(EXTREMES) - {"boundary", "cl_dice"}):
        chosen = same.get(name, {})
        scaled = {"smooth": 1e-4} if "smooth" in EXTREMES[name] else chosen
        found = costs(loss_of(name, CRACK, **chosen), large, answers)
        np.testing.assert_allclose(
            found, costs(loss_of(name, CRACK, **scaled), part, logits), rtol=1e-5, err_msg=name
        )
    score = metrics.IoU(CRACK, from_logits=True)
    score.update_state(large, answers)
    of_part = metrics.IoU(CRACK, from_logits=True)
    of_part.update_state(part, logits)
    assert float(score.result()) == pytest.approx(float(of_part.result()), rel=1e-6)
    counts = ops.convert_to_numpy(score.limbs).astype(np.int64)
    assert int((counts[0] * metrics.LIMB + counts[1]).sum()) == 10_000 * known


def test_checks_of_numbers_take_numpy_s() -> None:
    assert checks.number("smooth", np.float32(0.5), least=0) == 0.5
