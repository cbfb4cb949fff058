"""The portable copy of a network predicts as the trained network does, for each kind of layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import segkit
from segkit.exporting.portable import ShuffledConvolution, core, portable_copy
from segkit.inference.runtimes.litert import scale_and_pad
from segkit.models.layers import Doubling
from tests.helpers.exported_runs import randomise
from tests.helpers.exports_made import GIVEN


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear", "nearest"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stem": 2},
        {"stem": 4, "encoder": "residual"},
        {"normalization": "group", "depth": 3, "width": 12},
        {"normalization": "instance"},
    ],
)
def test_predictions_stay_the_same(upsampling: str, settings: dict[str, object]) -> None:
    model = segkit.unet(
        segkit.Task.multilabel(["a", "b"]),
        **{"width": 4, "depth": 2, "upsampling": upsampling, **settings},
    )
    randomise(model)
    copy = portable_copy(model)
    kinds = {type(layer) for layer in copy.layers}
    assert not kinds & {keras.layers.Conv2DTranspose, keras.layers.GroupNormalization}
    assert kinds & {ShuffledConvolution, Doubling}
    for size in (
        (1, 1),
        (13, 22),
        (40, 64),
        (9, 9),
    ):  # several, so that TensorFlow stops compiling for each
        images = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
        wanted = keras.ops.convert_to_numpy(model(images, training=False))
        np.testing.assert_allclose(copy.predict_on_batch(images), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_doubling_is_keras_upsampling(interpolation: str) -> None:
    x = np.random.default_rng(1).normal(size=(2, 5, 3, 4)).astype(np.float32)
    wanted = keras.layers.UpSampling2D(2, interpolation=interpolation)(x)
    np.testing.assert_allclose(Doubling(interpolation)(x), wanted, atol=1e-6)


def test_the_core_takes_scaled_and_padded_images() -> None:
    model = segkit.unet(segkit.Task.binary("a"), width=4, depth=2, mean=100.3, std=50)
    images = np.random.default_rng(0).integers(0, 256, (2, 13, 22, 3)).astype(np.uint8)
    given = GIVEN.model_copy(update={"mean": (100.3,) * 3, "std": (50.0,) * 3})
    found = core(portable_copy(model)).predict_on_batch(scale_and_pad(images, given, 4))
    assert found.shape == (2, 16, 24, 1)
    np.testing.assert_allclose(found[:, :13, :22], model.predict_on_batch(images), atol=1e-6)


def test_a_network_trained_in_bfloat16_becomes_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = segkit.unet(segkit.Task.binary("a"), width=4, depth=2)
    finally:
        keras.config.set_dtype_policy("float32")
    copy = portable_copy(model)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    images = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.uint8)
    np.testing.assert_allclose(
        copy.predict_on_batch(images), model.predict_on_batch(images), atol=0.05
    )
