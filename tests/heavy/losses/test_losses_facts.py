"""Documented facts of single losses. Runs on every backend of Keras."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

from segkit import ConfigError, DataError, Task, catalog, losses, metrics
from segkit.config.loss import TERMS
from segkit.data.batches.distances import with_distances
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, batch, channels_of, costs, loss_of, questions, slope
from tests.oracles.losses import cross_entropy

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
CRACK = TASKS["binary"]


def answer(truth: np.ndarray, task: Task = CRACK) -> np.ndarray:
    """Return logits (1, H, W, 1) of exactly this mask."""
    return np.where(truth, 12.0, -12.0).astype(np.float32)[None, ..., None]


def target_of(truth: np.ndarray) -> np.ndarray:
    return truth.astype(np.uint8)[None, ..., None]


@pytest.mark.parametrize("name", sorted(catalog.LOSSES))
def test_the_config_knows_the_settings_of_the_loss_and_their_defaults(name: str) -> None:
    loss = loss_of(name, CRACK)
    common = {"name", "reduction", "task", "from_logits", "class_weights"}
    own = {key: value for key, value in loss.get_config().items() if key not in common}
    fields = {
        key: field.default for key, field in TERMS[name].model_fields.items() if key != "weight"
    }
    assert own == fields
    for key in fields:
        takers = [
            kind
            for kind in type(loss).__mro__
            if key in inspect.signature(kind.__init__).parameters
        ]
        assert takers, key


@every_task
def test_smoothed_labels_are_those_of_the_paper(task: Task) -> None:
    target, logits = batch(task, seed=1)
    weights = dict(zip(task.weighted, (1.0, 3.0, 2.0), strict=False))
    loss = loss_of("cross_entropy", task, label_smoothing=0.15, class_weights=weights)
    wanted = [
        cross_entropy(question, 0.15) for question in questions(task, target, logits, weights)
    ]
    np.testing.assert_allclose(costs(loss, target, logits), wanted, rtol=1e-5)
    unknown = ~channels_of(task, target)[1]
    assert unknown.any()  # VOID stays VOID, whatever is said there
    np.testing.assert_array_equal(
        costs(loss, target, np.where(unknown, -logits, logits)), costs(loss, target, logits)
    )


@pytest.mark.parametrize(
    ("kind", "best"), [("binary", 0.95), ("softmax", 0.9 + 0.1 / 3), ("multilabel", 0.95)]
)
def test_smoothed_labels_are_satisfied_before_certainty(kind: str, best: float) -> None:
    task = TASKS[kind]
    target = np.full((1, *task.target_shape(2, 2)), 1, np.uint8)  # type: ignore[arg-type]
    p = np.full((1, 2, 2, task.channels), best, np.float32)
    if kind == "softmax":
        p[...] = (1 - best) / 2
        p[..., 1] = best
    logits = np.log(p) if kind == "softmax" else np.log(p / (1 - p))
    np.testing.assert_allclose(
        slope(loss_of("cross_entropy", task, label_smoothing=0.1), target, logits), 0, atol=1e-6
    )


@every_task
def test_focal_with_smoothed_labels_still_calls_easy_what_is_right(task: Task) -> None:
    target, logits = batch(task, seed=2)
    plain = loss_of("cross_entropy", task, label_smoothing=0.2)
    np.testing.assert_allclose(
        costs(loss_of("focal", task, gamma=0.0, label_smoothing=0.2), target, logits),
        costs(plain, target, logits),
        1e-5,
    )
    truth = np.zeros((1, *task.target_shape(2, 2)), np.uint8)  # type: ignore[arg-type]
    right = np.full((1, 2, 2, task.channels), -40.0, np.float32)
    if task.exclusive:
        right[..., 0] = 40.0
    assert costs(plain, truth, right) > 1  # too sure
    assert costs(loss_of("focal", task, label_smoothing=0.2), truth, right) == pytest.approx(
        0, abs=1e-6
    )  # but easy


@every_task
def test_all_of_the_worst_are_all(task: Task) -> None:
    target, logits = batch(task, seed=3)
    every = loss_of("top_k_cross_entropy", task, share=1.0)
    plain = costs(loss_of("cross_entropy", task), target, logits)
    np.testing.assert_allclose(costs(every, target, logits), plain, rtol=1e-5)
    assert (costs(loss_of("top_k_cross_entropy", task), target, logits) > 1.5 * plain).all()


def test_lovasz_softmax_of_a_hard_prediction_is_its_jaccard_loss() -> None:
    """An extension equals the extended function where that is defined."""
    task, rng = TASKS["softmax"], np.random.default_rng(0)
    target, said = rng.integers(0, 3, (1, 9, 8)).astype(np.uint8), rng.integers(0, 3, (1, 9, 8))
    logits = (np.eye(3, dtype=np.float32)[said] - 0.5) * 100
    found = costs(loss_of("lovasz", task, smooth=1e-6), target, logits)
    iou = metrics.IoU(task, from_logits=True)
    iou.update_state(target, logits)
    assert found == pytest.approx(1 - float(iou.result()), rel=1e-4)


def test_boundary_pushes_in_proportion_to_the_distance() -> None:
    truth = np.zeros((8, 9), bool)
    truth[2:6, 3:8] = True
    target, p = target_of(truth), np.full((1, 8, 9, 1), 0.3, np.float32)
    found = slope(loss_of("boundary", CRACK, from_logits=False), target, p)
    distances = with_distances(target[0], CRACK)[..., 1]
    np.testing.assert_allclose(found[0], distances / 72, rtol=1e-5)


def test_boundary_without_distances_is_refused() -> None:
    target, logits = batch(CRACK, seed=4)
    with fails(DataError, "mask-channels", (2, 5, 6, 1), "with_distances"):
        loss_of("boundary", CRACK).call(target, logits)


def test_cl_dice_minds_a_gap_in_a_line_more_than_its_width() -> None:
    truth = np.zeros((21, 40), bool)
    truth[9:12, 2:38] = True
    thin, gap = truth.copy(), truth.copy()
    thin[9], thin[11] = False, False  # two thirds of the pixels are missed
    gap[:, 15:25] = False
    loss, dice = loss_of("cl_dice", CRACK), loss_of("dice", CRACK)
    target = target_of(truth)
    assert costs(loss, target, answer(thin)) < 0.02 < 0.1 < costs(loss, target, answer(gap))
    assert costs(dice, target, answer(thin)) > 2 * costs(
        dice, target, answer(gap)
    )  # Dice sees it the other way round


def test_cl_dice_needs_as_many_iterations_as_half_the_width() -> None:
    truth = np.zeros((30, 60), bool)
    truth[9:20, 5:55] = True  # 11 pixels wide
    half = truth.copy()
    half[:, 30:] = False
    few, enough = (loss_of("cl_dice", CRACK, iterations=count) for count in (2, 5))
    assert costs(few, target_of(truth), answer(half)) == pytest.approx(0, abs=0.05)
    assert costs(enough, target_of(truth), answer(half)) > 0.2


def test_generalized_dice_counts_a_small_class_like_a_large_one() -> None:
    task = TASKS["softmax"]
    target = np.zeros((1, 40, 40), np.uint8)
    target[0, :20], target[0, 30:32, 30:32] = 1, 2
    missed = np.where(target == 2, 0, target)
    logits = (np.eye(3, dtype=np.float32)[missed] - 0.5) * 40
    found = costs(loss_of("generalized_dice", task), target, logits)  # 4 of 1600 pixels are wrong
    assert 0.75 < found < 0.8  # of them alone: 1 - 1 / 5
    np.testing.assert_allclose(
        costs(
            loss_of("generalized_dice", task),
            target,
            (np.eye(3, dtype=np.float32)[target] - 0.5) * 40,
        ),
        0,
        atol=1e-5,
    )


def test_generalized_dice_of_an_empty_image_is_the_mean_of_what_is_claimed() -> None:
    target, p = np.zeros((1, 10, 10, 1), np.uint8), np.full((1, 10, 10, 1), 0.25, np.float32)
    found = costs(loss_of("generalized_dice", CRACK, from_logits=False), target, p)
    assert found == pytest.approx(25 / 101, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cross_entropy", {"label_smoothing": 1.0}),
        ("top_k_cross_entropy", {"share": 0.0}),
        ("cl_dice", {"iterations": 0}),
        ("lovasz", {"smooth": 0.0}),
        ("generalized_dice", {"class_weights": {"crack": 0.0}}),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_plain_keras_too(
    name: str, settings: dict[str, object]
) -> None:
    with fails(ConfigError, "wrong-value", setting=next(iter(settings))):
        loss_of(name, CRACK, **settings)


def test_public_names_are_registered_under_the_names_of_before() -> None:
    for name in losses.__all__:
        part = getattr(losses, name)
        if (
            isinstance(part, type)
            and issubclass(part, losses.SegmentationLoss)
            and part is not losses.SegmentationLoss
        ):
            assert keras.saving.get_registered_name(part) == f"segkit.losses>{name}"
