"""A feature pyramid network, whose levels are added at the finest resolution."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, supervise, upsample, width_at


def fpn(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Add coarse features to finer ones in a pyramid, then bring each level to the finest and add.

    The pyramid has 4 * `width` channels and its branches have `width`. The paper has 256 and 128,
    and its finest level has stride 4; here the finest level may be the image. The smoothing
    convolution of a pyramid level is the first convolution of its branch.

    Args:
        levels: Features of the encoder, finest first.
        settings: Section `model` of the config.

    Returns:
        Features (B, H, W, channels) of the size of the first level.

    Source: Lin et al., Feature pyramid networks, 2017 (https://arxiv.org/abs/1612.03144) for the
    pyramid; Kirillov et al., Panoptic FPN, 2019, section 3.1 (https://arxiv.org/abs/1901.02446) for
    the branches.
    """
    pyramid = width_at(2, settings)
    x = layers.Conv2D(pyramid, 1, kernel_initializer="he_normal")(levels[-1])
    stages = [x]
    for level in reversed(levels[:-1]):
        across = layers.Conv2D(pyramid, 1, kernel_initializer="he_normal")(level)
        x = layers.Add()([across, upsample(x, pyramid, settings)])
        stages.insert(0, x)
    branches = []
    for doublings, stage in enumerate(stages):
        branches.append(_branch(supervise(stage, doublings, settings), doublings, settings))
    return drop_channels(layers.Add()(branches), settings)


def _branch(x: Tensor, doublings: int, settings: ModelConfig) -> Tensor:
    """Convolve, then double the resolution, with a convolution between two doublings."""
    x = convolve(x, settings.width, settings)
    for doubling in range(doublings):
        x = upsample(x, settings.width, settings)
        if doubling + 1 < doublings:
            x = convolve(x, settings.width, settings)
    return x
