"""The loss of a head that predicts the classes of a whole image."""

from __future__ import annotations

import keras
from keras import ops

from segkit.losses.targets import Tensor, as_channels, hard_channels
from segkit.task import Task

NOTHING = "nothing"
"""Name of the class of images without foreground."""


def image_task(task: Task, labels: str = "any") -> Task:
    """Return the task of classifying a whole image.

    Args:
        task: The task of the pixels.
        labels: "any" for any set of the foreground classes. "one" for exactly one of them, or
            "nothing" if the task has a background.

    Returns:
        The task, whose classes are those of the image.

    >>> image_task(Task.multiclass(["background", "cat", "dog"])).activation
    'sigmoid'
    >>> image_task(Task.multiclass(["background", "cat", "dog"]), "one").classes
    ('nothing', 'cat', 'dog')
    """
    foreground = [task.classes[i] for i in task.foreground]
    if labels == "any":
        return Task.multilabel(foreground)
    if task.can_be_nothing:
        return Task.multiclass([NOTHING, *foreground])
    return Task.multiclass(foreground)


class Presence(keras.losses.Loss):
    """Cross-entropy of an image's classes, which follow from the target of its pixels.

    With labels "any" a class is present if one known pixel has it, and the loss is the mean over
    the classes with known pixels. With "one" the true class is the foreground class with most
    pixels (the first of several), or "nothing". An image costs 0 then if a class has no known
    pixel.

    A pixel with several possible classes (`Task.sets`) leaves open whether they are present. So a
    class without a pixel of its own is unknown if such a pixel can have it, and with "one" the
    image costs 0.

    Args:
        task: The task of the pixels.
        labels: "any" or "one", as in `image_task`.

    Returns:
        One float32 value per image, (B,).
    """

    def __init__(self, task: Task, labels: str = "any") -> None:
        super().__init__(name="presence", dtype="float32")
        self.task = task
        self.labels = labels

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss (B,) for a target of pixels and logits (B, classes) of images."""
        channels, known = as_channels(y_true, self.task)
        channels = hard_channels(channels, known, self.task)
        foreground = ops.convert_to_tensor(self.task.foreground, "int32")
        pixels = ops.take(channels * known, foreground, axis=-1)
        is_known = ops.max(ops.take(known, foreground, axis=-1), axis=(1, 2))
        if self.task.sets:
            is_known = is_known * self._decided(pixels, ops.take(known, foreground, axis=-1), known)
        image = image_task(self.task, self.labels)
        cross_entropy = getattr(ops, image.cross_entropy)
        if self.labels == "one":
            largest = _largest_class(pixels, image.channels)
            costs = cross_entropy(largest, y_pred, from_logits=True)
            return costs * ops.min(is_known, -1)
        is_present = ops.max(pixels, axis=(1, 2))
        costs = cross_entropy(is_present, y_pred, from_logits=True)
        return ops.sum(costs * is_known, axis=-1) / ops.maximum(ops.sum(is_known, axis=-1), 1.0)

    def _decided(self, pixels: Tensor, of_foreground: Tensor, known: Tensor) -> Tensor:
        """Return 0 for classes whose presence a set of classes leaves open, otherwise 1, (B, C)."""
        is_set = ops.max(known, axis=-1, keepdims=True)  # VOID says nothing about any class
        is_open = ops.max(is_set * (1.0 - of_foreground), axis=(1, 2))
        if self.labels == "one":
            return 1.0 - is_open
        return ops.maximum(1.0 - is_open, ops.max(pixels, axis=(1, 2)))


def _largest_class(pixels: Tensor, classes: int) -> Tensor:
    """Return the foreground class with most pixels (B, H, W, C), one-hot (B, classes)."""
    sizes = ops.sum(pixels, axis=(1, 2))
    first_foreground = classes - sizes.shape[-1]  # 1 if class 0 is "nothing"
    has_foreground = ops.max(sizes, -1) > 0
    index = ops.where(has_foreground, ops.argmax(sizes, -1) + first_foreground, 0)
    return ops.one_hot(index, classes, dtype="float32")
