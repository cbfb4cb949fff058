"""A trained network in the form that other runtimes run best: the same answers from operations that all of them have."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from segkit.models.layers import CropLike, PadToMultiple


class ShuffledConvolution(layers.Layer):
    """A transposed convolution whose windows do not overlap, as a 1 x 1 convolution and a rearrangement of its channels.

    Exactly the same sums. Unlike the transposed convolution it names no output size, so that the exported graph takes
    images of any size, and runtimes have it for 8-bit whole numbers.

    Source: Shi et al., Real-time single image and video super-resolution (the sub-pixel convolution), 2016.
    """

    def __init__(self, filters: int, factor: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.filters, self.factor = filters, factor
        self.convolution = layers.Conv2D(filters * factor**2, 1, name=f"{self.name}_convolution")

    def build(self, shape: Any) -> None:
        self.convolution.build(shape)
        super().build(shape)

    def call(self, x: Any) -> Any:
        return ops.depth_to_space(self.convolution(x), self.factor)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, _ = shape
        return (batch, height and height * self.factor, width and width * self.factor, self.filters)

    def take(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Set the weights from those of the transposed convolution, (factor, factor, filters, channels) and (filters,)."""
        channels = kernel.shape[-1]
        self.convolution.set_weights(
            [kernel.transpose(3, 0, 1, 2).reshape(1, 1, channels, -1), np.tile(bias, self.factor**2)]
        )


def portable(model: keras.Model) -> keras.Model:
    """Return a copy of a model of `build` in float32 whose layers name no sizes, with the same answers."""

    def copy(layer: layers.Layer) -> layers.Layer:
        if _shuffles(layer):
            return ShuffledConvolution(layer.filters, layer.strides[0], name=layer.name, dtype="float32")
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=copy)
    for layer in model.layers:
        twin = clone.get_layer(layer.name)
        if isinstance(twin, ShuffledConvolution):
            twin.take(*layer.get_weights())
        else:
            twin.set_weights(layer.get_weights())
    return clone


def core(model: keras.Model) -> keras.Model:
    """Return what is between padding and cropping: scaled float32 images, multiples of the stride -> probabilities."""
    pad = next(layer for layer in model.layers if isinstance(layer, PadToMultiple))
    crop = next(layer for layer in model.layers if isinstance(layer, CropLike))
    logits = crop.input[0]
    return keras.Model(pad.output, model.layers[-1](logits), name="segkit_core")


def _shuffles(layer: layers.Layer) -> bool:
    """Return whether a layer is a transposed convolution whose windows touch without overlap."""
    if not isinstance(layer, layers.Conv2DTranspose):
        return False
    square = len({*layer.kernel_size, *layer.strides}) == 1
    return square and layer.use_bias and layer.activation is keras.activations.linear
