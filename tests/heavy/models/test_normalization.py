"""Fused batch normalisation equals Keras' layer in results, statistics, gradients and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from segkit.models.layers import BatchNormalization

TENSORFLOW = keras.backend.backend() == "tensorflow"
SHAPES = [(4, 9, 7, 5), (1, 1, 1, 3), (2, 1, 1, 3)]


def pair(dtype: str = "float32", channels: int = 5) -> tuple[keras.Model, keras.Model]:
    """Return a model of Keras' layer and one of segkit's, with the same weights."""
    models = []
    for kind in (layers.BatchNormalization, BatchNormalization):
        layer = kind(momentum=0.9, dtype=dtype, name="norm")
        image = keras.Input((None, None, channels), dtype="float32")
        models.append(keras.Model(image, layer(image)))
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 1.5, channels) for _ in range(4)]
    for model in models:
        model.set_weights(weights)
    return models[0], models[1]


def features(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)


def trained(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """Return the weights after a step of SGD, which shows the gradients."""
    model.compile(
        keras.optimizers.SGD(0.1), loss=lambda wanted, found: ops.mean(wanted * found * found)
    )
    wanted = np.random.default_rng(2).uniform(0, 1, x.shape).astype(np.float32)
    model.train_on_batch(x, wanted)
    return model.get_weights()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_results_and_statistics_equal_those_of_keras(
    shape: tuple[int, ...], training: bool
) -> None:
    theirs, ours = pair(channels=shape[-1])
    x = features(shape)
    found, wanted = (ops.convert_to_numpy(model(x, training=training)) for model in (ours, theirs))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] > 1])
def test_weights_after_a_step_are_keras_own(shape: tuple[int, ...]) -> None:
    theirs, ours = pair(channels=shape[-1])
    before = ours.get_weights()
    after = trained(ours, features(shape))
    assert all((one != other).any() for one, other in zip(after, before, strict=True))
    for one, other in zip(after, trained(theirs, features(shape)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_gradients_of_what_comes_in_are_keras_own() -> None:
    if not TENSORFLOW:
        pytest.skip("Keras' own layer there")
    import tensorflow as tf

    found = []
    for model in pair():
        x = tf.constant(features(SHAPES[0]))
        with tf.GradientTape() as tape:
            tape.watch(x)
            cost = tf.reduce_sum(tf.sin(model(x, training=True)))
        found.append(tape.gradient(cost, x).numpy())
    assert np.abs(found[0]).max() > 0.01
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 0.03), ("float16", 0.003)])
def test_short_floats_are_as_near_to_float32_as_keras_are(dtype: str, error: float) -> None:
    x = features((4, 9, 7, 5))
    exact = ops.convert_to_numpy(pair()[0](x, training=True))
    for model in pair(f"mixed_{dtype}"):
        answer = model(x, training=True)
        assert keras.backend.standardize_dtype(answer.dtype) == dtype
        found = ops.convert_to_numpy(ops.cast(answer, "float32"))
        np.testing.assert_allclose(found, exact, atol=error)
        assert all(weight.dtype == "float32" for weight in model.weights)


@pytest.mark.parametrize(
    "settings", [{"scale": False}, {"center": False}, {"renorm": True}, {"dtype": "float64"}]
)
def test_what_the_operation_does_not_do_is_left_to_keras(settings: dict[str, Any]) -> None:
    assert not BatchNormalization(**settings)._is_fused(None)
    layer = BatchNormalization()
    assert not layer._is_fused(np.ones((2, 3, 3), bool))
    assert layer._is_fused(None) == TENSORFLOW
    layer.synchronized = True
    assert not layer._is_fused(None)


def test_frozen_statistics_stay() -> None:
    _, model = pair()
    model.get_layer("norm").trainable = False
    before = model.get_weights()
    model(features(SHAPES[0]), training=True)
    np.testing.assert_equal(model.get_weights(), before)


def test_a_saved_layer_comes_back(tmp_path: Path) -> None:
    _, model = pair()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("norm")) is BatchNormalization
    x = features(SHAPES[0])
    np.testing.assert_array_equal(model(x), loaded(x))
