"""What a network costs: multiplications with an addition, counted from the shapes of its layers."""

from __future__ import annotations

from math import prod

import keras
from keras import layers

from segkit.models.levels import shapes


def multiply_adds(model: keras.Model, height: int, width: int) -> int:
    """Return the multiply-adds of a network for one image, of its convolutions and dense layers.

    Normalisation, activations and up-sampling without weights are left out, as is usual; biases, too. A model inside the
    model is counted with what it holds. Layers that are used twice count once.
    """
    found = [
        layer for layer in model.layers if isinstance(layer, _COUNTED) or hasattr(layer, "layers")
    ]
    tensors = [tensor for layer in found for tensor in (layer.input, layer.output)]
    given = shapes(model.inputs[0], tensors, (height, width)) if found else []
    return sum(_of(layer, given[2 * i], given[2 * i + 1]) for i, layer in enumerate(found))


_COUNTED = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
    layers.Dense,
)


def _of(layer: layers.Layer, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Return what a layer costs whose input and output have these shapes (1, ..., C)."""
    if hasattr(layer, "layers"):
        return multiply_adds(layer, *before[1:3])
    if isinstance(layer, layers.SeparableConv2D):
        kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        return prod(after[1:3]) * kernels
    places = before[1:3] if isinstance(layer, layers.Conv2DTranspose) else after[1:-1]
    return prod(places) * prod(layer.kernel.shape)
