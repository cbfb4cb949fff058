"""Where a network lowers the resolution: found by the shapes of its features, never by the names of its layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from segkit.config import networks
from segkit.errors import ConfigError
from segkit.models.blocks import Tensor

_SIDE = 3
"""Pixels that the smallest features of the probe have a side: not 1, which pooling over the whole image gives, too."""


def shapes(
    inputs: Tensor, features: Sequence[Tensor], size: tuple[int, int]
) -> list[tuple[int, ...]]:
    """Return the shapes that `features` have for one image of a height and width; no pixel is computed."""
    given = keras.KerasTensor((1, *size, inputs.shape[-1]), inputs.dtype)
    return [found.shape for found in keras.Model(inputs, list(features)).compute_output_spec(given)]


def strides(inputs: Tensor, features: Sequence[Tensor], largest: int) -> list[float]:
    """Return for each of `features` how many pixels of `inputs` a side go into one of theirs; 0 for what is no map.

    Asked at `_SIDE` times the `largest` stride.
    """
    side = _SIDE * largest
    found = shapes(inputs, features, (side, side))
    return [side / shape[1] if len(shape) == 4 and shape[1] else 0.0 for shape in found]


def by_halving(network: keras.Model, start: Tensor) -> list[Tensor]:
    """Return the last features that a network has at each resolution, finest first, its output as the last of all.

    `start` is what the network was laid on: what comes before it is not asked. The features are those just before the
    resolution drops, with whatever branch of the network does so. Paddings have sizes of their own, and are none.
    """
    operations = network.operations
    inside = next(i for i, operation in enumerate(operations) if operation.output is start) + 1
    maps = [operation.output for operation in operations[inside:]]
    found = strides(network.inputs[0], maps, networks.STRIDE)
    last = dict(zip(found, maps, strict=True))
    wanted = [stride for exponent in range(6) if (stride := 2**exponent) in last]
    return [*(last[stride] for stride in wanted[:-1]), network.output]


def check_halved(encoder: str, found: Sequence[float], stride: int) -> None:
    """Raise `ConfigError` unless an encoder's levels are halved one by one down to the stride that images are padded to."""
    wanted = [stride / 2**level for level in reversed(range(len(found)))]
    if list(found) != wanted:
        raise ConfigError(
            f"{encoder}: its levels are halved one by one, and the last has 1/{stride} of the "
            f"image's resolution, to a multiple of which images are padded; found "
            f"1/{', 1/'.join(f'{s:g}' for s in found)}",
            "not-for-network",
            setting="model.encoder",
        )
