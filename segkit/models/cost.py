"""Counts the multiply-adds of a network from the shapes of its layers."""

from __future__ import annotations

from math import prod

import keras
from keras import layers

from segkit.models.levels import shapes

_COUNTED = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
    layers.Dense,
)


def multiply_adds(model: keras.Model, height: int, width: int) -> int:
    """Return the multiply-adds of a network's convolutions and dense layers for one image.

    As usual, normalisation, activations, biases and up-sampling without weights do not count.
    Layers of an inner model count. A layer that is used twice counts once.

    Args:
        model: A functional model with one image input.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The number of multiply-adds.
    """
    counted = []
    tensors = []
    for layer in model.layers:
        if isinstance(layer, _COUNTED) or hasattr(layer, "layers"):
            counted.append(layer)
            tensors += [layer.input, layer.output]
    if not counted:
        return 0
    all_shapes = shapes(model.inputs[0], tensors, (height, width))
    total = 0
    for i, layer in enumerate(counted):
        total += _cost(layer, all_shapes[2 * i], all_shapes[2 * i + 1])
    return total


def _cost(layer: layers.Layer, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Return the multiply-adds of a layer whose input and output have these shapes (1, ..., C)."""
    if hasattr(layer, "layers"):
        return multiply_adds(layer, *before[1:3])
    if isinstance(layer, layers.SeparableConv2D):
        kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        return prod(after[1:3]) * kernels
    positions = after[1:-1]
    if isinstance(layer, layers.Conv2DTranspose):
        positions = before[1:3]
    return prod(positions) * prod(layer.kernel.shape)
