"""What all losses share: the task, the form of the prediction, class weights, and the means over pixels and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from segkit.errors import ConfigError
from segkit.losses.targets import Tensor
from segkit.task import Task

SMOOTH = 1.0
"""Pixels added to overlap and size, so that a class absent and not predicted costs 0 and its gradient is finite."""


class SegmentationLoss(keras.losses.Loss):
    """What all losses share: the task, the form of the prediction, the class weights."""

    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        class_weights: Mapping[str, float] | None = None,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name=name or _snake(type(self).__name__), dtype="float32", **settings)
        self.task = Task.model_validate(task)
        self.from_logits = from_logits
        self.class_weights = dict(class_weights) if class_weights else None
        self.weights = self.task.weights(self.class_weights)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        refuse_pixel_weights(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

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

    def __init__(self, task: Task | dict[str, Any], *, include_background: bool = False, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.include_background = include_background

    def mean_over_classes(self, costs: Tensor) -> Tensor:
        """Return the weighted mean (B,) of costs (B, C)."""
        chosen = list(range(self.task.channels)) if self.include_background else list(self.task.foreground)
        weights = [self.channel_weights[i] for i in chosen]
        if not sum(weights):
            raise ConfigError(
                f"all foreground weights are 0: {self.class_weights}",
                setting="class_weights",
            )
        picked = ops.take(costs, ops.convert_to_tensor(chosen, "int32"), axis=-1)
        return ops.sum(picked * ops.convert_to_tensor(weights, "float32"), axis=-1) / sum(weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "include_background": self.include_background}


def refuse_pixel_weights(sample_weight: Tensor | None) -> None:
    """A loss is one value an image: weights of pixels would be spread over the wrong axis without a word."""
    if sample_weight is not None and len(sample_weight.shape) > 2:
        raise ValueError(
            f"sample_weight weighs whole images (batch,); found shape {tuple(sample_weight.shape)}. Unlabelled pixels are "
            f"VOID (255) in the target, weights of classes are class_weights"
        )


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
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
