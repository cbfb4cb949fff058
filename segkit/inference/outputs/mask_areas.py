"""Count the pixels of each class in mask files of any size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.coding import Coding, Stored
from segkit.io.masks import read_colours, read_mask
from segkit.io.pictures import open_tiff
from segkit.task import VOID

OWN_TILE = 512**2
"""Pixels of the tiles that segkit writes. They are read whatever the limit of pixels."""


class Size(NamedTuple):
    """Height and width of a mask in pixels."""

    height: int
    width: int


def areas_in_files(coding: Coding, paths: Sequence[Path]) -> tuple[Size, list[int]]:
    """Return the size of a mask and the pixels of each class, counted in its files.

    Args:
        coding: How the mask is stored.
        paths: Its files, as `coding.paths` names them. TIFFs are counted tile by tile.

    Raises:
        DataError: If a file cannot be read or has values that the coding does not store, or if the
            files differ in size.
    """
    sizes: set[Size] = set()
    counts: list[Counter[int]] = []
    for path in paths:
        size, stored_counts = _count(path, coding)
        sizes.add(size)
        for stored_count in stored_counts:
            counts.append(_count_by_value(stored_count, coding, path))
    if len(sizes) > 1:
        raise DataError(
            f"{paths[0]}: is not as large as the masks of the image's other classes; delete them",
            "mask-size",
        )
    size = sizes.pop()
    if coding.holds_ids:
        return size, [counts[0][label] for label in range(coding.task.channels)]
    return size, _areas_of_layers(coding, counts, size.height * size.width)


def _areas_of_layers(coding: Coding, counts: Sequence[Counter[int]], pixels: int) -> list[int]:
    """Return the areas of all classes. A background without a layer has the remaining pixels."""
    labels = coding.labels or range(coding.task.channels)
    areas = {label: count[1] for label, count in zip(labels, counts, strict=True)}
    remaining = pixels - counts[0][VOID] - sum(areas.values())
    return [areas.get(label, remaining) for label in range(coding.task.channels)]


def _count_by_value(stored: Counter[int], coding: Coding, path: Path) -> Counter[int]:
    """Convert the pixels of each stored number or packed colour to those of each mask value."""
    values: dict[int, int] = {}
    for value, number in coding.stored.items():
        values.setdefault(_packed(number), value)
    unknown = sorted(set(stored) - set(values))
    if unknown:
        raise DataError(
            f"{path}: holds {', '.join(map(str, unknown[:8]))}, which this run does not write; it "
            f"is another run's mask, or one that was changed. Move it away",
            "mask-values",
        )
    return Counter({values[number]: pixels for number, pixels in stored.items()})


def _packed(stored: Stored) -> int:
    """Return a stored number, or the colour (red, green, blue) as one number."""
    if not isinstance(stored, tuple):
        return stored
    red, green, blue = stored
    return (red << 16) | (green << 8) | blue


def _count(path: Path, coding: Coding) -> tuple[Size, list[Counter[int]]]:
    """Return the size of a mask file and, per band, the pixels of each number or packed colour."""
    if codecs.is_tiff(path):
        with codecs.naming(path):
            return _count_tiff(path, coding)
    pixels = read_colours(path) if coding.in_colours else read_mask(path)
    return Size(*pixels.shape[:2]), _count_pixels(pixels, coding)


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
        bands = 1 if coding.in_colours else int(page.samplesperpixel)
        counts: list[Counter[int]] = [Counter() for _ in range(bands)]
        for pixels in _tiles(page):
            for total, count in zip(counts, _count_pixels(pixels, coding), strict=True):
                total.update(count)
        return Size(int(page.imagelength), int(page.imagewidth)), counts


def _tiles(page: Any) -> Iterator[np.ndarray]:
    """Yield the pixels (h, w, bands) of each tile or strip of a page, cut at the image's edges."""
    for tile, (_, _, top, left, _), (_, height, width, bands) in page.segments():
        rows = min(height, page.imagelength - top)
        columns = min(width, page.imagewidth - left)
        if tile is None:  # a tile of zeros that the file does not store
            yield np.zeros((rows, columns, bands), page.dtype)
        else:
            yield tile[0, :rows, :columns]


def _count_pixels(pixels: np.ndarray, coding: Coding) -> list[Counter[int]]:
    """Return the pixels of each number, per band of (H, W) or (H, W, bands), or of each colour."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if coding.in_colours:
        red, green, blue = (pixels[..., band].astype(np.int32) for band in range(3))
        pixels = ((red << 16) | (green << 8) | blue)[..., None]
    return [_histogram(pixels[..., band]) for band in range(pixels.shape[-1])]


def _histogram(numbers: np.ndarray) -> Counter[int]:
    if numbers.dtype in (np.uint8, np.uint16):
        pixels = np.bincount(numbers.ravel())
        values = np.flatnonzero(pixels)
        pixels = pixels[values]
    else:
        values, pixels = np.unique(numbers, return_counts=True)
    return Counter(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
