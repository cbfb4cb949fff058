"""Targets and predictions in one form for every task: channels and what is known of them. `keras.ops` only."""

from __future__ import annotations

from typing import Any

from keras import activations, ops

from segkit.task import VOID, Task

Tensor = Any


def as_channels(target: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """Return an encoded target as 0/1 channels, and where it is known: both (B, H, W, C) float32.

    Raises `ValueError` for a target of another task's shape, which would broadcast without a word.
    """
    wanted = (None, *task.target_shape(None, None))
    shape = tuple(target.shape)
    if len(shape) != len(wanted) or (len(wanted) == 4 and shape[-1] not in (None, task.channels)):
        raise ValueError(
            f"a {task.kind} target has shape (batch, {_words(wanted[1:])}); found {shape}. Task.encode makes it"
        )
    target = ops.cast(target, "int32")
    known = ops.not_equal(target, VOID)
    if task.exclusive:
        channels = ops.one_hot(ops.where(known, target, -1), task.channels, dtype="float32")
        return channels, ops.broadcast_to(ops.cast(known, "float32")[..., None], ops.shape(channels))
    return ops.cast(ops.equal(target, 1), "float32"), ops.cast(known, "float32")


def as_logits(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction (B, H, W, C) as float32 logits; probabilities are inverted.

    Keras looks for the logits behind a probability tensor and may find another activation's; this never does.
    """
    if len(prediction.shape) != 4 or prediction.shape[-1] != task.channels:
        raise ValueError(
            f"a {task.kind} prediction has shape (batch, height, width, {task.channels}); found {tuple(prediction.shape)}"
        )
    prediction = ops.cast(prediction, "float32")
    if from_logits:
        return prediction
    p = ops.clip(prediction, 1e-7, 1.0 - 1e-7)
    return ops.log(p) if task.cross_entropy == "categorical_crossentropy" else ops.log(p) - ops.log1p(-p)


def probabilities(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction (B, H, W, C) as float32 probabilities."""
    if not from_logits:
        return ops.cast(prediction, "float32")
    return activations.get(task.activation)(as_logits(prediction, task, True))


def _words(shape: tuple[int | None, ...]) -> str:
    names = ("height", "width", "classes")
    return ", ".join(name if size is None else str(size) for name, size in zip(names, shape, strict=False))
