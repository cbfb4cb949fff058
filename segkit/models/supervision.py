"""Heads for training only: auxiliary heads on coarser features, and a head for the whole image.

They are found by the names of a model's layers, so a loaded model trains like one that was just
built.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from segkit.config import ModelConfig
from segkit.errors import ConfigError
from segkit.models.blocks import SUPERVISED
from segkit.models.image_head import find_image_head
from segkit.models.layers import PadToMultiple
from segkit.models.levels import strides
from segkit.models.trainer import IMAGE, MAIN, Supervised, Trainer
from segkit.task import Task


def check_supervised(model: keras.Model, settings: ModelConfig) -> None:
    """Check that the decoder marked features for auxiliary heads if the settings ask for them.

    Args:
        model: The network.
        settings: Section `model` of the config.

    Raises:
        ConfigError: If it marked none.
    """
    if settings.deep_supervision and not _marked(model):
        raise ConfigError(
            f"the decoder {settings.decoder} of depth {settings.depth} has no features for "
            f"auxiliary heads, or does not mark them (segkit.models.blocks.supervise)",
            "not-for-network",
            setting="model.deep_supervision",
        )


def supervised(model: keras.Model, logits: keras.Model, task: Task) -> Trainer:
    """Return the model that `fit` trains.

    Args:
        model: A network of probabilities.
        logits: Its view at the logits.
        task: The task of the network.

    Returns:
        The view at the logits; with the auxiliary heads and the image head, if the model has any.
    """
    marked = _marked(model)
    image_head = find_image_head(model)
    if not marked and image_head is None:
        image = logits.inputs[0] if len(logits.inputs) == 1 else logits.inputs
        return Trainer(image, logits.outputs[0], logits.name, task=task)
    outputs: dict[str, Any] = {MAIN: logits.outputs[0]}
    weights = {MAIN: 1.0}
    for name in marked:
        classify = layers.Conv2D(task.channels, 1, dtype="float32", name=f"{name}_classify")
        outputs[name] = classify(model.get_layer(name).output)
        halvings = int(name.rpartition("_")[-1])
        weights[name] = 0.5**halvings
    image_settings: dict[str, Any] = {}
    if image_head is not None:
        outputs[IMAGE] = image_head.layer.input[1]
        image_settings["image_weight"] = image_head.layer.weight
        image_settings["image_labels"] = image_head.labels
    total = sum(weights.values())
    return Supervised(
        model.inputs[0],
        outputs,
        logits.name,
        task=task,
        shares={name: weight / total for name, weight in weights.items()},
        strides=_strides(model, marked),
        **image_settings,
    )


def _strides(model: keras.Model, marked: list[str]) -> dict[str, int]:
    """Return the strides of the marked features, by the names of their layers."""
    if not marked:
        return {}
    pad = next(layer for layer in model.layers if isinstance(layer, PadToMultiple))
    features = [model.get_layer(name).output for name in marked]
    found = strides(pad.output, features, pad.multiple)
    return {name: int(stride) for name, stride in zip(marked, found, strict=True)}


def _marked(model: keras.Model) -> list[str]:
    """Return the names of the layers that get an auxiliary head, finest first."""
    return sorted(layer.name for layer in model.layers if layer.name.startswith(f"{SUPERVISED}_"))
