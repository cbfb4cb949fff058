"""A head that predicts the classes of a whole image."""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import layers

from segkit.errors import ConfigError
from segkit.losses.presence import Presence as Presence
from segkit.losses.presence import image_task as image_task
from segkit.losses.targets import Tensor
from segkit.models.layers import Beside
from segkit.task import Task

IMAGE_HEADS = {"any": "image_head", "one": "image_class"}
"""Name of the head's layer by its labels: any set of the foreground classes, or the largest one."""


class ImageHead(NamedTuple):
    """The head of a model that predicts the classes of the whole image."""

    layer: Beside
    """Its second input is the logits of the image, (B, classes)."""
    labels: str
    """A key of `IMAGE_HEADS`."""


def see_image(task: Task, features: Tensor, weight: float, labels: str = "any") -> Tensor:
    """Add a head for the whole image: a dense layer on the mean of the features.

    Args:
        task: The task of the network.
        features: Features (B, h, w, C).
        weight: Weight of the head in the training loss.
        labels: A key of `IMAGE_HEADS`.

    Returns:
        The features, unchanged; the head is part of the graph before them.
    """
    name = IMAGE_HEADS[labels]
    classes = image_task(task, labels).channels
    logits = layers.GlobalAveragePooling2D(dtype="float32", name=f"{name}_pool")(features)
    logits = layers.Dense(classes, dtype="float32", name=f"{name}_logits")(logits)
    return Beside(weight, name=name)([features, logits])


def image_view(model: keras.Model, task: Task) -> keras.Model:
    """Return the view of a model at its image head, with the same weights.

    Args:
        model: A network that was built with `image_head`.
        task: The task of the network.

    Returns:
        Images (B, H, W, channels) -> probabilities (B, classes) float32 of the head's `image_task`.

    Raises:
        ConfigError: If the model has no such head.
    """
    image_head = find_image_head(model)
    if image_head is None:
        raise ConfigError(
            "this model has no head for the whole image: build it with a weight, such as 0.1",
            "missing-setting",
            setting="model.image_head",
        )
    name = image_task(task, image_head.labels).activation
    activation = layers.Activation(name, dtype="float32")
    logits = image_head.layer.input[1]
    return keras.Model(model.inputs[0], activation(logits), name="segkit_image")


def find_image_head(model: keras.Model) -> ImageHead | None:
    """Return the image head of a model; None if it has none."""
    labels = {name: key for key, name in IMAGE_HEADS.items()}
    for layer in model.layers:
        if layer.name in labels:
            return ImageHead(layer, labels[layer.name])
    return None
