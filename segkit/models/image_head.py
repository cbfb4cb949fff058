"""A head that says which classes a whole image holds."""

from __future__ import annotations

import keras
from keras import layers, ops

from segkit.errors import ConfigError
from segkit.losses.targets import Tensor, as_channels
from segkit.models.layers import Beside
from segkit.task import Task

IMAGE_HEADS = {"any": "image_head", "one": "image_class"}
"""Names of the layer by what it says of an image: any set of the foreground classes, or the one that it shows most of."""

NOTHING = "nothing"

IMAGE = "image"
"""What its logits are called among the outputs of training."""


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


def see_image(task: Task, features: Tensor, weight: float, labels: str = "any") -> Tensor:
    """Return the features unchanged, with logits of what the whole image holds beside them: a line through their mean."""
    name = IMAGE_HEADS[labels]
    logits = layers.GlobalAveragePooling2D(dtype="float32")(features)
    logits = layers.Dense(image_task(task, labels).channels, dtype="float32", name=f"{name}_logits")(logits)
    return Beside(weight, name=name)([features, logits])


def image_view(model: keras.Model, task: Task) -> keras.Model:
    """Return image (B, H, W, channels) -> probability of each class of its `image_task`, (B, classes) float32.

    The same weights as the model's. Raises `ConfigError` if it was built without `image_head`.
    """
    found = _image_head(model)
    if found is None:
        raise ConfigError(
            "this model has no head for the whole image: build it with a weight for one, such as 0.1",
            "missing-setting",
            setting="model.image_head",
        )
    layer, labels = found
    activation = layers.Activation(image_task(task, labels).activation, dtype="float32")
    return keras.Model(model.inputs[0], activation(layer.input[1]), name="segkit_image")


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
        shown, known = (ops.take(values, foreground, axis=-1) for values in (channels * known, known))
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
        ops.where(ops.max(pixels, -1) > 0, ops.argmax(pixels, -1) + nothing, 0), classes, dtype="float32"
    )


def _image_head(model: keras.Model) -> tuple[Beside, str] | None:
    """Return the layer that holds the logits of the image, and what they say of it; None if there is no such head."""
    labels = {name: key for key, name in IMAGE_HEADS.items()}
    return next(((layer, labels[layer.name]) for layer in model.layers if layer.name in labels), None)
