"""Backbones of KerasHub as encoders: `model.encoder: keras_hub:PRESET`, or a preset's folder."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from segkit.config import ModelConfig, networks
from segkit.errors import ConfigError
from segkit.models import weights
from segkit.models.blocks import Tensor
from segkit.models.encoders.pretrained import copy_weights, in_its_units, set_batchnorm_momentum
from segkit.models.levels import by_halving


def backbone(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Apply a backbone of KerasHub to x.

    With `weights: imagenet` it has the weights of its preset, whatever they were trained on.

    Args:
        x: Image (B, H, W, channels), padded. For pretrained weights its values run from -1 to 1;
            they are scaled as by the preset's image converter.
        settings: Section `model` of the config.

    Returns:
        The features before each halving, down to 1/32 of the resolution, finest first.

    Raises:
        ConfigError: If KerasHub is not installed, or has no such backbone.
    """
    weights.find_weights(settings)
    import keras_hub

    preset = settings.encoder.removeprefix(networks.HUB)
    trained = settings.weights != networks.NONE
    source = _open(keras_hub.models.Backbone, preset, load_weights=trained)
    if not isinstance(source.output, keras.KerasTensor) or len(source.output.shape) != 4:
        raise ConfigError(
            f"{settings.encoder}: returns no features (B, H, W, C), but {source.output}",
            "not-for-network",
            setting="model.encoder",
        )
    if trained:
        x = in_its_units(x, _scaling(_open(keras_hub.layers.ImageConverter, preset)))
    applied = _copy_onto(source, x)
    set_batchnorm_momentum(applied, settings.momentum)
    if trained:
        copy_weights(source, applied)
    return by_halving(applied, x)


def _open(part: Any, preset: str, **settings: Any) -> Any:
    try:
        return part.from_preset(preset, **settings)
    except (ValueError, OSError, KeyError) as problem:
        raise ConfigError(
            f"{networks.HUB}{preset}: cannot be opened ({str(problem).strip()}). Without a "
            f"network, save the preset on a machine that has one (save_to_preset), and name its "
            f"folder: {networks.HUB}FOLDER",
            "not-fetched",
            setting="model.encoder",
        ) from problem


def _copy_onto(source: keras.Model, x: Tensor) -> keras.Model:
    """Return a flat copy of a network that starts at x, without the weights."""
    last: list[Tensor] = []

    def call(layer: Any, *inputs: Any, **settings: Any) -> Any:
        last[:] = [layer(*inputs, **settings)]
        return last[0]

    keras.models.clone_model(source, input_tensors=x, call_function=call)
    return keras.Model(keras.utils.get_source_inputs(x), last[0])


def _scaling(converter: Any) -> networks.Scaling:
    """Return an image converter's image * scale + offset as (image - mean) / std."""
    scale = _per_colour(converter.scale, 1.0)
    offset = _per_colour(converter.offset, 0.0)
    return networks.Scaling(tuple((-offset / scale).tolist()), tuple((1 / scale).tolist()))


def _per_colour(value: Any, default: float) -> np.ndarray:
    numbers = np.asarray(default if value is None else value, np.float64).ravel()
    return np.broadcast_to(numbers, (3,))
