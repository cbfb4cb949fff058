"""Scores as Keras metrics: whole pixel counts over everything seen, thresholded or argmax as the task says."""

from __future__ import annotations

import difflib
from typing import Any

import keras
from keras import ops

from segkit.errors import ConfigError
from segkit.losses.checks import named_arguments
from segkit.losses.segmentation import as_array, checked_target
from segkit.losses.targets import Tensor, as_channels, probabilities
from segkit.task import Task, as_task

LIMB = 2**24
"""Counts are kept as (high, low) int32 with count = high * LIMB + low: JAX has no int64 unless told so globally."""


class PixelCounts(keras.metrics.Metric):
    """True positives, false positives, false negatives and true negatives of each class; VOID is never counted.

    The result does not depend on how the images are cut into batches or spread over replicas.
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
        super().__init__(
            name=name or type(self).__name__.lower(), dtype="float32"
        )  # whatever Keras' default is
        self.task = as_task(task)
        self.from_logits = from_logits
        self._direction = "up"  # by which Keras' callbacks know in mode "auto" that more is better
        shape = (2, 4, self.task.channels)
        self.limbs = self.add_variable(
            shape, initializer="zeros", dtype="int32", name="counts", aggregation="sum"
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        if sample_weight is not None:
            raise ConfigError(
                "segkit's metrics count whole pixels and take none. Unlabelled pixels are VOID (255) in the target",
                setting="sample_weight",
            )
        y_true = ops.convert_to_tensor(checked_target(self.task, y_true))
        y_pred = ops.convert_to_tensor(as_array(y_pred))
        target, known = as_channels(y_true, self.task)
        answer = self._decode(probabilities(y_pred, self.task, self.from_logits))
        truth = target > 0.5
        is_known = known > 0.5
        wrong, right = ops.logical_not(truth), ops.logical_not(answer)
        cells = (truth & answer, wrong & answer & is_known, truth & right, wrong & right & is_known)
        counted = ops.stack([ops.sum(ops.cast(cell, "int32"), axis=(0, 1, 2)) for cell in cells])
        low = self.limbs[1] + counted
        self.limbs.assign(ops.stack([self.limbs[0] + low // LIMB, low % LIMB]))

    def _decode(self, p: Tensor) -> Tensor:
        """Return what `Task.decode` says, as (B, H, W, C) bool."""
        if self.task.thresholds is None:
            return ops.one_hot(ops.argmax(p, axis=-1), self.task.channels, dtype="int32") > 0
        return p >= ops.convert_to_tensor(self.task.thresholds, "float32")

    def counts(self) -> Tensor:
        """Return the counts, (4, C) float32."""
        limbs = ops.cast(self.limbs, "float32")
        return limbs[0] * LIMB + limbs[1]

    def get_config(self) -> dict[str, Any]:
        task = self.task.model_dump(mode="json")
        return {"name": self.name, "task": task, "from_logits": self.from_logits}


class _OneScore(PixelCounts):
    """The mean of a score over foreground classes that occur, or the score of the class `of`; NaN if none does."""

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
        values = self._ratio(*ops.unstack(self.counts(), 4, axis=0)[:3])
        if self.of is not None:
            return values[self.task.classes.index(self.of)]
        return mean_of_known(
            ops.take(values, ops.convert_to_tensor(self.task.foreground, "int32"), axis=0)
        )

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "of": self.of}


@keras.saving.register_keras_serializable(package="segkit.metrics")
class IoU(_OneScore):
    """Intersection over union (Jaccard index), tp / (tp + fp + fn)."""

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Dice(_OneScore):
    """Dice coefficient (F1), 2 tp / (2 tp + fp + fn)."""

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(2 * tp, 2 * tp + fp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Precision(_OneScore):
    """Share of the predicted pixels that are right, tp / (tp + fp)."""

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fp)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Recall(_OneScore):
    """Share of the true pixels that are found, tp / (tp + fn)."""

    def _ratio(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return ratio(tp, tp + fn)


@keras.saving.register_keras_serializable(package="segkit.metrics")
class Scores(PixelCounts):
    """The mean scores of `counts.means` from one count: iou_foreground, dice_foreground, iou_with_background."""

    def result(self) -> dict[str, Tensor]:
        tp, fp, fn, tn = ops.unstack(self.counts(), 4, axis=0)
        foreground = ops.convert_to_tensor(self.task.foreground, "int32")
        every = iou = ratio(tp, tp + fp + fn)
        if self.task.implies_background:
            every = ops.concatenate([iou, ratio(tn, tn + fn + fp)])
        dice = ratio(2 * tp, 2 * tp + fp + fn)
        return {
            "iou_foreground": mean_of_known(ops.take(iou, foreground, axis=0)),
            "dice_foreground": mean_of_known(ops.take(dice, foreground, axis=0)),
            "iou_with_background": mean_of_known(every),
        }


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, NaN where the whole is 0."""
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), float("nan"))


def mean_of_known(values: Tensor) -> Tensor:
    """Return the mean of the values that are not NaN; NaN if there is none."""
    known = ops.logical_not(ops.isnan(values))
    count = ops.sum(ops.cast(known, "float32"))
    return ratio(ops.sum(ops.where(known, values, 0.0)), count)
