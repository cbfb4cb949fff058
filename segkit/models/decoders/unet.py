"""The expanding half of the U-Net."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, upsample


def unet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Double the resolution, join the encoder's features of that size, convolve twice; up to full resolution.

    Source: Ronneberger et al., U-Net, 2015.
    """
    *skips, x = levels
    for skip in reversed(skips):
        x = upsample(x, skip.shape[-1], settings)
        x = layers.Concatenate()([skip, x])
        x = plain_block(x, skip.shape[-1], settings)
    return x
