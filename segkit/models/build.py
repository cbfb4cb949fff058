"""Builds networks, and compiles their view at the logits for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import keras
import numpy as np
from keras import layers

from segkit import catalog, losses
from segkit.config import InputConfig, ModelConfig, networks
from segkit.config.arguments import same_arguments, with_settings
from segkit.errors import ConfigError
from segkit.metrics import Scores
from segkit.models import blocks, supervision
from segkit.models.head import check_functional, head, logits_of
from segkit.models.image_head import see_image
from segkit.models.layers import Limit, PadToMultiple, batch_normalizations, require_bands
from segkit.models.levels import check_halved, strides
from segkit.models.naming import name_layers
from segkit.task import Task, as_task
from segkit.task.readable import validated

SCALE = "scale"
"""Name of the layer that normalises the image."""
ENCODED = "encoded"
"""Name of the encoder's last layer, by which `encoder_layers` finds the encoder."""


class NetworkSettings(TypedDict, total=False):
    """Settings of a network, as in the section `model` of a config (see `ModelConfig`)."""

    encoder: str
    """A name in `segkit.catalog.ENCODERS`, "keras_hub:PRESET", or "module:function" of your own."""
    decoder: str
    """A name in `segkit.catalog.DECODERS`, or "module:function" of your own."""
    width: int
    """Channels at full resolution; doubled at each level."""
    widest: int
    """Largest number of channels of a level."""
    depth: int
    """How often the resolution is halved, 1 to 8; networks of keras.applications have their own."""
    blocks: Sequence[int]
    """Blocks at each level of the residual encoder; the last number holds for all deeper levels."""
    weights: str
    """"none" (random), "imagenet", or a file that Keras wrote (.weights.h5, .h5)."""
    freeze_statistics: bool
    """Whether the encoder's batch normalisation keeps its pretrained statistics in training."""
    stem: Literal[1, 2, 4]
    """2 or 4: work at a half or a quarter of the resolution."""
    normalization: Literal["batch", "group", "instance", "none"]
    """Normalisation after each convolution."""
    momentum: float
    """Momentum of the batch statistics, between 0 and 1."""
    dropout: float
    """Share of the channels that are dropped in training, 0 to 1."""
    upsampling: Literal["transpose", "bilinear", "nearest"]
    """How the decoder doubles the resolution."""
    deep_supervision: bool
    """Whether coarser features of the decoder are trained too, each by an auxiliary head."""
    image_head: float
    """Loss weight of a head that predicts the classes of the whole image; 0 for no such head."""
    image_labels: Literal["any", "one"]
    """Whether that head predicts any set of foreground classes, or the one with most pixels."""


@with_settings({name: field.default for name, field in ModelConfig.model_fields.items()})
def build(
    task: Task,
    *,
    channels: int = 3,
    mean: float | Sequence[float] = 127.5,
    std: float | Sequence[float] = 127.5,
    low: float = 0.0,
    high: float = 255.0,
    **settings: Unpack[NetworkSettings],
) -> keras.Model:
    """Build a network; by default a plain U-Net.

    Args:
        task: The task, which decides the number of channels and the activation of the head.
        channels: Number of bands of the images.
        mean: Mean of the training images, one number or one per band. The network computes
            (image - mean) / std itself. The default suits 8-bit images.
        std: Standard deviation of the training images, one number or one per band.
        low: Lowest value of the images. An encoder with pretrained weights gets the range from
            `low` to `high` in the scale of its own training images.
        high: Highest value of the images.
        **settings: Settings of the section `model` of a config, such as encoder="resnet50"; see
            `segkit.models.build.NetworkSettings`.

    Returns:
        Images (B, H, W, channels) of any size -> probabilities (B, H, W, classes) float32.

    Raises:
        ConfigError: If a setting is unknown, out of range, or contradicts another one.

    >>> build(Task.binary("crack"), encoder="residual", width=4, depth=2).output_shape
    (None, None, None, 1)
    """
    config = validated(ModelConfig, dict(settings), "model")
    return _build(as_task(task), config, _Images(_bands(channels), mean, std, low, high))


@same_arguments(build)
def unet(task: Task, **settings: Any) -> keras.Model:
    """Build a U-Net: `build` under the name of its default, with the same settings.

    Args:
        task: The task.
        **settings: The arguments of `build`.

    Returns:
        Images (B, H, W, channels) of any size -> probabilities (B, H, W, classes) float32.

    Raises:
        ConfigError: If a setting is unknown, out of range, or contradicts another one.

    >>> unet(Task.multiclass(["background", "disc"]), width=4, depth=2).output_shape
    (None, None, None, 2)
    """
    return build(task, **settings)


class _Images(NamedTuple):
    """The images that a network is built for."""

    channels: int
    mean: float | Sequence[float]
    std: float | Sequence[float]
    low: float
    high: float
    limits: tuple[float, float] | None = None
    """Values outside are set to these; None for no limits."""


def _build(task: Task, settings: ModelConfig, images: _Images) -> keras.Model:
    """Build the network of the encoder and the decoder that the settings name."""
    image = keras.Input((None, None, images.channels), name="image")
    levels = _encode(_scale(image, settings, images), settings)
    name_layers(keras.Model(image, levels).layers, "encoder")
    found_strides = strides(image, levels, settings.stride)
    check_halved(settings.encoder, found_strides, settings.stride)
    if settings.image_head:
        levels[-1] = see_image(task, levels[-1], settings.image_head, settings.image_labels)
    decode = catalog.load_part(catalog.DECODERS, settings.decoder)
    features = decode(_narrowed(levels, settings), settings)
    features = blocks.restore_resolution(features, int(found_strides[0]), settings)
    encoded = {id(layer) for layer in keras.Model(image, levels).layers}
    all_layers = keras.Model(image, features).layers
    name_layers([layer for layer in all_layers if id(layer) not in encoded], "decoder")
    model = keras.Model(image, head(task, features, image), name="segkit")
    supervision.check_supervised(model, settings)
    if settings.freeze_statistics:
        _freeze_statistics(model)
    return model


def _scale(image: Any, settings: ModelConfig, images: _Images) -> Any:
    """Limit, normalise and pad an image; for pretrained weights, scale low to high to -1 to 1."""
    means = _per_channel("mean", images.mean, images.channels)
    factors = 1.0 / _per_channel("std", images.std, images.channels)
    normalise = layers.Rescaling(
        factors.tolist(), (-means * factors).tolist(), name=SCALE, dtype="float32"
    )
    x = image
    if images.limits is not None:
        x = Limit(*images.limits, name="limit", dtype="float32")(x)
    x = require_bands(normalise, images.channels)(x)
    x = PadToMultiple(settings.stride, name="pad")(x)
    if settings.weights == networks.NONE:
        return x
    half = (images.high - images.low) / 2 or 1.0
    to_range = 1 / (factors * half)
    offsets = (means - images.low) / half - 1
    return layers.Rescaling(to_range.tolist(), offsets.tolist(), name="range", dtype="float32")(x)


def build_for(task: Task, settings: ModelConfig, input_config: InputConfig) -> keras.Model:
    """Build the network of a run.

    Args:
        task: The task.
        settings: Section `model` of the config.
        input_config: Section `input` of the config, which describes the images. The range of 8-bit
            images is always 0 to 255.

    Returns:
        Images (B, H, W, channels) of any size -> probabilities (B, H, W, classes) float32.

    Raises:
        ConfigError: If an encoder or decoder of your own does not fit.
    """
    channels = input_config.channels
    mean = input_config.mean
    std = input_config.std
    if input_config.dtype == "uint8":
        images = _Images(channels, mean, std, 0.0, 255.0)
    else:
        low = input_config.low
        high = input_config.high
        images = _Images(channels, mean, std, low, high, input_config.limits)
    return _build(task, settings, images)


def _encode(x: Any, settings: ModelConfig) -> list[Any]:
    """Return the levels of an encoder; the layer of the last one has the name `ENCODED`."""
    name = settings.encoder
    if name.startswith(networks.HUB):
        name = catalog.BACKBONE
    encoder = catalog.load_part(catalog.ENCODERS, name)
    levels = encoder(blocks.stem(x, settings), settings)
    return [*levels[:-1], layers.Identity(name=ENCODED)(levels[-1])]


def _narrowed(levels: list[Any], settings: ModelConfig) -> list[Any]:
    """Reduce the channels of wide levels to the settings': 2048 would slow down any decoder."""
    narrowed = []
    for level, features in enumerate(levels):
        limit = blocks.width_at(level, settings)
        if features.shape[-1] > limit:
            features = blocks.convolve(features, limit, settings, size=1)
        narrowed.append(features)
    return narrowed


def _freeze_statistics(model: keras.Model) -> None:
    for layer in batch_normalizations(_encoder(model)):
        layer.trainable = False  # Keras then uses the moving statistics and does not update them


def encoder_layers(model: keras.Model) -> list[layers.Layer]:
    """Return the layers with weights of a network's encoder.

    Freeze an encoder by `for layer in segkit.encoder_layers(model): layer.trainable = False`.

    Args:
        model: A network of `build` or `unet`, also a loaded one.

    Returns:
        The layers that the encoder's deepest features depend on.

    Raises:
        ConfigError: If it is another model.
    """
    return [layer for layer in _encoder(model).layers if layer.weights]


def _encoder(model: keras.Model) -> keras.Model:
    check_functional(model)
    if all(layer.name != ENCODED for layer in model.layers):
        raise ConfigError(
            "this model has no encoder that segkit knows; make it by segkit.build", "mismatch"
        )
    return keras.Model(model.inputs, model.get_layer(ENCODED).output)


class KerasSettings(TypedDict, total=False):
    """Settings of `keras.Model.compile` that `compile` passes on."""

    run_eagerly: bool
    steps_per_execution: int
    jit_compile: bool | str
    auto_scale_loss: bool


_KERAS_DEFAULTS = {
    "run_eagerly": False,
    "steps_per_execution": 1,
    "jit_compile": "auto",
    "auto_scale_loss": True,
}


@with_settings(_KERAS_DEFAULTS)
def compile(
    model: keras.Model,
    task: Task,
    *,
    loss: Mapping[str, Any] | keras.losses.Loss | Callable[..., Any] | None = None,
    class_weights: Mapping[str, float] | None = None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    metrics: Sequence[Any] = (),
    **settings: Unpack[KerasSettings],
) -> keras.Model:
    """Compile a model's view at the logits with the task's loss and scores.

    Fit the result, then predict with `model`.

    Args:
        model: A network that ends in the task's activation.
        task: The task.
        loss: Losses by name as in a config, such as {"dice": 1, "cross_entropy": 1}, or a Keras
            loss on logits; by default cross-entropy + Dice.
        class_weights: Weights of classes by name; only with losses by name.
        optimizer: A Keras optimizer; by default AdamW with a learning rate of 0.001.
        metrics: Metrics on logits, in addition to `segkit.metrics.Scores`.
        **settings: run_eagerly, steps_per_execution, jit_compile and auto_scale_loss, as in
            `keras.Model.compile`.

    Returns:
        Images -> logits, with the weights of `model`. It can be saved and loaded.

    Raises:
        ConfigError: If model, loss or a metric does not belong to the task, or expects
            probabilities.
    """
    _check_order(model, task)
    trainer = supervision.supervised(model, logits_of(model, task), task)
    checked_loss = _checked_loss(task, loss, class_weights)
    losses.check_metrics(metrics, task)
    optimizer = optimizer or keras.optimizers.AdamW(1e-3)
    scores = [Scores(task, from_logits=True), *metrics]
    trainer.compile(optimizer=optimizer, loss=checked_loss, metrics=scores, **settings)
    losses.attach(trainer, checked_loss)
    return trainer


def _checked_loss(task: Task, loss: Any, class_weights: Mapping[str, float] | None) -> Any:
    """Return the Keras loss of losses by name, or a Keras loss after a check."""
    if loss is None or isinstance(loss, Mapping):
        return losses.make(task, loss, class_weights)
    losses.check_on_logits(loss, task, class_weights)
    return loss


def _check_order(model: Any, task: Any) -> None:
    if isinstance(model, Task):
        raise ConfigError(
            "the model comes first: segkit.compile(model, task); found a task in its place",
            setting="model",
        )
    as_task(task)


def _bands(channels: Any) -> int:
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise ConfigError(f"a whole number, 1 or more; found {channels!r}", setting="channels")
    return channels


def _per_channel(name: str, value: float | Sequence[float], channels: int) -> np.ndarray:
    """Return one number per band. Raises `ConfigError` for other counts, NaN, and a std of 0."""
    try:
        numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.size not in (1, channels):
        raise ConfigError(
            f"one number, or one per band ({channels}); found {numbers.size}", setting=name
        )
    if not np.isfinite(numbers).all():
        raise ConfigError(f"finite numbers; found {value!r}", setting=name)
    if name == "std" and not (numbers > 0).all():
        raise ConfigError(f"numbers greater than 0; found {value!r}", setting=name)
    return np.broadcast_to(numbers, (channels,))
