"""Centreline Dice: thin structures are right if their centrelines lie in each other."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.loss import LARGEST
from segkit.errors import ConfigError
from segkit.losses.checks import named_arguments, number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided
from segkit.losses.targets import Tensor, as_channels, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class ClDice(ClassLoss):
    """`1 - 2 a b / (a + b)`: a the share of the predicted centreline in the true class, b the other way round; 0 to 1.

    Centrelines are soft skeletons: what is lost by opening, over `iterations` erosions. Take as many as half the width in
    pixels of the thickest structure (5 to 25 in the paper); what is thicker has no centreline and costs nothing, so use
    it beside Dice. `smooth` pixels are added to each share. Sides of the image and VOID erode nothing. Where the class is
    absent there is no true centreline, and false positives cost what they do in Dice, `1 - s / (sum(p) + s)`.

    Source: Shit et al., clDice, 2021, algorithms 1 and 2; erosion by a cross and dilation by a square as in their code.
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        iterations: int = 5,
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
        if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
            raise ConfigError(
                f"a whole number, 1 or more; found {iterations!r}", setting="iterations"
            )
        self.iterations = iterations
        self.smooth = number("smooth", smooth, above=0, most=LARGEST)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        precision = self._share(skeleton(p, known, self.iterations), target)
        sensitivity = self._share(skeleton(target, known, self.iterations), p)
        costs = 1.0 - divided(2.0 * precision * sensitivity, precision + sensitivity, 0.0)
        absent = 1.0 - divided(self.smooth, ops.sum(p, axis=(1, 2)) + self.smooth, 1.0)
        return self.mean_over_classes(ops.where(ops.any(target > 0, axis=(1, 2)), costs, absent))

    def _share(self, line: Tensor, area: Tensor) -> Tensor:
        """Return the share of a centreline that lies in an area, (B, C)."""
        inside, length = ops.sum(line * area, axis=(1, 2)), ops.sum(line, axis=(1, 2))
        return divided(inside + self.smooth, length + self.smooth, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "iterations": self.iterations, "smooth": self.smooth}


def skeleton(area: Tensor, known: Tensor, iterations: int) -> Tensor:
    """Return the soft skeleton of an area of 0 to 1, both (B, H, W, C); 0 where nothing is known."""
    line = ops.zeros_like(area)
    for _ in range(iterations + 1):
        eroded = _erode(area, known)
        line += (1.0 - line) * ops.relu(area - _dilate(eroded, known))
        area = eroded
    return line * known


def _erode(area: Tensor, known: Tensor) -> Tensor:
    below = ops.where(known > 0, -area, -1.0)
    return -ops.maximum(_largest(below, (3, 1)), _largest(below, (1, 3)))


def _dilate(area: Tensor, known: Tensor) -> Tensor:
    return _largest(ops.where(known > 0, area, 0.0), (3, 3))


def _largest(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the largest value around each pixel; what lies outside the image never is."""
    return ops.max_pool(x, size, strides=1, padding="same", data_format="channels_last")
