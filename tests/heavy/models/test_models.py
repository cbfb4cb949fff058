"""The U-Net for any size, channels and settings, and its logits. Runs on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import ConfigError, Task
from segkit.config import InputConfig, ModelConfig
from segkit.models.build import build, build_for
from segkit.models.layers import CropLike, PadToMultiple
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, answer, batch, picture

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
EAGER = (
    keras.backend.backend() == "tensorflow"
)  # there compiling a small model takes longer than training it
OWN = ("plain", "residual")
"""The encoders that the settings shape; test_encoders.py asks all of them."""
CRACK, SOFTMAX = TASKS["binary"], TASKS["softmax"]


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    """Set a dtype policy for one test."""
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


def small(task: Task, **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return segkit.unet(task, **{"width": 4, "depth": 2, **settings})


@pytest.mark.parametrize("size", [(250, 333), (1, 1), (17, 5), (16, 16)])
@every_task
def test_any_size_comes_back_in_its_size(task: Task, size: tuple[int, int]) -> None:
    found = answer(small(task, depth=1 if size[0] > 99 else 3), picture(1, *size, 3))
    assert found.shape == (1, *size, task.channels)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.isfinite(found).all()


@pytest.mark.parametrize("stem", [2, 4])
def test_a_stem_restores_full_resolution_and_trains(stem: int) -> None:
    model = small(SOFTMAX, stem=stem, depth=1)
    assert model.get_layer("pad").multiple == 2 * stem
    found = answer(model, picture(1, 17, 5, 3))
    assert found.shape == (1, 17, 5, 3)
    assert np.ptp(found, axis=(0, 1, 2)).min() > 1e-3
    trainer = segkit.compile(model, SOFTMAX, optimizer=keras.optimizers.SGD(1.0), run_eagerly=EAGER)
    before = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    target, _ = batch(SOFTMAX, seed=1)
    trainer.train_on_batch(picture(2, 5, 6, 3), target)
    after = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    assert not any(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_padding_is_below_and_to_the_right_and_cropped_again() -> None:
    image = picture(2, 5, 7, 1)
    padded = ops.convert_to_numpy(PadToMultiple(4)(image))
    assert padded.shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(padded[:, :5, :7], image)
    assert not padded[:, 5:].any()
    assert not padded[:, :, 7:].any()
    np.testing.assert_array_equal(ops.convert_to_numpy(CropLike()([padded, image])), image)
    assert PadToMultiple(4).compute_output_shape((None, 5, None, 1)) == (None, 8, None, 1)


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
@every_task
def test_the_last_layers_are_float32_in_every_precision(policy: str, task: Task) -> None:
    model = small(task, depth=1)
    last = model.layers[-1]
    assert isinstance(last, layers.Activation)
    assert last.activation.__name__ == task.activation
    assert (last.compute_dtype, last.input.dtype, model.output.dtype) == ("float32",) * 3
    inside = {layer.compute_dtype for layer in model.layers if isinstance(layer, layers.Conv2D)} - {
        "float32"
    }
    assert inside == ({policy.removeprefix("mixed_")} if policy != "float32" else set())
    found = answer(model, picture(1, 5, 7, 3))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_a_few_steps_reduce_the_loss_in_every_precision(policy: str) -> None:
    model = small(SOFTMAX, depth=1)
    trainer = segkit.compile(
        model, SOFTMAX, optimizer=keras.optimizers.Adam(0.02), run_eagerly=EAGER
    )
    target = np.zeros((4, 9, 11), np.uint8)
    target[:, 2:7, 1:5], target[:, 2:7, 6:10] = 1, 2
    images = (80.0 * target[..., None] + picture(4, 9, 11, 3) / 10).astype(np.float32)
    costs = [trainer.train_on_batch(images, target)[0] for _ in range(15)]
    assert np.isfinite(costs).all()
    assert costs[-1] < 0.6 * costs[0], policy


def test_compile_shares_its_weights_with_the_model() -> None:
    model = small(CRACK, depth=1)
    trainer = segkit.compile(model, CRACK, run_eagerly=EAGER)
    assert {id(weight) for weight in trainer.weights} == {id(weight) for weight in model.weights}
    images, before = picture(2, 5, 6, 3), answer(model, picture(2, 5, 6, 3))
    trainer.fit(images, np.ones((2, 5, 6, 1), np.uint8), verbose=0)
    after = answer(model, images)
    assert np.abs(after - before).max() > 1e-5
    np.testing.assert_allclose(after, 1 / (1 + np.exp(-answer(trainer, images))), rtol=1e-5)


def test_compile_takes_losses_weights_and_an_optimizer() -> None:
    model, (target, _) = small(CRACK, depth=1), batch(CRACK, seed=1)
    images = picture(2, 5, 6, 3)
    own = keras.losses.BinaryCrossentropy(from_logits=True)
    for loss in ({"focal": {"weight": 2.0, "gamma": 1.0}}, own):
        trainer = segkit.compile(
            model, CRACK, loss=loss, optimizer=keras.optimizers.SGD(0.0), run_eagerly=EAGER
        )
        assert isinstance(trainer.optimizer, keras.optimizers.SGD)
        scores = trainer.evaluate(images, np.where(target == 1, 1, 0), verbose=0, return_dict=True)
        assert scores["loss"] > 0
        assert {"iou_foreground", "dice_foreground", "iou_with_background"} < set(scores)
    with fails(ConfigError, "unknown-name", "'dyce'", setting="loss"):
        segkit.compile(model, CRACK, loss={"dyce": 1.0})


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_any_number_of_channels(channels: int) -> None:
    means = [10.0 * (i + 1) for i in range(channels)]
    found = answer(
        small(CRACK, channels=channels, mean=means, std=means), picture(1, 5, 6, channels)
    )
    assert found.shape == (1, 5, 6, 1)
    with fails(ConfigError, "wrong-value", channels, channels + 1):
        small(CRACK, channels=channels, mean=[*means, 1.0])


def test_trap_32_scaling_is_inside_the_model() -> None:
    mean, std, images = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0), picture(2, 5, 6, 3)
    scaled, plain = small(CRACK, mean=mean, std=std), small(CRACK, mean=0.0, std=1.0)
    plain.set_weights(scaled.get_weights())
    by_hand = ((images - np.float32(mean)) / np.float32(std)).astype(np.float32)
    np.testing.assert_allclose(answer(scaled, images), answer(plain, by_hand), rtol=1e-4)
    given = InputConfig(channels=3, dtype="uint8", mean=mean, std=std, low=0, high=255)
    made = build_for(CRACK, ModelConfig(width=4, depth=2), given)
    made.set_weights(scaled.get_weights())
    np.testing.assert_array_equal(answer(made, images), answer(scaled, images))
    trainer = segkit.compile(scaled, CRACK)  # training sees the same scaling as prediction
    np.testing.assert_allclose(
        1 / (1 + np.exp(-answer(trainer, images))), answer(scaled, images), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint16", 200, 1500), ("float32", -1.0, 2.0), ("uint8", 50, 60)]
)
def test_trap_36_a_model_cuts_off_what_lies_far_outside_the_usual_range(
    dtype: str, low: float, high: float
) -> None:
    given = InputConfig(channels=1, dtype=dtype, mean=(low,), std=(high - low,), low=low, high=high)
    model = build_for(CRACK, ModelConfig(width=4, depth=2), given)
    image = low + (high - low) * picture(1, 8, 8, 1) / 255
    inside = image.copy()
    inside[0, 3, 3] = given.limits[1]
    outside = image.copy()
    outside[0, 3, 3] = 255 if dtype == "uint8" else 65535
    np.testing.assert_array_equal(answer(model, inside), answer(model, outside))
    assert any(layer.name == "limit" for layer in model.layers) is (dtype != "uint8")
    bright = image.copy()
    bright[0, 3, 3] = min(255, high + 5 * (high - low))
    assert np.abs(answer(model, bright) - answer(model, inside)).max() > 1e-6 or dtype == "uint8"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_trap_32_whole_number_images_are_scaled_as_float_images_are(dtype: str) -> None:
    model, images = small(CRACK), picture(2, 5, 6, 3).astype(dtype)
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(
        found, model.predict(images.astype(np.float32), verbose=0), rtol=1e-6
    )
    assert np.ptp(found) > 1e-3


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_trap_32_sixteen_bit_images_are_scaled_before_they_are_rounded(policy: str) -> None:
    images = (60000.0 + 100 * picture(1, 5, 6, 1) / 255).astype(
        np.float32
    )  # float16 ends at 65504, in steps of 32
    model = small(CRACK, channels=1, mean=60050.0, std=30.0)
    plain = small(CRACK, channels=1, mean=0.0, std=1.0)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(
        answer(model, images), answer(plain, (images - 60050) / 30), atol=2e-3
    )
    assert keras.config.dtype_policy().name == policy


@every_task
def test_a_model_of_your_own_ends_in_the_head(task: Task) -> None:
    image = keras.Input((None, None, 3))
    model = keras.Model(image, segkit.head(task, layers.Conv2D(4, 3, padding="same")(image), image))
    trainer = segkit.compile(model, task, run_eagerly=EAGER)
    target, _ = batch(task, seed=2)
    assert np.isfinite(trainer.evaluate(picture(2, 5, 6, 3) / 255, target, verbose=0)[0])


def test_settings_reach_the_network() -> None:
    names = {layer.name for layer in build(CRACK, width=4, depth=1).layers}
    assert {"image", "scale", "pad", "classify", "logits", "probabilities"} <= names
    normalized = [
        x
        for x in small(CRACK, depth=1, momentum=0.7).layers
        if isinstance(x, layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in normalized} == {0.7}
    widest = max(x.filters for x in small(CRACK, widest=10).layers if isinstance(x, layers.Conv2D))
    assert widest == 10
