"""The contract of every encoder: any size and channels, gradients, equal results once loaded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import ConfigError, Task, catalog
from segkit.config import ModelConfig, networks
from segkit.models.build import ENCODED, build, encoder_layers
from segkit.models.levels import strides
from tests.helpers.errors import fails
from tests.helpers.loss_cases import Watching, answer, picture

CRACK = Task.binary("crack")
SIMILAR = (
    *("efficientnetv2_b1", "efficientnetv2_b2", "efficientnetv2_b3", "efficientnetv2_s"),
    *("mobilenetv3_large", "resnet50v2"),
)
"""Much like another one that is tested; some minutes more."""


def encoders(*both: str) -> list[Any]:
    """Return all encoders; those that JAX compiles too slowly are marked for one backend."""
    found = []
    for name in sorted(catalog.ENCODERS):
        marks = [] if name in both else [pytest.mark.one_backend]
        if name in SIMILAR:
            marks.append(pytest.mark.slow)
        found.append(pytest.param(name, marks=marks))
    return found


every_encoder = pytest.mark.parametrize("encoder", encoders("plain", "residual"))
FEW = ("densenet121", "efficientnetv2_b0", "plain", "residual")
"""Encoders with every kind of layer; test_grid.py has each encoder in another test."""
few_encoders = pytest.mark.parametrize(
    "encoder",
    [
        param if param.values[0] in FEW else pytest.param(*param.values, marks=pytest.mark.slow)
        for param in encoders("plain", "residual")
    ],
)
CHANNELS = {
    "convnext_tiny": [96, 192, 384, 768],
    "densenet121": [64, 128, 256, 512, 1024],
    "efficientnetv2_b0": [16, 32, 192, 672, 1280],
    "efficientnetv2_b1": [16, 32, 192, 672, 1280],
    "efficientnetv2_b2": [16, 32, 224, 720, 1408],
    "efficientnetv2_b3": [16, 40, 224, 816, 1536],
    "efficientnetv2_s": [24, 48, 256, 960, 1280],
    "mobilenetv2": [96, 144, 192, 576, 1280],
    "mobilenetv3_large": [64, 72, 240, 672, 960],
    "mobilenetv3_small": [16, 72, 96, 288, 576],
    "plain": [4, 8, 16, 32, 64],
    "residual": [4, 8, 16, 32, 64],
    "resnet50": [64, 256, 512, 1024, 2048],
    "resnet50v2": [64, 64, 128, 256, 2048],
    "vgg16": [64, 128, 256, 512, 512, 512],
}
"""The input of the next convolution or pooling that halves the resolution, per level."""


@functools.cache
def five_bands(encoder: str) -> keras.Model:
    """Return a network that several tests look at, and none changes."""
    keras.utils.set_random_seed(0)
    return segkit.unet(CRACK, encoder=encoder, width=4, blocks=(1, 2), channels=5)


@every_encoder
def test_the_result_has_the_size_of_the_image_and_is_the_same_once_loaded(
    encoder: str, tmp_path: Path
) -> None:
    model, images = five_bands(encoder), picture(1, 37, 50, 5)
    found = answer(model, images)
    assert found.shape == (1, 37, 50, 1)
    assert 0 < found.min() < found.max() < 1
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(answer(loaded, images), found)
    names = [layer.name for layer in encoder_layers(model)]
    assert [layer.name for layer in encoder_layers(loaded)] == names


@pytest.mark.one_backend
@pytest.mark.parametrize("encoder", encoders("plain", "residual"))
def test_a_gradient_reaches_every_trainable_weight(encoder: str) -> None:
    model = five_bands(encoder)
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):  # stochastic depth: what is left out has no gradient
            layer.rate = 0.0
    optimizer = Watching(0.0)
    trainer = segkit.compile(model, CRACK, optimizer=optimizer, run_eagerly=True, jit_compile=False)
    before = [layer.get_weights() for layer in model.layers]
    target = np.random.default_rng(1).integers(0, 2, (2, 37, 50, 1), np.uint8)
    trainer.train_on_batch(picture(2, 37, 50, 5), target)
    for layer, old in zip(model.layers, before, strict=True):
        layer.set_weights(old)  # the batch's statistics
    sizes = [0.0 if one is None else float(ops.max(ops.abs(one))) for one in optimizer.seen]
    assert len(sizes) == len(model.trainable_weights) > 30
    assert np.isfinite(sizes).all()
    assert [
        w.path for w, size in zip(model.trainable_weights, sizes, strict=True) if size == 0
    ] == []


@pytest.fixture
def bfloat16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@few_encoders
@pytest.mark.one_backend
@pytest.mark.usefixtures("bfloat16")
def test_mixed_precision_ends_in_float32(encoder: str) -> None:
    model = segkit.unet(CRACK, encoder=encoder, width=4, channels=1)
    convolutions = {
        layer.compute_dtype for layer in encoder_layers(model) if isinstance(layer, layers.Conv2D)
    }
    assert convolutions == {"bfloat16"}
    found = answer(model, picture(1, 19, 30, 1))
    assert found.shape == (1, 19, 30, 1)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@every_encoder
def test_the_stride_that_is_known_without_keras_is_that_of_the_network(encoder: str) -> None:
    model = five_bands(encoder)
    stride = ModelConfig(encoder=encoder).stride
    assert strides(model.input, [model.get_layer(ENCODED).output], 64) == [stride]
    assert model.get_layer("pad").multiple == stride


@every_encoder
def test_levels_are_what_is_there_before_the_resolution_drops(encoder: str) -> None:
    """And they are all of the encoder, which `encoder_layers` finds, and nothing of the decoder."""
    image = keras.Input((None, None, 5))
    settings = ModelConfig(encoder=encoder, width=4, blocks=(1, 2))
    levels = catalog.load_part(catalog.ENCODERS, encoder)(image, settings)
    finest = {"plain": 1, "residual": 1, "vgg16": 1, "convnext_tiny": 4}.get(encoder, 2)
    assert strides(image, levels, 64) == [finest * 2**i for i in range(len(levels))]
    assert [level.shape[-1] for level in levels] == CHANNELS[encoder]
    alone = keras.Model(image, levels)
    found = encoder_layers(five_bands(encoder))
    assert [type(layer) for layer in found] == [
        type(layer) for layer in alone.layers if layer.weights
    ]
    assert sum(layer.count_params() for layer in found) == alone.count_params()


@pytest.mark.parametrize(
    ("blocks", "wanted"),
    [
        ((1, 3, 4, 6), [1, 3, 4, 6, 6, 6]),
        ((2,), [2] * 6),
        ((1, 2, 3, 4, 5, 6, 7), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_residual_blocks_at_each_level(blocks: tuple[int, ...], wanted: list[int]) -> None:
    """nnU-Net's ResEnc: 1, 3, 4, 6, 6, ... blocks of 32 to 512 channels; here an eighth of them."""
    image = keras.Input((None, None, 3))
    settings = ModelConfig(encoder="residual", width=4, widest=64, depth=5, blocks=blocks)
    levels = catalog.load_part(catalog.ENCODERS, "residual")(image, settings)
    joined = [
        layer.output.shape[-1]
        for layer in keras.Model(image, levels).layers
        if isinstance(layer, layers.Add)
    ]
    assert joined == [
        width for width, n in zip((4, 8, 16, 32, 64, 64), wanted, strict=True) for _ in range(n)
    ]
    assert ModelConfig().blocks == (1, 3, 4, 6)


@pytest.mark.one_backend
def test_statistics_are_those_of_the_settings() -> None:
    found = [
        x
        for x in encoder_layers(five_bands("mobilenetv3_small"))
        if isinstance(x, layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in found} == {0.9}


def test_wide_levels_are_narrowed_before_the_decoder() -> None:
    model = segkit.unet(CRACK, encoder="vgg16", width=4, widest=16)
    encoder = {layer.name for layer in encoder_layers(model)}
    narrowing = []
    for layer in model.layers:
        is_projection = isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)
        if is_projection and layer.name not in encoder:
            narrowing.append(layer.filters)
    assert sorted(narrowing[:-1]) == [4, 8, 16, 16, 16, 16]  # the last one is the head


def test_levels_that_are_not_halved_down_to_the_stride_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(catalog.ENCODERS, "skipping", "tests.heavy.models.test_encoders:skipping")
    with fails(
        ConfigError, "not-for-network", "skipping", "1/16", "1/1, 1/4", setting="model.encoder"
    ):
        build(CRACK, encoder="skipping", width=4)


def skipping(x: Any, settings: ModelConfig) -> list[Any]:
    return [x, layers.AveragePooling2D(4)(x)]


def test_every_network_is_in_the_catalog() -> None:
    assert set(networks.NETWORKS) == set(catalog.ENCODERS) - {"plain", "residual"}
