"""Boundary loss: a wrong pixel costs its distance to the true outline."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.losses.segmentation import REDUCTION, ClassLoss, ClassWeights
from segkit.losses.targets import Tensor, as_channels, distances, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Boundary(ClassLoss):
    """Boundary loss, averaged over classes: the mean over known pixels of d |t - p|.

    d is the distance to the true outline in pixels, so the loss runs from 0 to the largest
    distance. With signed distances f (negative inside) it is the mean of f p minus the mean of f t.
    This is the paper's loss plus a constant, so that a perfect prediction costs 0.

    The target must contain distances (`segkit.data.batches.distances`). Training by a config adds
    them if its section `loss` names this loss. Use it beside an overlap loss, with a small or
    rising weight.

    Where a class is absent or fills the image there is no outline, and d is 1. In the authors' code
    an absent class has d = 0, so that false positives cost nothing. Their outline runs through the
    outermost pixels of a class (d = 0); here it runs between pixels (d = 0.5 on both sides).

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        include_background: Whether the background of an exclusive task enters the mean.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Kervadec et al., Boundary loss for highly unbalanced segmentation, 2019, equation 5
    (https://arxiv.org/abs/1812.07032).
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
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits)
        costs = distances(y_true, self.task) * (p - target) * known
        pixels = ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
        return self.mean_over_classes(ops.sum(costs, axis=(1, 2)) / pixels, known)
