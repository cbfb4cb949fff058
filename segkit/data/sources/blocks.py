"""Regions of large images as samples of their own, with a gap between them that no sample shows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.data.sources.source import Sample, Source
from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.pictures import open_picture
from segkit.io.turning import upright_size

GAP = 8
"""The gap between two blocks is the block's size divided by this: pixels near the edge of a block show what is beyond it."""
KEPT = 4
"""Whole images kept in memory, so that the blocks of one are cut from one reading."""
NOT_OF_BLOCKS = ("image_file", "is_page", "kept", "pairs", "source")
"""What other sources have for whole files and blocks have not."""


class Block(NamedTuple):
    """Where a sample lies in its image: rows and columns from the first to before the last."""

    image: str
    rows: tuple[int, int]
    columns: tuple[int, int]


class _Kept:
    """A whole sample, read once by whoever comes first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sample: Sample | None = None


class BlockSource:
    """The images of another source, each cut into a grid of blocks; a sample is called IMAGE@ROW-COLUMN.

    Blocks are about `size` pixels high and wide, and `size` / 8 pixels lie between two of them, so that blocks may be in
    different parts although they are of one image. An image that holds only one block stays whole and keeps its name.
    """

    def __init__(self, source: Source, size: int) -> None:
        self.source = source
        self.size = size
        self.blocks: dict[str, Block] = {}
        self._of_image: dict[str, list[str]] = {}
        for name in source.names:
            blocks = self._cut(name)
            self._of_image[name] = list(blocks)
            self.blocks |= blocks
        self.names = list(self.blocks)
        self.parts = {part: self._blocks_of(names) for part, names in source.parts.items()}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Return what the other source says of itself; its files of images are not those of blocks."""
        if name.startswith("_") or name in NOT_OF_BLOCKS:
            raise AttributeError(name)
        return getattr(self.source, name)

    def _blocks_of(self, images: Iterable[str]) -> list[str]:
        found: list[str] = []
        for image in images:
            found += self._of_image[image]
        return found

    def image_of(self, name: str) -> str:
        """Return the name of the image that a block is cut from."""
        return self.blocks[name].image

    def files(self, name: str) -> list[Path]:
        """Return all files that the sample is read from."""
        files: list[Path] = self.source.files(self.blocks[name].image)  # type: ignore[attr-defined]
        return files

    def read(self, name: str) -> Sample:
        """Return the sample; raises `DataError` as the other source does."""
        block = self.blocks[name]
        whole = self._whole(block.image)
        if whole.image.shape[0] < block.rows[1] or whole.image.shape[1] < block.columns[1]:
            raise DataError(
                f"{name}: the image is {whole.image.shape[1]} wide and {whole.image.shape[0]} high, smaller than when the "
                f"data set was opened; open it again"
            )
        area = slice(*block.rows), slice(*block.columns)
        valid = None if whole.valid is None else whole.valid[area].copy()
        return Sample(name, whole.image[area].copy(), whole.mask[area].copy(), valid)

    def _whole(self, name: str) -> Sample:
        with self._lock:
            kept = self._kept.setdefault(name, _Kept())
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.sample is None:
                kept.sample = self.source.read(name)
            return kept.sample

    def _cut(self, name: str) -> dict[str, Block]:
        try:
            height, width = self._size(name)
        except DataError:
            return {name: Block(name, (0, 0), (0, 0))}  # reading it raises the same error
        rows = spans(height, self.size)
        columns = spans(width, self.size)
        if len(rows) == len(columns) == 1:
            return {name: Block(name, rows[0], columns[0])}
        blocks = {}
        for row, column in product(range(len(rows)), range(len(columns))):
            blocks[f"{name}@{row}-{column}"] = Block(name, rows[row], columns[column])
        return blocks

    def _size(self, name: str) -> tuple[int, int]:
        """Return height and width of an image, from the head of its file where that is certain."""
        if hasattr(self.source, "image_file"):
            path: Path = self.source.image_file(name)
            if not codecs.is_tiff(path):
                with codecs.naming(path), open_picture(path) as picture:
                    return upright_size(picture)
        height, width = self.source.read(name).image.shape[:2]
        return height, width


def spans(length: int, size: int) -> list[tuple[int, int]]:
    """Return the blocks of one axis, from the first pixel to before the last, with `size` / 8 pixels between them.

    Their sizes are equal to a pixel, and as near to `size` as the length allows.

    >>> spans(1000, 512), spans(1100, 512)
    ([(0, 468), (532, 1000)], [(0, 518), (582, 1100)])
    >>> spans(700, 512)
    [(0, 700)]
    """
    gap = size // GAP
    count = max(1, round((length + gap) / (size + gap)))
    edges = np.linspace(0, length + gap, count + 1).round().astype(int).tolist()
    return [(first, last - gap) for first, last in pairwise(edges)]
