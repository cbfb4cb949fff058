"""Lovasz losses: the convex surrogate of intersection over union."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.loss import LARGEST
from segkit.losses.checks import named_arguments, number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided, falling
from segkit.losses.targets import Tensor, as_channels, as_logits, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Lovasz(ClassLoss):
    """The Lovasz extension of the Jaccard loss of each class, averaged over foreground classes.

    Each pixel has an error m: |t - p| where classes exclude each other (Lovasz softmax, 0 to 1), otherwise the hinge
    max(0, 1 - z) of the logit z, signed by the truth (Lovasz hinge, from 0 without a limit). In the order of falling errors,
    each error counts as much as the pixel, once wrong too, would raise the Jaccard loss `1 - (i + s) / (u + s)`. The `smooth`
    pixels s are as if each class had so many more that are always right. The paper has none; then of false positives on
    empty truth only the worst pixel counts. Absent classes are in the mean.

    Source: Berman et al., The Lovasz-softmax loss, 2018, equations 8, 9 and 11.
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
        target, known = as_channels(y_true, self.task)
        errors = self._errors(target, y_pred)
        errors = ops.where(known > 0, ops.maximum(errors, 0.0), -1.0)  # the unknown ones come last
        flat = (ops.shape(target)[0], -1, self.task.channels)
        errors, truth = falling(*(ops.reshape(x, flat) for x in (errors, target)))
        return self.mean_over_classes(
            ops.sum(ops.maximum(errors, 0.0) * self._rises(truth), axis=1)
        )

    def _errors(self, target: Tensor, y_pred: Tensor) -> Tensor:
        if self.task.classes_compete:
            return ops.abs(target - probabilities(y_pred, self.task, self.from_logits))
        return 1.0 - as_logits(y_pred, self.task, self.from_logits) * (2.0 * target - 1.0)

    def _rises(self, truth: Tensor) -> Tensor:
        """Return by how much each pixel, wrong after those before it, raises the Jaccard loss: (B, N, C), sorted pixels."""
        truth = ops.cast(truth, "int32")  # float32 does not count beyond 2^24
        false = 1 - truth
        size = ops.sum(truth, axis=1, keepdims=True)
        seen = ops.cumsum(false, axis=1)
        overlap = ops.cast(size - ops.cumsum(truth, axis=1), "float32") + self.smooth
        union = ops.cast(size + seen, "float32") + self.smooth
        before = ops.cast(size + seen - false, "float32") + self.smooth
        # the difference of two ratios next to each other, without the cancellation
        return ops.where(truth > 0, 1.0 / union, divided(overlap, union * before, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smooth": self.smooth}
