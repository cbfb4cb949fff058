"""The head of a network, and the view of a model at the head's logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from segkit.config.arguments import named_arguments
from segkit.errors import ConfigError
from segkit.models.layers import CropLike
from segkit.task import Task, as_task

HEAD = "probabilities"
"""Name of a network's last layer."""


@named_arguments
def head(task: Task, features: Any, image: Any) -> Any:
    """Return the task's probabilities: 1 x 1 convolution, crop to the image, activation.

    End a Keras model of your own with it, so that `compile` can find its logits.

    Args:
        task: The task.
        features: Symbolic tensor (B, h, w, C), at least as large as the image.
        image: Symbolic tensor (B, H, W, channels), to whose height and width the result is cropped.

    Returns:
        Symbolic tensor (B, H, W, classes) float32.

    Raises:
        ConfigError: If `features` or `image` is not a symbolic tensor with four axes.
    """
    task = as_task(task)
    for name, tensor in (("features", features), ("image", image)):
        if not isinstance(tensor, keras.KerasTensor) or len(tensor.shape) != 4:
            raise ConfigError(
                f"a symbolic Keras tensor (batch, height, width, channels), as layers return it; "
                f"found {tensor!r}",
                setting=name,
            )
    logits = layers.Conv2D(task.channels, 1, dtype="float32", name="classify")(features)
    logits = CropLike(dtype="float32", name="logits")([logits, image])
    return layers.Activation(task.activation, dtype="float32", name=HEAD)(logits)


@named_arguments
def logits_of(model: keras.Model, task: Task) -> keras.Model:
    """Return the view of a model at its logits: same layers and weights, no activation.

    Args:
        model: A model that ends in the task's activation, as `unet`, `build` and `head` make it.
        task: The task.

    Returns:
        Images (B, H, W, channels) -> logits (B, H, W, classes) float32.

    Raises:
        ConfigError: If the model does not end in the task's activation.
    """
    check_functional(model)
    task = as_task(task)
    last: Any = model.layers[-1] if model.layers else None
    found = getattr(getattr(last, "activation", None), "__name__", None)
    fits = isinstance(last, layers.Activation) and found == task.activation
    if not fits or model.output_shape[-1] != task.channels:
        raise ConfigError(
            f"a {task.kind} model ends in an Activation layer of {task.activation} over "
            f"{task.channels} channel(s), as segkit.unet and segkit.head make it; this one ends in "
            f"{type(last).__name__} ({found or 'no activation'}, output {model.output_shape}). "
            f"{task.explain()}",
            "mismatch",
        )
    image = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras.Model(image, last.input, name="segkit_logits")


def check_functional(model: Any) -> None:
    """Check that a model consists of layers from inputs to outputs.

    Args:
        model: The model.

    Raises:
        ConfigError: If it is no Keras model, has no inputs yet, or has a `call` of its own.
    """
    if not isinstance(model, keras.Model):
        raise ConfigError(
            f"a keras.Model, as segkit.unet returns it; found {model!r}", setting="model"
        )
    if not hasattr(model, "inputs") or not model.inputs:
        raise ConfigError(
            f"{type(model).__name__} {model.name!r} has no inputs yet, or it is a subclass of "
            f"keras.Model with its own `call`, whose last layer cannot be found. Begin with "
            f"keras.Input, and end in segkit.head, as in keras.Model(image, segkit.head(task, "
            f"features, image))",
            "mismatch",
            setting="model",
        )
