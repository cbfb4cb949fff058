"""Atrous convolutions at several rates over the coarsest features, refined once by finer ones."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, upsample, width_at

REACHES = (96, 192, 288)
"""Pixels of the image between the taps of the atrous convolutions: rates 6, 12 and 18 at the paper's stride of 16."""
FINE = 4
"""Stride of the features that refine the answer, as in the paper."""


def deeplabv3plus(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Pool atrous convolutions at the coarsest level, refine them at a quarter of the image's size, double to the finest.

    Finer levels than a quarter of the image are not looked at, so thin things are found worse than by a U-Net. The pool
    includes the mean over the whole input: the answer for a pixel depends on all that the network is given, and windows
    (`predict.tile`, `train.crop`) of another size, or padding, give other answers for the same pixel, everywhere.

    Source: Chen et al., Encoder-decoder with atrous separable convolution for semantic image segmentation, 2018.
    """
    width = width_at(3, settings)
    coarsest = len(levels) - 1
    fine = min(max(coarsest - (settings.stride // FINE).bit_length() + 1, 0), coarsest - 1)
    x = atrous_pyramid(levels[-1], width, settings)
    for _ in range(coarsest - fine):
        x = upsample(x, width, settings)
    detail = convolve(
        levels[fine], max(1, width * 3 // 16), settings, size=1
    )  # 48 channels beside 256, as in the paper
    x = layers.Concatenate()([x, detail])
    x = drop_channels(separable(separable(x, width, settings), width, settings), settings)
    for level in reversed(range(fine)):
        x = upsample(x, width_at(level, settings), settings)
    return x


def atrous_pyramid(x: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Return features (B, h, w, C) seen at four scales and as a whole, (B, h, w, width).

    The projection of the joined parts is a sum, that of the mean over the image added by itself: the same as joining it,
    without having to know the size to repeat it to. It is added behind the normalisation, because instance normalisation
    would take it away again; and as the first, because LiteRT's converter takes what is added second for a bias.
    """
    rates = [max(1, reach // settings.stride) for reach in REACHES]
    parts = [
        convolve(x, width, settings, size=1),
        *(separable(x, width, settings, rate) for rate in rates),
    ]
    joined = convolve(layers.Concatenate()(parts), width, settings, activate=False, size=1)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    mean = layers.Conv2D(width, 1, activation="relu", kernel_initializer="he_normal")(mean)
    mean = layers.Conv2D(width, 1, kernel_initializer="he_normal")(mean)
    return drop_channels(layers.ReLU()(layers.Add()([mean, joined])), settings)


def separable(x: Tensor, width: int, settings: ModelConfig, rate: int = 1) -> Tensor:
    """A 3 x 3 convolution of each channel, its taps `rate` pixels apart, and one of 1 x 1; normalisation, ReLU."""
    x = layers.DepthwiseConv2D(3, dilation_rate=rate, padding="same", use_bias=False)(x)
    return convolve(x, width, settings, size=1)
