"""A trained network in the form that other runtimes run best: the same answers from operations that all of them have."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from segkit.models.layers import CropLike, PadToMultiple


class ShuffledConvolution(layers.Layer):
    """A transposed convolution as a convolution at the lower resolution and a rearrangement of its channels.

    Exactly the same sums. Unlike the transposed convolution it names no output size, so that the exported graph takes
    images of any size, and runtimes have it for 8-bit whole numbers. The convolution is 1 x 1 for windows that touch, and
    3 x 3 for windows of twice the stride, which overlap.

    Source: Shi et al., Real-time single image and video super-resolution (the sub-pixel convolution), 2016.
    """

    def __init__(self, filters: int, factor: int, size: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        self.filters, self.factor, self.size = filters, factor, size
        self.convolution = layers.Conv2D(
            filters * factor**2,
            size,
            padding="same",
            name=f"{self.name}_convolution",
            dtype=self.dtype_policy,
        )

    def build(self, shape: Any) -> None:
        self.convolution.build(shape)
        super().build(shape)

    def call(self, x: Any) -> Any:
        return ops.depth_to_space(self.convolution(x), self.factor)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, _ = shape
        return (batch, height and height * self.factor, width and width * self.factor, self.filters)

    def take(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Set the weights from those of the transposed convolution, (window, window, filters, channels) and (filters,)."""
        self.convolution.set_weights(
            [sub_pixel(kernel, self.factor), np.tile(bias, self.factor**2)]
        )


class SpatialNormalization(layers.Layer):
    """Keras' `GroupNormalization` by means over rows and columns first and channels after: it names no size of the image.

    Source: Wu & He, Group Normalization, 2018, equations 1 to 4.
    """

    def __init__(self, groups: int, epsilon: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.groups, self.epsilon = groups, epsilon

    def build(self, shape: Any) -> None:
        channels = shape[-1]
        self.gamma = self.add_weight((channels,), initializer="ones")
        self.beta = self.add_weight((channels,), initializer="zeros")
        size = channels // self.groups
        self.shares = np.kron(np.eye(self.groups), np.full((size, size), 1 / size)).astype(
            np.float32
        )
        super().build(shape)

    def call(self, x: Any) -> Any:
        centred = x - self._mean(x)
        return (
            centred * (self.gamma * ops.rsqrt(self._mean(ops.square(centred)) + self.epsilon))
            + self.beta
        )

    def _mean(self, x: Any) -> Any:
        """Return the mean over the pixels and over each group's channels, (B, 1, 1, C)."""
        mean = ops.mean(x, axis=(1, 2), keepdims=True)
        return mean if self.groups == x.shape[-1] else ops.matmul(mean, self.shares)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        return tuple(shape)


def sub_pixel(kernel: np.ndarray, stride: int) -> np.ndarray:
    """Return a transposed convolution's kernel (window, window, filters, channels) as that of a `ShuffledConvolution`.

    The window is the stride, or twice an even stride with "same" padding. A pixel in row `a` of the `stride` rows that
    become of one takes from the neighbour `d` rows on what the window's row `a + padding - d * stride` holds, if there is
    one; columns alike.
    """
    window, _, filters, channels = kernel.shape
    reach = 0 if window == stride else 1
    padding = (window - stride) // 2
    size = 2 * reach + 1
    spread = np.zeros((size, size, channels, stride, stride, filters), kernel.dtype)
    rows = [
        (reach + d, a, a + padding - d * stride)
        for d in range(-reach, reach + 1)
        for a in range(stride)
        if 0 <= a + padding - d * stride < window
    ]
    for down, a, row in rows:
        for across, b, column in rows:
            spread[down, across, :, a, b] = kernel[row, column].T
    return spread.reshape(size, size, channels, -1)


def portable_copy(model: keras.Model) -> keras.Model:
    """Return a copy of a model of `build` in float32 whose layers name no sizes, with the same answers."""

    def copy(layer: Any) -> Any:
        if not isinstance(layer, layers.Layer):  # a bare operation such as x + 3
            return type(layer).from_config(layer.get_config())
        if _shuffles(layer):
            size = 1 if layer.kernel_size == layer.strides else 3
            return ShuffledConvolution(
                layer.filters, layer.strides[0], size, name=layer.name, dtype="float32"
            )
        if isinstance(layer, layers.GroupNormalization):
            return SpatialNormalization(
                layer.groups, layer.epsilon, name=layer.name, dtype="float32"
            )
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(
        model, clone_function=copy, recursive=True
    )  # ConvNeXt holds small models
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
    """Return whether `sub_pixel` has a form of a layer."""
    if not isinstance(layer, layers.Conv2DTranspose):
        return False
    (window, other), (stride, across) = layer.kernel_size, layer.strides
    touching, overlapping = (
        window == stride,
        window == 2 * stride and layer.padding == "same" and stride % 2 == 0,
    )
    plain = layer.use_bias and layer.activation is keras.activations.linear
    return (window, stride) == (other, across) and (touching or overlapping) and plain
