"""Losses of overlap and sizes of a class: Tversky and what is made of it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.loss import LARGEST, LARGEST_GAMMA
from segkit.losses.checks import named_arguments, number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided
from segkit.losses.targets import Tensor, as_channels, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Tversky(ClassLoss):
    """One minus the soft Tversky index, averaged over the task's foreground classes, for each image.

    `1 - (o + s) / (o + false_positives (sum(p) - o) + false_negatives (sum(t) - o) + s)` with o = sum(t p), sums over
    known pixels. A class that is absent and not predicted costs 0; false positives on empty truth cost up to 1.

    Source: Salehi et al., Tversky loss function for image segmentation, 2017 (alpha is `false_positives`, beta
    `false_negatives`).
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        false_positives: float = 0.3,
        false_negatives: float = 0.7,
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
        self.false_positives = number("false_positives", false_positives, least=0, most=LARGEST)
        self.false_negatives = number("false_negatives", false_negatives, least=0, most=LARGEST)
        self.smooth = number("smooth", smooth, least=0, most=LARGEST)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.mean_over_classes(1.0 - self._index(y_true, y_pred))

    def _index(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the soft index of each image and class, (B, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        overlap = ops.sum(target * p, axis=(1, 2))
        wrong = self.false_positives * (ops.sum(p, axis=(1, 2)) - overlap)
        missed = self.false_negatives * (ops.sum(target, axis=(1, 2)) - overlap)
        return divided(overlap + self.smooth, overlap + wrong + missed + self.smooth, 1.0)

    def get_config(self) -> dict[str, Any]:
        own = {"false_positives": self.false_positives, "false_negatives": self.false_negatives}
        return {**super().get_config(), **own, "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="segkit.losses")
class FocalTversky(Tversky):
    """(1 - Tversky index)^gamma of each class; a gamma below 1 keeps the push on nearly right classes.

    Source: Abraham and Khan, A novel focal Tversky loss function, 2019 (there gamma = 3/4, alpha and beta swapped).
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        gamma: float = 0.75,
        false_positives: float = 0.3,
        false_negatives: float = 0.7,
        smooth: float = SMOOTH,
        include_background: bool = False,
        class_weights: ClassWeights = None,
        name: str | None = None,
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(
            task,
            from_logits=from_logits,
            false_positives=false_positives,
            false_negatives=false_negatives,
            smooth=smooth,
            include_background=include_background,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )
        self.gamma = number("gamma", gamma, above=0, most=LARGEST_GAMMA)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        missing = ops.maximum(1.0 - self._index(y_true, y_pred), 0.0)
        return self.mean_over_classes(_to_power(missing, self.gamma))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Dice(Tversky):
    """One minus the soft Dice coefficient: `1 - (2 o + s) / (sum(t) + sum(p) + s)`; Tversky with halves.

    Source: Milletari et al., V-Net, 2016 (there with squares in the denominator).
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
            false_positives=0.5,
            false_negatives=0.5,
            smooth=number("smooth", smooth, least=0, most=LARGEST) / 2,
            include_background=include_background,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )

    def get_config(self) -> dict[str, Any]:
        return {**_without_fixed(super().get_config()), "smooth": self.smooth * 2}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Jaccard(Tversky):
    """One minus the soft intersection over union: `1 - (o + s) / (sum(t) + sum(p) - o + s)`; Tversky with ones.

    Source: Rahman and Wang, Optimizing intersection-over-union in deep neural networks, 2016.
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
            false_positives=1.0,
            false_negatives=1.0,
            smooth=smooth,
            include_background=include_background,
            class_weights=class_weights,
            name=name,
            reduction=reduction,
        )

    def get_config(self) -> dict[str, Any]:
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable(package="segkit.losses")
class LogCoshDice(Dice):
    """log(cosh(1 - Dice)) of each class, 0 to 0.434: smooth, and flat where a class is nearly right.

    Source: Jadon, A survey of loss functions for semantic segmentation, 2020.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.mean_over_classes(ops.log(ops.cosh(1.0 - self._index(y_true, y_pred))))


def _to_power(x: Tensor, gamma: float) -> Tensor:
    """Return x^gamma for x from 0 to 1, with a finite gradient at 0 also for a gamma below 1."""
    floor = 1e-6
    if gamma >= 0.75:
        return ops.power(x + floor, gamma) - floor**gamma  # at most 3e-5 too small
    straight = x * floor ** (gamma - 1)
    return ops.where(x > floor, ops.power(ops.maximum(x, floor), gamma), straight)


def _without_fixed(config: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if key not in ("false_positives", "false_negatives")
    }
