"""The share of pixels whose value or colour no entry of the settings names."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.config import DataConfig
from segkit.inspection.mask_format.contents import Stored


def describe_others(data: DataConfig, scanned: Sequence[Stored]) -> str:
    """Return the share of pixels that `data.other_values` makes void; "" if that is not set.

    Args:
        data: The settings that read the masks.
        scanned: The contents of the mask files.
    """
    if not data.others_void or (data.mask_values is None and data.mask_colours is None):
        return ""
    total = 0
    others = 0
    for stored in scanned:
        for value, count in _counted(stored, in_colours=data.mask_colours is not None).items():
            total += count
            if not _is_named(value, data):
                others += count
    if not total:
        return ""
    return f"; {100 * others / total:.3g} % of the pixels with a value have another one (void)"


def _counted(stored: Stored, in_colours: bool) -> dict[int, int]:
    """Return the number of pixels of each value, or of each colour as 0xrrggbb."""
    if not in_colours or stored.form == "colours":
        return dict(stored.pixels)
    counts: dict[int, int] = {}
    for value, count in stored.pixels.items():
        colour = value * 0x010101
        if stored.palette is not None:
            colour = stored.palette[value]
        counts[colour] = counts.get(colour, 0) + count
    return counts


def _is_named(value: int, data: DataConfig) -> bool:
    """Return whether the settings name a value, or a colour within the tolerance."""
    if data.mask_colours is None:
        return value in (data.mask_values or {})
    for text in data.mask_colours:
        named = int(text[1:], 16)
        distances = [abs((value >> shift & 255) - (named >> shift & 255)) for shift in (16, 8, 0)]
        if max(distances) <= data.colour_tolerance:
            return True
    return False
