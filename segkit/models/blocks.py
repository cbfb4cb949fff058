"""The pieces that encoders and decoders are made of. Convolution, normalisation, ReLU, in that order."""

from __future__ import annotations

from typing import Any

from keras import layers

from segkit.config import ModelConfig
from segkit.models.layers import BatchNormalization, Doubling

Tensor = Any
SUPERVISED = "deep_supervision"
"""Begin of the names of layers at which `models.supervision` puts auxiliary heads."""


def width_at(level: int, settings: ModelConfig) -> int:
    """Return the channels of a level, 0 at the finest: doubled at each level, `widest` at most."""
    return min(settings.width * 2**level, settings.widest)


def widths(settings: ModelConfig) -> list[int]:
    """Return the channels of each level, full resolution first.

    >>> widths(ModelConfig(width=32, depth=4, widest=256))
    [32, 64, 128, 256, 256]
    """
    return [width_at(level, settings) for level in range(settings.depth + 1)]


def normalize(x: Tensor, settings: ModelConfig) -> Tensor:
    """Apply the normalisation that the settings name; groups of 16 channels or fewer for "group"."""
    if settings.normalization == "batch":
        return BatchNormalization(momentum=settings.momentum)(x)
    if settings.normalization == "none":
        return x
    channels = x.shape[-1]
    size = (
        1
        if settings.normalization == "instance"
        else next(n for n in range(min(16, channels), 0, -1) if channels % n == 0)
    )
    return layers.GroupNormalization(groups=channels // size)(x)


def convolve(
    x: Tensor,
    width: int,
    settings: ModelConfig,
    stride: int = 1,
    activate: bool = True,
    size: int = 3,
) -> Tensor:
    """Convolution of `size` x `size`, normalisation, ReLU."""
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
    """Join stem x stem pixels into one by a convolution that overlaps its neighbours; nothing for a stem of 1."""
    size = (
        2 * settings.stem - 1
    )  # a kernel smaller than its stride would never see some of the pixels
    return (
        convolve(x, settings.width, settings, stride=settings.stem, size=size)
        if settings.stem > 1
        else x
    )


def restore_resolution(x: Tensor, factor: int, settings: ModelConfig) -> Tensor:
    """Bring features back to the image's resolution, `factor` times theirs, as a stem or an encoder's entry left it."""
    if factor == 1:
        return x
    x = layers.Conv2DTranspose(
        settings.width, 2 * factor, strides=factor, padding="same", kernel_initializer="he_normal"
    )(x)
    return layers.ReLU()(normalize(x, settings))


def drop_channels(x: Tensor, settings: ModelConfig) -> Tensor:
    """Drop whole channels in training, the settings' share of them."""
    return layers.SpatialDropout2D(settings.dropout)(x) if settings.dropout else x


def plain_block(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Two convolutions, as in the U-Net (Ronneberger et al., 2015), with dropout after them."""
    return drop_channels(convolve(convolve(x, width, settings), width, settings), settings)


def residual_block(x: Tensor, width: int, settings: ModelConfig, stride: int = 1) -> Tensor:
    """Two convolutions and a way around them (He et al., Deep residual learning, 2016)."""
    y = convolve(x, width, settings, stride)
    y = convolve(y, width, settings, activate=False)
    if stride > 1:
        x = layers.AveragePooling2D(stride)(
            x
        )  # keeps what a strided 1 x 1 convolution would throw away
    if x.shape[-1] != width:
        x = normalize(
            layers.Conv2D(width, 1, use_bias=settings.normalization == "none")(x), settings
        )
    return drop_channels(layers.ReLU()(layers.Add()([x, y])), settings)


def upsample(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Double height and width and bring the features to `width` channels."""
    if settings.upsampling == "transpose":
        return layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer="he_normal")(x)
    x = layers.Conv2D(width, 1, kernel_initializer="he_normal")(x)  # before: a quarter of the work
    return Doubling(settings.upsampling)(x)


def supervise(x: Tensor, halvings: int, settings: ModelConfig) -> Tensor:
    """Mark features for an auxiliary head in training, whose loss weighs 1 / 2**halvings of the main one's (1 or more).

    Nothing else happens to them, and without `settings.deep_supervision` nothing at all.
    """
    return (
        layers.Identity(name=f"{SUPERVISED}_{halvings}")(x)
        if settings.deep_supervision and halvings
        else x
    )
