"""The consistency term: two views of an image should have the same prediction."""

from __future__ import annotations

import math

import keras
from keras import ops

from segkit.losses.segmentation import weighted_mean
from segkit.losses.targets import Tensor, as_channels, mean_of_channels, probabilities
from segkit.task import Task


class Consistency(keras.losses.Loss):
    """The mean squared difference of the student's and the teacher's probabilities, from 0 to 1.

    The teacher has the averaged weights and sees an image; the student sees it with other
    brightness, contrast, gamma, noise and blur. The mean is that over the pixels that count. Where
    classes exclude each other, a pixel costs half the sum of its squared differences, otherwise
    their mean. An image without a pixel that counts costs 0.

    Args:
        task: The task of the network.

    Returns:
        One float32 value per image, (B,).

    Source: Tarvainen and Valpola, Mean teachers are better role models, 2017
    (https://arxiv.org/abs/1703.01780), for the teacher and the squared difference; Sohn et al.,
    FixMatch, 2020 (https://arxiv.org/abs/2001.07685), for the weakly and strongly augmented views.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(name="consistency", dtype="float32")
        self.task = task

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,).

        Args:
            y_true: The target of `teacher_target`, (B, H, W, C, 2).
            y_pred: The student's logits, (B, H, W, C).
        """
        teacher = y_true[..., 0]
        counts = y_true[..., 1]
        student = probabilities(y_pred, self.task, True)
        costs = mean_of_channels(counts * ops.square(student - teacher), self.task)
        return weighted_mean(costs, ops.max(counts, axis=-1))


def teacher_target(teacher: Tensor, counts: Tensor) -> Tensor:
    """Return the target of the consistency term.

    Args:
        teacher: The teacher's probabilities, (B, H, W, C).
        counts: 1 where a class of a pixel counts, otherwise 0, (B, H, W, C) or (B, H, W, 1).

    Returns:
        Probabilities and what counts, (B, H, W, C, 2) float32. No gradient runs through them.
    """
    counts = ops.broadcast_to(ops.cast(counts, "float32"), ops.shape(teacher))
    return ops.stop_gradient(ops.stack([teacher, counts], axis=-1))


def unknown(target: Tensor, task: Task) -> Tensor:
    """Return 1 where a target leaves open whether a pixel has a class, otherwise 0, (B, H, W, C).

    Args:
        target: An encoded target, as `as_channels` takes it.
        task: The task of the target.
    """
    _, known = as_channels(target, task)
    return 1.0 - known


def ramp(progress: float, length: float) -> float:
    """Return the share of its weight that the term has at a moment of the training.

    It is exp(-5 (1 - x)^2) for x from 0 to 1, as in the paper.

    Args:
        progress: The share of the training that is over.
        length: The share of the training in which the weight rises.

    Returns:
        From 0.007 at the beginning to 1.

    >>> [round(ramp(progress, 0.5), 3) for progress in (0, 0.25, 0.5, 1)]
    [0.007, 0.287, 1.0, 1.0]
    """
    if progress >= length:
        return 1.0
    return math.exp(-5.0 * (1.0 - progress / length) ** 2)
