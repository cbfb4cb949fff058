"""Lovász losses: a convex surrogate of intersection over union."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.config.loss import LARGEST
from segkit.losses.checks import number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided, falling
from segkit.losses.targets import Tensor, as_channels, as_logits, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Lovasz(ClassLoss):
    """Lovász extension of the Jaccard loss of each class, averaged over foreground classes.

    Each pixel has an error: |t - p| for a softmax head (Lovász softmax, 0 to 1), otherwise the
    hinge loss max(0, 1 - z), where z is the logit with the sign of the truth (Lovász hinge, 0 or
    more). Errors are sorted from large to small. Each error is multiplied by the rise of the
    Jaccard loss, 1 - (i + s) / (u + s), when its pixel becomes wrong after all those before it.

    The term s acts like s more pixels of each class that are always right. The paper has none; then
    only the worst false positive of an absent class counts. Absent classes enter the mean.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        smooth: The term s, in pixels.
        include_background: Whether the background of an exclusive task enters the mean.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Berman et al., The Lovász-softmax loss, 2018, equations 8, 9 and 11
    (https://arxiv.org/abs/1705.08790).
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        smooth: float = SMOOTH,
        include_background: bool = False,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            task,
            from_logits=from_logits,
            include_background=include_background,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )
        self.smooth = number("smooth", smooth, above=0, most=LARGEST)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        target, known = as_channels(y_true, self.task)
        errors = self._errors(target, y_pred)
        errors = ops.where(known > 0, ops.maximum(errors, 0.0), -1.0)  # unknown pixels come last
        flat = (ops.shape(target)[0], -1, self.task.channels)
        errors, truth = falling(ops.reshape(errors, flat), ops.reshape(target, flat))
        costs = ops.sum(ops.maximum(errors, 0.0) * self._rises(truth), axis=1)
        return self.mean_over_classes(costs, known)

    def _errors(self, target: Tensor, y_pred: Tensor) -> Tensor:
        if self.task.classes_compete:
            return ops.abs(target - probabilities(y_pred, self.task, self.from_logits))
        return 1.0 - as_logits(y_pred, self.task, self.from_logits) * (2.0 * target - 1.0)

    def _rises(self, truth: Tensor) -> Tensor:
        """Return the rise of the Jaccard loss with each further wrong pixel, (B, N, C), sorted."""
        truth = ops.cast(truth, "int32")  # float32 cannot count beyond 2^24
        false = 1 - truth
        size = ops.sum(truth, axis=1, keepdims=True)
        false_positives = ops.cumsum(false, axis=1)
        overlap = ops.cast(size - ops.cumsum(truth, axis=1), "float32") + self.smooth
        union = ops.cast(size + false_positives, "float32") + self.smooth
        union_before = ops.cast(size + false_positives - false, "float32") + self.smooth
        # This is the difference of two neighbouring losses, simplified to avoid cancellation.
        return ops.where(truth > 0, 1.0 / union, divided(overlap, union * union_before, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "smooth": self.smooth}
