"""Losses of overlap and sizes of a class: Tversky and what is made of it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.losses.segmentation import SMOOTH, ClassLoss
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

    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        false_positives: float = 0.3,
        false_negatives: float = 0.7,
        smooth: float = SMOOTH,
        **settings: Any,
    ) -> None:
        super().__init__(task, **settings)
        self.false_positives, self.false_negatives = false_positives, false_negatives
        self.smooth = smooth

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.mean_over_classes(1.0 - self._index(y_true, y_pred))

    def _index(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the soft index of each image and class, (B, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        overlap = ops.sum(target * p, axis=(1, 2))
        wrong = self.false_positives * (ops.sum(p, axis=(1, 2)) - overlap)
        missed = self.false_negatives * (ops.sum(target, axis=(1, 2)) - overlap)
        return (overlap + self.smooth) / (overlap + wrong + missed + self.smooth)

    def get_config(self) -> dict[str, Any]:
        own = {"false_positives": self.false_positives, "false_negatives": self.false_negatives}
        return {**super().get_config(), **own, "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="segkit.losses")
class FocalTversky(Tversky):
    """(1 - Tversky index)^gamma of each class; a gamma below 1 keeps the push on nearly right classes.

    Source: Abraham and Khan, A novel focal Tversky loss function, 2019 (there gamma = 3/4, alpha and beta swapped).
    """

    def __init__(self, task: Task | dict[str, Any], *, gamma: float = 0.75, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.gamma = gamma

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        floor = 1e-6  # the gradient of x^0.75 is infinite at 0
        costs = ops.power(ops.maximum(1.0 - self._index(y_true, y_pred), 0.0) + floor, self.gamma) - floor**self.gamma
        return self.mean_over_classes(costs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Dice(Tversky):
    """One minus the soft Dice coefficient: `1 - (2 o + s) / (sum(t) + sum(p) + s)`; Tversky with halves.

    Source: Milletari et al., V-Net, 2016 (there with squares in the denominator).
    """

    def __init__(self, task: Task | dict[str, Any], *, smooth: float = SMOOTH, **settings: Any) -> None:
        super().__init__(task, **_fixed(settings, 0.5), smooth=smooth / 2)

    def get_config(self) -> dict[str, Any]:
        return {**_without_fixed(super().get_config()), "smooth": self.smooth * 2}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Jaccard(Tversky):
    """One minus the soft intersection over union: `1 - (o + s) / (sum(t) + sum(p) - o + s)`; Tversky with ones.

    Source: Rahman and Wang, Optimizing intersection-over-union in deep neural networks, 2016.
    """

    def __init__(self, task: Task | dict[str, Any], **settings: Any) -> None:
        super().__init__(task, **_fixed(settings, 1.0))

    def get_config(self) -> dict[str, Any]:
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable(package="segkit.losses")
class LogCoshDice(Dice):
    """log(cosh(1 - Dice)) of each class, 0 to 0.434: smooth, and flat where a class is nearly right.

    Source: Jadon, A survey of loss functions for semantic segmentation, 2020.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.mean_over_classes(ops.log(ops.cosh(1.0 - self._index(y_true, y_pred))))


def _fixed(settings: dict[str, Any], weight: float) -> dict[str, Any]:
    return {**settings, "false_positives": weight, "false_negatives": weight}


def _without_fixed(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("false_positives", "false_negatives")}
