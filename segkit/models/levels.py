"""Finds the resolutions of a network's features from their shapes, never from layer names."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from segkit.config import networks
from segkit.errors import ConfigError
from segkit.models.blocks import Tensor

_SIDE = 3
"""Side of the smallest features of the probe; not 1, which global pooling returns, too."""


def shapes(
    inputs: Tensor, features: Sequence[Tensor], size: tuple[int, int]
) -> list[tuple[int, ...]]:
    """Return the shapes of features for one image, without computing them.

    Args:
        inputs: Symbolic tensor of the image (B, H, W, channels).
        features: Symbolic tensors that depend on it.
        size: Height and width of the image in pixels.

    Returns:
        The shapes (1, ...) of the features.
    """
    image = keras.KerasTensor((1, *size, inputs.shape[-1]), inputs.dtype)
    outputs = keras.Model(inputs, list(features)).compute_output_spec(image)
    return [output.shape for output in outputs]


def strides(inputs: Tensor, features: Sequence[Tensor], largest: int) -> list[float]:
    """Return the strides of features, measured with a square image of `_SIDE * largest` pixels.

    Args:
        inputs: Symbolic tensor of the image (B, H, W, channels).
        features: Symbolic tensors that depend on it.
        largest: The largest stride that is expected.

    Returns:
        The image's height divided by each feature map's; 0 for features that are not (B, h, w, C).
    """
    side = _SIDE * largest
    found = []
    for shape in shapes(inputs, features, (side, side)):
        is_map = len(shape) == 4 and shape[1]
        found.append(side / shape[1] if is_map else 0.0)
    return found


def by_halving(network: keras.Model, start: Tensor) -> list[Tensor]:
    """Return the last features of a network at each resolution: those before the resolution halves.

    Args:
        network: A network with one image input.
        start: Tensor that the network was built on; features before it do not count.

    Returns:
        Features with stride 1, 2, 4, ..., finest first, as far as the network has them. The last
        one is the network's output. Padded features have other strides and do not count.
    """
    operations = network.operations
    first = 0
    while operations[first].output is not start:
        first += 1
    maps = [operation.output for operation in operations[first + 1 :]]
    last_maps = dict(zip(strides(network.inputs[0], maps, networks.STRIDE), maps, strict=True))
    levels = []
    for exponent in range(6):
        if 2**exponent in last_maps:
            levels.append(last_maps[2**exponent])
    return [*levels[:-1], network.output]


def check_halved(encoder: str, found: Sequence[float], stride: int) -> None:
    """Check that each level of an encoder has half the resolution of the one before.

    Args:
        encoder: Name of the encoder.
        found: Strides of its levels, finest first.
        stride: Stride of the last level, to a multiple of which images are padded.

    Raises:
        ConfigError: If the strides are different.
    """
    expected = [stride / 2**level for level in reversed(range(len(found)))]
    if list(found) != expected:
        resolutions = ", ".join(f"1/{level_stride:g}" for level_stride in found)
        raise ConfigError(
            f"{encoder}: each level has half the resolution of the one before, and the last has "
            f"1/{stride} of the image's, to a multiple of which images are padded; found "
            f"{resolutions}",
            "not-for-network",
            setting="model.encoder",
        )
