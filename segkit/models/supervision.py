"""What only training looks at: auxiliary heads on coarser features, and a head for the whole image.

Both are found in a model by the names of its layers, so a model read from a file trains as the one that was built.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from segkit.config import ModelConfig
from segkit.errors import ConfigError
from segkit.losses.targets import Tensor
from segkit.models.blocks import SUPERVISED
from segkit.models.image_head import IMAGE, Presence, _image_head
from segkit.models.layers import PadToMultiple
from segkit.models.levels import strides
from segkit.task import Task


def checked(model: keras.Model, settings: ModelConfig) -> keras.Model:
    """Return the model. Raises `ConfigError` if its decoder was to mark features for auxiliary heads and marked none."""
    if settings.deep_supervision and not _marked(model):
        raise ConfigError(
            f"the decoder {settings.decoder} of depth {settings.depth} has no features for "
            f"auxiliary heads, or does not mark them (segkit.models.blocks.supervise)",
            "not-for-network",
            setting="model.deep_supervision",
        )
    return model


def supervised(model: keras.Model, logits: keras.Model, task: Task) -> keras.Model:
    """Return the view of a model at its logits, with whatever else its training looks at; else the view itself."""
    found = {layer.name: layer for layer in model.layers}
    outputs: dict[str, Any] = {"main": logits.outputs[0]}
    weights, marked = {"main": 1.0}, _marked(model)
    for name in marked:
        outputs[name] = layers.Conv2D(task.channels, 1, dtype="float32", name=f"{name}_classify")(found[name].output)
        weights[name] = 0.5 ** int(name.rpartition("_")[-1])
    beside = _image_head(model)
    if beside:
        outputs[IMAGE] = beside[0].input[1]
    if len(outputs) == 1:
        return logits
    total = sum(weights.values())
    shares = {name: weight / total for name, weight in weights.items()}
    image_weight, labels = (beside[0].weight, beside[1]) if beside else (0.0, "any")
    presence = Presence(task, labels)
    return Supervised(model.inputs[0], outputs, logits.name, shares, _strides(model, marked), image_weight, presence)


class Supervised(keras.Model):
    """A model at its logits which in training also gives what auxiliary heads say, and is taught by all of them.

    The loss of training is the mean of the heads' losses, weighted 1, 1/2, 1/4, ... from the finest (Isensee et al., nnU-Net,
    2021), plus that of the image head. Evaluation, prediction and scores see the main logits alone.

    An auxiliary head is compared at its own resolution with every n-th pixel of the target, VOID kept: the work of all of
    them together is a third of the main loss, and no class is mixed with another.
    """

    def __init__(
        self,
        image: Tensor,
        outputs: dict[str, Tensor],
        name: str,
        shares: dict[str, float],
        strides: dict[str, int],
        image_weight: float,
        presence: Presence,
    ) -> None:
        super().__init__(inputs=image, outputs=outputs, name=name)
        self.shares, self.strides = shares, strides
        self.image_weight, self.presence = image_weight, presence

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Any:
        outputs = super().call(inputs, training=training, mask=mask)
        return outputs if training else outputs["main"]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        total = self.shares["main"] * super().compute_loss(x, y, y_pred["main"], sample_weight, training)
        for name, stride in self.strides.items():
            target = every(y, stride)
            rows, columns = ops.shape(target)[1:3]
            total += self.shares[name] * self.loss(target, y_pred[name][:, :rows, :columns], sample_weight)
        if self.image_weight:
            total += self.image_weight * self.presence(y, y_pred[IMAGE], sample_weight)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        return super().compute_metrics(x, y, y_pred["main"] if isinstance(y_pred, dict) else y_pred, sample_weight)


def every(target: Tensor, stride: int) -> Tensor:
    """Return the middle pixel of every cell of `stride` x `stride`, (B, H, W, ...) -> (B, ~H / stride, ~W / stride, ...)."""
    return target[:, stride // 2 :: stride, stride // 2 :: stride]


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
