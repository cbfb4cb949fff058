"""A light decoder: a bottleneck at each level, and the encoder's features added instead of joined."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, normalize, supervise, upsample


def linknet(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Double the resolution at a quarter of the channels, and add the encoder's features of that size.

    Widths are those of the encoder's levels, since they are added. `upsampling` takes the place of the paper's 3 x 3
    transposed convolution, and one convolution at the finest level that of its last block.

    Source: Chaurasia and Culurciello, LinkNet: exploiting encoder representations for efficient semantic segmentation, 2017.
    """
    *skips, x = levels
    for level, skip in reversed(list(enumerate(skips))):
        quarter = max(1, x.shape[-1] // 4)
        x = convolve(x, quarter, settings, size=1)
        x = layers.ReLU()(normalize(upsample(x, quarter, settings), settings))
        x = layers.Add()([skip, convolve(x, skip.shape[-1], settings, size=1)])
        x = supervise(x, level, settings)
    return drop_channels(convolve(x, settings.width, settings), settings)
