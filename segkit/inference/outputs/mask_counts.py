"""Count the pixels and objects of each class in masks, and in mask files of any size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.object_counts import ObjectCounter, number_of_objects
from segkit.io import codecs
from segkit.io.coding import Coding, Stored
from segkit.io.masks import read_colours, read_mask
from segkit.io.pictures import open_tiff
from segkit.task import VOID, Task
from segkit.task.layers import labelled_pixels, layers_of

OWN_TILE = 512**2
"""Pixels of the tiles that segkit writes. They are read whatever the limit of pixels."""


class Size(NamedTuple):
    """Height and width of a mask in pixels."""

    height: int
    width: int


class MaskCounts(NamedTuple):
    """What the table of all images says about a mask."""

    size: Size
    labelled: int
    """Pixels that are not VOID."""
    areas: list[int]
    """Pixels of each class."""
    objects: dict[int, int]
    """The number of objects of each foreground class, by its index."""


class _Band(NamedTuple):
    """The counts of a band of a file, by the value of the mask."""

    pixels: Counter[int]
    objects: dict[int, int]


def counts_in_mask(task: Task, mask: np.ndarray) -> MaskCounts:
    """Return the counts of a decoded mask, which is VOID where the image has no data."""
    areas = []
    objects = {}
    for label, layer in enumerate(layers_of(task, mask)):
        areas.append(int(np.count_nonzero(layer)))
        if label in task.foreground:
            objects[label] = number_of_objects(layer)
    labelled = int(np.count_nonzero(labelled_pixels(mask)))
    return MaskCounts(Size(*mask.shape[:2]), labelled, areas, objects)


def counts_in_files(coding: Coding, paths: Sequence[Path]) -> MaskCounts:
    """Return the counts of a mask from its files.

    Args:
        coding: How the mask is stored.
        paths: Its files, as `coding.paths` names them. TIFFs are counted tile by tile.

    Raises:
        DataError: If a file cannot be read or has values that the coding does not store, or if the
            files differ in size.
    """
    sizes: set[Size] = set()
    bands: list[_Band] = []
    for path in paths:
        size, found = _count(path, coding)
        sizes.add(size)
        bands += found
    if len(sizes) > 1:
        raise DataError(
            f"{paths[0]}: is not as large as the masks of the image's other classes; delete them",
            "mask-size",
        )
    size = sizes.pop()
    labelled = size.height * size.width - bands[0].pixels[VOID]
    task = coding.task
    if coding.holds_ids:
        areas = [bands[0].pixels[label] for label in range(task.channels)]
        objects = {label: bands[0].objects[label] for label in task.foreground}
        return MaskCounts(size, labelled, areas, objects)
    labels = coding.labels or range(task.channels)
    by_label = dict(zip(labels, bands, strict=True))
    areas = _areas_of_layers(task, by_label, labelled)
    objects = {label: by_label[label].objects[1] for label in task.foreground}
    return MaskCounts(size, labelled, areas, objects)


def _areas_of_layers(task: Task, by_label: Mapping[int, _Band], labelled: int) -> list[int]:
    """Return the areas of all classes. A background without a layer has the remaining pixels."""
    areas = {label: band.pixels[1] for label, band in by_label.items()}
    remaining = labelled - sum(areas.values())
    return [areas.get(label, remaining) for label in range(task.channels)]


class _Counter:
    """Counts the pixels and objects of one band, of which a tile at a time is in memory.

    Args:
        coding: How the mask is stored.
        width: The width of the mask.
    """

    def __init__(self, coding: Coding, width: int) -> None:
        self._values: dict[int, int] = {}
        for value, number in coding.stored.items():
            self._values.setdefault(_packed(number), value)
        foreground = coding.task.foreground if coding.holds_ids else (1,)
        self._objects: dict[int, ObjectCounter] = {}
        for number, value in self._values.items():
            if value in foreground:
                self._objects[number] = ObjectCounter(width)
        self._pixels: Counter[int] = Counter()

    def add(self, top: int, left: int, numbers: np.ndarray) -> None:
        """Add the stored numbers or packed colours (h, w) of a tile, in the order of the tiles."""
        self._pixels.update(_histogram(numbers))
        for number, counter in self._objects.items():
            counter.add(top, left, numbers == number)

    def band(self, path: Path) -> _Band:
        """Return the counts. Raises `DataError` for values that the coding does not store."""
        unknown = sorted(set(self._pixels) - set(self._values))
        if unknown:
            raise DataError(
                f"{path}: holds {', '.join(map(str, unknown[:8]))}, which this run does not write; "
                f"it is another run's mask, or one that was changed. Move it away",
                "mask-values",
            )
        pixels = Counter({self._values[number]: count for number, count in self._pixels.items()})
        objects = {self._values[number]: each.count for number, each in self._objects.items()}
        return _Band(pixels, objects)


def _packed(stored: Stored) -> int:
    """Return a stored number, or the colour (red, green, blue) as one number."""
    if not isinstance(stored, tuple):
        return stored
    red, green, blue = stored
    return (red << 16) | (green << 8) | blue


def _count(path: Path, coding: Coding) -> tuple[Size, list[_Band]]:
    """Return the size of a mask file, and the counts of each band."""
    if codecs.is_tiff(path):
        with codecs.naming(path):
            return _count_tiff(path, coding)
    pixels = read_colours(path) if coding.in_colours else read_mask(path)
    size = Size(*pixels.shape[:2])
    bands = _bands_of(pixels, coding)
    counters = [_Counter(coding, size.width) for _ in range(bands.shape[-1])]
    _add(counters, 0, 0, bands)
    return size, [counter.band(path) for counter in counters]


def _count_tiff(path: Path, coding: Coding) -> tuple[Size, list[_Band]]:
    """Count a TIFF with one of its tiles or strips in memory."""
    with open_tiff(path) as tiff:
        page = tiff.pages[0]
        most = max(codecs.most_pixels(), OWN_TILE) * page.samplesperpixel
        if math.prod(page.chunks) > most:
            raise DataError(
                f"{path}: its tiles claim {math.prod(page.chunks):,} pixels each; delete it",
                "too-large",
            )
        size = Size(int(page.imagelength), int(page.imagewidth))
        number = 1 if coding.in_colours else int(page.samplesperpixel)
        counters = [_Counter(coding, size.width) for _ in range(number)]
        for top, left, pixels in _tiles(page):
            _add(counters, top, left, _bands_of(pixels, coding))
        return size, [counter.band(path) for counter in counters]


def _add(counters: Sequence[_Counter], top: int, left: int, bands: np.ndarray) -> None:
    """Add a tile (h, w, bands) to the counters of the bands."""
    planes = np.moveaxis(bands, -1, 0)
    for counter, plane in zip(counters, planes, strict=True):
        counter.add(top, left, plane)


def _tiles(page: Any) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield the place and the pixels (h, w, bands) of each tile or strip, row by row.

    They are cut at the edges of the image.
    """
    for tile, (_, _, top, left, _), (_, height, width, bands) in page.segments():
        rows = min(height, page.imagelength - top)
        columns = min(width, page.imagewidth - left)
        if tile is None:  # a tile of zeros that the file does not store
            yield top, left, np.zeros((rows, columns, bands), page.dtype)
        else:
            yield top, left, tile[0, :rows, :columns]


def _bands_of(pixels: np.ndarray, coding: Coding) -> np.ndarray:
    """Return the numbers of (H, W) or (H, W, bands), or packed colours, as (H, W, bands)."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if coding.in_colours:
        red, green, blue = (pixels[..., band].astype(np.int32) for band in range(3))
        pixels = ((red << 16) | (green << 8) | blue)[..., None]
    return pixels


def _histogram(numbers: np.ndarray) -> Counter[int]:
    if numbers.dtype in (np.uint8, np.uint16):
        pixels = np.bincount(numbers.ravel())
        values = np.flatnonzero(pixels)
        pixels = pixels[values]
    else:
        values, pixels = np.unique(numbers, return_counts=True)
    return Counter(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
