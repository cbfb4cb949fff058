"""Generalised Dice: rare classes count as much as large ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.loss import LARGEST
from segkit.errors import ConfigError
from segkit.losses.checks import named_arguments, number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassWeights, SegmentationLoss, divided
from segkit.losses.targets import Tensor, as_channels, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class GeneralizedDice(SegmentationLoss):
    """`1 - sum_l w_l (2 o_l + s) / sum_l w_l (sum(t_l) + sum(p_l) + s)` over labels l, w_l = 1 / sum(t_l)^2; 0 to 1.

    The labels are the classes, background included, where classes exclude each other. Otherwise they are yes and no of
    each channel, and the mean over channels is taken. Labels that an image lacks weigh as much as its smallest one, so
    false positives cost; in the paper their weight is infinite. Class weights multiply w_l, or weigh the mean.

    Source: Sudre et al., Generalised Dice overlap as a deep learning loss function, 2017.
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        smooth: float = SMOOTH,
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
        self.smooth = number("smooth", smooth, above=0, most=LARGEST)
        if not sum(self.channel_weights):
            raise ConfigError(f"all of them are 0: {self.class_weights}", setting="class_weights")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        weights = ops.convert_to_tensor(self.channel_weights, "float32")
        yes = _sums(target, p)
        if self.task.exclusive:
            return self._cost(yes, weights)
        no = _sums(known - target, known - p)
        costs = self._cost(
            [ops.stack(pair, axis=-1) for pair in zip(yes, no, strict=True)], ops.ones(2)
        )
        return ops.sum(costs * weights, axis=-1) / sum(self.channel_weights)

    def _cost(self, sums: list[Tensor], weights: Tensor) -> Tensor:
        """Return the cost (...) of overlap, true size and predicted size, each (..., labels)."""
        overlap, size, answer = sums
        shown = size * weights > 0
        rarity = ops.where(shown, 1.0 / ops.maximum(size, 1.0), 0.0)
        rarest = ops.maximum(ops.max(rarity, axis=-1, keepdims=True), 1e-30)
        weights = weights * ops.square(
            ops.where(shown, rarity / rarest, 1.0)
        )  # the common factor cancels
        top = ops.sum(weights * (2 * overlap + self.smooth), axis=-1)
        return 1.0 - divided(top, ops.sum(weights * (size + answer + self.smooth), axis=-1), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smooth": self.smooth}


def _sums(target: Tensor, p: Tensor) -> list[Tensor]:
    """Return the overlap and both sizes of each image and channel, each (B, C)."""
    return [ops.sum(x, axis=(1, 2)) for x in (target * p, target, p)]
