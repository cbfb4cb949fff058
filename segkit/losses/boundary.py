"""Boundary loss: a wrong pixel costs its distance to the true outline."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.losses.checks import named_arguments
from segkit.losses.segmentation import REDUCTION, ClassLoss, ClassWeights
from segkit.losses.targets import Tensor, as_channels, distances, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Boundary(ClassLoss):
    """The mean over known pixels of `d |t - p|`, d the distance to the true outline in pixels; 0 to the largest distance.

    With signed distances f (negative inside) this is the mean of f p minus the mean of f t: the paper's loss plus a constant
    that makes a perfect answer cost 0. It needs a target with distances (`segkit.data.batches.distances`), which training
    by a config makes where a `loss` names it. It is meant beside a loss of overlap, with a small or rising weight.

    Where a class is absent or fills the image there is no outline and d is 1; in the authors' code an absent class has
    d = 0, so that false positives are free. Theirs also lets the outline run through the class's outermost pixels (d = 0),
    here it runs between pixels (0.5 on both sides).

    Source: Kervadec et al., Boundary loss for highly unbalanced segmentation, 2019, equation 5.
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
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

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits)
        costs = distances(y_true, self.task) * (p - target) * known
        pixels = ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
        return self.mean_over_classes(ops.sum(costs, axis=(1, 2)) / pixels)
