"""Layers that Keras lacks: limit values, pad an image to the network's stride, cut the answer back, double any size, keep a
branch; and batch normalisation by TensorFlow's one operation for it, where Keras takes a dozen, each over all features.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FUSED = ("float16", "bfloat16", "float32")
"""What TensorFlow's operation takes, on CPUs and GPUs; statistics are float32 in each."""


def batch_normalizations(model: keras.Model) -> list[Any]:
    """Return a model's layers with batch statistics, those within layers and models of it as well."""
    layers = model._flatten_layers(include_self=False)  # `layers` has the outermost only
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def require_bands(layer: keras.layers.Layer, channels: int) -> keras.layers.Layer:
    """Return a layer that from now on refuses images of another number of bands.

    Keras would repeat a single band for each of the layer's numbers, silently. This is not saved with a model.
    """
    layer.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
    return layer


@keras.saving.register_keras_serializable(package="segkit")
class PadToMultiple(keras.layers.Layer):
    """Pad height and width with zeros, below and to the right, to the next multiple of `multiple`."""

    def __init__(self, multiple: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.multiple = multiple

    def call(self, x: Any) -> Any:
        height, width = ops.shape(x)[1:3]
        rows, columns = (
            (self.multiple - n % self.multiple) % self.multiple for n in (height, width)
        )
        return ops.pad(
            x, [[0, 0], [0, rows], [0, columns], [0, 0]]
        )  # no negative remainder: runtimes disagree on it

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, channels = shape
        rows, columns = (None if n is None else n + -n % self.multiple for n in (height, width))
        return (batch, rows, columns, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="segkit")
class Limit(keras.layers.Layer):
    """Set values below `low` to it, and those above `high`: a defective pixel must not outshine an image."""

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
    """Cut (features, image) to the image's height and width: undoes `PadToMultiple`."""

    def call(self, inputs: Any) -> Any:
        features, image = inputs
        height, width = ops.shape(image)[1:3]
        return features[:, :height, :width, :]

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        features, image = shapes
        return (features[0], image[1], image[2], features[3])


@keras.saving.register_keras_serializable(package="segkit")
class Doubling(keras.layers.Layer):
    """Twice the height and width, nearest or bilinear, as Keras' `UpSampling2D` gives: sums of neighbours, rearranged.

    Between pixels i and i + 1 lie two new ones, at a quarter and three quarters of the way; beyond the edge is the edge.
    `UpSampling2D` itself fails on TensorFlow (Keras 3.15) once images of several sizes have been seen.
    """

    def __init__(self, interpolation: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.interpolation = interpolation

    def call(self, x: Any) -> Any:
        if self.interpolation == "nearest":
            return ops.depth_to_space(ops.concatenate([x] * 4, axis=-1), 2)
        x = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        x = ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)
        rows = (0.25 * x[:, :-2] + 0.75 * x[:, 1:-1], 0.75 * x[:, 1:-1] + 0.25 * x[:, 2:])
        quarters = [
            part
            for row in rows
            for part in (
                0.25 * row[:, :, :-2] + 0.75 * row[:, :, 1:-1],
                0.75 * row[:, :, 1:-1] + 0.25 * row[:, :, 2:],
            )
        ]
        return ops.depth_to_space(ops.concatenate(quarters, axis=-1), 2)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, channels = shape
        return (batch, height and height * 2, width and width * 2, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable(package="segkit")
class Beside(keras.layers.Layer):
    """Return the first of two inputs unchanged: keeps the second in the model, which has no other use for it.

    `weight` is that of the second in the loss of training.
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
    """`keras.layers.BatchNormalization` of (B, H, W, C), the same but for rounding; quicker in training on TensorFlow.

    A step of the benchmarks' U-Net on a CPU takes 0.88 of the time in float32 and 0.74 in bfloat16, in which Keras goes by
    way of float32 (`benchmarks/README.md`). On other backends, in prediction and where statistics are shared by several
    devices it is Keras' own.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable and self._is_fused(mask)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        nothing = tf.zeros([0])  # statistics so far, which are Keras' business
        answer, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma.value),
            offset=tf.convert_to_tensor(self.beta.value),
            mean=nothing,
            variance=nothing,
            epsilon=self.epsilon,
        )
        count = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[-1], variance.dtype)
        self._follow(self.moving_mean, mean)
        self._follow(
            self.moving_variance, variance * (count - 1) / count
        )  # Keras takes that of the pixels as they are
        return answer

    def _is_fused(self, mask: Any) -> bool:
        plain = (
            mask is None
            and not self.renorm
            and not self.synchronized
            and self.scale
            and self.center
        )
        return plain and keras.backend.backend() == "tensorflow" and self.compute_dtype in FUSED

    def _follow(self, moving: Any, found: Any) -> None:
        moving.assign(moving * self.momentum + found * (1 - self.momentum))
