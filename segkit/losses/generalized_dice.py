"""Generalised Dice: small classes count as much as large ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.config.loss import LARGEST
from segkit.errors import ConfigError
from segkit.losses.checks import number
from segkit.losses.segmentation import (
    REDUCTION,
    SMOOTH,
    ClassWeights,
    SegmentationLoss,
    divided,
    mean_by_known,
)
from segkit.losses.targets import Tensor, as_channels, overlap_of, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class GeneralizedDice(SegmentationLoss):
    """Generalised Dice loss, from 0 to 1, with labels weighted by their inverse squared size.

    1 - sum_l w_l (2 o_l + s) / sum_l w_l (sum(t_l) + sum(p_l) + s), with w_l = 1 / sum(t_l)^2

    o_l is the overlap sum(t_l p_l), or sum(min(t_l, p_l)) if the task is soft. For exclusive tasks
    the labels l are all classes, background included, and class weights multiply w_l. Otherwise the
    labels are presence and absence in each channel, and the result is the mean over channels,
    weighted by class weights and by the share of known pixels. A label that an image lacks has the
    weight of the image's smallest label, so that false positives cost; in the paper it is infinite.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        smooth: The term s, in pixels.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Raises:
        ConfigError: If all class weights are 0, or a setting is out of range.

    Source: Sudre et al., Generalised Dice overlap as a deep learning loss function, 2017
    (https://arxiv.org/abs/1707.03237).
    """

    takes_soft = True

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
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        weights = ops.convert_to_tensor(self.channel_weights, "float32")
        present = self._sums(target, p)
        if self.task.exclusive:
            return self._cost(present, weights)
        absent = self._sums(known - target, known - p)
        both = [ops.stack(pair, axis=-1) for pair in zip(present, absent, strict=True)]
        costs = self._cost(both, ops.ones(2))
        return mean_by_known(costs, self.channel_weights, known)

    def _sums(self, target: Tensor, p: Tensor) -> list[Tensor]:
        """Return the overlap and both sizes of each image and channel, each (B, C)."""
        overlap = overlap_of(target, p, self.task)
        return [ops.sum(x, axis=(1, 2)) for x in (overlap, target, p)]

    def _cost(self, sums: list[Tensor], weights: Tensor) -> Tensor:
        """Return the cost (...) of overlap, true size and predicted size, each (..., labels)."""
        overlap, true_size, predicted_size = sums
        is_present = true_size * weights > 0
        rarity = ops.where(is_present, 1.0 / ops.maximum(true_size, 1.0), 0.0)
        rarest = ops.maximum(ops.max(rarity, axis=-1, keepdims=True), 1e-30)
        # Dividing by the rarest keeps the numbers small, and cancels in the result.
        weights = weights * ops.square(ops.where(is_present, rarity / rarest, 1.0))
        numerator = ops.sum(weights * (2 * overlap + self.smooth), axis=-1)
        denominator = ops.sum(weights * (true_size + predicted_size + self.smooth), axis=-1)
        return 1.0 - divided(numerator, denominator, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "smooth": self.smooth}
