"""Parts of messages about wrong values in a mask."""

from __future__ import annotations

import numpy as np


def list_values(values: np.ndarray, most: int = 8) -> str:
    """Return values as text.

    Args:
        values: The values, of shape (N,).
        most: How many of them are listed; further ones are only counted.
    """
    text = ", ".join(str(value) for value in values[:most].tolist())
    if values.size > most:
        text += f", ... ({values.size} values)"
    return text


def hint_for_values(found: np.ndarray, exclusive: bool, most_classes: int) -> str:
    """Return the likely reason for wrong values and the remedy.

    Args:
        found: All values of the mask.
        exclusive: Whether the mask holds class ids.
        most_classes: The largest possible number of classes.

    Returns:
        The end of a message, which begins with a full stop.
    """
    if exclusive and found.size <= most_classes:
        return (
            ". Set data.mask_values to say which value is which class, or name more classes in "
            "task.classes"
        )
    if found.size > 16:
        return (
            ". So many values suggest a photograph, probabilities (data.mask_probabilities) or "
            "anti-aliased edges, not a mask"
        )
    return (
        ". Set data.mask_values to say what each value means, or name the classes in task.classes"
    )
