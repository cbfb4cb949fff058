"""One image seen in several ways: mirrored and turned views, and the mean of what networks say of it. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segkit.errors import ConfigError
from segkit.inference.tiles import Predict
from segkit.task import Task

VIEWS = {
    "flips": ((0, False), (0, True), (2, True), (2, False)),
    "rotations": tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4)),
}
"""Each view is (quarter turns, mirrored before them or not). "flips": as it is, left-right, top-bottom, both."""


def in_views(predict: Predict, task: Task, kind: str) -> list[Predict]:
    """Return a predict function for each view: it changes the images, predicts, and changes the answers back.

    A mirrored view shows a left class as a right one, so there the channels of each flip pair are swapped; a turn by 180
    degrees swaps nothing. Raises `ConfigError` as `check_views` does.
    """
    check_views(task, kind)
    return [_in_view(predict, task, turns, mirrored) for turns, mirrored in VIEWS[kind]]


def check_views(task: Task, kind: str) -> None:
    """Raise `ConfigError` for views that do not exist, and for classes with a side that no flip pair names."""
    if kind not in VIEWS:
        raise ConfigError(
            f"is one of {', '.join(VIEWS)}; found {kind!r}",
            "unknown-name",
            setting="tta",
        )
    if task.sided:
        raise ConfigError(
            f"a mirrored view makes left right, so these classes would be answered wrong: "
            f"{', '.join(task.sided)}. Predict without --tta, or train with the pairs named: "
            f"task.flip_pairs: [[left x, right x]]",
            "not-for-task",
            setting="tta",
        )


def mean_of(
    predicts: Sequence[Predict], entropy: Callable[[np.ndarray], np.ndarray] | None = None
) -> Predict:
    """Return a predict function of the mean of all answers, (B, H, W, classes) float32.

    With `entropy` (probabilities (..., classes) -> (...)) the mean of the answers' entropies is one channel more, the
    last; windows of large images are blended with it as with any other channel.
    """
    if len(predicts) == 1 and entropy is None:
        return predicts[0]

    def predict(images: np.ndarray) -> np.ndarray:
        total: np.ndarray | None = None
        for each in predicts:
            answer = np.asarray(each(images), np.float32)
            if entropy is not None:
                answer = np.concatenate([answer, entropy(answer)[..., None]], axis=-1)
            total = answer if total is None else total + answer
        assert total is not None  # there is at least one
        return total / np.float32(len(predicts))

    return predict


def _in_view(predict: Predict, task: Task, turns: int, mirrored: bool) -> Predict:
    def view(images: np.ndarray) -> np.ndarray:
        seen = images[:, :, ::-1] if mirrored else images
        answer = predict(np.ascontiguousarray(np.rot90(seen, turns, axes=(1, 2))))
        back = np.rot90(answer, -turns, axes=(1, 2))
        return back[:, :, ::-1][..., task.mirrored] if mirrored else back

    return view
