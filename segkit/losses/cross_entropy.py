"""Losses that are a mean over pixels: cross-entropy and its variants."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.config.loss import LARGEST_GAMMA, smoothed_twice
from segkit.losses.checks import number
from segkit.losses.segmentation import (
    REDUCTION,
    ClassWeights,
    SegmentationLoss,
    divided,
    falling,
    weighted_mean,
)
from segkit.losses.targets import Tensor, as_channels, as_logits, possible
from segkit.task import Task

SMALLEST_LOGIT = -1e30
"""The logit of a class that is left out of a sum of probabilities."""


@keras.saving.register_keras_serializable(package="segkit.losses")
class CrossEntropy(SegmentationLoss):
    """Cross-entropy in nats: categorical for a softmax head, binary per channel for a sigmoid head.

    Label smoothing e changes the one-hot target t to (1 - e) t + e / C for softmax, and to
    (1 - e) t + e / 2 for sigmoid. Then a right prediction costs more than 0. VOID stays VOID. A
    pixel has the weight of its true class, or each channel has the weight of its class in a sigmoid
    head.

    Where several classes are possible (`Task.sets`), a softmax head costs -log of the sum of their
    probabilities, and the weight is the mean of theirs. Label smoothing replaces the share e of
    this cost, as for a single class. A sigmoid head costs only the channels of the other classes.

    If the task is soft, t is a probability. With class weights a pixel then costs as much as pixels
    of each of its classes together, in the shares t. Label smoothing is refused.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        label_smoothing: The term e, from 0 to below 1.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Szegedy et al., Rethinking the Inception architecture, 2016
    (https://arxiv.org/abs/1512.00567) for label smoothing.
    """

    takes_soft = True

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            task,
            from_logits=from_logits,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )
        self.label_smoothing = number("label_smoothing", label_smoothing, least=0, below=1)
        if self.task.soft and self.label_smoothing:
            raise smoothed_twice("label_smoothing")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        target, known = as_channels(y_true, self.task)
        logits = as_logits(y_pred, self.task, self.from_logits)
        if self.task.sets and self.task.classes_compete:
            weights = self._weights_of_sets(target, known)
            hard = self._entropy_of_sets(target, known, logits)
        else:
            weights = self._weights(target, known)
            hard = self._entropy(target, logits)
            if self.task.soft and self.class_weights:
                hard = self._weighted_entropy(target, logits)
        if not self.label_smoothing:
            return self._mean(hard, hard, weights)
        uniform = 1 / self.task.channels if self.task.classes_compete else 1 / 2
        # Cross-entropy is linear in the target, so the smoothed target needs no case of its own.
        soft = self.label_smoothing * self._entropy(ops.full_like(target, uniform), logits)
        return self._mean((1 - self.label_smoothing) * hard + soft, hard, weights)

    def _mean(self, entropy: Tensor, hard: Tensor, weights: Tensor) -> Tensor:
        """Return the mean (B,) of the cross-entropy; `hard` is without label smoothing."""
        return weighted_mean(entropy, weights)

    def _entropy(self, target: Tensor, logits: Tensor) -> Tensor:
        """Return the cross-entropy per pixel (softmax; B, H, W, 1) or per channel (B, H, W, C)."""
        entropy = getattr(ops, self.task.cross_entropy)(target, logits, from_logits=True)
        if len(entropy.shape) == 3:
            entropy = entropy[..., None]
        return entropy

    def _weighted_entropy(self, target: Tensor, logits: Tensor) -> Tensor:
        """Return the cross-entropy of probabilities whose classes weigh differently.

        Its shape is that of `_entropy`. Each class costs its share of the weight of the pixel.
        """
        if self.task.implies_background:
            background, weight = self.weights
            present = weight * target
            absent = background * (1.0 - target)
            costs = present * ops.softplus(-logits) + absent * ops.softplus(logits)
            return divided(costs, present + absent, 0.0)
        if not self.task.classes_compete:
            return self._entropy(target, logits)  # each channel has one weight
        weighted = target * ops.convert_to_tensor(self.weights, "float32")
        costs = ops.sum(-weighted * ops.log_softmax(logits), axis=-1, keepdims=True)
        return divided(costs, ops.sum(weighted, axis=-1, keepdims=True), 0.0)

    def _entropy_of_sets(self, target: Tensor, known: Tensor, logits: Tensor) -> Tensor:
        """Return -log of the summed probability of the possible classes, (B, H, W, 1)."""
        is_possible = possible(target, known) > 0
        inside = _log_sum(logits, is_possible)
        outside = _log_sum(logits, ops.logical_not(is_possible))
        of_set = ops.softplus(outside - inside)  # exact also where the probability is nearly 1
        is_one_class = ops.max(target, axis=-1, keepdims=True) > 0
        return ops.where(is_one_class, self._entropy(target, logits), of_set)

    def _weights_of_sets(self, target: Tensor, known: Tensor) -> Tensor:
        """Return the mean weight of the possible classes, 0 at VOID, (B, H, W, 1)."""
        is_possible = possible(target, known)
        weights = is_possible * ops.convert_to_tensor(self.weights, "float32")
        size = ops.sum(is_possible, axis=-1, keepdims=True)
        mean = ops.sum(weights, axis=-1, keepdims=True) / size
        return ops.where(size < self.task.channels, mean, 0.0)

    def _weights(self, target: Tensor, known: Tensor) -> Tensor:
        """Return weights in the shape of `_entropy`: of the true class, or the channel's."""
        if self.task.implies_background:
            background, weight = self.weights
            return known * (background + (weight - background) * target)
        weights = known * ops.convert_to_tensor(self.weights, "float32")
        if self.task.classes_compete:
            weights = ops.sum(target * weights, axis=-1, keepdims=True)
        return weights

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Focal(CrossEntropy):
    """Focal loss: cross-entropy times (1 - p)^gamma, where p is the probability of the truth.

    So easy pixels count less. Label smoothing changes only the cross-entropy, not the factor. Where
    several classes are possible (`Task.sets`), p under softmax is the sum of their probabilities.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        gamma: The exponent, 0 or more; 0 is cross-entropy.
        label_smoothing: As in `CrossEntropy`.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Lin et al., Focal loss for dense object detection, 2017
    (https://arxiv.org/abs/1708.02002); its alpha is `class_weights` here.
    """

    takes_soft = False

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            task,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )
        self.gamma = number("gamma", gamma, least=0, most=LARGEST_GAMMA)

    def _mean(self, entropy: Tensor, hard: Tensor, weights: Tensor) -> Tensor:
        # For a gamma below 1 the lower bound keeps the gradient finite where p is 1.
        doubt = ops.maximum(1.0 - ops.exp(-hard), 1e-7)
        return weighted_mean(entropy * ops.power(doubt, self.gamma), weights)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class TopKCrossEntropy(CrossEntropy):
    """Top-k cross-entropy: the mean over the values with the highest cross-entropy of an image.

    There is one value per pixel for a softmax head, and one per pixel and channel for a sigmoid
    head.

    Unknown pixels, and those whose class has weight 0, do not count. A pixel with several possible
    classes (`Task.sets`) counts with its cross-entropy.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        share: Share of the counted values of an image that enter the mean, 0 to 1; at least one
            does.
        label_smoothing: As in `CrossEntropy`.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Wu et al., Bridging category-level and instance-level semantic image segmentation, 2016
    (https://arxiv.org/abs/1605.06885); nnU-Net (Isensee et al., 2021) uses a tenth.
    """

    takes_soft = False

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        share: float = 0.1,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            task,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )
        self.share = number("share", share, above=0, most=1)

    def _mean(self, entropy: Tensor, hard: Tensor, weights: Tensor) -> Tensor:
        size = ops.shape(entropy)
        weights = ops.reshape(ops.broadcast_to(weights, size), (size[0], -1))
        entropy = ops.reshape(entropy, (size[0], -1))
        counted = ops.sum(ops.cast(weights > 0, "int32"), axis=1, keepdims=True)
        cost, weights = falling(ops.where(weights > 0, entropy, -1.0), weights)
        # In float32 0.1 * 30 is slightly more than 3, and must not become 4.
        number_taken = ops.ceil(self.share * ops.cast(counted, "float32") - 1e-3)
        number_taken = ops.cast(ops.maximum(number_taken, 1.0), "int32")
        positions = ops.expand_dims(ops.arange(ops.shape(cost)[1], dtype="int32"), 0)
        is_taken = positions < number_taken
        return weighted_mean(cost, ops.where(is_taken, weights, 0.0))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "share": self.share}


def _log_sum(logits: Tensor, chosen: Tensor) -> Tensor:
    """Return the logarithm of the sum of exp(logit) over chosen channels, (B, H, W, 1)."""
    return ops.logsumexp(ops.where(chosen, logits, SMALLEST_LOGIT), axis=-1, keepdims=True)
