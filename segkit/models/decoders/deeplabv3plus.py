"""DeepLabv3+: atrous convolutions on the coarsest features, refined once by finer ones."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, upsample, width_at

REACHES = (96, 192, 288)
"""Image pixels between the taps of the atrous convolutions: rates 6, 12, 18 at stride 16."""
FINE = 4
"""Stride of the features that refine the result, as in the paper."""


def deeplabv3plus(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Apply an atrous pyramid to the coarsest level, refine it at stride 4, double to the finest.

    Levels finer than stride 4 are not used, so thin objects are found worse than by a U-Net. The
    pyramid includes the mean over the whole input. So the prediction for a pixel depends on the
    whole input, and changes with the size of windows (`predict.tile`, `train.crop`) and with
    padding.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, channels) of the size of the first level.

    Source: Chen et al., DeepLabv3+, 2018 (https://arxiv.org/abs/1802.02611).
    """
    width = width_at(3, settings)
    coarsest = len(levels) - 1
    fine = min(max(coarsest - (settings.stride // FINE).bit_length() + 1, 0), coarsest - 1)
    x = atrous_pyramid(levels[-1], width, settings)
    for _ in range(coarsest - fine):
        x = upsample(x, width, settings)
    detail_width = max(1, width * 3 // 16)  # 48 channels beside 256, as in the paper
    detail = convolve(levels[fine], detail_width, settings, size=1)
    x = layers.Concatenate()([x, detail])
    x = separable(x, width, settings)
    x = separable(x, width, settings)
    x = drop_channels(x, settings)
    for level in reversed(range(fine)):
        x = upsample(x, width_at(level, settings), settings)
    return x


def atrous_pyramid(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Combine convolutions at four scales and the mean over the image.

    The paper concatenates the mean to the other parts before a 1 x 1 convolution. Here the mean has
    its own 1 x 1 convolution and is added, which is the same and needs no repetition to the
    features' size. It is added after the normalisation, because instance normalisation would remove
    it. It is the first summand, because LiteRT's converter mistakes a second one for a bias.

    Args:
        x: Features (B, h, w, C).
        width: Number of channels of the result.
        settings: Section `model` of the config.

    Returns:
        Features (B, h, w, width).
    """
    parts = [convolve(x, width, settings, size=1)]
    for reach in REACHES:
        parts.append(separable(x, width, settings, rate=max(1, reach // settings.stride)))
    joined = convolve(layers.Concatenate()(parts), width, settings, activate=False, size=1)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    mean = layers.Conv2D(width, 1, activation="relu", kernel_initializer="he_normal")(mean)
    mean = layers.Conv2D(width, 1, kernel_initializer="he_normal")(mean)
    return drop_channels(layers.ReLU()(layers.Add()([mean, joined])), settings)


def separable(x: Tensor, width: int, settings: ModelConfig, rate: int = 1) -> Tensor:
    """Apply a separable convolution, normalisation and ReLU.

    Args:
        x: Features (B, H, W, C).
        width: Number of channels of the result.
        settings: Section `model` of the config.
        rate: Distance of the 3 x 3 kernel's taps in pixels.

    Returns:
        Features (B, H, W, width).
    """
    x = layers.DepthwiseConv2D(3, dilation_rate=rate, padding="same", use_bias=False)(x)
    return convolve(x, width, settings, size=1)
