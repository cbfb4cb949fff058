"""The contracting half of the U-Net."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, widths


def plain(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Two convolutions at each level, maximum pooling between.

    Source: Ronneberger et al., U-Net, 2015 (there without padding and without normalisation).
    """
    levels: list[Tensor] = []
    for width in widths(settings):
        if levels:
            x = layers.MaxPooling2D(2)(x)
        x = plain_block(x, width, settings)
        levels.append(x)
    return levels
