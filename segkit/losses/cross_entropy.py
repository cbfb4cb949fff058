"""Losses that are a mean over pixels: cross-entropy and what is made of it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.loss import LARGEST_GAMMA
from segkit.losses.checks import named_arguments, number
from segkit.losses.segmentation import (
    REDUCTION,
    ClassWeights,
    SegmentationLoss,
    falling,
    weighted_mean,
)
from segkit.losses.targets import Tensor, as_channels, as_logits
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class CrossEntropy(SegmentationLoss):
    """Binary cross-entropy in nats where channels answer yes or no, categorical where they share one probability.

    With `label_smoothing` e (0 to 1) the truth is taken for e sure: the one-hot target t becomes (1 - e) t + e / C where
    classes exclude each other, each yes or no t becomes (1 - e) t + e / 2. Then a right answer costs more than 0. VOID stays
    VOID, and class weights go by the true class.

    Source: Szegedy et al., Rethinking the Inception architecture, 2016 (label smoothing).
    """

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

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target, known = as_channels(y_true, self.task)
        logits = as_logits(y_pred, self.task, self.from_logits)
        hard = self._entropy(target, logits)
        if not self.label_smoothing:
            return self._mean(hard, hard, self._weights(target, known))
        # cross-entropy is linear in the target
        undecided = 1 / self.task.channels if self.task.classes_compete else 1 / 2
        soft = self.label_smoothing * self._entropy(ops.full_like(target, undecided), logits)
        return self._mean(
            (1 - self.label_smoothing) * hard + soft, hard, self._weights(target, known)
        )

    def _mean(self, entropy: Tensor, hard: Tensor, weights: Tensor) -> Tensor:
        """Return the mean of the cross-entropy; `hard` is the one without label smoothing."""
        return weighted_mean(entropy, weights)

    def _entropy(self, target: Tensor, logits: Tensor) -> Tensor:
        """Return the cross-entropy of each answer: one a pixel of exclusive classes (B, H, W, 1), otherwise one a channel."""
        entropy = getattr(ops, self.task.cross_entropy)(target, logits, from_logits=True)
        return entropy[..., None] if len(entropy.shape) == 3 else entropy

    def _weights(self, target: Tensor, known: Tensor) -> Tensor:
        """Return the weight of each answer: that of the true class, or of the class that is asked about."""
        if self.task.implies_background:
            background, weight = self.weights
            return known * (background + (weight - background) * target)
        weights = known * ops.convert_to_tensor(self.weights, "float32")
        return (
            ops.sum(target * weights, axis=-1, keepdims=True)
            if self.task.classes_compete
            else weights
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Focal(CrossEntropy):
    """Cross-entropy times (1 - p)^gamma, p the probability given to the truth: easy pixels count less.

    Label smoothing changes the cross-entropy alone, not what counts as easy.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017 (alpha is `class_weights` here).
    """

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
        # the floor keeps the gradient finite for a gamma below 1, where p is 1
        return weighted_mean(
            entropy * ops.power(ops.maximum(1.0 - ops.exp(-hard), 1e-7), self.gamma), weights
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class TopKCrossEntropy(CrossEntropy):
    """The mean of the answers with the highest cross-entropy of an image: `share` of the known ones, at least one.

    Answers whose class weighs 0 are as good as unknown.

    Source: Wu et al., Bridging category-level and instance-level semantic image segmentation, 2016; a tenth is what
    nnU-Net takes (Isensee et al., 2021).
    """

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
        entropy, weights = (
            ops.reshape(x, (size[0], -1)) for x in (entropy, ops.broadcast_to(weights, size))
        )
        counted = ops.sum(ops.cast(weights > 0, "int32"), axis=1, keepdims=True)
        cost, weights = falling(ops.where(weights > 0, entropy, -1.0), weights)
        wanted = ops.ceil(
            self.share * ops.cast(counted, "float32") - 1e-3
        )  # 0.1 * 30 is 3 and not 4
        places = ops.expand_dims(ops.arange(ops.shape(cost)[1], dtype="int32"), 0)
        taken = places < ops.cast(ops.maximum(wanted, 1.0), "int32")
        return weighted_mean(cost, ops.where(taken, weights, 0.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}
