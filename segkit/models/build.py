"""From a task and settings to a network, and the two views of it: probabilities to use, logits to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from segkit import catalog, losses
from segkit.config import InputConfig, ModelConfig, networks
from segkit.errors import ConfigError
from segkit.losses.checks import named_arguments, same_arguments
from segkit.metrics import Scores
from segkit.models import blocks, supervision
from segkit.models.image_head import see_image
from segkit.models.layers import CropLike, Limit, PadToMultiple, batch_normalizations, require_bands
from segkit.models.levels import check_halved, strides
from segkit.models.naming import name_layers
from segkit.task import Task, as_task
from segkit.task.readable import validated

HEAD = "probabilities"
SCALE = "scale"
ENCODED = "encoded"
"""Name of the layer at the encoder's end, by which `encoder_layers` finds it in a model that was read from a file."""


@named_arguments
def build(
    task: Task,
    *,
    channels: int = 3,
    mean: float | Sequence[float] = 127.5,
    std: float | Sequence[float] = 127.5,
    low: float = 0.0,
    high: float = 255.0,
    encoder: str = "plain",
    decoder: str = "unet",
    width: int = 32,
    widest: int = 512,
    depth: int = 4,
    blocks: Sequence[int] = (1, 3, 4, 6),
    weights: str = networks.NONE,
    freeze_statistics: bool = False,
    stem: Literal[1, 2, 4] = 1,
    normalization: Literal["batch", "group", "instance", "none"] = "batch",
    momentum: float = 0.9,
    dropout: float = 0.0,
    upsampling: Literal["transpose", "bilinear", "nearest"] = "transpose",
    deep_supervision: bool = False,
    image_head: float = 0.0,
    image_labels: Literal["any", "one"] = "any",
) -> keras.Model:
    """Return a network: images (B, H, W, channels) of any size -> probabilities (B, H, W, classes) float32.

    By default it is a plain U-Net. The head is the task's. The model scales its input itself, (x - mean) / std.

    Args:
        task: What a pixel can be.
        channels: Bands of the images.
        mean: What is subtracted from the images, one number or one per band; the default suits 8-bit images (0 to 255).
        std: What the images are divided by, one number or one per band.
        low: The lowest value of the images. An encoder with `weights` gets what `low` to `high` became as its own
            0 to 255, scaled as its training images were.
        high: The highest value of the images.
        encoder: A name in `segkit.catalog.ENCODERS`, "keras_hub:PRESET", or your own "module:function".
        decoder: A name in `segkit.catalog.DECODERS`, or your own "module:function".
        width: Channels at full resolution, doubled at each level.
        widest: The most channels that a level has.
        depth: How often the resolution is halved, 1 to 8; the networks of keras.applications have a depth of their own.
        blocks: Blocks at each level of the residual encoder; the last number holds for all levels below.
        weights: "none" (random), "imagenet", or a file that Keras wrote (.weights.h5, .h5).
        freeze_statistics: Whether the encoder normalises by the statistics that came with its weights, in training too.
        stem: 2 or 4 to work at a half or a quarter of the resolution.
        normalization: What follows the convolutions.
        momentum: Of batch statistics, 0 to 1.
        dropout: Share of the channels that are dropped in training, 0 to 1.
        upsampling: How the decoder doubles the resolution.
        deep_supervision: Whether coarser features of the decoder are trained too, each by a head of its own.
        image_head: Weight in the loss of a head that says which classes are in the image; 0: no such head.
        image_labels: Whether that head says any set of the foreground classes, or the one that the image shows most of.

    Raises:
        ConfigError: If a setting is unknown, out of range, or does not fit the others.

    >>> build(Task.binary("crack"), encoder="residual", decoder="fpn", width=4, depth=2).output_shape
    (None, None, None, 1)
    """
    settings = {name: value for name, value in locals().items() if name in ModelConfig.model_fields}
    config = validated(ModelConfig, settings, "model")
    return _build(as_task(task), config, _bands(channels), mean, std, (low, high))


@same_arguments(build)
def unet(task: Task, **settings: Any) -> keras.Model:
    """Return `build`'s network, with the same settings, under the name of what it is by default.

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
    means = _per_channel("mean", mean, channels)
    scale = 1.0 / _per_channel("std", std, channels)
    rescaled = layers.Rescaling(
        scale.tolist(), (-means * scale).tolist(), name=SCALE, dtype="float32"
    )
    x = image if limits is None else Limit(*limits, name="limit", dtype="float32")(image)
    x = require_bands(rescaled, channels)(x)
    x = PadToMultiple(settings.stride, name="pad")(x)
    if settings.weights != networks.NONE:
        low, high = usual
        half = (high - low) / 2 or 1.0
        back, middle = 1 / (scale * half), (means - low) / half - 1
        x = layers.Rescaling(back.tolist(), middle.tolist(), name="range", dtype="float32")(x)
    levels = _encode(x, settings)
    name_layers(keras.Model(image, levels).layers, "encoder")
    found = strides(image, levels, settings.stride)
    check_halved(settings.encoder, found, settings.stride)
    if settings.image_head:
        levels[-1] = see_image(task, levels[-1], settings.image_head, settings.image_labels)
    x = catalog.load_part(catalog.DECODERS, settings.decoder)(_narrowed(levels, settings), settings)
    x = blocks.restore_resolution(x, int(found[0]), settings)
    encoded = {id(layer) for layer in keras.Model(image, levels).layers}
    name_layers(
        [layer for layer in keras.Model(image, x).layers if id(layer) not in encoded], "decoder"
    )
    model = supervision.check_supervised(
        keras.Model(image, head(task, x, image), name="segkit"), settings
    )
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
    encoder = catalog.load_part(catalog.ENCODERS, catalog.BACKBONE if hub else settings.encoder)
    levels = encoder(blocks.stem(x, settings), settings)
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
        layer.trainable = (
            False  # Keras: its statistics neither change nor are those of the batch used
        )


def encoder_layers(model: keras.Model) -> list[layers.Layer]:
    """Return the layers with weights of a network's encoder: all that its deepest features come from.

    Freeze an encoder by `for layer in segkit.encoder_layers(model): layer.trainable = False`.

    Args:
        model: A network of `build` or `unet`, also one that was read from a file.

    Raises:
        ConfigError: If it is another model.
    """
    return [layer for layer in _encoder(model).layers if layer.weights]


def _encoder(model: keras.Model) -> keras.Model:
    _check_functional(model)
    if all(layer.name != ENCODED for layer in model.layers):
        raise ConfigError(
            "this model has no encoder that segkit knows; make it by segkit.build", "mismatch"
        )
    return keras.Model(model.inputs, model.get_layer(ENCODED).output)


@named_arguments
def head(task: Task, features: Any, image: Any) -> Any:
    """Return the task's probabilities of features: 1 x 1 convolution, cut to the image, activation last, in float32.

    Use it to end a Keras model of your own, so that `compile` can find its logits.

    Args:
        task: What a pixel can be.
        features: Symbolic tensor (B, h, w, C), at least as large as the image.
        image: Symbolic tensor (B, H, W, channels), to whose height and width the probabilities are cut.

    Returns:
        Symbolic tensor (B, H, W, classes) float32.

    Raises:
        ConfigError: If `features` or `image` is no symbolic tensor of four axes.
    """
    task = as_task(task)
    for name, tensor in (("features", features), ("image", image)):
        if not isinstance(tensor, keras.KerasTensor) or len(tensor.shape) != 4:
            raise ConfigError(
                f"a symbolic Keras tensor (batch, height, width, channels), as layers return it; found {tensor!r}",
                setting=name,
            )
    logits = layers.Conv2D(task.channels, 1, dtype="float32", name="classify")(features)
    logits = CropLike(dtype="float32", name="logits")([logits, image])
    return layers.Activation(task.activation, dtype="float32", name=HEAD)(logits)


@named_arguments
def logits_of(model: keras.Model, task: Task) -> keras.Model:
    """Return the view of a model at its logits: the same layers and weights, without the last activation.

    Args:
        model: A model that ends in the task's activation, as `unet`, `build` and `head` make it.
        task: What a pixel can be.

    Returns:
        Images (B, H, W, channels) -> logits (B, H, W, classes) float32.

    Raises:
        ConfigError: If the model does not end in the task's activation.
    """
    _check_functional(model)
    task = as_task(task)
    last: Any = model.layers[-1] if model.layers else None
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


def _check_functional(model: Any) -> None:
    """Raise `ConfigError` unless a model is made of layers from inputs to outputs."""
    if not isinstance(model, keras.Model):
        raise ConfigError(
            f"a keras.Model, as segkit.unet returns it; found {model!r}", setting="model"
        )
    if not hasattr(model, "inputs") or not model.inputs:
        raise ConfigError(
            f"{type(model).__name__} {model.name!r} has no inputs yet, or it is a subclass of keras.Model with a `call` of "
            f"its own, whose last layer cannot be found. Begin with keras.Input, and end in segkit.head, as in "
            f"keras.Model(image, segkit.head(task, features, image))",
            "mismatch",
            setting="model",
        )


@named_arguments
def compile(
    model: keras.Model,
    task: Task,
    *,
    loss: Mapping[str, Any] | keras.losses.Loss | Callable[..., Any] | None = None,
    class_weights: Mapping[str, float] | None = None,
    optimizer: keras.optimizers.Optimizer | str | None = None,
    metrics: Sequence[Any] = (),
    run_eagerly: bool = False,
    steps_per_execution: int = 1,
    jit_compile: bool | str = "auto",
    auto_scale_loss: bool = True,
) -> keras.Model:
    """Return the model's view at the logits, compiled with the task's loss and scores; `fit` it, then use `model`.

    Args:
        model: A network that ends in the task's activation.
        task: What a pixel can be.
        loss: As in a config ({"dice": 1, "cross_entropy": 1}), or a Keras loss on logits; by default cross-entropy + Dice.
        class_weights: Weights of the classes by their names, for losses by name.
        optimizer: AdamW with a learning rate of 0.001 by default.
        metrics: More metrics, which see logits, beside `segkit.metrics.Scores`.
        run_eagerly: As in `keras.Model.compile`.
        steps_per_execution: As in `keras.Model.compile`.
        jit_compile: As in `keras.Model.compile`.
        auto_scale_loss: As in `keras.Model.compile`.

    Returns:
        A `keras.Model` of images -> logits that shares its weights with `model`. It can be saved and loaded.

    Raises:
        ConfigError: For a model that is not for this task, a loss or metric on probabilities or for another task, and for
            class weights beside a loss that was made without them.
    """
    _check_order(model, task)
    trainer = supervision.supervised(model, logits_of(model, task), task)
    if loss is None or isinstance(loss, Mapping):
        loss = losses.make(task, loss, class_weights)
    else:
        losses.check_on_logits(loss, task, class_weights)
    losses.check_metrics(metrics, task)
    trainer.compile(
        optimizer=optimizer or keras.optimizers.AdamW(1e-3),
        loss=loss,
        metrics=[Scores(task, from_logits=True), *metrics],
        run_eagerly=run_eagerly,
        steps_per_execution=steps_per_execution,
        jit_compile=jit_compile,
        auto_scale_loss=auto_scale_loss,
    )
    losses.attach(trainer, loss)
    return trainer


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
    """Return a number per band. Raises `ConfigError` for other counts, what is not finite, and a std of 0."""
    try:
        numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.size not in (1, channels):
        raise ConfigError(
            f"one number, or one per band ({channels}); found {numbers.size}", setting=name
        )
    if not np.isfinite(numbers).all() or (name == "std" and not (numbers > 0).all()):
        raise ConfigError(
            f"finite numbers{', greater than 0' if name == 'std' else ''}; found {value!r}",
            setting=name,
        )
    return np.broadcast_to(numbers, (channels,))
