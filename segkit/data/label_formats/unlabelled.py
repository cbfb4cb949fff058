"""Pixels without a label, in formats in which they have a label of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segkit.errors import ConfigError
from segkit.task import Task


def check_no_class(task: Task, label: str, tool: str) -> None:
    """Check that no class has the name of the label for unlabelled pixels.

    Args:
        task: The task.
        label: The label of unlabelled pixels in a format.
        tool: The format, for the message.

    Raises:
        ConfigError: If a class has this name, because its pixels would be read as unlabelled.
    """
    if label in task.classes:
        raise ConfigError(
            f"{label} is the label of unlabelled pixels in files for {tool}, so no class can have "
            f"this name; found {', '.join(task.classes)}. Choose another format",
            "duplicate-name",
            setting="task.classes",
        )


def with_unlabelled(
    layers: Mapping[str, np.ndarray], pixels: np.ndarray, label: str
) -> dict[str, np.ndarray]:
    """Return layers, with that of the unlabelled pixels as the first if there are any.

    Args:
        layers: The pixels of each class, (H, W) bool.
        pixels: The pixels without a label, (H, W) bool.
        label: The label that they have in the format.
    """
    if not pixels.any():
        return dict(layers)
    return {label: pixels, **layers}
