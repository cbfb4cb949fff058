"""Mask files with palettes: whether their indices or their colours say what a pixel is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segkit.data.sources.labels import WHITE
from segkit.task import VOID

if TYPE_CHECKING:
    from segkit.inspection.mask_format.contents import Stored


def by_palette(looked: Sequence[Stored]) -> list[Stored]:
    """Return the files with their indices replaced by what is seen, where the indices do not say it.

    Black and white become 0 and 255. Where an index has several colours, or black is not the first of two, each colour
    stands for itself.
    """
    palettes = [stored.palette for stored in looked if stored.palette is not None]
    if palettes and all(set(palette.values()) <= {0, WHITE} for palette in palettes):
        return [_in_grey(stored) for stored in looked]
    if _has_several_meanings(palettes):
        return [_in_colours(stored) for stored in looked]
    return list(looked)


def _has_several_meanings(palettes: Sequence[Mapping[int, int]]) -> bool:
    pairs = {pair for palette in palettes for pair in palette.items()}
    indices = {index for index, _ in pairs}
    black_comes_later = indices == {0, 1} and (1, 0) in pairs
    return len(indices) < len(pairs) or black_comes_later


def _in_grey(stored: Stored) -> Stored:
    if stored.palette is None:
        return stored
    return stored._replace(pixels=_counted(stored, {0: 0, WHITE: VOID}), palette=None)


def _in_colours(stored: Stored) -> Stored:
    if stored.palette is None:
        return stored
    colours = {colour: colour for colour in stored.palette.values()}
    kind = np.dtype(np.uint8)
    return stored._replace(
        form="colours", pixels=_counted(stored, colours), palette=None, dtype=kind
    )


def _counted(stored: Stored, values: Mapping[int, int]) -> dict[int, int]:
    """Return how many pixels have each value, by the values of the colours."""
    counts: Counter[int] = Counter()
    palette = stored.palette or {}
    for index, pixels in stored.pixels.items():
        counts[values[palette[index]]] += pixels
    return dict(counts)
