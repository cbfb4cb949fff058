"""Scores as Keras metrics, from counts of pixels. The task decodes predictions to masks."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from segkit.config.arguments import named_arguments
from segkit.errors import ConfigError
from segkit.losses.segmentation import as_array, checked_target
from segkit.losses.targets import Tensor, as_channels, hard_channels, probabilities
from segkit.task import Task, as_task

LIMB = 2**24
"""A count is high * LIMB + low, in two int32: JAX has no int64 without a global setting."""


class PixelCounts(keras.metrics.Metric):
    """Base class: counts the true and false positives and negatives of each class, without VOID.

    The result does not depend on how the images are divided into batches or among replicas.

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name or type(self).__name__.lower(), dtype="float32")
        self.task = as_task(task)
        self.from_logits = from_logits
        self._direction = "up"  # Keras' callbacks read in mode "auto" that larger is better
        shape = (2, 4, self.task.channels)
        self.limbs = self.add_variable(
            shape, initializer="zeros", dtype="int32", name="counts", aggregation="sum"
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add the pixels of a batch.

        Args:
            y_true: Encoded targets, (B, H, W) or (B, H, W, C). Those of a soft task count as its
                most probable classes, or as yes from 1/2 on.
            y_pred: Predictions, (B, H, W, C).
            sample_weight: Must be None.

        Raises:
            ConfigError: If there are sample weights.
            DataError: If a target or a prediction does not belong to the task.
        """
        if sample_weight is not None:
            raise ConfigError(
                "segkit's metrics count pixels and take no weights. Unlabelled pixels are VOID "
                "(255) in the target",
                setting="sample_weight",
            )
        y_true = ops.convert_to_tensor(checked_target(self.task, y_true))
        y_pred = ops.convert_to_tensor(as_array(y_pred))
        target, known = as_channels(y_true, self.task)
        is_known = known > 0.5
        is_true = hard_channels(target, known, self.task) > 0.5
        is_false = ops.logical_not(is_true) & is_known
        is_predicted = self._decode(probabilities(y_pred, self.task, self.from_logits))
        not_predicted = ops.logical_not(is_predicted)
        cells = (
            is_true & is_predicted,
            is_false & is_predicted,
            is_true & not_predicted,
            is_false & not_predicted,
        )
        counts = [ops.sum(ops.cast(cell, "int32"), axis=(0, 1, 2)) for cell in cells]
        low = self.limbs[1] + ops.stack(counts)
        self.limbs.assign(ops.stack([self.limbs[0] + low // LIMB, low % LIMB]))

    def _decode(self, p: Tensor) -> Tensor:
        """Return the masks of probabilities, as `Task.decode` does, (B, H, W, C) bool."""
        if self.task.thresholds is None:
            return ops.one_hot(ops.argmax(p, axis=-1), self.task.channels, dtype="int32") > 0
        return p >= ops.convert_to_tensor(self.task.thresholds, "float32")

    def counts(self) -> Tensor:
        """Return true and false positives, false and true negatives: (4, C) float32."""
        limbs = ops.cast(self.limbs, "float32")
        return limbs[0] * LIMB + limbs[1]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        task = self.task.model_dump(mode="json")
        return {"name": self.name, "task": task, "from_logits": self.from_logits}


class _OneScore(PixelCounts, ABC):
    """A score of the class `of`, or the mean over the foreground classes in truth or prediction.

    It is NaN if no class is in either. `of` is the name of a class; the others are as in
    `PixelCounts`.
    """

    @named_arguments
    def __init__(
        self,
        task: Task | dict[str, Any],
        *,
        from_logits: bool,
        of: str | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(task, from_logits=from_logits, name=name, dtype=dtype)
        self.of = of
        if of is not None and of not in self.task.classes:
            close = difflib.get_close_matches(str(of), self.task.classes, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigError(
                f"is one of {', '.join(self.task.classes)}; found {of!r}{hint}",
                "unknown-name",
                setting="of",
            )

    def result(self) -> Tensor:
        """Return the score, float32."""
        tp, fp, fn, _ = ops.unstack(self.counts(), 4, axis=0)
        values = self._ratio(tp, fp, fn)
        if self.of is not None:
            return values[self.task.classes.index(self.of)]
        foreground = ops.convert_to_tensor(self.task.foreground, "int32")
        return mean_of_known(ops.take(values, foreground, axis=0))

    @abstractmethod
    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        """Return the score of each class from its counts, (C,) float32."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {**super().get_config(), "of": self.of}


@keras.saving.register_keras_serializable(package="segkit.metrics")
class IoU(_OneScore):
    """Intersection over union (Jaccard index), tp / (tp + fp + fn).

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        of: Name of a class; by default the mean over the foreground classes in truth or prediction.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Dice(_OneScore):
    """Dice coefficient (F1), 2 tp / (2 tp + fp + fn).

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        of: Name of a class; by default the mean over the foreground classes in truth or prediction.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(2 * tp, 2 * tp + fp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Precision(_OneScore):
    """Precision, the share of predicted pixels that are right: tp / (tp + fp).

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        of: Name of a class; by default the mean over the foreground classes in truth or prediction.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fp)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Recall(_OneScore):
    """Recall, the share of true pixels that are found: tp / (tp + fn).

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        of: Name of a class; by default the mean over the foreground classes in truth or prediction.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Scores(PixelCounts):
    """Several mean scores from one count, as `segkit.evaluation.counts.means` computes them.

    Args:
        task: The task, which decodes predictions to masks.
        from_logits: Whether predictions are logits; otherwise they are probabilities.
        name: Name of the metric.
        dtype: Ignored; scores are float32. Keras passes it when it loads a model.
    """

    def result(self) -> dict[str, Tensor]:
        """Return iou_foreground, dice_foreground and iou_with_background, each float32."""
        tp, fp, fn, tn = ops.unstack(self.counts(), 4, axis=0)
        iou = ratio(tp, tp + fp + fn)
        all_iou = iou
        if self.task.implies_background:
            all_iou = ops.concatenate([iou, ratio(tn, tn + fn + fp)])
        means = self.foreground_means(self.task.foreground)
        return {**means, "iou_with_background": mean_of_known(all_iou)}

    def foreground_means(self, classes: Sequence[int]) -> dict[str, Tensor]:
        """Return iou_foreground and dice_foreground over some of the foreground classes.

        Args:
            classes: Numbers of the classes.

        Returns:
            The means over those of the classes that are in truth or prediction, each float32; NaN
            if none is.
        """
        tp, fp, fn, _ = ops.unstack(self.counts(), 4, axis=0)
        indices = ops.convert_to_tensor(classes, "int32")
        iou = ops.take(ratio(tp, tp + fp + fn), indices, axis=0)
        dice = ops.take(ratio(2 * tp, 2 * tp + fp + fn), indices, axis=0)
        return {"iou_foreground": mean_of_known(iou), "dice_foreground": mean_of_known(dice)}


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, NaN where the whole is 0."""
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), float("nan"))


def mean_of_known(values: Tensor) -> Tensor:
    """Return the mean of the values that are not NaN; NaN if there is none."""
    known = ops.logical_not(ops.isnan(values))
    count = ops.sum(ops.cast(known, "float32"))
    return ratio(ops.sum(ops.where(known, values, 0.0)), count)
