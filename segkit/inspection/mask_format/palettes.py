"""Mask files with palettes: whether their indices or their colours are the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segkit.data.sources.palettes import WHITE
from segkit.task import VOID

if TYPE_CHECKING:
    from segkit.inspection.mask_format.contents import Stored


def by_palette(scanned: Sequence[Stored]) -> list[Stored]:
    """Replace the indices of files by their colours where the indices are not the classes.

    Black and white become 0 and 255. Indices become colours if an index has different colours in
    different files, or if black is the second of two indices.
    """
    palettes = [stored.palette for stored in scanned if stored.palette is not None]
    if palettes and all(set(palette.values()) <= {0, WHITE} for palette in palettes):
        return [_in_grey(stored) for stored in scanned]
    if _has_several_meanings(palettes):
        return [_in_colours(stored) for stored in scanned]
    return list(scanned)


def _has_several_meanings(palettes: Sequence[Mapping[int, int]]) -> bool:
    pairs: set[tuple[int, int]] = set()
    for palette in palettes:
        pairs.update(palette.items())
    indices = {index for index, _ in pairs}
    black_comes_second = indices == {0, 1} and (1, 0) in pairs
    return len(indices) < len(pairs) or black_comes_second


def _in_grey(stored: Stored) -> Stored:
    if stored.palette is None:
        return stored
    return stored._replace(pixels=_recount(stored, {0: 0, WHITE: VOID}), palette=None)


def _in_colours(stored: Stored) -> Stored:
    if stored.palette is None:
        return stored
    colours = {colour: colour for colour in stored.palette.values()}
    return stored._replace(
        form="colours",
        pixels=_recount(stored, colours),
        palette=None,
        dtype=np.dtype(np.uint8),
    )


def _recount(stored: Stored, value_of_colour: Mapping[int, int]) -> dict[int, int]:
    """Return the number of pixels of each value, where values replace the indices' colours."""
    counts: Counter[int] = Counter()
    palette = stored.palette or {}
    for index, pixels in stored.pixels.items():
        counts[value_of_colour[palette[index]]] += pixels
    return dict(counts)
