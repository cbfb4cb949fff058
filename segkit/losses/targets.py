"""Targets and predictions in one form for every task: channels and what is known of them. `keras.ops` only."""

from __future__ import annotations

from typing import Any

from keras import activations, ops

from segkit.errors import DataError
from segkit.losses.checks import check_shape
from segkit.task import VOID, Task

Tensor = Any


def as_channels(target: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """Return an encoded target as 0/1 channels, and where it is known: both (B, H, W, C) float32.

    A target may carry distances (`segkit.data.batches.distances.with_distances`). Raises `DataError` for a
    target of another task's shape, which would broadcast without a word.
    """
    shape = tuple(target.shape)
    if len(shape) == 5 and shape[-2:] == (task.channels, 2):
        answer = ops.cast(target[..., 0], "int32")
        return ops.cast(ops.equal(answer, 1), "float32"), ops.cast(
            ops.not_equal(answer, VOID), "float32"
        )
    check_shape(task, shape)
    target = ops.cast(target, "int32")
    known = ops.not_equal(target, VOID)
    if task.stores_ids:
        channels = ops.one_hot(ops.where(known, target, -1), task.channels, dtype="float32")
        return channels, ops.broadcast_to(
            ops.cast(known, "float32")[..., None], ops.shape(channels)
        )
    return ops.cast(ops.equal(target, 1), "float32"), ops.cast(known, "float32")


def distances(target: Tensor, task: Task) -> Tensor:
    """Return the signed distances (B, H, W, C) float32, in pixels, that a target of `with_distances` carries."""
    if len(target.shape) != 5:
        raise DataError(
            f"the boundary loss needs a target with distances, (batch, height, width, {task.channels}, 2); found "
            f"{tuple(target.shape)}. segkit.data.batches.distances.with_distances makes it; training by a config "
            f"does so itself where the loss is called boundary",
            "mask-channels",
        )
    return ops.cast(target[..., 1], "float32")


def as_logits(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction (B, H, W, C) as float32 logits; probabilities are inverted.

    Keras looks for the logits behind a probability tensor and may find another activation's; this never does.
    Raises `DataError` for a prediction of another shape.
    """
    check_prediction(prediction, task)
    prediction = ops.cast(prediction, "float32")
    if from_logits:
        return prediction
    p = ops.clip(prediction, 1e-7, 1.0 - 1e-7)
    return ops.log(p) if task.classes_compete else ops.log(p) - ops.log1p(-p)


def probabilities(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction (B, H, W, C) as float32 probabilities. Raises `DataError` for one of another shape."""
    if not from_logits:
        check_prediction(prediction, task)
        return ops.cast(prediction, "float32")
    return activations.get(task.activation)(as_logits(prediction, task, True))


def check_prediction(prediction: Tensor, task: Task) -> None:
    """Raise `DataError` unless a prediction has a channel for each class."""
    if len(prediction.shape) != 4 or prediction.shape[-1] != task.channels:
        raise DataError(
            f"a {task.kind} prediction has shape (batch, height, width, {task.channels}); "
            f"found {tuple(prediction.shape)}",
            "channels",
        )
