"""What a message says of values that are wrong in a mask."""

from __future__ import annotations

import numpy as np


def few(values: np.ndarray, most: int = 8) -> str:
    """Return values as text, the first of them if there are many."""
    shown = ", ".join(str(v) for v in values[:most].tolist())
    return shown + (f", ... ({values.size} values)" if values.size > most else "")


def hint_for_values(found: np.ndarray, exclusive: bool, most_classes: int) -> str:
    """Return what may be the reason of wrong values, and what to do."""
    if exclusive and found.size <= most_classes:
        return ". Say which value is which class with data.mask_values, or name more classes in task.classes"
    if found.size > 16:
        return ". So many values look like a photograph, a probability or anti-aliased edges, not like a mask"
    return ". Say which value means what with data.mask_values, or name the classes in task.classes"
