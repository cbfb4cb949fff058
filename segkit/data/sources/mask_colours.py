"""Converts the colours of a mask file to class ids, or to 0 and 1 in a yes/no mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segkit.data.sources.labels import values_by_name
from segkit.data.sources.palettes import pack_colours
from segkit.errors import DataError
from segkit.task import VOID, Task
from segkit.task.sets import Meaning

MOST_LISTED = 8
"""Colours that a message lists at most."""


def from_colours(
    rgb: np.ndarray,
    task: Task,
    mapping: Mapping[str, Meaning],
    tolerance: int,
    where: str,
    others_void: bool = False,
) -> np.ndarray:
    """Convert the colours of a mask to values.

    Args:
        rgb: The mask, (H, W, 3) uint8.
        task: The task of the mask file; it has one value per pixel.
        mapping: What each colour "#rrggbb" means (`data.mask_colours`).
        tolerance: Largest difference per channel with which a colour counts as the nearest named.
        where: The file, for messages.
        others_void: Whether all other colours are void, instead of an error.

    Returns:
        (H, W) uint8: class ids, or 0 and 1 in a yes/no mask, and 255 for void.

    Raises:
        DataError: If a colour is farther than `tolerance` from all named ones. It lists them.
    """
    packed = pack_colours(rgb)
    named = values_by_name({int(name[1:], 16): mapping[name] for name in mapping}, task)
    result = np.zeros(packed.shape, np.uint8)
    is_named = np.zeros(packed.shape, bool)
    for colour, value in named.items():
        same = packed == colour
        result[same] = value
        is_named |= same
    if is_named.all():
        return result
    others, pixels = np.unique(packed[~is_named], return_counts=True)
    nearest, is_far = _nearest_values(others, named, tolerance)
    if is_far.any() and not others_void:
        raise _unknown_colours(others[is_far], pixels[is_far], mapping, tolerance, where)
    nearest[is_far] = VOID
    result[~is_named] = nearest[np.searchsorted(others, packed[~is_named])]
    return result


def _nearest_values(
    colours: np.ndarray, named: Mapping[int, int], tolerance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of the nearest named colour of each colour, and whether that is too far."""
    names = np.array(list(named))
    distance = np.abs(_channels(colours)[:, None] - _channels(names)).max(-1)
    values = np.array(list(named.values()), np.uint8)
    return values[distance.argmin(1)], distance.min(1) > tolerance


def _channels(packed: np.ndarray) -> np.ndarray:
    """Return numbers 0xrrggbb as colours (..., 3)."""
    return np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1)


def _unknown_colours(
    colours: np.ndarray,
    pixels: np.ndarray,
    mapping: Mapping[str, Meaning],
    tolerance: int,
    where: str,
) -> DataError:
    listed = []
    for i in np.argsort(-pixels)[:MOST_LISTED]:
        listed.append(f"#{int(colours[i]):06x} ({int(pixels[i])} pixels)")
    advice = (
        "Add them to data.mask_colours, or set data.other_values: void if such pixels are "
        "unlabelled"
    )
    if len(colours) > MOST_LISTED:
        listed.append(f"... ({len(colours)} colours)")
        advice = (
            "So many colours come from smoothed edges or JPEG; with data.colour_tolerance colours "
            "near a named one count as that one. If they are strokes, save the layer with "
            "transparency or draw with a hard pencil; data.other_values: void makes the pixels of "
            "these colours unlabelled"
        )
    near = f" within {tolerance}" if tolerance else ""
    return DataError(
        f"{where}: colours that data.mask_colours does not name{near}: {', '.join(listed)}; "
        f"it names {', '.join(mapping)}. {advice}",
        "mask-colours",
    )
