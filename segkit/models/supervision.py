"""What only training looks at: auxiliary heads on coarser features, and a head for the whole image.

Both are found in a model by the names of its layers, so a model read from a file trains as the one that was built.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from segkit.config import ModelConfig
from segkit.errors import ConfigError
from segkit.models.blocks import SUPERVISED
from segkit.models.image_head import _image_head
from segkit.models.layers import PadToMultiple
from segkit.models.levels import strides
from segkit.models.trainer import IMAGE, MAIN, Supervised, Trainer
from segkit.task import Task


def check_supervised(model: keras.Model, settings: ModelConfig) -> keras.Model:
    """Return the model. Raises `ConfigError` if its decoder was to mark features for auxiliary heads and marked none."""
    if settings.deep_supervision and not _marked(model):
        raise ConfigError(
            f"the decoder {settings.decoder} of depth {settings.depth} has no features for "
            f"auxiliary heads, or does not mark them (segkit.models.blocks.supervise)",
            "not-for-network",
            setting="model.deep_supervision",
        )
    return model


def supervised(model: keras.Model, logits: keras.Model, task: Task) -> Trainer:
    """Return the view of a model at its logits, with whatever else its training looks at; else the view itself."""
    found = {layer.name: layer for layer in model.layers}
    outputs: dict[str, Any] = {MAIN: logits.outputs[0]}
    weights, marked = {MAIN: 1.0}, _marked(model)
    for name in marked:
        outputs[name] = layers.Conv2D(task.channels, 1, dtype="float32", name=f"{name}_classify")(
            found[name].output
        )
        weights[name] = 0.5 ** int(name.rpartition("_")[-1])
    beside = _image_head(model)
    if beside:
        outputs[IMAGE] = beside[0].input[1]
    if len(outputs) == 1:
        image = logits.inputs[0] if len(logits.inputs) == 1 else logits.inputs
        return Trainer(image, logits.outputs[0], logits.name, task=task)
    total = sum(weights.values())
    shares = {name: weight / total for name, weight in weights.items()}
    image_weight, labels = (beside[0].weight, beside[1]) if beside else (0.0, "any")
    return Supervised(
        model.inputs[0],
        outputs,
        logits.name,
        task=task,
        shares=shares,
        strides=_strides(model, marked),
        image_weight=image_weight,
        image_labels=labels,
    )


def _strides(model: keras.Model, marked: list[str]) -> dict[str, int]:
    """Return how many of the image's pixels there are along a side of a pixel of each of the marked features."""
    if not marked:
        return {}
    pad = next(layer for layer in model.layers if isinstance(layer, PadToMultiple))
    found = strides(pad.output, [model.get_layer(name).output for name in marked], pad.multiple)
    return {name: int(stride) for name, stride in zip(marked, found, strict=True)}


def _marked(model: keras.Model) -> list[str]:
    """Return the names of the layers that want an auxiliary head, from the finest."""
    return sorted(layer.name for layer in model.layers if layer.name.startswith(f"{SUPERVISED}_"))
