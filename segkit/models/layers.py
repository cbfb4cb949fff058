"""Layers that Keras lacks. Saved models name these classes, so module and names must not change.

They limit values, pad an image to the network's stride, crop the result, double any size, and keep
a branch in the graph. `BatchNormalization` uses one fused TensorFlow operation instead of Keras'
dozen.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FUSED = ("float16", "bfloat16", "float32")
"""Types of TensorFlow's fused operation, on CPUs and GPUs; its statistics are always float32."""


def batch_normalizations(model: keras.Model) -> list[Any]:
    """Return all batch normalisation layers of a model, also those inside layers and models."""
    layers = model._flatten_layers(include_self=False)  # `layers` contains only the outermost
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def require_bands(layer: keras.layers.Layer, channels: int) -> keras.layers.Layer:
    """Make a layer refuse images with another number of bands.

    Keras would silently repeat a single band for each of the layer's numbers. This check is not
    saved with a model.

    Args:
        layer: A layer that takes images (B, H, W, channels); it is changed.
        channels: The number of bands.

    Returns:
        The layer.
    """
    layer.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
    return layer


@keras.saving.register_keras_serializable(package="segkit")
class PadToMultiple(keras.layers.Layer):
    """Pad height and width with zeros, below and to the right, to a multiple of `multiple`."""

    def __init__(self, multiple: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.multiple = multiple

    def call(self, x: Any) -> Any:
        """Return the padded images."""
        height, width = ops.shape(x)[1:3]
        # -n % multiple would be shorter, but runtimes disagree on the remainder of negative
        # numbers.
        rows = (self.multiple - height % self.multiple) % self.multiple
        columns = (self.multiple - width % self.multiple) % self.multiple
        return ops.pad(x, [[0, 0], [0, rows], [0, columns], [0, 0]])

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the padded images."""
        batch, height, width, channels = shape
        return (batch, self._padded(height), self._padded(width), channels)

    def _padded(self, length: int | None) -> int | None:
        if length is None:
            return None
        return length + -length % self.multiple

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="segkit")
class Limit(keras.layers.Layer):
    """Set values below `low` to `low`, and values above `high` to `high`.

    Otherwise a defective pixel could dominate an image.
    """

    def __init__(self, low: float, high: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.low = low
        self.high = high

    def call(self, x: Any) -> Any:
        return ops.clip(x, self.low, self.high)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}


@keras.saving.register_keras_serializable(package="segkit")
class CropLike(keras.layers.Layer):
    """Crop the first of (features, image) to the image's size: undoes `PadToMultiple`."""

    def call(self, inputs: Any) -> Any:
        features, image = inputs
        height, width = ops.shape(image)[1:3]
        return features[:, :height, :width, :]

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        features, image = shapes
        return (features[0], image[1], image[2], features[3])


@keras.saving.register_keras_serializable(package="segkit")
class Doubling(keras.layers.Layer):
    """Double height and width by nearest or bilinear interpolation, as `UpSampling2D`.

    Between pixels i and i + 1 lie two new ones, at a quarter and three quarters of the way. Edge
    pixels are repeated beyond the edge. `UpSampling2D` itself fails on TensorFlow (Keras 3.15)
    after images of several sizes.
    """

    def __init__(self, interpolation: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.interpolation = interpolation

    def call(self, x: Any) -> Any:
        if self.interpolation == "nearest":
            return ops.depth_to_space(ops.concatenate([x] * 4, axis=-1), 2)
        x = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        x = ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)
        upper = 0.25 * x[:, :-2] + 0.75 * x[:, 1:-1]
        lower = 0.75 * x[:, 1:-1] + 0.25 * x[:, 2:]
        quarters = []
        for row in (upper, lower):
            quarters.append(0.25 * row[:, :, :-2] + 0.75 * row[:, :, 1:-1])
            quarters.append(0.75 * row[:, :, 1:-1] + 0.25 * row[:, :, 2:])
        return ops.depth_to_space(ops.concatenate(quarters, axis=-1), 2)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, channels = shape
        return (batch, height and height * 2, width and width * 2, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable(package="segkit")
class Beside(keras.layers.Layer):
    """Return the first of two inputs unchanged.

    The second input (the image head's logits) is connected only so that it is saved with the model.
    `weight` is its weight in the training loss.
    """

    def __init__(self, weight: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        return inputs[0]

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        return tuple(shapes[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(package="segkit")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of (B, H, W, C), faster in training on TensorFlow.

    The result differs by rounding only. On a CPU a step of the benchmarks' U-Net takes 0.88 of the
    time in float32, and 0.74 in bfloat16, where Keras converts to float32 (`benchmarks/README.md`).
    Other backends, prediction and synchronized statistics use Keras' code.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable and self._is_fused(mask)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        unused = tf.zeros([0])  # in training the operation ignores the moving statistics
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma.value),
            offset=tf.convert_to_tensor(self.beta.value),
            mean=unused,
            variance=unused,
            epsilon=self.epsilon,
        )
        count = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[-1], variance.dtype)
        self._update(self.moving_mean, mean)
        # TensorFlow returns the unbiased variance (n - 1); Keras keeps the biased one (n).
        self._update(self.moving_variance, variance * (count - 1) / count)
        return normalized

    def _is_fused(self, mask: Any) -> bool:
        """Return whether the fused operation computes the same as this layer."""
        if mask is not None or self.renorm or self.synchronized:
            return False
        if not (self.scale and self.center):
            return False
        return keras.backend.backend() == "tensorflow" and self.compute_dtype in FUSED

    def _update(self, moving: Any, value: Any) -> None:
        moving.assign(moving * self.momentum + value * (1 - self.momentum))
