"""The contracting half of the U-Net."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, widths


def plain(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Apply two convolutions at each level, and maximum pooling between levels.

    Args:
        x: Image (B, H, W, channels), scaled and padded.
        settings: Section `model` of the config.

    Returns:
        Features of each level, finest first.

    Source: Ronneberger et al., U-Net, 2015 (https://arxiv.org/abs/1505.04597), there without
    padding and normalisation.
    """
    levels: list[Tensor] = []
    for width in widths(settings):
        if levels:
            x = layers.MaxPooling2D(2)(x)
        x = plain_block(x, width, settings)
        levels.append(x)
    return levels
