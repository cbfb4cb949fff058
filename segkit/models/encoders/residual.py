"""An encoder of residual blocks, more of them where the features are small."""

from __future__ import annotations

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, residual_block, widths


def residual(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """A convolution, then residual blocks, 1, 3, 4, 6, 6, ... a level, the first of each level with stride 2.

    `settings.blocks` says how many; the last number holds for all levels below.

    Source: Isensee et al., nnU-Net revisited: a call for rigorous validation in 3D medical image segmentation, 2024
    (ResEnc: blocks and widths, 32 doubled up to 512 in 2D); residual U-Nets go back to Zhang et al., Road extraction by
    deep residual U-Net, 2018.
    """
    levels: list[Tensor] = []
    x = convolve(x, widths(settings)[0], settings)
    for level, width in enumerate(widths(settings)):
        for block in range(settings.blocks[min(level, len(settings.blocks) - 1)]):
            x = residual_block(x, width, settings, stride=2 if level and not block else 1)
        levels.append(x)
    return levels
