"""The expanding half of the U-Net."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def unet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """At each level double the resolution, concatenate the encoder's features and convolve twice.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, channels) of the size of the first level.

    Source: Ronneberger et al., U-Net, 2015 (https://arxiv.org/abs/1505.04597).
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        width = width_at(level, settings)
        x = layers.Concatenate()([skip, upsample(x, width, settings)])
        x = supervise(plain_block(x, width, settings), level, settings)
    return x
