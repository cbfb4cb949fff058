"""The Attention U-Net: coarser features gate the skip connections."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, plain_block, supervise, upsample, width_at


def attention_unet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Decode as a U-Net that multiplies each skip connection by a gate from 0 to 1 per pixel.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, width) of the size of the first level.

    Source: Oktay et al., Attention U-Net, 2018 (https://arxiv.org/abs/1804.03999).
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        width = width_at(level, settings)
        skip = layers.Multiply()([skip, gate(skip, x, max(1, width // 2), settings)])
        x = layers.Concatenate()([skip, upsample(x, width, settings)])
        x = supervise(plain_block(x, width, settings), level, settings)
    return x


def gate(skip: Tensor, coarse: Tensor, width: int, settings: ModelConfig) -> Tensor:
    """Return the additive attention gate of a skip connection.

    Both inputs are brought to `width` channels at the coarse resolution and added, followed by
    ReLU, a convolution to one channel, and the sigmoid. Unlike in the paper, up-sampling is that of
    the settings and comes before the sigmoid.

    Args:
        skip: Features of the encoder (B, 2h, 2w, C).
        coarse: Features of the decoder (B, h, w, D).
        width: Number of channels in which both are added.
        settings: Section `model` of the config.

    Returns:
        Share of each pixel of `skip` that passes, (B, 2h, 2w, 1), from 0 to 1.
    """
    fine = layers.Conv2D(width, 2, strides=2, use_bias=False, kernel_initializer="he_normal")(skip)
    query = layers.Conv2D(width, 1, kernel_initializer="he_normal")(coarse)
    together = layers.ReLU()(layers.Add()([fine, query]))
    return layers.Activation("sigmoid")(upsample(together, 1, settings))
