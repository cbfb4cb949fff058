"""How many pixels each class has in mask files, of any size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.coding import Coding, Stored
from segkit.io.masks import read_colours, read_mask
from segkit.io.pictures import open_tiff
from segkit.task import VOID

Size = tuple[int, int]
OWN_TILE = 512**2
"""Pixels of the tiles that segkit itself writes, which are read whatever the limit of pixels."""


def areas_in_files(coding: Coding, paths: Sequence[Path]) -> tuple[Size, list[int]]:
    """Return height and width of a mask, and the pixels of each class, counted in its files.

    Args:
        coding: How the mask is stored.
        paths: Its files, as `coding.paths` names them. TIFFs are counted tile by tile.

    Raises:
        DataError: If a file cannot be read or holds what the coding does not store, or if the files differ in size.
    """
    sizes: set[Size] = set()
    counts: list[Counter[int]] = []
    for path in paths:
        size, found = _count(path, coding)
        sizes.add(size)
        counts += [_by_value(band, coding, path) for band in found]
    if len(sizes) > 1:
        raise DataError(
            f"{paths[0]}: is not as large as the masks of the image's other classes; delete them",
            "mask-size",
        )
    (height, width) = sizes.pop()
    if coding.holds_ids:
        return (height, width), [counts[0][label] for label in range(coding.task.channels)]
    return (height, width), _areas_of_layers(coding, counts, height * width)


def _areas_of_layers(coding: Coding, counts: Sequence[Counter[int]], pixels: int) -> list[int]:
    """Return the areas of all classes from the counts of those that have a layer: the background has what is left."""
    labels = coding.labels or range(coding.task.channels)
    areas = dict(zip(labels, (found[1] for found in counts), strict=True))
    left = pixels - counts[0][VOID] - sum(areas.values())
    return [areas.get(label, left) for label in range(coding.task.channels)]


def _by_value(stored: Counter[int], coding: Coding, path: Path) -> Counter[int]:
    """Return the pixels of each value of a mask from those of each stored number or packed colour."""
    values: dict[int, int] = {}
    for value, found in coding.stored.items():
        values.setdefault(_packed(found), value)
    unknown = sorted(set(stored) - set(values))
    if unknown:
        raise DataError(
            f"{path}: holds {', '.join(map(str, unknown[:8]))}, which this run does not write; it is another run's mask, or "
            f"one that was changed. Move it away",
            "mask-values",
        )
    return Counter({values[found]: pixels for found, pixels in stored.items()})


def _packed(stored: Stored) -> int:
    if not isinstance(stored, tuple):
        return stored
    red, green, blue = stored
    return (red << 16) | (green << 8) | blue


def _count(path: Path, coding: Coding) -> tuple[Size, list[Counter[int]]]:
    """Return the size of a mask file, and for each of its bands the pixels of each stored number or packed colour."""
    if codecs.is_tiff(path):
        with codecs.naming(path):
            return _count_tiff(path, coding)
    pixels = read_colours(path) if coding.in_colours else read_mask(path)
    return (pixels.shape[0], pixels.shape[1]), _counted(pixels, coding)


def _count_tiff(path: Path, coding: Coding) -> tuple[Size, list[Counter[int]]]:
    """Count a TIFF with one of its tiles or strips in memory."""
    with open_tiff(path) as tiff:
        page = tiff.pages[0]
        most = max(codecs.most_pixels(), OWN_TILE) * page.samplesperpixel
        if math.prod(page.chunks) > most:
            raise DataError(
                f"{path}: its tiles claim {math.prod(page.chunks):,} pixels each; delete it",
                "too-large",
            )
        height, width = int(page.imagelength), int(page.imagewidth)
        bands = 1 if coding.in_colours else int(page.samplesperpixel)
        counts: list[Counter[int]] = [Counter() for _ in range(bands)]
        for pixels in _pieces(page):
            for total, found in zip(counts, _counted(pixels, coding), strict=True):
                total.update(found)
        return (height, width), counts


def _pieces(page: Any) -> Iterator[np.ndarray]:
    """Yield the pixels (h, w, bands) of each tile or strip of a page that lie within the image."""
    for tile, (_, _, top, left, _), (_, height, width, bands) in page.segments():
        rows, columns = min(height, page.imagelength - top), min(width, page.imagewidth - left)
        if tile is None:  # left out in the file: zeros
            yield np.zeros((rows, columns, bands), page.dtype)
        else:
            yield tile[0, :rows, :columns]


def _counted(pixels: np.ndarray, coding: Coding) -> list[Counter[int]]:
    """Return the pixels of each number in each band of (H, W) or (H, W, bands), or of each packed colour."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if coding.in_colours:
        red, green, blue = (pixels[..., band].astype(np.int32) for band in range(3))
        pixels = ((red << 16) | (green << 8) | blue)[..., None]
    return [_histogram(pixels[..., band]) for band in range(pixels.shape[-1])]


def _histogram(numbers: np.ndarray) -> Counter[int]:
    if numbers.dtype in (np.uint8, np.uint16):
        pixels = np.bincount(numbers.ravel())
        values = np.flatnonzero(pixels)
        return Counter(dict(zip(values.tolist(), pixels[values].tolist(), strict=True)))
    values, pixels = np.unique(numbers, return_counts=True)
    return Counter(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
