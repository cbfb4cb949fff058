"""An encoder of residual blocks, with more blocks at coarser levels."""

from __future__ import annotations

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, residual_block, widths


def residual(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Apply a convolution, then residual blocks; further levels begin with stride 2.

    `settings.blocks` are the numbers of blocks per level; the last one holds for all deeper levels.

    Args:
        x: Image (B, H, W, channels), scaled and padded.
        settings: Section `model` of the config.

    Returns:
        Features of each level, finest first.

    Source: Isensee et al., nnU-Net revisited, 2024 (https://arxiv.org/abs/2404.09556) for blocks
    and widths of ResEnc; Zhang et al., Road extraction by deep residual U-Net, 2018
    (https://arxiv.org/abs/1711.10684) for residual U-Nets.
    """
    levels: list[Tensor] = []
    x = convolve(x, widths(settings)[0], settings)
    for level, width in enumerate(widths(settings)):
        blocks = settings.blocks[min(level, len(settings.blocks) - 1)]
        for block in range(blocks):
            halves = level > 0 and block == 0
            x = residual_block(x, width, settings, stride=2 if halves else 1)
        levels.append(x)
    return levels
