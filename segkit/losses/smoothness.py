"""The smoothness term: a prediction should change only where the image changes."""

from __future__ import annotations

import keras
from keras import ops

from segkit.losses.segmentation import divided
from segkit.losses.targets import Tensor, mean_of_channels, probabilities
from segkit.task import Task

ROUND = 1e-3
"""Differences of probabilities below this cost less than their amount.

The absolute value has the gradient 1 also at a difference that is only a rounding error.
"""


class Smoothness(keras.losses.Loss):
    """Total variation of the probabilities, weighted by the edges of the image, from 0 to 1.

    loss = mean of exp(-d^2 / (2 m)) * |p - q| over all pairs of neighbours in a row or column. p
    and q are the probabilities of the two pixels. d^2 is the mean squared difference of their bands
    and m its mean over the image, so that the unit of the intensities does not matter. Where
    classes exclude each other, a pair costs half the sum of |p - q| over the classes, otherwise the
    mean. |x| is sqrt(x^2 + e^2) - e with e = 0.001.

    Args:
        task: The task of the network.

    Returns:
        One float32 value per image, (B,).

    Source: Tang et al., On regularized losses for weakly-supervised CNN segmentation, 2018
    (https://arxiv.org/abs/1803.09569), for a Potts term beside strokes; Rother et al., GrabCut,
    2004 (https://doi.org/10.1145/1015706.1015720), equation 11, for the contrast; |p - q| in place
    of the Potts model.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(name="smoothness", dtype="float32")
        self.task = task

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,).

        Args:
            y_true: The images, (B, H, W, bands).
            y_pred: Logits, (B, H, W, C).
        """
        p = probabilities(y_pred, self.task, True)
        contrasts = [_squared_contrast(change) for change in _changes(_scaled(y_true))]
        costs = [mean_of_channels(_amount(change), self.task) for change in _changes(p)]
        contrast = ops.concatenate(contrasts, axis=1)
        mean = ops.mean(contrast, axis=1, keepdims=True)
        weights = ops.exp(-0.5 * divided(contrast, mean, 0.0))
        return ops.mean(weights * ops.concatenate([_flat(cost) for cost in costs], axis=1), axis=1)


def _scaled(images: Tensor) -> Tensor:
    """Return images from 0 to 1, so that squares of large values stay finite, float32."""
    images = ops.cast(images, "float32")
    lowest = ops.min(images, axis=(1, 2, 3), keepdims=True)
    highest = ops.max(images, axis=(1, 2, 3), keepdims=True)
    return divided(images - lowest, highest - lowest, 0.0)


def _changes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences of neighbours in columns and in rows."""
    return values[:, 1:] - values[:, :-1], values[:, :, 1:] - values[:, :, :-1]


def _amount(change: Tensor) -> Tensor:
    """Return the absolute value, rounded at 0."""
    return ops.sqrt(ops.square(change) + ROUND**2) - ROUND


def _squared_contrast(change: Tensor) -> Tensor:
    """Return the mean squared difference of the bands, (B, pairs)."""
    return _flat(ops.mean(ops.square(change), axis=-1))


def _flat(values: Tensor) -> Tensor:
    """Return (B, H, W) as (B, H * W)."""
    return ops.reshape(values, (ops.shape(values)[0], -1))
