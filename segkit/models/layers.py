"""Layers that Keras lacks: pad an image to the network's stride, cut the answer back, double any size, keep a branch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="segkit")
class PadToMultiple(keras.layers.Layer):
    """Pad height and width with zeros, below and to the right, to the next multiple of `multiple`."""

    def __init__(self, multiple: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.multiple = multiple

    def call(self, x: Any) -> Any:
        height, width = ops.shape(x)[1:3]
        rows, columns = ((self.multiple - n % self.multiple) % self.multiple for n in (height, width))
        return ops.pad(x, [[0, 0], [0, rows], [0, columns], [0, 0]])  # no negative remainder: runtimes disagree on it

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        batch, height, width, channels = shape
        rows, columns = (None if n is None else n + -n % self.multiple for n in (height, width))
        return (batch, rows, columns, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}


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
            for part in (0.25 * row[:, :, :-2] + 0.75 * row[:, :, 1:-1], 0.75 * row[:, :, 1:-1] + 0.25 * row[:, :, 2:])
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
