"""Centreline Dice, for thin structures: each centreline should lie inside the other mask."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.config.loss import LARGEST
from segkit.errors import ConfigError
from segkit.losses.checks import number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided
from segkit.losses.targets import Tensor, as_channels, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class ClDice(ClassLoss):
    """Centreline Dice loss, averaged over classes: 1 - 2 a b / (a + b), from 0 to 1.

    a is the share of the predicted centreline inside the true class, and b is the share of the true
    centreline inside the prediction. Centrelines are soft skeletons: the parts that morphological
    opening removes, over all erosions. Thicker structures than 2 * `iterations` pixels have no
    centreline and cost nothing, so use this loss beside Dice.

    Image borders and VOID erode nothing. An absent class has no true centreline. Its false
    positives cost as much as in Dice, 1 - s / (sum(p) + s).

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        iterations: Number of erosions: half the width in pixels of the thickest structure (5 to 25
            in the paper).
        smooth: The term s, in pixels, which is added to both parts of each share.
        include_background: Whether the background of an exclusive task enters the mean.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Raises:
        ConfigError: If a setting is out of range.

    Source: Shit et al., clDice, 2021, algorithms 1 and 2 (https://arxiv.org/abs/2003.07311);
    erosion by a cross and dilation by a square, as in the authors' code.
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
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        precision = self._share(skeleton(p, known, self.iterations), target)
        sensitivity = self._share(skeleton(target, known, self.iterations), p)
        costs = 1.0 - divided(2.0 * precision * sensitivity, precision + sensitivity, 0.0)
        absent = 1.0 - divided(self.smooth, ops.sum(p, axis=(1, 2)) + self.smooth, 1.0)
        is_present = ops.any(target > 0, axis=(1, 2))
        return self.mean_over_classes(ops.where(is_present, costs, absent), known)

    def _share(self, line: Tensor, area: Tensor) -> Tensor:
        """Return the share of a centreline that lies in an area, (B, C)."""
        inside = ops.sum(line * area, axis=(1, 2))
        length = ops.sum(line, axis=(1, 2))
        return divided(inside + self.smooth, length + self.smooth, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "iterations": self.iterations, "smooth": self.smooth}


def skeleton(area: Tensor, known: Tensor, iterations: int) -> Tensor:
    """Return the soft skeleton of an area.

    Args:
        area: Probability of each class, (B, H, W, C), from 0 to 1.
        known: 1 where a pixel is labelled, otherwise 0, (B, H, W, C).
        iterations: Number of erosions.

    Returns:
        The skeleton, (B, H, W, C), from 0 to 1; 0 where no label is known.
    """
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
    """Return the largest value around each pixel; positions outside the image do not count."""
    return ops.max_pool(x, size, strides=1, padding="same", data_format="channels_last")
