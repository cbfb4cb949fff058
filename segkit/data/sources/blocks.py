"""Blocks of large images as samples of their own, with gaps between them that no sample shows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.data.sources.source import Sample, Source, geometry_of
from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.films.frames import is_film
from segkit.io.geometry import Geometry
from segkit.io.pictures import open_picture
from segkit.io.rasters import is_raster, raster_size
from segkit.io.stack_files import is_stack_file
from segkit.io.turning import upright_size

GAP = 8
"""The gap between blocks is their size divided by this; pixels near an edge show what is beyond."""
IMAGES_IN_MEMORY = 4
"""Whole images in memory, so that an image is read once for all its blocks."""
NOT_OF_BLOCKS = (
    "image_file",
    "is_page",
    "masks_in_memory",
    "pairs",
    "read_area",
    "size_of_areas",
    "source",
)
"""Attributes of other sources that are about whole files, so that blocks do not have them."""


class Block(NamedTuple):
    """An area of an image: the first row and column, and the ones after the last."""

    image: str
    rows: tuple[int, int]
    columns: tuple[int, int]


class _WholeSample:
    """A whole sample. The first thread that needs it reads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sample: Sample | None = None


class BlockSource:
    """The images of another source, each cut into a grid of blocks called IMAGE@ROW-COLUMN.

    Blocks are about `size` pixels high and wide. Gaps of `size` / 8 pixels lie between them, so
    that blocks of one image may be in different parts. An image with room for one block only stays
    whole and keeps its name.

    Args:
        source: The source of the whole images.
        size: Height and width of a block, in pixels.
    """

    def __init__(self, source: Source, size: int) -> None:
        self.source = source
        self.size = size
        self.blocks: dict[str, Block] = {}
        self.in_areas: set[str] = set()
        """Names of images that are read block by block."""
        blocks_of_image: dict[str, list[str]] = {}
        for name in source.names:
            blocks = self._cut(name)
            blocks_of_image[name] = list(blocks)
            self.blocks |= blocks
        self.names = list(self.blocks)
        self.parts: dict[str, list[str]] = {}
        for part, images in source.parts.items():
            self.parts[part] = []
            for image in images:
                self.parts[part] += blocks_of_image[image]
        self._whole_samples: OrderedDict[str, _WholeSample] = OrderedDict()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the other source, unless it is about whole files."""
        if name.startswith("_") or name in NOT_OF_BLOCKS:
            raise AttributeError(name)
        return getattr(self.source, name)

    def image_of(self, name: str) -> str:
        """Return the name of the image that a block is cut from."""
        return self.blocks[name].image

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        files: list[Path] = self.source.files(self.blocks[name].image)  # type: ignore[attr-defined]
        return files

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a block."""
        block = self.blocks[name]
        if hasattr(self.source, "geometry"):
            return _geometry_of_block(geometry_of(self.source, block.image), block)
        return _geometry_of_block(self._read_whole(block.image).geometry, block)

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            A copy of the block's area of the image and its mask.

        Raises:
            DataError: If the other source raises it, or if the image is smaller than it was.
        """
        block = self.blocks[name]
        if block.image in self.in_areas:
            return self._read_area(name, block)
        whole = self._read_whole(block.image)
        height, width = whole.image.shape[:2]
        if height < block.rows[1] or width < block.columns[1]:
            raise DataError(
                f"{name}: the image is {width} wide and {height} high, smaller than when the data "
                f"set was opened; open it again"
            )
        area = (slice(*block.rows), slice(*block.columns))
        valid = None if whole.valid is None else whole.valid[area].copy()
        geometry = _geometry_of_block(whole.geometry, block)
        soft = None if whole.soft is None else whole.soft[area].copy()
        annotations = tuple(mask[area].copy() for mask in whole.annotations)
        image = whole.image[area].copy()
        return Sample(name, image, whole.mask[area].copy(), valid, geometry, soft, annotations)

    def _read_area(self, name: str, block: Block) -> Sample:
        """Read a block of an image that is never in memory as a whole."""
        source: Any = self.source
        sample: Sample = source.read_area(block.image, slice(*block.rows), slice(*block.columns))
        return sample._replace(name=name, geometry=_geometry_of_block(sample.geometry, block))

    def _read_whole(self, name: str) -> Sample:
        with self._lock:
            whole = self._whole_samples.setdefault(name, _WholeSample())
            self._whole_samples.move_to_end(name)
            while len(self._whole_samples) > IMAGES_IN_MEMORY:
                self._whole_samples.popitem(last=False)
        with whole.lock:
            if whole.sample is None:
                whole.sample = self.source.read(name)
            return whole.sample

    def _cut(self, name: str) -> dict[str, Block]:
        """Return the blocks of an image by name."""
        try:
            height, width = self._size(name)
        except DataError:  # reading the sample raises the same error
            return {name: Block(name, (0, 0), (0, 0))}
        all_rows = spans(height, self.size)
        all_columns = spans(width, self.size)
        if len(all_rows) == 1 and len(all_columns) == 1:
            return {name: Block(name, all_rows[0], all_columns[0])}
        blocks = {}
        for row, rows in enumerate(all_rows):
            for column, columns in enumerate(all_columns):
                blocks[f"{name}@{row}-{column}"] = Block(name, rows, columns)
        return blocks

    def _size(self, name: str) -> tuple[int, int]:
        """Return height and width of an image, from the header of its file if that is certain."""
        if hasattr(self.source, "size_of_areas"):
            size: tuple[int, int] | None = self.source.size_of_areas(name)
            if size is not None:
                self.in_areas.add(name)
                return size
        if hasattr(self.source, "image_file"):
            path: Path = self.source.image_file(name)
            if is_raster(path):
                return raster_size(path)
            if not (codecs.is_tiff(path) or is_film(path) or is_stack_file(path)):
                with codecs.naming(path), open_picture(path) as picture:
                    return upright_size(picture)
        height, width = self.source.read(name).image.shape[:2]
        return height, width


def _geometry_of_block(whole: Geometry | None, block: Block) -> Geometry | None:
    if whole is None:
        return None
    return whole.area_moved(block.rows[0], block.columns[0])


def spans(length: int, size: int) -> list[tuple[int, int]]:
    """Divide one axis of an image into blocks with gaps of `size` / 8 pixels between them.

    Args:
        length: Length of the axis, in pixels.
        size: Desired length of a block, in pixels.

    Returns:
        The first pixel of each block and the one after its last. The lengths of the blocks differ
        by at most one pixel, and are as near to `size` as the length allows.

    >>> spans(1000, 512), spans(1100, 512)
    ([(0, 468), (532, 1000)], [(0, 518), (582, 1100)])
    >>> spans(700, 512)
    [(0, 700)]
    """
    gap = size // GAP
    count = max(1, round((length + gap) / (size + gap)))
    edges = np.linspace(0, length + gap, count + 1).round().astype(int).tolist()
    return [(first, last - gap) for first, last in pairwise(edges)]
