"""Traps of losses, unlabelled pixels and weights, by number. Runs on every backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import segkit
from segkit import VOID, ConfigError, DataError, Task, catalog, losses, metrics
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, batch, costs, loss_of, needed, slope

every_loss = pytest.mark.parametrize("name", sorted(catalog.LOSSES))
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
OVERLAP = ("dice", "focal_tversky", "jaccard", "tversky")
OF_OVERLAP = (*OVERLAP, "cl_dice", "generalized_dice", "log_cosh_dice")
CRACK = TASKS["binary"]


def filled(task: Task, value: int, images: int = 1) -> np.ndarray:
    """Return an encoded target of one value everywhere."""
    return np.full((images, *task.target_shape(5, 6)), value, np.uint8)


def logits_for(task: Task, channel: int, size: float, images: int = 1) -> np.ndarray:
    """Return logits that predict only `channel`, at every pixel."""
    logits = np.full((images, 5, 6, task.channels), -size, np.float32)
    logits[..., channel] = size
    return logits


@every_loss
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (
            "softmax",
            (2, 5, 6, 1),
        ),  # an id map beside (2, 5, 6, 3): Keras' Dice broadcasts it and costs 0.996
        ("softmax", (2, 5, 6, 3)),
        ("one_against_the_rest", (2, 5, 6, 1)),
        ("multilabel", (2, 5, 6, 1)),
        ("multilabel", (2, 5, 6)),
        ("binary", (2, 5, 6)),
        ("binary", (2, 5, 6, 3)),
    ],
)
def test_trap_05_a_target_of_another_shape_never_broadcasts(
    name: str, kind: str, shape: tuple[int, ...]
) -> None:
    task = TASKS[kind]
    target, (_, logits) = np.zeros(shape, np.uint8), batch(task, seed=1)
    with fails(DataError, "mask-channels", shape):
        loss_of(name, task).call(target, logits)
    with fails(DataError, "mask-channels", shape):
        metrics.IoU(task, from_logits=True).update_state(target, logits)


@every_loss
@every_task
def test_trap_05_a_prediction_of_another_number_of_channels_is_refused(
    name: str, task: Task
) -> None:
    target, logits = batch(task, seed=1)
    with fails(DataError, "channels", f"{task.channels})", f"{task.channels + 1})"):
        loss_of(name, task).call(target, np.concatenate([logits, logits[..., :1]], axis=-1))


@every_loss
@every_task
def test_trap_07_dice_of_logits(name: str, task: Task) -> None:
    kind = catalog.load_part(catalog.LOSSES, name)
    with pytest.raises(TypeError, match="from_logits"):
        kind(task)  # no default: a wrong one trains without a word
    target, logits = batch(task, seed=2)
    found = costs(
        loss_of(name, task), target, 50 * logits
    )  # the raw sums would give 3.22 and the like
    assert (found >= 0).all()
    if name in OF_OVERLAP:
        assert (found <= 1).all()


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@every_task
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_trap_08_a_saturated_wrong_pixel_is_still_pushed(name: str, task: Task, dtype: str) -> None:
    wrong = 1 if task.exclusive else 0
    found = slope(loss_of(name, task), filled(task, 0), logits_for(task, wrong, 500.0), dtype)
    # 30 pixels; where channels answer one by one, each answer is one of 30 * channels
    share = 1 / 30 if task.head == "softmax" else 1 / (30 * task.channels)
    np.testing.assert_allclose(found[..., wrong], share, rtol=1e-3)


def test_trap_09_sums_in_half_precision() -> None:
    target, logits = (
        np.ones((1, 512, 512, 1), np.uint8),
        np.full((1, 512, 512, 1), 20.0, np.float16),
    )
    for name in sorted(catalog.LOSSES):  # a float16 sum of these 262,144 ones is infinite
        assert costs(loss_of(name, CRACK), target, logits) == pytest.approx(0.0, abs=1e-4), name


@pytest.mark.parametrize("gamma", [0.25, 0.5, 0.75])
@every_task
@pytest.mark.parametrize("size", [8.0, 20.0, 1e4])
def test_trap_09_focal_exponents_below_1_at_a_perfect_prediction(
    gamma: float, task: Task, size: float
) -> None:
    for name in ("focal_tversky", "focal"):
        loss = loss_of(name, task, gamma=gamma)
        found = slope(loss, filled(task, 1), logits_for(task, 1 if task.exclusive else 0, size))
        assert np.isfinite(found).all(), name
        assert np.abs(found).max() < 10, name


@every_loss
@every_task
@pytest.mark.parametrize("right", [True, False])
def test_trap_09_probabilities_of_exactly_0_and_1(name: str, task: Task, right: bool) -> None:
    channel = 1 if task.exclusive else 0
    certain = (logits_for(task, channel, 1.0) > 0).astype(np.float32)
    target = filled(task, 1) if right else filled(task, 0)
    loss = loss_of(name, task, from_logits=False)
    assert np.isfinite(costs(loss, target, certain)).all()
    assert np.isfinite(slope(loss, target, certain)).all()
    if right and (task.exclusive or task.channels == 1):
        assert costs(loss, target, certain) == pytest.approx(0.0, abs=1e-4)


@every_loss
@every_task
def test_trap_12_void_is_not_in_the_mean(name: str, task: Task) -> None:
    target, logits = batch(task, seed=3, void=0.0)
    half = target.copy()
    half[:, :, :3] = (
        VOID  # by sample_weight=0 the mean would still divide by all pixels: 0.584 for 1.169
    )
    found = costs(loss_of(name, task), half, logits)
    np.testing.assert_allclose(
        found, costs(loss_of(name, task), target[:, :, 3:], logits[:, :, 3:]), rtol=1e-5
    )


@every_loss
@pytest.mark.parametrize("shape", [(5, 5, 6), (5, 5, 6, 1)])
def test_trap_12_weights_of_pixels_are_refused(name: str, shape: tuple[int, ...]) -> None:
    task = TASKS["softmax"]
    target, logits = batch(task, seed=3, images=5)
    for loss in (loss_of(name, task), losses.make(task, {name: 1.0})):
        ones = np.ones(5, np.float32)  # one weight an image is fine
        whole = loss(needed(loss, target), logits, sample_weight=ones)
        np.testing.assert_allclose(
            ops.convert_to_numpy(whole), costs(loss, target, logits).mean(), rtol=1e-6
        )
        with fails(ConfigError, "wrong-value", "VOID", shape, setting="sample_weight"):
            loss(target, logits, sample_weight=np.zeros(shape, np.float32))


@every_task
def test_trap_13_losses_and_metrics_see_the_same_pixels(task: Task) -> None:
    target, logits = batch(task, seed=4, void=0.0)
    target[:, 2:] = VOID
    wrong = logits.copy()
    wrong[:, 2:] = -logits[:, 2:]
    for name in catalog.LOSSES:
        np.testing.assert_array_equal(
            costs(loss_of(name, task), target, wrong), costs(loss_of(name, task), target, logits)
        )
    for name in catalog.METRICS:
        answers = []
        for prediction in (logits, wrong, logits[:, :2]):
            metric = catalog.load_part(catalog.METRICS, name)(task, from_logits=True)
            metric.update_state(target[:, : prediction.shape[1]], prediction)
            answers.append(metric.result())
        one, two, known_part = answers
        assert one == two == known_part, name


@every_loss
@every_task
def test_trap_14_a_batch_that_is_all_void(name: str, task: Task) -> None:
    target, (_, logits) = filled(task, VOID, images=2), batch(task, seed=5)
    for prediction in (logits, 1e4 * logits):
        assert not costs(loss_of(name, task), target, prediction).any()
        assert not slope(loss_of(name, task), target, prediction).any()
    total = losses.make(task, {name: 1.0})
    assert float(ops.convert_to_numpy(total(needed(total, target), logits))) == 0.0


@every_loss
@every_task
def test_trap_15_empty_truth(name: str, task: Task) -> None:
    nothing = filled(task, 0)
    empty = (
        logits_for(task, 0, 12.0)
        if task.exclusive
        else np.full((1, 5, 6, task.channels), -12.0, np.float32)
    )
    assert costs(loss_of(name, task), nothing, empty) == pytest.approx(
        0.0, abs=1e-3
    )  # Keras' Dice: 1.0, gradient 0
    last = task.channels - 1
    false_positives = logits_for(task, last, 2.0)
    assert costs(loss_of(name, task), nothing, false_positives) > 0.2 / task.channels
    found = slope(loss_of(name, task), nothing, false_positives)
    pushed = (
        found[..., 0] < -5e-6 if task.head == "softmax" else found[..., last] > 1e-5
    )  # softmax: to the background
    assert pushed.mean() >= (
        0.1 if name == "top_k_cross_entropy" else 1.0
    )  # which pushes a tenth of the answers


@pytest.mark.parametrize("name", OVERLAP)
@pytest.mark.parametrize("kind", ["softmax", "one_against_the_rest"])
def test_trap_16_an_all_background_prediction_does_not_pass(name: str, kind: str) -> None:
    task = TASKS[kind]
    target = np.zeros((1, 40, 40), np.uint8)
    target[0, :4, :4], target[0, 10:14, :4] = 1, 2  # 2 % of the pixels
    logits = np.full((1, 40, 40, 3), -12.0, np.float32)
    logits[..., 0] = 12.0
    assert costs(loss_of(name, task), target, logits) > 0.9
    with_background = costs(loss_of(name, task, include_background=True), target, logits)
    assert with_background == pytest.approx(
        costs(loss_of(name, task), target, logits) * 2 / 3, abs=0.02
    )


@every_task
def test_trap_17_class_weights_are_a_setting_of_the_loss(task: Task) -> None:
    target, logits = batch(task, seed=6)
    weights = {task.weighted[1]: 9.0}
    model = keras.Sequential(
        [keras.Input((5, 6, task.channels)), keras.layers.Activation(task.activation)]
    )
    plain, weighted = (
        segkit.compile(model, task),
        segkit.compile(model, task, class_weights=weights),
    )
    found = weighted.evaluate(logits, target, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(
        costs(losses.make(task, None, weights), target, logits).mean(), rel=1e-5
    )
    assert found != pytest.approx(
        plain.evaluate(logits, target, verbose=0, return_dict=True)["loss"], rel=1e-3
    )
    with pytest.raises(
        (TypeError, ValueError)
    ):  # fails in Keras, at least not silently (keras#14126)
        plain.fit(logits, target, class_weight={0: 1.0, 1: 9.0, 2: 1.0}, verbose=0)
