"""Losses made from a task. Each sees known pixels only and returns one float32 value an image: (B,).

Targets are encoded (`Task.encode`), with VOID for unlabelled pixels. Predictions are (B, H, W, C): logits with
`from_logits=True`, otherwise probabilities; there is no default, because a wrong one trains without a word.
An image without a known pixel costs 0. Class weights go by class name; means are divided by the sum of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from segkit import catalog
from segkit.errors import ConfigError
from segkit.targets import Tensor, as_channels, as_logits, probabilities
from segkit.task import Task

SMOOTH = 1.0
"""Pixels added to overlap and size, so that a class absent and not predicted costs 0 and its gradient is finite."""


class SegmentationLoss(keras.losses.Loss):
    """What all losses share: the task, the form of the prediction, the class weights."""

    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        class_weights: Mapping[str, float] | None = None,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name=name or _snake(type(self).__name__), dtype="float32", **settings)
        self.task = Task.model_validate(task)
        self.from_logits = from_logits
        self.class_weights = dict(class_weights) if class_weights else None
        self.weights = self.task.weights(self.class_weights)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        _refuse_pixel_weights(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        own = {
            "task": self.task.model_dump(mode="json"),
            "from_logits": self.from_logits,
            "class_weights": self.class_weights,
        }
        return {"name": self.name, "reduction": self.reduction, **own}


@keras.saving.register_keras_serializable(package="segkit.losses")
class CrossEntropy(SegmentationLoss):
    """Binary cross-entropy in nats where channels answer yes or no, categorical where they share one probability."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        entropy, weights = self._entropy(y_true, y_pred)
        return _weighted_mean(self._shape(entropy), weights)

    def _shape(self, entropy: Tensor) -> Tensor:
        return entropy

    def _entropy(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy and its weight: a pixel of one-hot channels, or each channel of it."""
        target, known = as_channels(y_true, self.task)
        logits = as_logits(y_pred, self.task, self.from_logits)
        entropy = getattr(ops, self.task.cross_entropy)(target, logits, from_logits=True)
        if len(entropy.shape) == 3:  # one value a pixel, weighted by its true class
            weights = ops.sum(target * known * ops.convert_to_tensor(self.weights, "float32"), axis=-1)
            return entropy[..., None], weights[..., None]
        if self.task.kind == "binary":
            background, weight = self.weights
            return entropy, known * (background + (weight - background) * target)
        return entropy, known * ops.convert_to_tensor(self.weights, "float32")


@keras.saving.register_keras_serializable(package="segkit.losses")
class Focal(CrossEntropy):
    """Cross-entropy times (1 - p)^gamma, p the probability given to the truth: easy pixels count less.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017 (alpha is `class_weights` here).
    """

    def __init__(self, task: Task | dict[str, Any], *, gamma: float = 2.0, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.gamma = gamma

    def _shape(self, entropy: Tensor) -> Tensor:
        # the floor keeps the gradient finite for a gamma below 1, where p is 1
        return entropy * ops.power(ops.maximum(1.0 - ops.exp(-entropy), 1e-7), self.gamma)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="segkit.losses")
class Tversky(SegmentationLoss):
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
        include_background: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(task, **settings)
        self.false_positives, self.false_negatives = false_positives, false_negatives
        self.smooth, self.include_background = smooth, include_background

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self._mean_over_classes(1.0 - self._index(y_true, y_pred))

    def _index(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the soft index of each image and class, (B, C)."""
        target, known = as_channels(y_true, self.task)
        p = probabilities(y_pred, self.task, self.from_logits) * known
        overlap = ops.sum(target * p, axis=(1, 2))
        wrong = self.false_positives * (ops.sum(p, axis=(1, 2)) - overlap)
        missed = self.false_negatives * (ops.sum(target, axis=(1, 2)) - overlap)
        return (overlap + self.smooth) / (overlap + wrong + missed + self.smooth)

    def _mean_over_classes(self, costs: Tensor) -> Tensor:
        everything = self.include_background
        chosen = list(range(self.task.channels)) if everything else list(self.task.foreground)
        weights = self.weights[-self.task.channels :]  # a binary task's weight of the background comes first
        known = [weights[i] for i in chosen]
        if not sum(known):
            raise ConfigError(f"class_weights: all foreground weights are 0: {self.class_weights}")
        picked = ops.take(costs, ops.convert_to_tensor(chosen, "int32"), axis=-1)
        return ops.sum(picked * ops.convert_to_tensor(known, "float32"), axis=-1) / sum(known)

    def get_config(self) -> dict[str, Any]:
        own = {"false_positives": self.false_positives, "false_negatives": self.false_negatives}
        return {**super().get_config(), **own, "smooth": self.smooth, "include_background": self.include_background}


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
        return self._mean_over_classes(costs)

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
class WeightedSum(keras.losses.Loss):
    """The sum of losses, each times its weight, for each image."""

    def __init__(self, losses: list[Any], weights: list[float], name: str = "loss", **settings: Any) -> None:
        super().__init__(name=name, dtype="float32", **settings)
        made = [keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss for loss in losses]
        self.losses, self.weights = made, weights

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        _refuse_pixel_weights(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        terms = [w * loss.call(y_true, y_pred) for w, loss in zip(self.weights, self.losses, strict=True)]
        return sum(terms[1:], start=terms[0])

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {"name": self.name, "reduction": self.reduction, "losses": losses, "weights": self.weights}


def make(
    task: Task,
    terms: Mapping[str, Any] | None = None,
    class_weights: Mapping[str, float] | None = None,
    from_logits: bool = True,
) -> WeightedSum:
    """Return the loss of a config's `loss` section; by default cross-entropy + Dice.

    `terms` gives each loss its weight, or its settings: {"dice": 1, "focal": {"weight": 0.5, "gamma": 3}}.
    """
    losses, weights = [], []
    for name, term in (terms or {"cross_entropy": 1.0, "dice": 1.0}).items():
        settings = dict(term) if isinstance(term, Mapping) else {"weight": term}
        weights.append(float(settings.pop("weight", 1.0)))
        kind = catalog.load(catalog.LOSSES, name)
        try:
            losses.append(kind(task, from_logits=from_logits, class_weights=class_weights, **settings))
        except TypeError as problem:
            raise ConfigError(f"loss.{name}: {problem}") from problem
    return WeightedSum(losses, weights)


def _refuse_pixel_weights(sample_weight: Tensor | None) -> None:
    """A loss is one value an image: weights of pixels would be spread over the wrong axis without a word."""
    if sample_weight is not None and len(sample_weight.shape) > 2:
        raise ValueError(
            f"sample_weight weighs whole images (batch,); found shape {tuple(sample_weight.shape)}. Unlabelled pixels are "
            f"VOID (255) in the target, weights of classes are class_weights"
        )


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return sum(values * weights) / sum(weights) of each image, 0 where all weights are 0."""
    total = ops.sum(weights, axis=(1, 2, 3))
    return ops.sum(values * weights, axis=(1, 2, 3)) / ops.where(total > 0, total, 1.0)


def _fixed(settings: dict[str, Any], weight: float) -> dict[str, Any]:
    return {**settings, "false_positives": weight, "false_negatives": weight}


def _without_fixed(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("false_positives", "false_negatives")}


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
