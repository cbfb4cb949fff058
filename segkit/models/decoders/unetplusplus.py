"""The U-Net whose skip connections are filled with a U-Net at every depth."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def unetplusplus(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Join at every level all its earlier features and the doubled ones from below, again and again.

    Column j holds what a U-Net of depth j makes: one level fewer than column j - 1, each from all columns before. The
    features at the finest level of every column can be supervised, as in the paper: those of the flatter U-Nets. About
    twice the work of the U-Net at depth 4, most of it at the finest level.

    Source: Zhou et al., UNet++: a nested U-Net architecture for medical image segmentation, 2018.
    """
    depth = len(levels) - 1
    rows = [[features] for features in levels]  # rows[i][j] is the paper's X(i, j)
    for column in range(1, depth + 1):
        for level in range(depth + 1 - column):
            width = width_at(level, settings)
            below = upsample(rows[level + 1][column - 1], width, settings)
            x = plain_block(layers.Concatenate()([*rows[level], below]), width, settings)
            rows[level].append(x if level else supervise(x, depth - column, settings))
    return rows[0][-1]
