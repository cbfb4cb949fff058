"""Weights trained on RGB images, in networks for images with any number of channels."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from segkit.config.networks import Scaling
from segkit.errors import ConfigError
from segkit.models.blocks import Tensor
from segkit.models.layers import batch_normalizations
from segkit.models.trainer import first_line


def in_its_units(x: Tensor, scaling: Scaling) -> Tensor:
    """Scale images as those that pretrained weights were trained on.

    Args:
        x: Images (B, H, W, channels), from -1 (lowest value of the data) to 1 (highest).
        scaling: Mean and standard deviation of the network's RGB training images, from 0 to 255.

    Returns:
        Images (B, H, W, channels) float32.
    """
    mean = expand_channels(np.asarray(scaling.mean, np.float64), x.shape[-1])
    std = expand_channels(np.asarray(scaling.std, np.float64), x.shape[-1])
    scale = 127.5 / std
    offset = (127.5 - mean) / std
    return layers.Rescaling(scale.tolist(), offset.tolist(), dtype="float32")(x)


def expand_channels(rgb: np.ndarray, channels: int) -> np.ndarray:
    """Expand values of red, green and blue to any number of channels.

    Args:
        rgb: Values of red, green and blue, (3,).
        channels: Number of channels.

    Returns:
        Red, green, blue in turn; for 1 or 2 channels their mean. (channels,).

    >>> expand_channels(np.array([1.0, 2.0, 6.0]), 4)
    array([1., 2., 6., 1.])
    >>> expand_channels(np.array([1.0, 2.0, 6.0]), 1)
    array([3.])
    """
    if channels < 3:
        return np.repeat(rgb.mean(), channels)
    return rgb[np.arange(channels) % 3]


def first_kernel(rgb: np.ndarray, channels: int) -> np.ndarray:
    """Expand a network's first kernel to any number of channels.

    An image whose channels are all equal has the same result as a grey RGB image. 1 or 2 channels
    share the kernel's sum over colours. More channels use red, green and blue in turn, and channels
    of the same colour share its weight.

    Args:
        rgb: Kernel (height, width, 3, filters).
        channels: Number of channels.

    Returns:
        Kernel (height, width, channels, filters).
    """
    if channels < 3:
        return np.repeat(rgb.mean(axis=2, keepdims=True) * 3 / channels, channels, axis=2)
    source = np.arange(channels) % 3
    return rgb[:, :, source] / np.bincount(source)[source][:, None]


def set_batchnorm_momentum(network: keras.Model, momentum: float) -> None:
    """Set the momentum of all batch statistics: Keras' 0.99 is too slow for short runs."""
    for layer in batch_normalizations(network):
        layer.momentum = momentum


def load_weights(target: keras.Model, source: keras.Model, file: Path, scaling: Scaling) -> None:
    """Load pretrained RGB weights from a file into a network for any number of channels.

    Args:
        target: The network to load into.
        source: The same network for RGB images; it is changed.
        file: File of the weights of `source`.
        scaling: Says whether the weights expect blue first.

    Raises:
        ConfigError: If the file does not contain weights of that network.
    """
    try:
        source.load_weights(file)
    except (ValueError, OSError, KeyError) as problem:
        raise ConfigError(
            f"{file}: not weights of keras.applications' {source.name} without its top "
            f"(include_top=False; files ending in notop.h5): "
            f"{first_line(problem)}",
            "mismatch",
            setting="model.weights",
        ) from problem
    copy_weights(source, target, scaling.blue_first)


def copy_weights(source: keras.Model, target: keras.Model, blue_first: bool = False) -> None:
    """Copy weights to the same network for another number of channels.

    Args:
        source: A network for RGB images; its first weight is the kernel that is applied to the
            image.
        target: The same network for any number of channels; it is changed.
        blue_first: Whether `source` expects blue, green, red.
    """
    old_layers = [layer for layer in source.layers if layer.weights]
    new_layers = [layer for layer in target.layers if layer.weights]
    for old, new in zip(old_layers, new_layers, strict=True):
        values = old.get_weights()
        if old is old_layers[0]:
            kernel = values[0]
            if blue_first:
                kernel = kernel[:, :, ::-1]
            values[0] = first_kernel(kernel, new.get_weights()[0].shape[2])
        new.set_weights(values)
