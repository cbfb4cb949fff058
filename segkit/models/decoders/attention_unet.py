"""The U-Net whose skip connections pass only where the coarser features look."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def attention_unet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """A U-Net in which each skip connection is multiplied by a gate between 0 and 1, one value a pixel.

    Source: Oktay et al., Attention U-Net: learning where to look for the pancreas, 2018.
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        width = width_at(level, settings)
        skip = layers.Multiply()([skip, gate(skip, x, max(1, width // 2), settings)])
        x = layers.Concatenate()([skip, upsample(x, width, settings)])
        x = supervise(plain_block(x, width, settings), level, settings)
    return x


def gate(skip: Tensor, coarse: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Return what part of each pixel of `skip` (B, 2h, 2w, C) passes, (B, 2h, 2w, 1), asked of `coarse` (B, h, w, D).

    The additive gate: both are brought to `width` channels at the coarse resolution and added; ReLU, one channel, sigmoid.
    Its up-sampling is that of the settings, before the sigmoid (trilinear in the paper, after it).
    """
    seen = layers.Conv2D(width, 2, strides=2, use_bias=False, kernel_initializer="he_normal")(skip)
    asked = layers.Conv2D(width, 1, kernel_initializer="he_normal")(coarse)
    together = layers.ReLU()(layers.Add()([seen, asked]))
    return layers.Activation("sigmoid")(upsample(together, 1, settings))
