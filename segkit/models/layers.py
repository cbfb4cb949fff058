"""Layers that Keras lacks: fit an image to a multiple of the network's stride, and cut the answer back."""

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
