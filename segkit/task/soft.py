"""Soft targets: a probability per class and pixel in place of one class.

A mask stays a mask: `Task.encode` and all scores know hard masks only. A task with `soft` also has
soft targets for its losses. Files, caches and augmentation hold them in 8 bits, (H, W, C) uint8: a
probability p is stored as round(p * `LEVELS`), and `VOID` is unlabelled. So 0, 1/2 and 1 are exact,
and others change by at most 1 / (2 * `LEVELS`). Losses get them as float32.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.task.layers import class_layers, known_pixels
from segkit.task.sets import completed
from segkit.task.task import VOID, Size, Task

LEVELS = 254
"""The stored value of probability 1."""
TOLERANCE = 0.01
"""How far the probabilities of exclusive classes may sum to another number than 1, beside the
rounding of 8-bit files."""


def as_soft(task: Task) -> Task:
    """Return a task that has soft targets.

    Args:
        task: The task. Sets of classes that only stand for its parents are left out.

    Raises:
        ConfigError: If the task has other sets of classes.
    """
    if task.soft:
        return task
    of_parents = completed((), task.classes, task.parents, task.flip_pairs)
    own = [members for members in task.sets if members not in of_parents]
    if own:
        listed = ", ".join(" or ".join(members) for members in own)
        raise ConfigError(
            f"in soft labels a pixel of a mask has one class or is void, so that masks can be "
            f"averaged; found pixels that are {listed}. Map them to void, or leave out the setting "
            f"that makes labels soft (data.annotators, data.mask_probabilities, task.soft)",
            "contradiction",
            setting="task.soft",
        )
    return task.model_copy(update={"soft": True, "sets": ()})


def encode_probabilities(
    task: Task, probabilities: np.ndarray, where: str, valid: np.ndarray | None = None
) -> np.ndarray:
    """Return probabilities as a soft target, after checking them.

    Args:
        task: The task, with `soft`.
        probabilities: (H, W, C), from 0 to 1.
        where: A name for them in errors, such as their file.
        valid: (H, W) bool, False where pixels are unlabelled; None if all are labelled.

    Returns:
        (H, W, C) uint8.

    Raises:
        DataError: If a value is NaN or outside 0 to 1, if the shape is wrong, or if the
            probabilities of exclusive classes do not sum to 1.
    """
    values = np.asarray(probabilities, np.float32)
    if values.ndim != 3 or values.shape[-1] != task.channels:
        raise DataError(
            f"{where}: probabilities have shape (height, width, {task.channels}), one channel per "
            f"class ({', '.join(task.classes)}); found {values.shape}",
            "mask-channels",
        )
    if valid is None:
        valid = np.ones(values.shape[:2], bool)
    check_probabilities(task, values[valid], where)
    stored = np.rint(values * LEVELS).clip(0, LEVELS).astype(np.uint8)
    return np.where(valid[..., None], stored, np.uint8(VOID))


def check_probabilities(task: Task, values: np.ndarray, where: str) -> None:
    """Check the probabilities of labelled pixels.

    Args:
        task: The task.
        values: (..., C) float.
        where: A name for them in errors.

    Raises:
        DataError: If they are not between 0 and 1, or if those of exclusive classes do not sum
            to 1.
    """
    if not values.size:
        return
    low = float(values.min())
    high = float(values.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # also false for NaN
        raise DataError(
            f"{where}: a soft label is a probability from 0 to 1; found {low:.6g} to {high:.6g}. "
            f"Pixels without a label are void, not NaN or a negative number",
            "probabilities",
        )
    if task.exclusive:
        check_sums(values.sum(axis=-1), where, task.channels)


def check_sums(sums: np.ndarray, where: str, classes: int) -> None:
    """Check the sums of the probabilities of exclusive classes.

    Args:
        sums: The sum at each pixel, of any shape.
        where: A name for them in errors.
        classes: The number of classes.

    Raises:
        DataError: If one is not 1. Each class may be stored in 8 bits.
    """
    worst = float(sums.ravel()[np.abs(sums - 1).argmax()])
    if abs(worst - 1) > TOLERANCE + classes / 510:
        raise DataError(
            f"{where}: in a multiclass task the probabilities of the {classes} classes sum "
            f"to 1 at each pixel; found a sum of {worst:.4g}. If a pixel may have several classes, "
            f"use a multilabel task",
            "probabilities",
        )


def soft_of_mask(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the soft target of one mask: probabilities of 0 and 1.

    Args:
        task: The task.
        target: The mask as `Task.encode` returns it.

    Returns:
        (H, W, C) uint8.
    """
    layers = class_layers(task, target) * np.uint8(LEVELS)
    return np.where(known_pixels(task, target), layers, np.uint8(VOID))


def mean_of_masks(task: Task, targets: Sequence[np.ndarray]) -> np.ndarray:
    """Return the soft target of the masks of several annotators: the share that chose each class.

    An annotator whose mask is VOID at a pixel does not count there. A pixel is VOID if it is VOID
    in all masks.

    Args:
        task: The task.
        targets: One mask or more of one image, as `Task.encode` returns them.

    Returns:
        (H, W, C) uint8.
    """
    votes = np.zeros((*targets[0].shape[:2], task.channels), np.uint16)
    voters = np.zeros_like(votes)
    for target in targets:
        votes += class_layers(task, target)
        voters += known_pixels(task, target)
    shares = np.rint(votes * np.float32(LEVELS) / np.maximum(voters, 1)).astype(np.uint8)
    return np.where(voters > 0, shares, np.uint8(VOID))


def hard_target(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the mask of a soft target, in the form of `Task.encode`.

    Exclusive classes: the most probable class, and of equally probable ones the first in the order
    of the task. Other tasks: yes from a probability of 1/2 on.

    Args:
        task: The task. Without `soft`, the target is a mask already, and is returned itself.
        target: (H, W, C) uint8, a soft target.

    Returns:
        uint8 of the shape `task.target_shape(H, W)`.
    """
    if not task.soft:
        return target
    is_known = target != VOID
    if task.exclusive:
        return np.where(is_known.all(axis=-1), target.argmax(axis=-1), VOID).astype(np.uint8)
    return np.where(is_known, 2 * target.astype(np.uint16) >= LEVELS, VOID).astype(np.uint8)


def drawn_target(task: Task, target: np.ndarray, name: str) -> np.ndarray:
    """Return a mask in which the class of each pixel is drawn with the probabilities of its label.

    It is like the mask of an annotator chosen for each pixel by chance. Probabilities that equal
    those of the labels are calibrated on it, but not on the mask of the most probable classes.

    Args:
        task: The task, with `soft`.
        target: (H, W, C) uint8, a soft target.
        name: The name of the sample; the same one gives the same mask.

    Returns:
        uint8 of the shape `task.target_shape(H, W)`.
    """
    random = np.random.default_rng(zlib.crc32(name.encode(errors="surrogateescape")))
    shares = as_probabilities(task, target)
    is_known = target != VOID
    if not task.exclusive:
        is_drawn = random.random(target.shape, np.float32) < shares
        return np.where(is_known, is_drawn, VOID).astype(np.uint8)
    limits = shares[..., :-1].cumsum(axis=-1)
    drawn = (random.random((*target.shape[:2], 1), np.float32) >= limits).sum(axis=-1)
    return np.where(is_known.all(axis=-1), drawn, VOID).astype(np.uint8)


def as_probabilities(task: Task, target: np.ndarray) -> np.ndarray:
    """Return soft targets as losses and metrics take them.

    Args:
        task: The task.
        target: Soft targets, (..., C) uint8.

    Returns:
        (..., C) float32: probabilities, and 255 (VOID) at unlabelled pixels. Those of exclusive
        classes sum to 1.
    """
    values = target.astype(np.float32)
    whole: np.ndarray | int = LEVELS
    if task.exclusive:
        whole = np.maximum(values.sum(axis=-1, keepdims=True), 1)
    return np.where(target == VOID, np.float32(VOID), values / whole).astype(np.float32)


def trained_shape(task: Task, height: Size, width: Size) -> tuple[Size | int, ...]:
    """Return the shape of the target of an image for losses and metrics.

    Args:
        task: The task.
        height: Height of the image in pixels; None if it is unknown.
        width: Width of the image in pixels; None if it is unknown.
    """
    return (height, width, task.channels) if task.soft else task.target_shape(height, width)


def check_soft_batch(task: Task, values: np.ndarray, where: str) -> None:
    """Check a batch of soft targets that is passed to a loss or metric.

    Args:
        task: The task.
        values: (B, H, W, C): probabilities, and 255 (VOID) at unlabelled pixels.
        where: A name for them in errors.

    Raises:
        DataError: If a value is something else, or if exclusive classes do not sum to 1.
    """
    is_known = np.asarray(values) != VOID
    values = np.asarray(values, np.float32)
    if not task.exclusive:
        check_probabilities(task, values[is_known][:, None], where)
        return
    whole = is_known.all(axis=-1)
    if (is_known.any(axis=-1) != whole).any():
        raise DataError(
            f"{where}: an unlabelled pixel of exclusive classes is {VOID} in all channels",
            "probabilities",
        )
    check_probabilities(task, values[whole], where)
