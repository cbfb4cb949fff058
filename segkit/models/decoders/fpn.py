"""A feature pyramid, all of whose levels are added up at the finest."""

from __future__ import annotations

from keras import layers

from segkit.config import ModelConfig
from segkit.models.blocks import Tensor, convolve, drop_channels, supervise, upsample, width_at


def fpn(levels: list[Tensor], settings: ModelConfig) -> Tensor:
    """Carry coarse features down a pyramid of one width, then bring each level to the finest and add them up.

    The pyramid has 4 * `width` channels and its branches `width` (256 and 128 in the paper, whose finest level is a
    quarter of the image; here it may be the image itself). The convolution that smooths a pyramid's level is the first
    of its branch.

    Source: Lin et al., Feature pyramid networks for object detection, 2017 (the pyramid); Kirillov et al., Panoptic
    feature pyramid networks, 2019, section 3.1 (the branches).
    """
    pyramid = width_at(2, settings)
    x = layers.Conv2D(pyramid, 1, kernel_initializer="he_normal")(levels[-1])
    stages = [x]
    for level in reversed(levels[:-1]):
        across = layers.Conv2D(pyramid, 1, kernel_initializer="he_normal")(level)
        x = layers.Add()([across, upsample(x, pyramid, settings)])
        stages.insert(0, x)
    branches = [
        _branch(supervise(x, doublings, settings), doublings, settings)
        for doublings, x in enumerate(stages)
    ]
    return drop_channels(layers.Add()(branches), settings)


def _branch(x: Tensor, doublings: int, settings: ModelConfig) -> Tensor:
    x = convolve(x, settings.width, settings)
    for done in range(doublings):
        x = upsample(x, settings.width, settings)
        x = convolve(x, settings.width, settings) if done + 1 < doublings else x
    return x
