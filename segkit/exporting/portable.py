"""Rewrites a network with operations that all runtimes have. Its predictions stay the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from segkit.models.layers import CropLike, PadToMultiple


class ShuffledConvolution(layers.Layer):
    """A transposed convolution as a convolution at the lower resolution and `depth_to_space`.

    It computes the same sums. A transposed convolution contains its output size in the exported
    graph, and this layer does not, so the graph takes images of any size. Runtimes also support it
    in 8 bits.

    Args:
        filters: Output channels.
        factor: Stride of the transposed convolution.
        size: Kernel size of the convolution: 1 if the window is the stride, 3 if it is twice the
            stride.
        settings: Arguments of `keras.layers.Layer`.

    Source: Shi et al., Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network, 2016.
    """

    def __init__(self, filters: int, factor: int, size: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        self.filters = filters
        self.factor = factor
        self.size = size
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

    def set_transposed_weights(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Set the weights of a transposed convolution.

        Args:
            kernel: (window, window, filters, channels).
            bias: (filters,).
        """
        tiled = np.tile(bias, self.factor**2)
        self.convolution.set_weights([sub_pixel(kernel, self.factor), tiled])


class SpatialNormalization(layers.Layer):
    """`keras.layers.GroupNormalization` without a size of the image in the exported graph.

    It averages over rows and columns first and over channels after that.

    Args:
        groups: Number of groups of channels.
        epsilon: Added to the variance.
        settings: Arguments of `keras.layers.Layer`.

    Source: Wu and He, Group Normalization, 2018, equations 1 to 4.
    """

    def __init__(self, groups: int, epsilon: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.groups = groups
        self.epsilon = epsilon

    def build(self, shape: Any) -> None:
        channels = shape[-1]
        self.gamma = self.add_weight((channels,), initializer="ones")
        self.beta = self.add_weight((channels,), initializer="zeros")
        size = channels // self.groups
        block = np.full((size, size), 1 / size)
        self.group_means = np.kron(np.eye(self.groups), block).astype(np.float32)
        super().build(shape)

    def call(self, x: Any) -> Any:
        centred = x - self._mean(x)
        variance = self._mean(ops.square(centred))
        return centred * (self.gamma * ops.rsqrt(variance + self.epsilon)) + self.beta

    def _mean(self, x: Any) -> Any:
        """Return the mean over the pixels and over each group's channels, (B, 1, 1, C)."""
        mean = ops.mean(x, axis=(1, 2), keepdims=True)
        if self.groups == x.shape[-1]:
            return mean
        return ops.matmul(mean, self.group_means)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        return tuple(shape)


def sub_pixel(kernel: np.ndarray, stride: int) -> np.ndarray:
    """Return the kernel of a `ShuffledConvolution` that equals a transposed convolution.

    One input pixel becomes `stride` x `stride` output pixels. Output row `a` of these reads row
    `a + padding - d * stride` of the window from the input pixel that lies `d` rows further down,
    if the window has such a row. Columns are the same.

    Args:
        kernel: (window, window, filters, channels).
        stride: The window is the stride, or twice an even stride with "same" padding.

    Returns:
        (size, size, channels, stride * stride * filters), where size is 1 or 3.
    """
    window, _, filters, channels = kernel.shape
    reach = 0
    if window != stride:
        reach = 1
    padding = (window - stride) // 2
    size = 2 * reach + 1
    rows = []
    for d in range(-reach, reach + 1):
        for a in range(stride):
            window_row = a + padding - d * stride
            if 0 <= window_row < window:
                rows.append((reach + d, a, window_row))
    result = np.zeros((size, size, channels, stride, stride, filters), kernel.dtype)
    for down, a, row in rows:
        for across, b, column in rows:
            result[down, across, :, a, b] = kernel[row, column].T
    return result.reshape(size, size, channels, -1)


def portable_copy(model: keras.Model) -> keras.Model:
    """Return a copy in float32 that predicts the same, with layers that contain no image sizes.

    Args:
        model: A model of `build`.
    """
    clone = keras.models.clone_model(
        model,
        clone_function=_portable_layer,
        recursive=True,  # ConvNeXt contains small models
    )
    for layer in model.layers:
        copied = clone.get_layer(layer.name)
        if isinstance(copied, ShuffledConvolution):
            copied.set_transposed_weights(*layer.get_weights())
        else:
            copied.set_weights(layer.get_weights())
    return clone


def _portable_layer(layer: Any) -> Any:
    if not isinstance(layer, layers.Layer):  # a bare operation such as x + 3
        return type(layer).from_config(layer.get_config())
    if _has_sub_pixel_form(layer):
        size = 3
        if layer.kernel_size == layer.strides:
            size = 1
        return ShuffledConvolution(
            layer.filters, layer.strides[0], size, name=layer.name, dtype="float32"
        )
    if isinstance(layer, layers.GroupNormalization):
        return SpatialNormalization(layer.groups, layer.epsilon, name=layer.name, dtype="float32")
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def core(model: keras.Model) -> keras.Model:
    """Return the part of a model between padding and cropping.

    Args:
        model: A copy of `portable_copy`.

    Returns:
        A model from scaled float32 images, whose sides are multiples of the stride, to
        probabilities of the same size.
    """
    pad = next(layer for layer in model.layers if isinstance(layer, PadToMultiple))
    crop = next(layer for layer in model.layers if isinstance(layer, CropLike))
    logits = crop.input[0]
    return keras.Model(pad.output, model.layers[-1](logits), name="segkit_core")


def _has_sub_pixel_form(layer: layers.Layer) -> bool:
    """Return whether `sub_pixel` can rewrite a layer."""
    if not isinstance(layer, layers.Conv2DTranspose):
        return False
    window, window_width = layer.kernel_size
    stride, stride_across = layer.strides
    if window != window_width or stride != stride_across:
        return False
    if not layer.use_bias or layer.activation is not keras.activations.linear:
        return False
    touching = window == stride
    overlapping = window == 2 * stride and layer.padding == "same" and stride % 2 == 0
    return touching or overlapping
