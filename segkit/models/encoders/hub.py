"""Backbones of KerasHub as encoders: `model.encoder: keras_hub:PRESET`, or `keras_hub:FOLDER` that a preset was saved in."""

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
    """Lay a backbone layer by layer on x; its levels are what it holds before each halving, down to 1/32.

    With `weights: imagenet` it has the weights of its preset, whatever they were trained on, and x, from -1 to 1, is scaled
    as the preset's own image converter says. Raises `ConfigError` if KerasHub is not installed or has no such backbone.
    """
    weights.find_weights(settings)
    import keras_hub

    preset, trained = settings.encoder.removeprefix(networks.HUB), settings.weights != networks.NONE
    source = _open(keras_hub.models.Backbone, preset, load_weights=trained)
    if not isinstance(source.output, keras.KerasTensor) or len(source.output.shape) != 4:
        raise ConfigError(
            f"{settings.encoder}: gives no map of features (B, H, W, C), but {source.output}",
            "not-for-network",
            setting="model.encoder",
        )
    if trained:
        x = in_its_units(x, _scaling(_open(keras_hub.layers.ImageConverter, preset)))
    laid = _laid(source, x)
    set_batchnorm_momentum(laid, settings.momentum)
    if trained:
        copy_weights(source, laid)
    return by_halving(laid, x)


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


def _laid(source: keras.Model, x: Tensor) -> keras.Model:
    """Return a copy of a network, flat, that goes on from x; without the weights."""
    last: list[Tensor] = []

    def call(layer: Any, *given: Any, **settings: Any) -> Any:
        last[:] = [layer(*given, **settings)]
        return last[0]

    keras.models.clone_model(source, input_tensors=x, call_function=call)
    return keras.Model(keras.utils.get_source_inputs(x), last[0])


def _scaling(converter: Any) -> networks.Scaling:
    """Return an image converter's image * scale + offset as (image - mean) / std."""
    scale, offset = (
        np.broadcast_to(np.asarray(missing if value is None else value, np.float64).ravel(), (3,))
        for value, missing in ((converter.scale, 1.0), (converter.offset, 0.0))
    )
    return networks.Scaling(tuple((-offset / scale).tolist()), tuple((1 / scale).tolist()))
