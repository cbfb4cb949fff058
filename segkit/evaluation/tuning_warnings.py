"""What `segkit tune` warns of: classes of which it knows too little, and scores that fall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from segkit.errors import SegkitWarning
from segkit.task import Task


def too_few_images(
    task: Task, shown: np.ndarray, few: Sequence[int], least: int
) -> Iterator[SegkitWarning]:
    """Yield a warning for each class for which nothing is chosen.

    Args:
        task: The run's task.
        shown: Images that show each class, (C,).
        few: Indices of the classes that too few images show.
        least: Images from which something is chosen.
    """
    for i in few:
        yield SegkitWarning(
            f"{task.classes[i]}: {shown[i]} images of the part show it, and nothing is chosen from fewer than {least}; it is "
            f"decoded as before",
            "few-objects",
        )


def what_gets_worse(
    task: Task, before: Mapping[str, Any], after: Mapping[str, Any], shown: np.ndarray
) -> Iterator[SegkitWarning]:
    """Yield a warning for each class whose Dice falls, with all its scores that fall.

    Args:
        task: The run's task.
        before: Scores as in `Tuned.before`.
        after: Scores as in `Tuned.after`.
        shown: Images that show each class, (C,).
    """
    for i in task.foreground:
        label = task.classes[i]
        old, new = (
            {name: value or 0.0 for name, value in each["classes"][label].items()}
            for each in (before, after)
        )
        if new["dice"] >= old["dice"]:
            continue
        fallen = [name for name in ("dice", "precision", "recall") if new[name] < old[name]]
        scores = ", ".join(f"{name} from {old[name]:.4f} to {new[name]:.4f}" for name in fallen)
        yield SegkitWarning(
            f"{label}: {scores}; it is found in {after['images'][label]} images, before in {before['images'][label]}, and "
            f"{shown[i]} show it. `segkit tune --reset` undoes it",
            "worse",
        )
