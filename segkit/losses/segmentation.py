"""Base classes of losses, and means over pixels and classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from segkit.config.loss import not_for_soft
from segkit.errors import ConfigError
from segkit.losses.checks import check_target
from segkit.losses.targets import Tensor
from segkit.task import Task, as_task

SMOOTH = 1.0
"""Pixels added to overlap and size: absent classes then cost 0 with a finite gradient."""

REDUCTION = "sum_over_batch_size"
"""Keras' default: the mean over the images of a batch."""
TINY = 1e-18
"""Denominators up to this count as 0: gradients contain the square, which must fit float32."""
ClassWeights = Mapping[str, float] | None
"""Weights of classes by name."""


class SegmentationLoss(keras.losses.Loss):
    """Base class of losses of one value per image. Subclasses implement `call`.

    A subclass with `takes_soft` is defined for targets that are probabilities (`Task.soft`).

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Raises:
        ConfigError: If the task is soft and the loss is not defined for soft targets.
    """

    takes_soft = False

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
        if self.task.soft and not self.takes_soft:
            raise not_for_soft(_snake(type(self).__name__))
        self.from_logits = from_logits
        self.weights = _scaled(self.task.weights(class_weights))  # checks the class weights
        self.class_weights = dict(class_weights) if class_weights else None

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the reduced loss, after a check of target and weights."""
        refuse_pixel_weights(sample_weight)
        y_true = checked_target(self.task, y_true)
        return super().__call__(y_true, as_array(y_pred), as_array(sample_weight))

    @property
    def channel_weights(self) -> tuple[float, ...]:
        """Weight of each channel; the background of a binary task has no channel."""
        return self.weights[-self.task.channels :]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        own = {
            "task": self.task.model_dump(mode="json"),
            "from_logits": self.from_logits,
            "class_weights": self.class_weights,
        }
        return {"name": self.name, "reduction": self.reduction, **own}


class ClassLoss(SegmentationLoss):
    """Base class of losses that average a cost per image and class over the foreground classes.

    Args:
        task: The task of the network.
        include_background: Whether the background of an exclusive task enters the mean.
        **settings: The other arguments of `SegmentationLoss`.

    Raises:
        ConfigError: If all classes of the mean have weight 0.
    """

    def __init__(
        self, task: Task | dict[str, Any], *, include_background: bool = False, **settings: Any
    ) -> None:
        super().__init__(task, **settings)
        self.include_background = include_background
        self.averaged = list(self.task.foreground)
        if include_background:
            self.averaged = list(range(self.task.channels))
        if not any(self.channel_weights[i] for i in self.averaged):
            raise ConfigError(
                f"all foreground weights are 0: {self.class_weights}",
                setting="class_weights",
            )

    def mean_over_classes(self, costs: Tensor, known: Tensor) -> Tensor:
        """Return the weighted mean of the costs of the averaged classes.

        Where some classes of an image are known in fewer pixels than others, their costs weigh
        less: a class counts by the share of its known pixels. Otherwise a class that was not
        annotated would be learned as absent from the objects of the other classes.

        Args:
            costs: The cost of each image and class, (B, C).
            known: 1 where the target says yes or no, otherwise 0, (B, H, W, C).

        Returns:
            The mean of each image, (B,) float32; 0 if no pixel is known.
        """
        own = [self.channel_weights[i] for i in self.averaged]
        averaged = ops.convert_to_tensor(self.averaged, "int32")
        picked = ops.take(costs, averaged, axis=-1)
        if len(own) == 1 or not self.task.has_partial_labels:
            return ops.sum(picked * ops.convert_to_tensor(own, "float32"), axis=-1) / sum(own)
        return mean_by_known(picked, own, ops.take(known, averaged, axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "include_background": self.include_background}


def checked_target(task: Task, y_true: Tensor) -> Tensor:
    """Check a target that is an array; tensors of a compiled step are not checked.

    Args:
        task: The task of the loss.
        y_true: An encoded target, as an array, a tensor or nested lists.

    Returns:
        The target as an array or tensor.

    Raises:
        DataError: If an array is not an encoded target of the task.
    """
    y_true = as_array(y_true)
    if isinstance(y_true, np.ndarray):
        check_target(task, y_true)
    return y_true


def as_array(values: Any) -> Any:
    """Return nested lists of numbers as an array, and anything else unchanged."""
    if isinstance(values, list | tuple):
        return np.asarray(values)
    return values


def refuse_pixel_weights(sample_weight: Tensor | None) -> None:
    """Refuse weights of pixels, which Keras would silently broadcast with the loss of images.

    Args:
        sample_weight: Weights of images (B,), or None.

    Raises:
        ConfigError: If the weights have more than two axes.
    """
    shape = getattr(as_array(sample_weight), "shape", ())
    rank = getattr(shape, "rank", 0)  # None in a TensorShape of unknown rank
    if rank is not None and len(shape) > 2:
        raise ConfigError(
            f"one number for each image, (batch,); found shape {tuple(shape)}. Unlabelled pixels "
            f"are VOID (255) in the target; weights of classes are class_weights",
            setting="sample_weight",
        )


def divided(part: Tensor, whole: Tensor, otherwise: float) -> Tensor:
    """Return part / whole, and `otherwise` where the whole is 0; gradients are finite."""
    is_positive = whole > TINY
    return ops.where(is_positive, part / ops.where(is_positive, whole, 1.0), otherwise)


def _scaled(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Return weights scaled by a power of 2 so that the largest is from 1 to 2."""
    largest = max(weights)
    if largest <= 0:
        return weights
    scale = 2.0 ** -math.floor(math.log2(largest))
    return tuple(weight * scale for weight in weights)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return sum(values * weights) / sum(weights) per image, (B, ...) -> (B,); 0 if all weigh 0."""
    axes = tuple(range(1, len(values.shape)))
    total = ops.sum(weights, axis=axes)
    return ops.sum(values * weights, axis=axes) / ops.where(total > 0, total, 1.0)


def mean_by_known(costs: Tensor, weights: Sequence[float], known: Tensor) -> Tensor:
    """Return the mean of costs over classes, which count by the share of their known pixels.

    Args:
        costs: The cost of each image and class, (B, C).
        weights: The weights of the classes, C numbers.
        known: 1 where the target says yes or no, otherwise 0, (B, H, W, C).

    Returns:
        The mean of each image, (B,) float32; 0 if no pixel of a class with a weight is known.
    """
    own = ops.convert_to_tensor(weights, "float32")
    shares = ops.mean(known, axis=(1, 2))
    largest = ops.max(shares, axis=-1, keepdims=True)
    shares = divided(shares, largest, 0.0)  # exactly 1 where all classes are known alike
    mean = ops.sum(costs * own * shares, axis=-1) / sum(weights)
    return divided(mean, ops.sum(own * shares, axis=-1) / ops.sum(own), 0.0)


def falling(keys: Tensor, *others: Tensor) -> list[Tensor]:
    """Sort tensors by falling keys along the second axis.

    Args:
        keys: (B, N) or (B, N, C).
        *others: Tensors of the same shape.

    Returns:
        The sorted keys, then the other tensors in the same order.
    """
    order = ops.argsort(-keys, axis=1)
    return [ops.take_along_axis(array, order, axis=1) for array in (keys, *others)]


def _snake(name: str) -> str:
    """Return a class name such as TopKCrossEntropy as top_k_cross_entropy."""
    return re.sub("([A-Z])", r"_\1", name).lower().lstrip("_")
