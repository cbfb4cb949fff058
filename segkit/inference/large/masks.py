"""Masks of large images: compressed tiled TIFFs, written with one tile in memory."""

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
"""Masks of more bytes are BigTIFFs. Even badly compressed they must not reach the 4 GB of a classic
TIFF."""


def write_masks(
    coding: Coding, bands: Sequence[Strip], paths: Sequence[Path], tags: Sequence[Any] = ()
) -> None:
    """Write a decoded mask in the way that the folder source reads.

    All files are written to temporary names and then renamed, the last one last.

    Args:
        coding: How the mask is stored.
        bands: The rows of the mask, from top to bottom.
        paths: The files, as `coding.paths` names them.
        tags: Further TIFF tags, such as those of a GeoTIFF.
    """
    import tifffile

    height = _height(bands)
    width = bands[0].width
    with together(paths) as temporaries:
        for file, temporary in enumerate(temporaries):
            pixel = coding.encode(np.zeros((1, 1, bands[0].channels), np.uint8), file)
            shape = (height, width, *pixel.shape[2:])
            is_big = height * width * pixel.nbytes > CLASSIC
            with tifffile.TiffWriter(temporary, bigtiff=is_big) as tiff:
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
    """Yield the tiles of one file of a mask, row by row.

    Args:
        coding: How the mask is stored.
        bands: The rows of the mask, from top to bottom.
        file: The index of the file in `coding.paths`.

    Yields:
        (SIDE, SIDE) or (SIDE, SIDE, numbers per pixel), as stored. Beyond the edges of the image
        the mask is 0 before it is encoded.
    """
    height = _height(bands)
    width = bands[0].width
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            columns = slice(left, min(left + SIDE, width))
            yield coding.encode(_read_tile(bands, top, columns), file)


def _read_tile(bands: Sequence[Strip], top: int, columns: slice) -> np.ndarray:
    """Return the decoded mask (SIDE, SIDE, channels) from row `top` on, from all bands below it."""
    tile = np.zeros((SIDE, SIDE, bands[0].channels), np.uint8)
    band_top = 0
    for band in bands:
        band_bottom = band_top + band.rows
        first = max(top, band_top)
        last = min(top + SIDE, band_bottom)
        if first < last:
            rows = band.read(columns)[first - band_top : last - band_top]
            tile[first - top : last - top, : rows.shape[1]] = rows
        band_top = band_bottom
    return tile


def _height(bands: Sequence[Strip]) -> int:
    return sum(band.rows for band in bands)
