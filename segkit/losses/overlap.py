"""Losses made of the overlap and the sizes of a class: Tversky and its variants."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.config.loss import LARGEST, LARGEST_GAMMA
from segkit.losses.checks import number
from segkit.losses.segmentation import REDUCTION, SMOOTH, ClassLoss, ClassWeights, divided
from segkit.losses.targets import Tensor, as_channels, overlap_of, probabilities
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class Tversky(ClassLoss):
    """Tversky loss: one minus the soft Tversky index, averaged over foreground classes; 0 to 1.

    1 - (o + s) / (o + alpha (sum(p) - o) + beta (sum(t) - o) + s), with the overlap o = sum(t p)

    Sums run over the known pixels of an image. A class that is absent and not predicted costs 0.
    False positives of an absent class cost up to 1. If the task is soft, t is a probability, and
    the overlap is sum(min(t, p)), so that the loss is 0 only at p = t.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        false_positives: The term alpha.
        false_negatives: The term beta.
        smooth: The term s, in pixels.
        include_background: Whether the background of an exclusive task enters the mean.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Raises:
        ConfigError: If a setting is out of range.

    Source: Salehi et al., Tversky loss function for image segmentation, 2017
    (https://arxiv.org/abs/1706.05721).
    """

    takes_soft = True

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
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        index, known = self._index(y_true, y_pred)
        return self.mean_over_classes(1.0 - index, known)

    def _index(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the soft index of each image and class, (B, C), and what is known."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        overlap = ops.sum(overlap_of(target, p, self.task), axis=(1, 2))
        wrong = self.false_positives * (ops.sum(p, axis=(1, 2)) - overlap)
        missed = self.false_negatives * (ops.sum(target, axis=(1, 2)) - overlap)
        index = divided(overlap + self.smooth, overlap + wrong + missed + self.smooth, 1.0)
        return index, known

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        own = {"false_positives": self.false_positives, "false_negatives": self.false_negatives}
        return {**super().get_config(), **own, "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="segkit.losses")
class FocalTversky(Tversky):
    """Focal Tversky loss: (1 - Tversky index)^gamma of each class, averaged, from 0 to 1.

    A gamma below 1 keeps the gradient large for classes that are nearly right.

    Args:
        task: The task of the network.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        gamma: The exponent.
        false_positives: As in `Tversky`.
        false_negatives: As in `Tversky`.
        smooth: The term s, in pixels.
        include_background: Whether the background of an exclusive task enters the mean.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Source: Abraham and Khan, A novel focal Tversky loss function, 2019
    (https://arxiv.org/abs/1810.07842), where gamma is 3/4, and alpha and beta are swapped.
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
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        index, known = self._index(y_true, y_pred)
        missing = ops.maximum(1.0 - index, 0.0)
        return self.mean_over_classes(_to_power(missing, self.gamma), known)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Dice(Tversky):
    """Dice loss: one minus the soft Dice coefficient, averaged over foreground classes; 0 to 1.

    1 - (2 o + s) / (sum(t) + sum(p) + s): `Tversky` with alpha and beta of 1/2

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

    Source: Milletari et al., V-Net, 2016 (https://arxiv.org/abs/1606.04797), with squares in the
    denominator.
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
        """Return the arguments of the constructor as JSON values."""
        return {**_without_fixed(super().get_config()), "smooth": self.smooth * 2}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Jaccard(Tversky):
    """Jaccard loss: one minus the soft intersection over union, averaged over classes, from 0 to 1.

    1 - (o + s) / (sum(t) + sum(p) - o + s): `Tversky` with alpha and beta of 1

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

    Source: Rahman and Wang, Optimizing intersection-over-union in deep neural networks, 2016
    (https://doi.org/10.1007/978-3-319-50835-1_22).
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
        """Return the arguments of the constructor as JSON values."""
        return _without_fixed(super().get_config())


@keras.saving.register_keras_serializable(package="segkit.losses")
class LogCoshDice(Dice):
    """Log-cosh Dice loss: log(cosh(1 - Dice)) of each class, averaged, from 0 to 0.434.

    It is smooth, and flat where a class is nearly right. The arguments are those of `Dice`.

    Source: Jadon, A survey of loss functions for semantic segmentation, 2020
    (https://arxiv.org/abs/2006.14822).
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        index, known = self._index(y_true, y_pred)
        return self.mean_over_classes(ops.log(ops.cosh(1.0 - index)), known)


def _to_power(x: Tensor, gamma: float) -> Tensor:
    """Return x^gamma for x from 0 to 1, with a finite gradient at 0 for every gamma."""
    floor = 1e-6
    if gamma >= 0.75:
        return ops.power(x + floor, gamma) - floor**gamma  # at most 3e-5 too small
    linear = x * floor ** (gamma - 1)  # continues x^gamma below the floor by a straight line
    return ops.where(x > floor, ops.power(ops.maximum(x, floor), gamma), linear)


def _without_fixed(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without the weights that a subclass of `Tversky` fixes."""
    del config["false_positives"]
    del config["false_negatives"]
    return config
