"""UNet++: a U-Net of every depth, nested in the skip connections."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def unetplusplus(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Combine at every level all its earlier features with the doubled ones of the level below.

    Column j contains the features of a U-Net of depth j. It has one level fewer than column j - 1,
    and each of its levels uses all columns before. The finest level of each column can have an
    auxiliary head, as in the paper. At depth 4 the decoder costs about twice as much as a U-Net,
    mostly at the finest level.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, channels) of the size of the first level.

    Source: Zhou et al., UNet++, 2018 (https://arxiv.org/abs/1807.10165).
    """
    depth = len(levels) - 1
    rows = [[features] for features in levels]  # rows[i][j] is the paper's X(i, j)
    for column in range(1, depth + 1):
        for level in range(depth + 1 - column):
            width = width_at(level, settings)
            below = upsample(rows[level + 1][column - 1], width, settings)
            x = plain_block(layers.Concatenate()([*rows[level], below]), width, settings)
            if level == 0:
                x = supervise(x, depth - column, settings)
            rows[level].append(x)
    return rows[0][-1]
