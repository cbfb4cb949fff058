"""Masks of large images: compressed tiled TIFF files, written from bands of rows without holding one whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.inference.large.work_folder import Strip
from segkit.io.atomic import together
from segkit.io.coding import Coding
from segkit.io.tiff_files import display_arguments

SIDE = 512
"""Rows and columns of a tile."""
CLASSIC = 2**31
"""Bytes from which a mask is a BigTIFF: even badly compressed it must not reach the 4 GB of a classic one."""


def write_masks(
    coding: Coding, bands: Sequence[Strip], paths: Sequence[Path], tags: Sequence[Any] = ()
) -> None:
    """Write a decoded mask, whose rows the bands hold from top to bottom, as the folder source reads it.

    All files are renamed when all are written, the last one last.

    Args:
        coding: How the mask is stored.
        bands: The rows of the mask.
        paths: The files, as `coding.paths` names them.
        tags: Further TIFF tags, such as those of a GeoTIFF.
    """
    import tifffile

    height, width = sum(band.rows for band in bands), bands[0].width
    with together(paths) as temporaries:
        for file, temporary in enumerate(temporaries):
            pixel = coding.encode(np.zeros((1, 1, bands[0].channels), np.uint8), file)
            shape = (height, width, *pixel.shape[2:])
            with tifffile.TiffWriter(
                temporary, bigtiff=height * width * pixel.nbytes > CLASSIC
            ) as tiff:
                tiff.write(
                    tiles(coding, bands, file),
                    shape=shape,
                    dtype=pixel.dtype,
                    tile=(SIDE, SIDE),
                    compression="zlib",
                    extratags=tags,
                    **display_arguments(shape, coding.palette, coding.in_colours),
                )


def tiles(coding: Coding, bands: Sequence[Strip], file: int) -> Iterator[np.ndarray]:
    """Yield the tiles (SIDE, SIDE) or (SIDE, SIDE, numbers of a pixel) of one file of a mask, row by row.

    What lies beyond the image is stored as 0 of the mask is.
    """
    height, width = sum(band.rows for band in bands), bands[0].width
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            columns = slice(left, min(left + SIDE, width))
            tile = np.zeros((SIDE, SIDE, bands[0].channels), np.uint8)
            begin = 0
            for band in bands:
                first, last = max(top, begin), min(top + SIDE, begin + band.rows)
                if first < last:
                    rows = band.read(columns)[first - begin : last - begin]
                    tile[first - top : last - top, : rows.shape[1]] = rows
                begin += band.rows
            yield coding.encode(tile, file)
