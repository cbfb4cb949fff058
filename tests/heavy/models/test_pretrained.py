"""Pretrained weights: the encoder computes the same as Keras' own network for the same image."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import ConfigError, Task
from segkit.config import InputConfig, ModelConfig, networks
from segkit.config.networks import NETWORKS, Network
from segkit.models.build import ENCODED, build_for, encoder_layers
from segkit.models.encoders.pretrained import expand_channels, first_kernel, set_batchnorm_momentum
from segkit.models.layers import batch_normalizations
from tests.helpers.errors import fails

CRACK = Task.binary("crack")
EAGER = keras.backend.backend() == "tensorflow"
MODULES = {
    "densenet121": "densenet",
    "mobilenetv2": "mobilenet_v2",
    "resnet50": "resnet",
    "resnet50v2": "resnet_v2",
    "vgg16": "vgg16",
}
"""Where Keras keeps the scaling of those that do not scale their images themselves."""
LARGER = ("efficientnetv2_b1", "efficientnetv2_b2", "efficientnetv2_b3", "mobilenetv3_large")
"""Of a family of which a smaller one is tested."""


def networks_but(*slow: str) -> list[Any]:
    """Return the names of all networks, some of them marked slow."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in slow else name
        for name in sorted(NETWORKS)
    ]


every_encoder = pytest.mark.parametrize("encoder", networks_but(*LARGER, "efficientnetv2_s"))
FEW = ("densenet121", "efficientnetv2_b0", "vgg16")
NETWORKS_BUT_FEW = tuple(name for name in NETWORKS if name not in FEW)
WITHOUT_STATISTICS = ("convnext_tiny", "vgg16")
SMALL = "mobilenetv3_small"


def saved(encoder: str, file: Path) -> keras.Model:
    """Return Keras' own network with random weights and statistics, which stand in `file`, too."""
    keras.utils.set_random_seed(3)
    network = getattr(keras.applications, NETWORKS[encoder].maker)(include_top=False, weights=None)
    rng = np.random.default_rng(4)
    for layer in network.layers:
        if isinstance(
            layer, layers.BatchNormalization
        ):  # statistics that matter, but mild: deep networks amplify
            gamma, beta, mean, variance = layer.get_weights()
            moved = (
                rng.uniform(0.9, 1.1, gamma.shape),
                rng.normal(0, 0.05, beta.shape),
                rng.normal(0, 0.05, mean.shape),
            )
            layer.set_weights([*moved, rng.uniform(0.9, 1.1, variance.shape)])
    network.save_weights(file)
    return network


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, str]:
    """Keras' own small network, which no test changes, and the file of its weights."""
    file = tmp_path_factory.mktemp("small") / "own.weights.h5"
    return saved(SMALL, file), str(file)


@pytest.fixture(scope="module")
def grey(small: tuple[keras.Model, str]) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of one channel, and the features of it as RGB."""
    image = picture(1, 64, 64, 1)
    model = segkit.unet(CRACK, encoder=SMALL, weights=small[1], width=4, channels=3)
    return image, features(model, np.repeat(image, 3, axis=-1))


def features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    deepest = keras.Model(model.inputs, model.get_layer(ENCODED).output)
    return ops.convert_to_numpy(deepest(images, training=False))


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def compare(found: np.ndarray, wanted: np.ndarray) -> None:
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@every_encoder
def test_features_are_those_of_keras_own_network(encoder: str, tmp_path: Path) -> None:
    file = tmp_path / "own.weights.h5"
    network, images = saved(encoder, file), picture(1, 64, 96, 3)
    model = segkit.unet(
        CRACK, encoder=encoder, weights=str(file), width=4, mean=100.0, std=(40.0, 50.0, 60.0)
    )
    scaled = images.copy()
    if encoder in MODULES:
        scaled = getattr(keras.applications, MODULES[encoder]).preprocess_input(scaled)
    compare(features(model, images), ops.convert_to_numpy(network(scaled, training=False)))


def test_a_legacy_file_is_read_too(small: tuple[keras.Model, str], tmp_path: Path) -> None:
    network, file = small
    images = picture(1, 64, 64, 3)
    legacy = str(tmp_path / "legacy.h5")
    network.save(legacy)  # a whole network, as older Keras saved it
    one, two = (
        segkit.unet(CRACK, encoder=SMALL, weights=weights, width=4) for weights in (file, legacy)
    )
    np.testing.assert_array_equal(features(one, images), features(two, images))


def test_sixteen_bits_are_seen_as_eight_were(small: tuple[keras.Model, str]) -> None:
    """The range of the data becomes 0 to 255, whatever its mean and deviation."""
    network, file = small
    images = picture(1, 64, 64, 3)
    settings = ModelConfig(encoder=SMALL, weights=file, width=4)
    given = {
        "channels": 3,
        "mean": (3000.0, 2000.0, 1000.0),
        "std": (900.0, 800.0, 700.0),
        "low": 500,
        "high": 4580,
    }
    model = build_for(CRACK, settings, InputConfig(dtype="uint16", **given))
    compare(
        features(model, 500 + 16 * images), ops.convert_to_numpy(network(images, training=False))
    )
    narrow = {
        "channels": 3,
        "dtype": "uint8",
        "mean": (90.0,) * 3,
        "std": (50.0,) * 3,
        "low": 7,
        "high": 201,
    }
    compare(  # 8 bits stay what they are, even if no image was as bright as 255
        features(build_for(CRACK, settings, InputConfig.model_validate(narrow)), images),
        ops.convert_to_numpy(network(images, training=False)),
    )


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_equal_channels_have_the_result_of_a_grey_rgb_image(
    channels: int, small: tuple[keras.Model, str], grey: tuple[np.ndarray, np.ndarray]
) -> None:
    image, wanted = grey
    model = segkit.unet(CRACK, encoder=SMALL, weights=small[1], width=4, channels=channels)
    compare(features(model, np.repeat(image, channels, axis=-1)), wanted)


@pytest.mark.parametrize("channels", range(1, 9))
def test_an_expanded_kernel_has_the_same_result_for_equal_channels(channels: int) -> None:
    rgb = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    found = first_kernel(rgb, channels)
    assert found.shape == (3, 3, channels, 4)
    np.testing.assert_allclose(found.sum(axis=2), rgb.sum(axis=2))
    if channels == 3:
        np.testing.assert_array_equal(found, rgb)
    if channels == 4:  # red is shared by the first and the last
        np.testing.assert_allclose(
            found, np.stack([rgb[:, :, 0] / 2, rgb[:, :, 1], rgb[:, :, 2], rgb[:, :, 0] / 2], 2)
        )
    assert expand_channels(np.array([1.0, 2.0, 3.0]), channels).shape == (channels,)


def test_a_file_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    saved("mobilenetv2", tmp_path / "other.weights.h5")
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    for file in ("other.weights.h5", "broken.h5"):
        with fails(
            ConfigError, "mismatch", tmp_path / file, "MobileNetV3Small", setting="model.weights"
        ):
            segkit.unet(CRACK, encoder=SMALL, weights=str(tmp_path / file), width=4)


def test_imagenet_is_read_from_keras_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NETWORKS["mobilenetv2"]  # the one whose file Keras knows no digest of
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    placed = tmp_path / "models" / network.file.rpartition("/")[2]
    placed.parent.mkdir()
    own = saved("mobilenetv2", tmp_path / "a.weights.h5")
    own.save(placed)
    images = picture(1, 64, 64, 3)
    model = segkit.unet(CRACK, encoder="mobilenetv2", weights="imagenet", width=4)
    compare(features(model, images), ops.convert_to_numpy(own(images / 127.5 - 1, training=False)))


class _Asked(Exception):
    """Raised in place of a download."""


@pytest.mark.parametrize("encoder", networks_but(*LARGER))
def test_files_and_digests_are_those_of_keras(
    encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NETWORKS[encoder]

    def get_file(name: str, origin: str, *_: Any, file_hash: str = "", **__: Any) -> None:
        assert origin == networks.ADDRESS + network.file
        assert network.file.endswith(f"/{name}")
        assert (file_hash or "") == network.digest
        raise _Asked

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(_Asked):
        getattr(keras.applications, network.maker)(
            include_top=False, weights="imagenet", input_shape=(224, 224, 3)
        )


def test_scaling_is_left_to_us_where_keras_would_do_it() -> None:
    for network in NETWORKS.values():
        assert ("include_preprocessing" in _arguments(network)) == network.scales_itself


def _arguments(network: Network) -> set[str]:
    return set(inspect.signature(getattr(keras.applications, network.maker)).parameters)


def test_frozen_statistics_stay_in_training_and_after_loading(
    small: tuple[keras.Model, str], tmp_path: Path
) -> None:
    settings = {"encoder": SMALL, "weights": small[1], "width": 4, "freeze_statistics": True}
    model = segkit.unet(CRACK, **settings)
    model.save(tmp_path / "model.keras")
    for network in (model, keras.models.load_model(tmp_path / "model.keras")):
        images = picture(2, 32, 32, 3)
        frozen = [x for x in encoder_layers(network) if isinstance(x, layers.BatchNormalization)]
        free = [
            x
            for x in network.layers
            if isinstance(x, layers.BatchNormalization) and x not in frozen
        ]
        before = [[x.get_weights()[-2:] for x in group] for group in (frozen, free)]
        deepest = keras.Model(network.inputs, network.get_layer(ENCODED).output)
        np.testing.assert_allclose(
            deepest(images, training=True), deepest(images, training=False), rtol=1e-5
        )
        trainer = segkit.compile(network, CRACK, run_eagerly=EAGER)
        trainer.train_on_batch(images, np.ones((2, 32, 32, 1), np.uint8))
        after = [[x.get_weights()[-2:] for x in group] for group in (frozen, free)]
        np.testing.assert_equal(after[0], before[0])
        assert len(frozen) > 30
        assert all(np.any(new[0] != old[0]) for new, old in zip(after[1], before[1], strict=True))


@pytest.mark.parametrize("encoder", networks_but(*NETWORKS_BUT_FEW))
def test_every_encoder_s_statistics_can_be_frozen(encoder: str) -> None:
    network = segkit.unet(CRACK, encoder=encoder, width=4, freeze_statistics=True)
    frozen = [x for x in encoder_layers(network) if isinstance(x, layers.BatchNormalization)]
    free = [
        x for x in network.layers if isinstance(x, layers.BatchNormalization) and x not in frozen
    ]
    before = [[x.get_weights()[-2:] for x in group] for group in (frozen, free)]
    network(picture(2, 32, 32, 3), training=True)
    after = [[x.get_weights()[-2:] for x in group] for group in (frozen, free)]
    np.testing.assert_equal(after[0], before[0])
    assert bool(frozen) == (encoder not in WITHOUT_STATISTICS)
    assert all(np.any(new[0] != old[0]) for new, old in zip(after[1], before[1], strict=True))


def test_statistics_within_layers_and_networks_of_an_encoder_are_found() -> None:
    class Block(layers.Layer):
        """As KerasHub's: layers within a layer."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.BatchNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(x)

    image = x = keras.Input((8, 8, 3))
    nested = keras.Sequential([keras.Input((8, 8, 3)), layers.BatchNormalization()])
    network = keras.Model(image, Block()(nested(layers.BatchNormalization()(x))))
    set_batchnorm_momentum(network, 0.5)
    assert [layer.momentum for layer in batch_normalizations(network)] == [0.5] * 3


def test_statistics_are_the_batch_s_unless_they_are_frozen() -> None:
    model = segkit.unet(CRACK, encoder=SMALL, width=4)
    images = picture(2, 32, 32, 3)
    deepest = keras.Model(model.inputs, model.get_layer(ENCODED).output)
    assert not np.allclose(
        deepest(images, training=True), deepest(images, training=False), rtol=1e-2
    )
