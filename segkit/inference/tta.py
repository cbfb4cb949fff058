"""Test-time augmentation: predict flipped and rotated copies of an image, undo the change, average.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from segkit.errors import ConfigError
from segkit.inference.tiles import Predict
from segkit.task import Task


class TurnedView(NamedTuple):
    """How a copy of an image is made: mirrored or not, and then rotated."""

    quarter_turns: int
    """Number of counterclockwise rotations by 90 degrees."""
    mirrored: bool
    """Whether left and right are exchanged."""


VIEWS = {
    "flips": (TurnedView(0, False), TurnedView(0, True), TurnedView(2, True), TurnedView(2, False)),
    "rotations": (
        *(TurnedView(turns, False) for turns in range(4)),
        *(TurnedView(turns, True) for turns in range(4)),
    ),
}
"""The views of each kind. "flips" are: unchanged, left-right, top-bottom, both."""


def in_views(predict: Predict, task: Task, kind: str) -> list[Predict]:
    """Return one predict function per view. It makes the view, predicts, and undoes the change.

    A mirrored view shows a left class as a right one, so the channels of each flip pair are swapped
    there. A rotation swaps nothing. Raises `ConfigError` as `check_views` does.
    """
    check_views(task, kind)
    return [_in_view(predict, task, view) for view in VIEWS[kind]]


def check_views(task: Task, kind: str) -> None:
    """Raise `ConfigError` for an unknown kind, or for left and right classes without flip pair."""
    if kind not in VIEWS:
        raise ConfigError(
            f"is one of {', '.join(VIEWS)}; found {kind!r}",
            "unknown-name",
            setting="tta",
        )
    if task.sided:
        raise ConfigError(
            f"a mirrored view exchanges left and right, so these classes would be predicted "
            f"wrongly: {', '.join(task.sided)}. Predict without --tta, or train with the pairs "
            f"named: task.flip_pairs: [[left x, right x]]",
            "not-for-task",
            setting="tta",
        )


def mean_of(
    members: Sequence[Predict], entropy: Callable[[np.ndarray], np.ndarray] | None = None
) -> Predict:
    """Return a predict function for the mean of several.

    Args:
        members: The predict functions; one or more.
        entropy: A function of probabilities (..., classes) -> (...). With it the mean entropy of
            the members is one more channel, the last one. Windows of large images blend it like the
            others.

    Returns:
        Images (B, H, W, C) -> probabilities (B, H, W, classes or classes + 1) float32. A single
        member without entropy is returned itself.
    """
    if len(members) == 1 and entropy is None:
        return members[0]

    def predict(images: np.ndarray) -> np.ndarray:
        total: np.ndarray | None = None
        for member in members:
            values = np.asarray(member(images), np.float32)
            if entropy is not None:
                values = np.concatenate([values, entropy(values)[..., None]], axis=-1)
            total = values if total is None else total + values
        assert total is not None  # there is at least one member
        return total / np.float32(len(members))

    return predict


def _in_view(predict: Predict, task: Task, view: TurnedView) -> Predict:
    def predict_view(images: np.ndarray) -> np.ndarray:
        if view.mirrored:
            images = images[:, :, ::-1]
        turned = np.rot90(images, view.quarter_turns, axes=(1, 2))
        probabilities = predict(np.ascontiguousarray(turned))
        probabilities = np.rot90(probabilities, -view.quarter_turns, axes=(1, 2))
        if view.mirrored:
            probabilities = probabilities[:, :, ::-1][..., task.mirrored]
        return probabilities

    return predict_view
