"""Warnings of `segkit tune`: classes that too few images show, and classes whose scores fall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from segkit.errors import SegkitWarning
from segkit.task import Task


def warn_of_rare_classes(
    task: Task, images_with_class: np.ndarray, rare: Sequence[int], least: int
) -> Iterator[SegkitWarning]:
    """Yield a warning for each class that is decoded as before because too few images show it.

    Args:
        task: The run's task.
        images_with_class: (C,), images that show each class.
        rare: Indices of the classes that fewer than `least` images show.
        least: Number of images that a choice needs.
    """
    for i in rare:
        yield SegkitWarning(
            f"{task.classes[i]}: only {images_with_class[i]} images of the part show it, and at "
            f"least {least} are needed to choose thresholds and rules. It is decoded as before",
            "few-objects",
        )


def warn_of_falling_scores(
    task: Task,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    images_with_class: np.ndarray,
) -> Iterator[SegkitWarning]:
    """Yield a warning for each class whose Dice falls; it lists all scores of the class that fall.

    Args:
        task: The run's task.
        before: Scores as in `Tuned.before`.
        after: Scores as in `Tuned.after`.
        images_with_class: (C,), images that show each class.
    """
    for i in task.foreground:
        label = task.classes[i]
        old = before["classes"][label]
        new = after["classes"][label]
        changes = []
        for name in ("dice", "precision", "recall"):
            if _value(new[name]) < _value(old[name]):
                changes.append(f"{name} from {_value(old[name]):.4f} to {_value(new[name]):.4f}")
        if _value(new["dice"]) < _value(old["dice"]):
            predicted = after["images_with_prediction"][label]
            predicted_before = before["images_with_prediction"][label]
            yield SegkitWarning(
                f"{label}: {', '.join(changes)}. It is predicted in {predicted} images, before "
                f"tuning in {predicted_before}; {images_with_class[i]} images show it. "
                "`segkit tune --reset` undoes the tuning",
                "worse",
            )


def _value(score: float | None) -> float:
    """Return a score, or 0 where it is not defined."""
    return score or 0.0
