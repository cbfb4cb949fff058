"""The loss of a head that says which classes a whole image holds."""

from __future__ import annotations

import keras
from keras import ops

from segkit.losses.targets import Tensor, as_channels
from segkit.task import Task

NOTHING = "nothing"


def image_task(task: Task, labels: str = "any") -> Task:
    """Return what an image can be: any set of the task's foreground classes, or one of them or, where that can be, nothing.

    >>> image_task(Task.multiclass(["background", "cat", "dog"])).activation
    'sigmoid'
    >>> image_task(Task.multiclass(["background", "cat", "dog"]), "one").classes
    ('nothing', 'cat', 'dog')
    """
    foreground = [task.classes[i] for i in task.foreground]
    if labels == "any":
        return Task.multilabel(foreground)
    return Task.multiclass([NOTHING, *foreground] if task.can_be_nothing else foreground)


class Presence(keras.losses.Loss):
    """Cross-entropy of what an image holds, by its target: the mean over what is known, (B,).

    Of any set of labels, a class is present if one pixel has it, absent if there are known pixels and none has it. Of one
    label, it is the foreground class of the most pixels, the first of several, or nothing. VOID is not asked. A class
    without a known pixel costs nothing, and where one label is asked for, neither does an image with such a class.
    """

    def __init__(self, task: Task, labels: str = "any") -> None:
        super().__init__(name="presence", dtype="float32")
        self.task, self.labels = task, labels

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        channels, known = as_channels(y_true, self.task)
        foreground = ops.convert_to_tensor(self.task.foreground, "int32")
        shown, known = (
            ops.take(values, foreground, axis=-1) for values in (channels * known, known)
        )
        image = image_task(self.task, self.labels)
        cross_entropy = getattr(ops, image.cross_entropy)
        if self.labels == "one":
            costs = cross_entropy(_most_shown(shown, image.channels), y_pred, from_logits=True)
            return costs * ops.min(ops.max(known, (1, 2)), -1)
        present, asked = (ops.max(values, axis=(1, 2)) for values in (shown, known))
        costs = cross_entropy(present, y_pred, from_logits=True)
        return ops.sum(costs * asked, axis=-1) / ops.maximum(ops.sum(asked, axis=-1), 1.0)


def _most_shown(shown: Tensor, classes: int) -> Tensor:
    """Return which foreground class has the most pixels (B, H, W, C) of 0 and 1, one-hot; at first nothing, if it can be."""
    pixels = ops.sum(shown, axis=(1, 2))
    nothing = classes - pixels.shape[-1]
    return ops.one_hot(
        ops.where(ops.max(pixels, -1) > 0, ops.argmax(pixels, -1) + nothing, 0),
        classes,
        dtype="float32",
    )
