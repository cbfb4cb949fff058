"""Masks of large images: compressed tiled TIFF files, written from bands of rows without holding one whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.inference.large.work_folder import Strip
from segkit.io import masks as mask_files
from segkit.io.atomic import together
from segkit.task import Task

SIDE = 512
"""Rows and columns of a tile."""
CLASSIC = 2**31
"""Pixels from which a mask is a BigTIFF: even badly compressed it must not reach the 4 GB of a classic one."""


def mask_paths(task: Task, folder: Path, name: str) -> list[Path]:
    """Return where the mask of the large image `name` stands: as `mask_files.mask_paths`, but .tif."""
    return mask_files.mask_paths(task, folder, name, ".tif")


def write_masks(task: Task, bands: Sequence[Strip], paths: Sequence[Path], place: Sequence[Any] = ()) -> None:
    """Write a decoded mask, whose rows the bands hold from top to bottom, as `read_mask` and the folder source read it.

    Class ids with the task's palette, or 0/255, in a multilabel task one file a class. All are
    renamed when all are written, the last one last. `place` are further TIFF tags, such as those of a GeoTIFF.
    """
    import tifffile

    height, width = sum(band.rows for band in bands), bands[0].width
    colours = np.zeros((3, 256), np.uint16)
    colours[:, : task.channels] = np.array(task.palette, np.uint16).T * 257  # a TIFF palette has 16 bits
    look = {"photometric": "palette", "colormap": colours} if task.stores_ids else {"photometric": "minisblack"}
    with together(paths) as temporaries:
        for layer, temporary in enumerate(temporaries):
            with tifffile.TiffWriter(temporary, bigtiff=height * width > CLASSIC) as tiff:
                tiff.write(
                    tiles(bands, layer, 1 if task.stores_ids else 255),
                    shape=(height, width),
                    dtype=np.uint8,
                    tile=(SIDE, SIDE),
                    compression="zlib",
                    extratags=place,
                    **look,
                )


def tiles(bands: Sequence[Strip], layer: int, factor: int = 1) -> Iterator[np.ndarray]:
    """Yield the tiles (SIDE, SIDE) uint8 of one layer of the bands, row by row, each value times `factor`.

    What lies beyond the image is 0.
    """
    height, width = sum(band.rows for band in bands), bands[0].width
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            columns = slice(left, min(left + SIDE, width))
            tile = np.zeros((SIDE, SIDE), np.uint8)
            begin = 0
            for band in bands:
                first, last = max(top, begin), min(top + SIDE, begin + band.rows)
                if first < last:
                    rows = band.read(columns)[first - begin : last - begin, :, layer]
                    tile[first - top : last - top, : rows.shape[1]] = rows * np.uint8(factor)
                begin += band.rows
            yield tile
