"""The parts of encoders and decoders: convolution, normalisation, ReLU, in that order."""

from __future__ import annotations

from typing import Any

from keras import layers

from segkit.config import ModelConfig
from segkit.models.layers import BatchNormalization, Doubling

Tensor = Any
SUPERVISED = "deep_supervision"
"""Prefix of the names of layers that get an auxiliary head (`models.supervision`)."""


def width_at(level: int, settings: ModelConfig) -> int:
    """Return the channels of a level, 0 at the finest: they double with it, to `widest` at most."""
    return min(settings.width * 2**level, settings.widest)


def widths(settings: ModelConfig) -> list[int]:
    """Return the channels of each level, full resolution first.

    >>> widths(ModelConfig(width=32, depth=4, widest=256))
    [32, 64, 128, 256, 256]
    """
    return [width_at(level, settings) for level in range(settings.depth + 1)]


def normalize(x: Tensor, settings: ModelConfig) -> Tensor:
    """Apply the normalisation of the settings.

    Args:
        x: Features (B, H, W, C).
        settings: Section `model` of the config. "group" uses the largest groups of 16 channels or
            fewer that divide C evenly.

    Returns:
        Features (B, H, W, C).
    """
    if settings.normalization == "batch":
        return BatchNormalization(momentum=settings.momentum)(x)
    if settings.normalization == "none":
        return x
    channels = x.shape[-1]
    size = 1
    if settings.normalization == "group":
        size = next(n for n in range(min(16, channels), 0, -1) if channels % n == 0)
    return layers.GroupNormalization(groups=channels // size)(x)


def convolve(
    x: Tensor,
    width: int,
    settings: ModelConfig,
    stride: int = 1,
    activate: bool = True,
    size: int = 3,
) -> Tensor:
    """Convolve, normalise and apply ReLU.

    Args:
        x: Features (B, H, W, C).
        width: Number of channels of the result.
        settings: Section `model` of the config.
        stride: Stride of the convolution.
        activate: Whether to apply ReLU.
        size: Kernel size in pixels.

    Returns:
        Features (B, ceil(H / stride), ceil(W / stride), width).
    """
    x = layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=settings.normalization == "none",
        kernel_initializer="he_normal",
    )(x)
    x = normalize(x, settings)
    return layers.ReLU()(x) if activate else x


def stem(x: Tensor, settings: ModelConfig) -> Tensor:
    """Apply a strided convolution with kernel size 2 * stem - 1; return x for a stem of 1.

    The kernel is larger than its stride, so that it sees every pixel and neighbours overlap.
    """
    if settings.stem == 1:
        return x
    size = 2 * settings.stem - 1
    return convolve(x, settings.width, settings, stride=settings.stem, size=size)


def restore_resolution(x: Tensor, factor: int, settings: ModelConfig) -> Tensor:
    """Undo the stem by a transposed convolution to the image's resolution.

    Args:
        x: Features (B, h, w, C).
        factor: The image's resolution divided by that of the features; 1 returns x.
        settings: Section `model` of the config.

    Returns:
        Features (B, factor * h, factor * w, settings.width).
    """
    if factor == 1:
        return x
    x = layers.Conv2DTranspose(
        settings.width, 2 * factor, strides=factor, padding="same", kernel_initializer="he_normal"
    )(x)
    return layers.ReLU()(normalize(x, settings))


def drop_channels(x: Tensor, settings: ModelConfig) -> Tensor:
    """Drop a share of the channels in training (spatial dropout), if the settings have one."""
    if settings.dropout:
        x = layers.SpatialDropout2D(settings.dropout)(x)
    return x


def plain_block(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Apply two convolutions and dropout.

    Source: Ronneberger et al., U-Net, 2015 (https://arxiv.org/abs/1505.04597), without dropout.
    """
    x = convolve(x, width, settings)
    x = convolve(x, width, settings)
    return drop_channels(x, settings)


def residual_block(x: Tensor, width: int, settings: ModelConfig, stride: int = 1) -> Tensor:
    """Apply two convolutions with a shortcut, and dropout.

    The shortcut of a stride is an average: a strided 1 x 1 convolution would skip pixels.

    Source: He et al., Deep residual learning, 2016 (https://arxiv.org/abs/1512.03385).
    """
    y = convolve(x, width, settings, stride)
    y = convolve(y, width, settings, activate=False)
    if stride > 1:
        x = layers.AveragePooling2D(stride)(x)
    if x.shape[-1] != width:
        x = layers.Conv2D(width, 1, use_bias=settings.normalization == "none")(x)
        x = normalize(x, settings)
    x = layers.ReLU()(layers.Add()([x, y]))
    return drop_channels(x, settings)


def upsample(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Double the resolution of features.

    Args:
        x: Features (B, H, W, C).
        width: Number of channels of the result.
        settings: Its `upsampling` names the method.

    Returns:
        Features (B, 2 * H, 2 * W, width).
    """
    if settings.upsampling == "transpose":
        return layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer="he_normal")(x)
    x = layers.Conv2D(width, 1, kernel_initializer="he_normal")(x)  # cheaper before the up-sampling
    return Doubling(settings.upsampling)(x)


def supervise(x: Tensor, halvings: int, settings: ModelConfig) -> Tensor:
    """Mark features for an auxiliary head in training, if the settings ask for deep supervision.

    Args:
        x: Features (B, H, W, C).
        halvings: The head's loss has 1 / 2**halvings of the main loss's weight. 0 marks nothing.
        settings: Its `deep_supervision` says whether there are auxiliary heads.

    Returns:
        The features, unchanged.
    """
    if settings.deep_supervision and halvings:
        x = layers.Identity(name=f"{SUPERVISED}_{halvings}")(x)
    return x
