"""Traps of a head, a loss and a target that do not fit together. Runs on every backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import ConfigError, DataError, Task, losses
from tests.helpers.errors import fails
from tests.helpers.loss_cases import SIZE, TASKS, batch, costs, gradient, loss_of, questions
from tests.oracles.losses import COSTS, cross_entropy
from tests.oracles.question import activated

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
CRACK, SOFTMAX, SIGMOID = TASKS["binary"], TASKS["softmax"], TASKS["one_against_the_rest"]


def ending_in(*last: layers.Layer) -> keras.Model:
    """Return a model of your own: images (5, 6, 3), then these layers."""
    return keras.Sequential([keras.Input((*SIZE, 3)), *last])


def small(task: Task) -> keras.Model:
    """Return a model that ends in segkit's head."""
    image = keras.Input((*SIZE, 3))
    return keras.Model(
        image, segkit.head(task, layers.Conv2D(4, 1)(layers.Rescaling(1 / 255)(image)), image)
    )


@every_task
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
def test_trap_01_a_head_that_gives_no_probabilities_is_refused(task: Task, activation: str) -> None:
    model = ending_in(layers.Conv2D(task.channels, 1), layers.Activation(activation))
    with fails(ConfigError, "mismatch", task.activation, activation):
        segkit.compile(model, task)


@every_task
def test_trap_01_a_linear_last_layer_is_refused(task: Task) -> None:
    with fails(ConfigError, "mismatch", "Conv2D"):
        segkit.compile(ending_in(layers.Conv2D(task.channels, 1)), task)
    with fails(
        ConfigError, "mismatch", "segkit.head"
    ):  # an activation inside: its logits cannot be found
        segkit.compile(ending_in(layers.Conv2D(task.channels, 1, activation=task.activation)), task)


@pytest.mark.parametrize(
    "loss",
    [
        losses.Dice(CRACK, from_logits=False),
        losses.make(CRACK, {"dice": 1, "focal": 1}, from_logits=False),
        keras.losses.BinaryCrossentropy(),
        keras.losses.binary_crossentropy,
    ],
    ids=["Dice", "a sum", "Keras' own", "a function"],
)
def test_trap_07_a_loss_on_probabilities_is_refused(loss: object) -> None:
    with fails(ConfigError, "contradiction", "from_logits=True", setting="loss"):
        segkit.compile(small(CRACK), CRACK, loss=loss)


def test_a_loss_on_logits_is_taken_and_a_name_alone_is_not() -> None:
    for loss in (
        losses.Dice(CRACK, from_logits=True),
        losses.make(CRACK, {"dice": 1, "focal": 1}),
        keras.losses.BinaryCrossentropy(from_logits=True),
        lambda truth, logits: ops.mean(logits),
    ):
        assert segkit.compile(small(CRACK), CRACK, loss=loss).loss is loss
    with fails(ConfigError, "wrong-value", "'binary_crossentropy'", setting="loss"):
        segkit.compile(small(CRACK), CRACK, loss="binary_crossentropy")


def test_trap_17_class_weights_are_not_dropped() -> None:
    with fails(ConfigError, "contradiction", setting="class_weights"):
        segkit.compile(
            small(CRACK),
            CRACK,
            loss=losses.Dice(CRACK, from_logits=True),
            class_weights={"crack": 5},
        )


def test_trap_02_softmax_over_one_channel() -> None:
    with fails(ConfigError, "not-for-task", "sigmoid", setting="task.head"):
        Task.binary("crack", head="softmax")
    with fails(ConfigError, "wrong-value", 1, ["crack"], setting="task.classes"):
        Task.multiclass(["crack"])
    with fails(ConfigError, "mismatch", "binary", "sigmoid", "1 channel", "softmax"):
        segkit.compile(ending_in(layers.Conv2D(1, 1), layers.Activation("softmax")), CRACK)
    # what it would cost is exactly 0 with any answer; segkit's head on one channel learns
    target = np.ones((1, *SIZE, 1), np.uint8)
    assert costs(loss_of("cross_entropy", CRACK), target, np.zeros((1, *SIZE, 1))) == pytest.approx(
        np.log(2)
    )


@pytest.mark.parametrize(
    ("made_for", "used_for"),
    [
        ("softmax", "binary"),
        ("binary", "softmax"),
        ("softmax", "one_against_the_rest"),
        ("one_against_the_rest", "softmax"),
        ("multilabel", "softmax"),
        ("softmax", "multilabel"),
        ("multilabel", "binary"),
    ],
)
def test_trap_03_a_model_for_another_task_is_refused_with_the_reason(
    made_for: str, used_for: str
) -> None:
    model, task = small(TASKS[made_for]), TASKS[used_for]
    values = (
        task.activation,
        f"{task.channels} channel",
        TASKS[made_for].activation,
        task.explain(),
    )
    with fails(ConfigError, "mismatch", *values):
        segkit.compile(model, task)


def test_trap_03_too_few_channels_are_refused() -> None:
    other = Task.multiclass(["background", "liver", "tumour", "vessel"])
    with fails(ConfigError, "mismatch", "softmax", "4 channel", (None, *SIZE, 3)):
        segkit.compile(small(SOFTMAX), other)


@pytest.mark.parametrize("task", [SOFTMAX, SIGMOID], ids=["softmax", "one_against_the_rest"])
def test_trap_03_the_loss_asks_the_task_not_the_tensor(task: Task) -> None:
    """On TensorFlow, Keras finds the logits of a softmax and applies the sigmoid's loss to them."""
    target, logits = batch(task, seed=1)
    other = ops.sigmoid if task.head == "softmax" else ops.softmax
    p = other(ops.convert_to_tensor(logits))
    found = costs(loss_of("cross_entropy", task, from_logits=False), target, p)
    wanted = []
    for question in questions(task, target, logits):
        as_given = activated(logits, task.head != "softmax")[len(wanted)]
        wanted.append(cross_entropy(type(question)(**{**vars(question), "p": as_given})))
    if (
        task.head == "softmax"
    ):  # a cross-entropy over channels that do not sum to 1 divides by their sum
        truth = [question.truth for question in questions(task, target, logits)]
        sums = activated(logits, softmax=False).sum(axis=-1)
        known = np.stack([t.any(axis=-1) for t in truth])
        wanted = [w + np.log(s[k]).mean() for w, s, k in zip(wanted, sums, known, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@every_task
def test_trap_03_head_loss_and_delivered_model_go_together(task: Task) -> None:
    model = small(task)
    trainer = segkit.compile(model, task)
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    target, _ = batch(task, seed=2)
    logits, p = (ops.convert_to_numpy(view(images)) for view in (trainer, model))
    np.testing.assert_allclose(p, activated(logits, task.head == "softmax"), atol=1e-6)
    asked = questions(task, target, logits)
    wanted = np.mean([COSTS["cross_entropy"](q) + COSTS["dice"](q) for q in asked])
    assert trainer.evaluate(images, target, verbose=0, return_dict=True)["loss"] == pytest.approx(
        wanted, rel=1e-4
    )


def test_trap_04_overlapping_masks() -> None:
    both = np.zeros((*SIZE, 3), np.uint8)
    both[2, 2] = [0, 1, 1]
    with fails(DataError, "mask-channels", "multilabel"):
        SOFTMAX.encode(both)
    _, logits = batch(SOFTMAX, seed=3, images=1)
    with fails(DataError, "mask-channels", "multiclass"):
        losses.make(SOFTMAX).call(both[None], logits)
    task = Task.multilabel(["liver", "tumour"])
    found = task.decode(ops.convert_to_numpy(ops.sigmoid(np.full((1, 1, 2), 5.0, np.float32))))
    assert found.tolist() == [[[1, 1]]]  # under softmax both get 0.5, and "> 0.5" finds neither


@every_task
@pytest.mark.parametrize(
    "after", [layers.Resizing(10, 12), layers.Activation("linear", dtype="float16")]
)
def test_trap_08_nothing_may_follow_the_activation(task: Task, after: layers.Layer) -> None:
    model = ending_in(layers.Conv2D(task.channels, 1), layers.Activation(task.activation), after)
    with fails(ConfigError, "mismatch", type(after).__name__):
        segkit.compile(model, task)


@every_task
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_trap_08_a_saturated_wrong_pixel_trains_the_head(task: Task, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = small(task)
    finally:
        keras.config.set_dtype_policy("float32")
    trainer = segkit.compile(model, task, loss={"cross_entropy": 1.0})
    bias = model.get_layer("classify").bias
    wrong = 1 if task.exclusive else 0
    bias.assign(np.where(np.arange(task.channels) == wrong, 300.0, -300.0))
    target = np.zeros((1, *task.target_shape(*SIZE)), np.uint8)
    images = np.ones((1, *SIZE, 3), np.float32)
    assert ops.convert_to_numpy(model(images))[..., wrong].min() == 1.0
    loss = trainer.loss

    def cost(x: object) -> object:
        return loss.call(target, trainer(x))

    assert float(np.mean(ops.convert_to_numpy(cost(images)))) > 50
    assert np.abs(gradient(cost, images)).max() > 1e-6


def test_trap_10_two_replicas_train_as_one() -> None:
    if (
        keras.backend.backend() != "tensorflow"
    ):  # elsewhere no strategy sums up losses: one value an image is all
        target, logits = batch(SOFTMAX, seed=4, images=4)
        assert costs(losses.make(SOFTMAX), target, logits).shape == (4,)
        return
    root = Path(segkit.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    script = [sys.executable, "-m", "tests.helpers.two_replicas"]
    done = subprocess.run(
        script, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert (one["replicas"], two["replicas"]) == (1, 2)
    for key, values in one["history"].items():
        assert two["history"][key] == pytest.approx(values, rel=1e-4), key
    assert two["scores"] == pytest.approx(one["scores"], rel=1e-4)
    for weight, same in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-3, atol=1e-5)
