"""What all losses share: the task, the form of the prediction, class weights, and the means over pixels and classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from segkit.errors import ConfigError
from segkit.losses.checks import check_target
from segkit.losses.targets import Tensor
from segkit.task import Task, as_task

SMOOTH = 1.0
"""Pixels added to overlap and size, so that a class absent and not predicted costs 0 and its gradient is finite."""


REDUCTION = "sum_over_batch_size"
"""Keras' default: the mean over the images of a batch."""
TINY = 1e-18
"""What is not greater counts as 0 in a denominator: gradients have its square, which float32 cannot hold for less."""
ClassWeights = Mapping[str, float] | None
"""Weights of classes by their names."""


class SegmentationLoss(keras.losses.Loss):
    """What all losses share: the task, the form of the prediction, the class weights."""

    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            name=name or _snake(type(self).__name__), reduction=reduction, dtype="float32"
        )
        self.task = as_task(task)
        self.from_logits = from_logits
        found = self.task.weights(class_weights)
        self.class_weights = dict(class_weights) if class_weights else None
        self.weights = _scaled(found)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        refuse_pixel_weights(sample_weight)
        y_true = checked_target(self.task, y_true)
        return super().__call__(y_true, as_array(y_pred), as_array(sample_weight))

    @property
    def channel_weights(self) -> tuple[float, ...]:
        """The weight of each channel; a binary task's weight of the background has no channel of its own."""
        return self.weights[-self.task.channels :]

    def get_config(self) -> dict[str, Any]:
        own = {
            "task": self.task.model_dump(mode="json"),
            "from_logits": self.from_logits,
            "class_weights": self.class_weights,
        }
        return {"name": self.name, "reduction": self.reduction, **own}


class ClassLoss(SegmentationLoss):
    """A cost of each image and class, averaged over the task's foreground, with the background only if asked for."""

    def __init__(
        self, task: Task | dict[str, Any], *, include_background: bool = False, **settings: Any
    ) -> None:
        super().__init__(task, **settings)
        self.include_background = include_background
        self.averaged = (
            list(range(self.task.channels)) if include_background else list(self.task.foreground)
        )
        if not any(self.channel_weights[i] for i in self.averaged):
            raise ConfigError(
                f"all foreground weights are 0: {self.class_weights}",
                setting="class_weights",
            )

    def mean_over_classes(self, costs: Tensor) -> Tensor:
        """Return the weighted mean (B,) of costs (B, C)."""
        weights = [self.channel_weights[i] for i in self.averaged]
        picked = ops.take(costs, ops.convert_to_tensor(self.averaged, "int32"), axis=-1)
        return ops.sum(picked * ops.convert_to_tensor(weights, "float32"), axis=-1) / sum(weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "include_background": self.include_background}


def checked_target(task: Task, y_true: Tensor) -> Tensor:
    """Return a target as an array or tensor. Raises `DataError` for an array that is no encoded target of the task."""
    y_true = as_array(y_true)
    if isinstance(y_true, np.ndarray):
        check_target(task, y_true)
    return y_true


def as_array(values: Any) -> Any:
    """Return nested lists of numbers as an array, as Keras' losses take them; anything else as it is."""
    return np.asarray(values) if isinstance(values, list | tuple) else values


def refuse_pixel_weights(sample_weight: Tensor | None) -> None:
    """Raise `ConfigError` for weights of pixels: a loss is one value per image, and Keras would spread them silently."""
    shape = getattr(as_array(sample_weight), "shape", ())
    rank = getattr(shape, "rank", 0)  # None in a TensorShape that is not known yet
    if rank is not None and len(shape) > 2:
        raise ConfigError(
            f"one number for each image, (batch,); found shape {tuple(shape)}. Unlabelled pixels are VOID (255) in the "
            f"target; weights of classes are class_weights",
            setting="sample_weight",
        )


def divided(part: Tensor, whole: Tensor, otherwise: float) -> Tensor:
    """Return part / whole, and `otherwise` where the whole is 0."""
    is_there = whole > TINY
    return ops.where(is_there, part / ops.where(is_there, whole, 1.0), otherwise)


def _scaled(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Return weights divided by a power of 2, the largest from 1 to 2: only their proportions count."""
    largest = max(weights)
    if largest <= 0:
        return weights
    scale = 2.0 ** -math.floor(math.log2(largest))
    return tuple(weight * scale for weight in weights)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return sum(values * weights) / sum(weights) of each image, (B, ...) -> (B,); 0 where all weights are 0."""
    axes = tuple(range(1, len(values.shape)))
    total = ops.sum(weights, axis=axes)
    return ops.sum(values * weights, axis=axes) / ops.where(total > 0, total, 1.0)


def falling(keys: Tensor, *others: Tensor) -> list[Tensor]:
    """Return (B, N) or (B, N, C) tensors in the order of falling `keys` along their second axis, the keys first."""
    order = ops.argsort(-keys, axis=1)
    return [ops.take_along_axis(array, order, axis=1) for array in (keys, *others)]


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip(
        "_"
    )
