"""The expanding half of the U-Net."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def unet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Double the resolution, join the encoder's features of that size, convolve twice; up to the finest level.

    Source: Ronneberger et al., U-Net, 2015.
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        width = width_at(level, settings)
        x = layers.Concatenate()([skip, upsample(x, width, settings)])
        x = supervise(plain_block(x, width, settings), level, settings)
    return x
