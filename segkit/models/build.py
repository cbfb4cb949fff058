"""From a task and settings to a network, and the two views of it: probabilities to use, logits to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from segkit import catalog, losses, metrics
from segkit.config import InputConfig, ModelConfig, networks
from segkit.errors import ConfigError
from segkit.models import blocks, supervision
from segkit.models.image_head import see_image
from segkit.models.layers import CropLike, Limit, PadToMultiple, batch_normalizations
from segkit.models.levels import check_halved, strides
from segkit.task import Task

HEAD = "probabilities"
ENCODED = "encoded"
"""Name of the layer at the encoder's end, by which `encoder_layers` finds it in a model that was read from a file."""


def build(
    task: Task,
    *,
    channels: int = 3,
    mean: float | Sequence[float] = 127.5,
    std: float | Sequence[float] = 127.5,
    low: float = 0.0,
    high: float = 255.0,
    **settings: Any,
) -> keras.Model:
    """Return a network: images (B, H, W, channels) of any size -> probabilities (B, H, W, classes) float32.

    `settings` are those of `ModelConfig`: encoder, decoder, width, depth, normalization, dropout, upsampling, ...; by
    default it is a plain U-Net. The head is the task's.

    The model scales its input itself, (x - mean) / std; the default suits 8-bit images (0 to 255). An encoder with weights
    that were trained before gets what `low` to `high` became as its own 0 to 255, scaled as its training images were.

    >>> build(Task.binary("crack"), encoder="residual", decoder="fpn", width=4, depth=2).output_shape
    (None, None, None, 1)
    """
    return _build(task, ModelConfig(**settings), channels, mean, std, (low, high))


def unet(task: Task, **settings: Any) -> keras.Model:
    """Return `build`'s network under the name of what it is by default.

    >>> unet(Task.multiclass(["background", "disc"]), width=4, depth=2).output_shape
    (None, None, None, 2)
    """
    return build(task, **settings)


def _build(
    task: Task,
    settings: ModelConfig,
    channels: int,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    usual: tuple[float, float],
    limits: tuple[float, float] | None = None,
) -> keras.Model:
    """Return the network of the encoder and decoder that the settings name, for values of a `usual` range.

    Values outside the `limits` are set to them; None: there are none.

    The decoder gets levels no wider than `settings.width`, doubled at each level, and what it returns, at the resolution of
    the first, is brought back to the image's.
    """
    image = keras.Input((None, None, channels), name="image")
    means, scale = _per_channel(mean, channels), 1.0 / _per_channel(std, channels)
    x = image if limits is None else Limit(*limits, name="limit", dtype="float32")(image)
    x = layers.Rescaling(scale.tolist(), (-means * scale).tolist(), name="scale", dtype="float32")(x)
    x = PadToMultiple(settings.stride, name="pad")(x)
    if settings.weights != networks.NONE:
        low, high = usual
        half = (high - low) / 2 or 1.0
        back, middle = 1 / (scale * half), (means - low) / half - 1
        x = layers.Rescaling(back.tolist(), middle.tolist(), name="range", dtype="float32")(x)
    levels = _encode(x, settings)
    found = strides(image, levels, settings.stride)
    check_halved(settings.encoder, found, settings.stride)
    if settings.image_head:
        levels[-1] = see_image(task, levels[-1], settings.image_head, settings.image_labels)
    x = catalog.load(catalog.DECODERS, settings.decoder)(_narrowed(levels, settings), settings)
    x = blocks.leave(x, int(found[0]), settings)
    model = supervision.checked(keras.Model(image, head(task, x, image), name="segkit"), settings)
    if settings.freeze_statistics:
        _freeze_statistics(model)
    return model


def build_for(task: Task, settings: ModelConfig, given: InputConfig) -> keras.Model:
    """Return the network for the images that `given` describes; of 8 bits, the range is 0 to 255 whatever was found."""
    if given.dtype == "uint8":
        return _build(task, settings, given.channels, given.mean, given.std, (0.0, 255.0))
    usual = (given.low, given.high)
    return _build(task, settings, given.channels, given.mean, given.std, usual, given.limits)


def _encode(x: Any, settings: ModelConfig) -> list[Any]:
    """Return an encoder's levels, the last one named."""
    hub = settings.encoder.startswith(networks.HUB)
    encoder = catalog.load(catalog.ENCODERS, catalog.BACKBONE if hub else settings.encoder)
    levels = encoder(blocks.enter(x, settings), settings)
    return [*levels[:-1], layers.Identity(name=ENCODED)(levels[-1])]


def _narrowed(levels: list[Any], settings: ModelConfig) -> list[Any]:
    """Return levels of which none is wider than the settings say: 2048 channels would make any decoder dear."""
    limits = [blocks.width_at(level, settings) for level in range(len(levels))]
    return [
        blocks.convolve(x, limit, settings, size=1) if x.shape[-1] > limit else x
        for x, limit in zip(levels, limits, strict=True)
    ]


def _freeze_statistics(model: keras.Model) -> None:
    for layer in batch_normalizations(_encoder(model)):
        layer.trainable = False  # Keras: its statistics neither change nor are those of the batch used


def encoder_layers(model: keras.Model) -> list[layers.Layer]:
    """Return the layers of a model of `build` that belong to its encoder: all that its deepest features come from."""
    return [layer for layer in _encoder(model).layers if layer.weights]


def _encoder(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs, model.get_layer(ENCODED).output)


def head(task: Task, features: Any, image: Any) -> Any:
    """Return the task's probabilities of features: 1 x 1 convolution, cut to the image, activation last, in float32.

    Use it to end a Keras model of your own, so that `compile` can find its logits.
    """
    logits = layers.Conv2D(task.channels, 1, dtype="float32", name="classify")(features)
    logits = CropLike(dtype="float32", name="logits")([logits, image])
    return layers.Activation(task.activation, dtype="float32", name=HEAD)(logits)


def logits_of(model: keras.Model, task: Task) -> keras.Model:
    """Return the view of a model at its logits: the same layers and weights, without the last activation.

    Raises `ConfigError` if the model does not end in the task's activation.
    """
    last: Any = model.layers[-1] if hasattr(model, "layers") and model.layers else None
    found = getattr(getattr(last, "activation", None), "__name__", None)
    fits = isinstance(last, layers.Activation) and found == task.activation
    if not fits or model.output_shape[-1] != task.channels:
        raise ConfigError(
            f"a {task.kind} model ends in an Activation layer of {task.activation} over {task.channels} channel(s), as "
            f"segkit.unet and segkit.head make it; this one ends in {type(last).__name__} "
            f"({found or 'no activation'}, output {model.output_shape}). {task.explain()}",
            "mismatch",
        )
    image = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras.Model(image, last.input, name="segkit_logits")


def compile(
    model: keras.Model,
    task: Task,
    *,
    loss: Mapping[str, Any] | keras.losses.Loss | None = None,
    class_weights: Mapping[str, float] | None = None,
    optimizer: Any = None,
    **settings: Any,
) -> keras.Model:
    """Return the model's view at the logits, compiled with the task's loss and metrics; `fit` it, then use `model`.

    `loss` is as in a config ({"dice": 1, "cross_entropy": 1}) or a Keras loss on logits; AdamW at 0.001 by default.
    `settings` go to Keras' own `compile`. Raises `ConfigError` for a loss on probabilities, and for class weights beside a
    loss that was made without them.
    """
    trainer = supervision.supervised(model, logits_of(model, task), task)
    if loss is None or isinstance(loss, Mapping):
        loss = losses.make(task, loss, class_weights)
    else:
        losses.check_on_logits(loss, task, class_weights)
    trainer.compile(
        optimizer=optimizer or keras.optimizers.AdamW(1e-3),
        loss=loss,
        metrics=[metrics.Scores(task, from_logits=True)],
        **settings,
    )
    losses.track(trainer, loss)
    return trainer


def _per_channel(value: float | Sequence[float], channels: int) -> np.ndarray:
    if np.size(value) not in (1, channels):
        raise ConfigError(f"mean and std: one number, or one a channel ({channels}); found {np.size(value)}")
    return np.broadcast_to(np.asarray(value, np.float64).ravel(), (channels,))
