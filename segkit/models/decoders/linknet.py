"""LinkNet: a light decoder that adds the encoder's features instead of concatenating them."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, normalize, supervise, upsample


def linknet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Double the resolution at a quarter of the channels, and add the encoder's features.

    Each level has as many channels as the encoder's, since they are added. The setting `upsampling`
    replaces the paper's 3 x 3 transposed convolution, and one convolution replaces its last block.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, channels) of the size of the first level.

    Source: Chaurasia and Culurciello, LinkNet, 2017 (https://arxiv.org/abs/1707.03718).
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        quarter = max(1, x.shape[-1] // 4)
        x = convolve(x, quarter, settings, size=1)
        x = layers.ReLU()(normalize(upsample(x, quarter, settings), settings))
        x = layers.Add()([skip, convolve(x, skip.shape[-1], settings, size=1)])
        x = supervise(x, level, settings)
    return drop_channels(convolve(x, settings.width, settings), settings)
