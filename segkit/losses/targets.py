"""Targets and predictions in one form for every task: channels, and where labels are known."""

from __future__ import annotations

from typing import Any

from keras import activations, ops

from segkit.errors import DataError
from segkit.losses.checks import check_shape
from segkit.task import VOID, Task

Tensor = Any


def as_channels(target: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """Return an encoded target as channels.

    Args:
        target: (B, H, W), (B, H, W, C), or (B, H, W, C, 2) with distances
            (`segkit.data.batches.distances.with_distances`), with VOID for unlabelled pixels. If
            the task is soft: probabilities (B, H, W, C), and VOID.
        task: The task of the target.

    Returns:
        1 where a pixel has the class, otherwise 0, or its probability if the task is soft; and 1
        where the target says yes or no, otherwise 0: both (B, H, W, C) float32. A set of classes
        (`Task.sets`) says no for all other classes, and nothing about its own, unless it has a
        single one.

    Raises:
        DataError: If the shape is that of another task; it would be broadcast silently.
    """
    shape = tuple(target.shape)
    if task.soft:
        check_shape(task, shape)
        return _soft_channels(ops.cast(target, "float32"))
    if len(shape) == 5 and shape[-2:] == (task.channels, 2):
        return _known_channels(ops.cast(target[..., 0], "int32"))
    check_shape(task, shape)
    target = ops.cast(target, "int32")
    if not task.stores_ids:
        return _known_channels(target)
    if task.sets:
        return _channels_of_sets(target, task)
    is_known = ops.not_equal(target, VOID)
    channels = ops.one_hot(ops.where(is_known, target, -1), task.channels, dtype="float32")
    known = ops.cast(is_known, "float32")[..., None]
    return channels, ops.broadcast_to(known, ops.shape(channels))


def _channels_of_sets(target: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """Look up what each value says about the classes."""
    known = ops.convert_to_tensor(task.known, "float32")
    present = ops.convert_to_tensor(task.known & task.possible, "float32")
    return ops.take(present, target, axis=0), ops.take(known, target, axis=0)


def possible(channels: Tensor, known: Tensor) -> Tensor:
    """Return the set of classes that each pixel can still have.

    Args:
        channels: 1 where a pixel has the class, otherwise 0, from `as_channels`.
        known: 1 where the target says yes or no, otherwise 0, from `as_channels`.

    Returns:
        1 for each class of the set, otherwise 0, (B, H, W, C) float32.
    """
    return ops.maximum(channels, 1.0 - known)


def _known_channels(target: Tensor) -> tuple[Tensor, Tensor]:
    channels = ops.cast(ops.equal(target, 1), "float32")
    known = ops.cast(ops.not_equal(target, VOID), "float32")
    return channels, known


def _soft_channels(target: Tensor) -> tuple[Tensor, Tensor]:
    is_known = ops.not_equal(target, float(VOID))
    return ops.where(is_known, target, 0.0), ops.cast(is_known, "float32")


def hard_channels(channels: Tensor, known: Tensor, task: Task) -> Tensor:
    """Return the mask of a soft target, as `segkit.task.soft.hard_target` makes it.

    Args:
        channels: The probability of each class, from `as_channels`.
        known: 1 where the target says something, otherwise 0, from `as_channels`.
        task: The task. Without `soft`, the channels are a mask already, and are returned.

    Returns:
        1 where a pixel has the class, otherwise 0, (B, H, W, C) float32.
    """
    if not task.soft:
        return channels
    if task.stores_ids:
        return ops.one_hot(ops.argmax(channels, axis=-1), task.channels, dtype="float32") * known
    return ops.cast(channels >= 0.5, "float32") * known


def overlap_of(target: Tensor, p: Tensor, task: Task) -> Tensor:
    """Return the overlap of a target and a prediction at each pixel, (B, H, W, C).

    It is the product t p. If the target is a probability, it is min(t, p), which is the product
    where t is 0 or 1. With the product, Dice would be best where the prediction is 0 or 1.

    Args:
        target: 1 where a pixel has the class, otherwise 0, or probabilities of a soft task.
        p: The predicted probabilities.
        task: The task of both.

    Source: Wang et al., Dice semimetric losses, 2023 (https://arxiv.org/abs/2303.16296):
    |t| + |p| - |t - p| is twice the sum of min(t, p).
    """
    return ops.minimum(p, target) if task.soft else target * p


def distances(target: Tensor, task: Task) -> Tensor:
    """Return the distances that a target of `with_distances` contains.

    Args:
        target: (B, H, W, C, 2).
        task: The task of the target.

    Returns:
        Distances to the outline in pixels, (B, H, W, C) float32.

    Raises:
        DataError: If the target contains no distances.
    """
    if len(target.shape) != 5:
        raise DataError(
            f"the boundary loss needs a target with distances, (batch, height, width, "
            f"{task.channels}, 2); found {tuple(target.shape)}. "
            f"segkit.data.batches.distances.with_distances makes it; training by a config does so "
            f"itself for the loss named boundary",
            "mask-channels",
        )
    return ops.cast(target[..., 1], "float32")


def as_logits(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction as logits. Probabilities are inverted.

    Keras itself would search the graph for the logits behind probabilities, and might find those of
    another activation.

    Args:
        prediction: (B, H, W, C).
        task: The task of the prediction.
        from_logits: Whether the prediction is logits; otherwise it is probabilities.

    Returns:
        Logits (B, H, W, C) float32; probabilities of 0 and 1 become finite.

    Raises:
        DataError: If the shape is another one.
    """
    check_prediction(prediction, task)
    prediction = ops.cast(prediction, "float32")
    if from_logits:
        return prediction
    p = ops.clip(prediction, 1e-7, 1.0 - 1e-7)
    if task.classes_compete:
        return ops.log(p)
    return ops.log(p) - ops.log1p(-p)


def probabilities(prediction: Tensor, task: Task, from_logits: bool) -> Tensor:
    """Return a prediction as probabilities.

    Args:
        prediction: (B, H, W, C).
        task: The task of the prediction.
        from_logits: Whether the prediction is logits; otherwise it is probabilities.

    Returns:
        Probabilities (B, H, W, C) float32.

    Raises:
        DataError: If the shape is another one.
    """
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


def mean_of_channels(costs: Tensor, task: Task) -> Tensor:
    """Return one cost per pixel: half the sum where classes exclude each other, else the mean.

    Two pixels of different classes differ in two probabilities of an exclusive task, so this is 1
    for them.

    Args:
        costs: One cost per channel, (B, H, W, C).
        task: The task of the channels.

    Returns:
        (B, H, W).
    """
    if task.classes_compete:
        return ops.sum(costs, axis=-1) / 2.0
    return ops.mean(costs, axis=-1)
