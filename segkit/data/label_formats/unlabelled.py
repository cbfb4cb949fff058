"""Pixels without a label, in formats in which they have a label of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from segkit.errors import DataError


def with_unlabelled(
    layers: Mapping[str, np.ndarray], pixels: np.ndarray, label: str, where: str
) -> dict[str, np.ndarray]:
    """Return layers, with that of the unlabelled pixels as the first if there are any.

    Args:
        layers: The pixels of each class, (H, W) bool.
        pixels: The pixels without a label, (H, W) bool.
        label: The label that they have in the format.
        where: The image, for the message.

    Raises:
        DataError: If a class has the same name as the label.
    """
    if not pixels.any():
        return dict(layers)
    check_label(layers, label, where)
    return {label: pixels, **layers}


def check_label(classes: Iterable[str], label: str, where: str) -> None:
    """Check that unlabelled pixels can have a label.

    Args:
        classes: The names of the classes.
        label: The label that they have in the format.
        where: The image, for the message.

    Raises:
        DataError: If a class has the same name as the label.
    """
    if label in classes:
        raise DataError(
            f"{where}: has unlabelled pixels, whose label is {label} in this format, and a class "
            f"has the same name; rename the class",
            "duplicate-name",
        )
