"""A head that says which classes a whole image holds."""

from __future__ import annotations

import keras
from keras import layers

from segkit.errors import ConfigError
from segkit.losses.presence import Presence as Presence
from segkit.losses.presence import image_task as image_task
from segkit.losses.targets import Tensor
from segkit.models.layers import Beside
from segkit.task import Task

IMAGE_HEADS = {"any": "image_head", "one": "image_class"}
"""Names of the layer by what it says of an image: any set of the foreground classes, or the one that it shows most of."""


def see_image(task: Task, features: Tensor, weight: float, labels: str = "any") -> Tensor:
    """Return the features unchanged, with logits of what the whole image holds beside them: a line through their mean."""
    name = IMAGE_HEADS[labels]
    logits = layers.GlobalAveragePooling2D(dtype="float32", name=f"{name}_pool")(features)
    logits = layers.Dense(
        image_task(task, labels).channels, dtype="float32", name=f"{name}_logits"
    )(logits)
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


def _image_head(model: keras.Model) -> tuple[Beside, str] | None:
    """Return the layer that holds the logits of the image, and what they say of it; None if there is no such head."""
    labels = {name: key for key, name in IMAGE_HEADS.items()}
    return next(
        ((layer, labels[layer.name]) for layer in model.layers if layer.name in labels), None
    )
