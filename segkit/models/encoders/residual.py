"""An encoder of residual blocks, more of them where the features are small."""

from __future__ import annotations

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, residual_block, widths


def residual(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """A convolution, then 1, 2, 2, 3, 3, ... residual blocks a level, the first of each level with stride 2.

    Source: Zhang et al., Road extraction by deep residual U-Net, 2018; the growing number of blocks is that of the
    residual encoders of Isensee et al., nnU-Net revisited, 2024, made smaller.
    """
    levels: list[Tensor] = []
    x = convolve(x, widths(settings)[0], settings)
    for level, width in enumerate(widths(settings)):
        for block in range(1 + (level + 1) // 2):
            x = residual_block(x, width, settings, stride=2 if level and not block else 1)
        levels.append(x)
    return levels
