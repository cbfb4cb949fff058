"""Backbones of KerasHub: a documented stand-in, and KerasHub itself where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import ConfigError, Task
from segkit.models.build import ENCODED, encoder_layers
from segkit.models.layers import batch_normalizations
from tests.helpers.errors import fails

CRACK = Task.binary("crack")
OWN = 3.0
"""The value of the preset's weights; random weights differ."""
RATIOS = {
    "width_coefficients": 1.0,
    "depth_coefficients": 1.0,
    "squeeze_and_excite_ratios": 0.25,
    "force_input_filters": 0,
    "nores_option": False,
}
"""Of every stack of KerasHub's EfficientNet."""


class Backbone:
    """Six halvings or fewer, as the preset's name says, with batch statistics."""

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True) -> keras.Model:
        if not preset.isdigit():
            raise ValueError(f"unknown preset {preset}")
        image = x = keras.Input((None, None, 3))
        for _ in range(int(preset)):
            x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
            x = layers.ReLU()(layers.BatchNormalization()(x) + 1.0)
        model = keras.Model(image, x)
        if load_weights:
            model.set_weights([np.full(w.shape, OWN) for w in model.weights])
        return model


class ImageConverter:
    """image / 255, less 0.5, 0.4, 0.3."""

    @classmethod
    def from_preset(cls, preset: str) -> Any:
        return SimpleNamespace(scale=1 / 255, offset=(-0.5, -0.4, -0.3))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(
        models=SimpleNamespace(Backbone=Backbone),
        layers=SimpleNamespace(ImageConverter=ImageConverter),
        __spec__=object(),
    )
    monkeypatch.setitem(sys.modules, "keras_hub", stand_in)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("channels", [1, 3])
def test_a_backbone_is_an_encoder(channels: int, tmp_path: Path) -> None:
    model = segkit.unet(CRACK, encoder="keras_hub:5", width=4, channels=channels)
    images = np.random.default_rng(0).uniform(0, 255, (1, 37, 50, channels)).astype(np.float32)
    found = ops.convert_to_numpy(model(images, training=False))
    assert found.shape == (1, 37, 50, 1)
    assert len(encoder_layers(model)) == 10
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(images, training=False)), found)


@pytest.mark.usefixtures("hub")
def test_its_weights_and_its_scaling_come_with_it() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    model = segkit.unet(CRACK, encoder="keras_hub:5", weights="imagenet", width=4)
    found = keras.Model(model.inputs, model.get_layer(ENCODED).output)(images, training=False)
    scaled = (images / 255 - np.array([0.5, 0.4, 0.3])).astype(np.float32)
    wanted = Backbone.from_preset("5")(scaled, training=False)
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(wanted), rtol=1e-3)


@pytest.mark.usefixtures("hub")
def test_a_preset_that_does_not_fit_is_named() -> None:
    with fails(ConfigError, "not-fetched", "keras_hub:nothing", setting="model.encoder"):
        segkit.unet(CRACK, encoder="keras_hub:nothing")
    with fails(ConfigError, "not-for-network", "1/32", "1/2, 1/4, 1/8", setting="model.encoder"):
        segkit.unet(CRACK, encoder="keras_hub:3")


def test_without_kerashub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with fails(
        ConfigError,
        "missing-package",
        'pip install "keras-segkit[kerashub]"',
        setting="model.encoder",
    ):
        segkit.unet(CRACK, encoder="keras_hub:resnet_18_imagenet")


def test_a_real_backbone_in_a_folder_computes_the_same_as_alone(tmp_path: Path) -> None:
    """Run where KerasHub is installed; its EfficientNet has batch statistics inside layers."""
    hub = pytest.importorskip("keras_hub", reason="the extra is not installed")
    keras.utils.set_random_seed(0)
    plan = {
        "kernel_sizes": [3] * 5,
        "strides": [1, 2, 2, 2, 2],
        "num_repeats": [1] * 5,
        "block_types": ["unfused"] * 5,
    }
    widths = {
        "input_filters": [8] * 5,
        "output_filters": [8] * 5,
        "expansion_ratios": [1] + [4] * 4,
    }
    rest = {name: [value] * 5 for name, value in RATIOS.items()}
    stacks = {f"stackwise_{name}": values for name, values in {**plan, **widths, **rest}.items()}
    alone = hub.models.EfficientNetBackbone(**stacks, min_depth=8)
    alone.save_to_preset(str(tmp_path))
    hub.layers.ImageConverter(scale=1 / 255, offset=(-0.5, -0.4, -0.3)).save_to_preset(
        str(tmp_path)
    )
    settings = {
        "encoder": f"keras_hub:{tmp_path}",
        "weights": "imagenet",
        "width": 4,
        "freeze_statistics": True,
    }
    model = segkit.unet(CRACK, **settings)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    encoded = keras.Model(model.inputs, model.get_layer(ENCODED).output)
    scaled = (images / 255 - np.array([0.5, 0.4, 0.3])).astype(np.float32)
    wanted = ops.convert_to_numpy(alone(scaled))
    np.testing.assert_allclose(ops.convert_to_numpy(encoded(images)), wanted, rtol=1e-3, atol=1e-5)
    found = batch_normalizations(encoded)
    assert (
        len(found)
        == len(batch_normalizations(alone))
        > sum(isinstance(x, layers.BatchNormalization) for x in alone.layers)
    )
    assert not any(layer.trainable for layer in found)
