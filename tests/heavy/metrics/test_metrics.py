"""Scores during training equal those of `counts` and scikit-learn. Runs on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from segkit import VOID, ConfigError, Task, catalog, losses, metrics
from segkit.evaluation import counts
from tests.helpers.errors import fails
from tests.helpers.loss_cases import SIZE, TASKS, batch, channels_of
from tests.oracles.question import activated

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
ONE_SCORE = ("dice", "iou", "precision", "recall")
every_score = pytest.mark.parametrize("name", ONE_SCORE)
SKLEARN = {
    "dice": f1_score,
    "iou": jaccard_score,
    "precision": precision_score,
    "recall": recall_score,
}
few = settings(max_examples=15)
seeds = st.integers(0, 10**6)


def metric_of(
    name: str, task: Task, /, from_logits: bool = True, **settings: Any
) -> metrics.PixelCounts:
    return catalog.load_part(catalog.METRICS, name)(task, from_logits=from_logits, **settings)


def answered(metric: metrics.PixelCounts, target: np.ndarray, prediction: np.ndarray) -> Any:
    """Return the result after one batch."""
    metric.update_state(target, prediction)
    return metric.result()


def whole(metric: metrics.PixelCounts) -> np.ndarray:
    """Return the exact counts (4, C)."""
    high, low = ops.convert_to_numpy(metric.limbs).astype(np.int64)
    return high * metrics.LIMB + low


def decoded(task: Task, logits: np.ndarray) -> np.ndarray:
    return task.decode(activated(logits, task.head == "softmax").astype(np.float32))


def numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(ops.convert_to_numpy(value)) for name, value in scores.items()}


@every_task
@few
@given(seed=seeds, void=st.sampled_from([0.0, 0.3, 0.9, 1.0]), cut=st.integers(1, 4))
def test_counts_are_those_of_counts_however_batches_are_cut(
    task: Task, seed: int, void: float, cut: int
) -> None:
    target, logits = batch(task, seed, void, images=5)
    metric = metric_of("scores", task)
    for part in (slice(0, cut), slice(cut, 5)):
        metric.update_state(target[part], logits[part])
    wanted = counts.count(task, target, decoded(task, logits))
    np.testing.assert_array_equal(whole(metric), wanted)
    assert numbers(metric.result()) == pytest.approx(
        counts.means(task, wanted), rel=1e-6, nan_ok=True
    )


@every_score
@every_task
def test_each_class_scores_as_in_counts_and_scikit_learn(name: str, task: Task) -> None:
    target, logits = batch(task, seed=1)
    wanted = counts.ratios(counts.count(task, target, decoded(task, logits)))[name]
    truth, known = channels_of(task, target)
    answer = channels_of(task, decoded(task, logits).reshape(target.shape))[0]
    for i, label in enumerate(task.classes):
        found = float(answered(metric_of(name, task, of=label), target, logits))
        assert found == pytest.approx(wanted[i], rel=1e-6)
        assert found == pytest.approx(
            SKLEARN[name](truth[..., i][known[..., i]], answer[..., i][known[..., i]]), rel=1e-6
        )
    mean = float(answered(metric_of(name, task), target, logits))
    assert mean == pytest.approx(np.mean([wanted[i] for i in task.foreground]), rel=1e-6)


@every_score
def test_of_is_a_class_of_the_task(name: str) -> None:
    with fails(ConfigError, "unknown-name", "background, liver, tumour", "'kidney'", setting="of"):
        metric_of(name, TASKS["softmax"], of="kidney")


@every_task
def test_means_over_some_classes_leave_out_the_others(task: Task) -> None:
    target, logits = batch(task, 3)
    scores = metrics.Scores(task, from_logits=True)
    whole_means = numbers(answered(scores, target, logits))
    for index in task.foreground:
        means = numbers(scores.foreground_means([index]))
        for name in ("dice", "iou"):
            single = metric_of(name, task, of=task.classes[index])
            expected = float(ops.convert_to_numpy(answered(single, target, logits)))
            assert means[f"{name}_foreground"] == pytest.approx(expected, nan_ok=True)
    every = numbers(scores.foreground_means(task.foreground))
    assert every == {name: whole_means[name] for name in every}


@every_task
def test_probabilities_count_as_their_logits_do(task: Task) -> None:
    target, logits = batch(task, seed=2)
    on_logits, on_probabilities = (
        metric_of("scores", task),
        metric_of("scores", task, from_logits=False),
    )
    on_logits.update_state(target, logits)
    on_probabilities.update_state(
        target, activated(logits, task.head == "softmax").astype(np.float32)
    )
    np.testing.assert_array_equal(whole(on_logits), whole(on_probabilities))


@every_task
@few
@given(seed=seeds)
def test_void_pixels_are_never_counted(task: Task, seed: int) -> None:
    target, logits = batch(task, seed, void=0.5)
    known = channels_of(task, target)[1]
    one, other = metric_of("scores", task), metric_of("scores", task)
    one.update_state(target, logits)
    other.update_state(target, np.where(known, logits, -logits))
    np.testing.assert_array_equal(whole(one), whole(other))
    assert (whole(one).sum(axis=0) == known.sum(axis=(0, 1, 2))).all()


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_pixels_of_a_set_count_for_the_classes_that_it_excludes(head: str) -> None:
    names = ["background", "vessel", "liver"]
    task = Task.multiclass(names, head=head, sets=[["background", "vessel"], ["vessel", "liver"]])
    target, logits = batch(task, seed=3)
    metric = metric_of("scores", task)
    metric.update_state(target, logits)
    known = channels_of(task, target)[1]
    np.testing.assert_array_equal(whole(metric), counts.count(task, target, decoded(task, logits)))
    assert (whole(metric).sum(axis=0) == known.sum(axis=(0, 1, 2))).all()
    assert len(set(whole(metric).sum(axis=0).tolist())) > 1


def test_each_class_has_a_threshold_which_counts_as_predicted() -> None:
    task = TASKS["multilabel"]  # 0.3, 0.5, 0.8
    p = np.tile(np.float32([0.29, 0.3, 0.49, 0.5, 0.79, 0.8])[None, None, :, None], (1, 1, 1, 3))
    metric = metric_of("recall", task, from_logits=False)
    metric.update_state(np.ones(p.shape, np.uint8), p)
    assert whole(metric)[0].tolist() == [5, 3, 1]
    assert whole(metric)[2].tolist() == [1, 3, 5]


def test_more_pixels_than_a_float32_can_count() -> None:
    target = np.ones((2, 1501, 1503, 1), np.uint8)
    target[:, 0, 0] = 0
    logits = np.ones(target.shape, np.float32)
    metric = metric_of("iou", TASKS["binary"])
    for _ in range(4):
        metric.update_state(target, logits)
    assert metrics.LIMB < 4 * 2 * (1501 * 1503 - 1) == whole(metric)[0, 0]
    assert whole(metric)[1:].ravel().tolist() == [8, 0, 0]


def test_single_pixels_still_count_after_a_trillion() -> None:
    target, metric = np.ones((1, 1, 1, 1), np.uint8), metric_of("iou", TASKS["binary"])
    start = np.zeros((2, 4, 1), np.int32)
    start[:, 0] = [[2**16], [metrics.LIMB - 2]]
    metric.limbs.assign(start)
    for _ in range(5):
        metric.update_state(target, np.ones(target.shape, np.float32))
    assert whole(metric)[0, 0] == 2**16 * metrics.LIMB + metrics.LIMB - 2 + 5
    limbs = ops.convert_to_numpy(metric.limbs)
    assert limbs[:, 0, 0].tolist() == [2**16 + 1, 3]
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize("name", sorted(catalog.METRICS))
@every_task
def test_survives_reset_get_config_and_serialisation(name: str, task: Task) -> None:
    target, logits = batch(task, seed=3)
    metric = metric_of(
        name, task, **({"of": task.classes[-1]} if name in ONE_SCORE else {}), name="own"
    )
    wanted = answered(metric, target, logits)
    again = type(metric).from_config(metric.get_config())
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    metric.reset_state()
    assert not whole(metric).any()
    for copy in (metric, again, loaded):
        assert copy.get_config() == metric.get_config()
        assert answered(copy, target, logits) == wanted
        assert copy.name == "own"


@every_task
@pytest.mark.parametrize("name", sorted(catalog.METRICS))
def test_trap_12_sample_weights_are_refused(name: str, task: Task) -> None:
    target, logits = batch(task, seed=3)
    with fails(ConfigError, "wrong-value", "VOID", setting="sample_weight"):
        metric_of(name, task).update_state(target, logits, sample_weight=np.zeros(2))


@every_score
@every_task
def test_trap_18_a_perfect_prediction_scores_1(name: str, task: Task) -> None:
    target, _ = batch(task, seed=4)
    truth, _ = channels_of(task, target)
    logits = np.where(truth, 3.0, -3.0).astype(
        np.float32
    )  # Keras' MeanIoU: 0.0 to 0.395 on a sigmoid
    assert float(answered(metric_of(name, task), target, logits)) == 1.0
    assert numbers(answered(metric_of("scores", task), target, logits)) == {
        "iou_foreground": 1.0,
        "dice_foreground": 1.0,
        "iou_with_background": 1.0,
    }


@pytest.mark.parametrize("kind", ["binary", "softmax"])
def test_trap_19_an_all_background_prediction(kind: str) -> None:
    task = TASKS[kind]
    target = np.zeros((1, *task.target_shape(10, 10)), np.uint8)
    target[0, 0, 0] = 1
    logits = np.full((1, 10, 10, task.channels), -3.0, np.float32)
    logits[..., 0] = -3.0 if kind == "binary" else 3.0
    found = numbers(answered(metric_of("scores", task), target, logits))
    assert found["iou_foreground"] == found["dice_foreground"] == 0.0  # Keras' BinaryIoU: 0.495
    assert found["iou_with_background"] == pytest.approx(
        0.99 / 2
    )  # that number, under its own name


def test_trap_20_the_background_is_left_out_not_counted_as_0() -> None:
    target = np.array([[[0, 0, 1, 1, 1, 1, 2, 2, 2, 2]]], np.uint8)
    answer = np.array([[[0, 1, 1, 1, 1, 1, 2, 2, 2, 2]]])
    logits = 3.0 * np.eye(3, dtype=np.float32)[answer]
    found = numbers(answered(metric_of("scores", TASKS["softmax"]), target, logits))
    assert found["iou_foreground"] == pytest.approx(
        (4 / 5 + 1) / 2
    )  # ignore_class=0 in Keras: 0.60
    assert found["iou_with_background"] == pytest.approx((1 / 2 + 4 / 5 + 1) / 3)


@every_score
@every_task
def test_trap_21_scores_are_of_masks_not_of_probabilities(name: str, task: Task) -> None:
    target, _ = batch(task, seed=5)
    truth, _ = channels_of(task, target)
    unsure = {"softmax": (0.4, 0.3), "sigmoid": (0.81, 0.29)}[task.head]
    p = np.where(truth, *np.float32(unsure)).astype(np.float32)
    assert (
        float(answered(metric_of(name, task, from_logits=False), target, p)) == 1.0
    )  # soft: 0.24 for .6 and .4


@every_task
@pytest.mark.parametrize("name", ["iou", "scores"])
def test_trap_22_fit_and_evaluate_score_the_data_set_for_any_batch_size(
    name: str, task: Task
) -> None:
    target, logits = batch(task, seed=6, images=6)
    model = keras.Sequential(
        [keras.Input((*SIZE, task.channels)), keras.layers.Activation("linear")]
    )
    model.compile(loss=losses.make(task), metrics=[metric_of(name, task)])
    found = [
        model.evaluate(logits, target, batch_size=size, verbose=0, return_dict=True)
        for size in (1, 4, 6)
    ]
    wanted = counts.means(task, counts.count(task, target, decoded(task, logits)))
    for scores in found:
        score = scores["iou" if name == "iou" else "iou_foreground"]
        assert float(score) == pytest.approx(wanted["iou_foreground"], rel=1e-6)


def test_trap_23_absent_classes_are_left_out() -> None:
    target = np.array([[[0, 1, 1, VOID]]], np.uint8)
    logits = 3.0 * np.eye(3, dtype=np.float32)[[[[0, 1, 0, 2]]]]
    task = TASKS["softmax"]
    assert float(answered(metric_of("iou", task), target, logits)) == 0.5
    assert np.isnan(float(answered(metric_of("iou", task, of="tumour"), target, logits)))
    nothing = np.full(target.shape, VOID, np.uint8)
    assert all(
        np.isnan(value)
        for value in numbers(answered(metric_of("scores", task), nothing, logits)).values()
    )


def test_trap_24_false_positives_on_empty_truth_are_counted() -> None:
    target = np.zeros((2, 1, 4, 1), np.uint8)
    target[0, 0, :2] = 1
    logits = np.array([3, 3, -3, -3, 3, 3, -3, -3], np.float32).reshape(2, 1, 4, 1)
    scores = numbers(answered(metric_of("scores", TASKS["binary"]), target, logits))
    assert scores["iou_foreground"] == 0.5  # the second image alone would be dropped: 1.0
    alone = answered(metric_of("iou", TASKS["binary"]), target[1:], logits[1:])
    assert float(alone) == 0.0
