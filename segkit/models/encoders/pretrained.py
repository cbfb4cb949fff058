"""Weights that were trained on RGB images, in a network for images of any number of channels."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from segkit.config.networks import Scaling
from segkit.errors import ConfigError
from segkit.models.blocks import Tensor
from segkit.models.layers import batch_normalizations


def in_its_units(x: Tensor, scaling: Scaling) -> Tensor:
    """Scale x, from -1 (the lowest value of the data) to 1 (the highest), as the network's own images were, from 0 to 255."""
    mean, std = (
        expand_channels(np.asarray(value, np.float64), x.shape[-1])
        for value in (scaling.mean, scaling.std)
    )
    scale, offset = 127.5 / std, (127.5 - mean) / std
    return layers.Rescaling(scale.tolist(), offset.tolist(), dtype="float32")(x)


def expand_channels(rgb: np.ndarray, channels: int) -> np.ndarray:
    """Return what holds for red, green, blue (3,) for any number of channels: in turn, or the mean for 1 and 2.

    >>> expand_channels(np.array([1.0, 2.0, 6.0]), 4), expand_channels(np.array([1.0, 2.0, 6.0]), 1)
    (array([1., 2., 6., 1.]), array([3.]))
    """
    return rgb[np.arange(channels) % 3] if channels >= 3 else np.repeat(rgb.mean(), channels)


def first_kernel(rgb: np.ndarray, channels: int) -> np.ndarray:
    """Return a kernel (height, width, 3, filters) for any number of channels, which answers equal channels the same.

    1 and 2 channels share the kernel's mean; more take red, green, blue in turn, and those that share one share its weight.
    """
    if channels < 3:
        return np.repeat(rgb.mean(axis=2, keepdims=True) * 3 / channels, channels, axis=2)
    source = np.arange(channels) % 3
    return rgb[:, :, source] / np.bincount(source)[source][:, None]


def set_batchnorm_momentum(network: keras.Model, momentum: float) -> None:
    """Set the momentum of all batch statistics: Keras' 0.99 to 0.999 do not keep up in short runs."""
    for layer in batch_normalizations(network):
        layer.momentum = momentum


def load_weights(target: keras.Model, source: keras.Model, file: Path, scaling: Scaling) -> None:
    """Give `target` the weights in a file of `source`, the same network for RGB images.

    Raises `ConfigError` if the file is not one of that network.
    """
    try:
        source.load_weights(file)
    except (ValueError, OSError, KeyError) as problem:
        reason = str(problem).strip().splitlines()
        raise ConfigError(
            f"{file}: not weights of keras.applications' {source.name} without its top "
            f"(include_top=False; files ending in notop.h5): "
            f"{reason[0] if reason else type(problem).__name__}",
            "mismatch",
            setting="model.weights",
        ) from problem
    copy_weights(source, target, scaling.blue_first)


def copy_weights(source: keras.Model, target: keras.Model, blue_first: bool = False) -> None:
    """Copy weights to the same network for another number of channels; the first weight is the kernel that sees the image."""
    given, taken = (
        [layer for layer in model.layers if layer.weights] for model in (source, target)
    )
    for old, new in zip(given, taken, strict=True):
        values = old.get_weights()
        if old is given[0]:
            kernel = values[0][:, :, ::-1] if blue_first else values[0]
            values[0] = first_kernel(kernel, new.get_weights()[0].shape[2])
        new.set_weights(values)
