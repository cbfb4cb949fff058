"""Chooses bands of an image (`data.bands`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError

Bands = Sequence[int]
"""Numbers of bands in the order in which they are read, from 1 as in GDAL and rasterio."""


def choose_bands(
    values: np.ndarray, bands: Bands | None, path: Path, left_out: int | None = None
) -> np.ndarray:
    """Return the chosen bands of an image.

    Args:
        values: (H, W, C).
        bands: The numbers of the bands (`data.bands`); None for all.
        path: The file, for messages.
        left_out: The index of a band of the file that `values` does not contain, such as an alpha
            channel; None if there is none.

    Returns:
        (H, W, len(bands)).

    Raises:
        DataError: If the file has no such band ("bands").
    """
    if bands is None:
        return values
    return values[..., positions_of(bands, values.shape[-1], path, left_out)]


def positions_of(bands: Bands, count: int, path: Path, left_out: int | None = None) -> list[int]:
    """Return the index of each chosen band among the `count` bands of `choose_bands`."""
    in_file = list(range(count))
    if left_out is not None:
        in_file = [index for index in range(count + 1) if index != left_out]
    missing = [band for band in bands if band - 1 not in in_file]
    if missing:
        known = ", ".join(str(index + 1) for index in in_file)
        raise DataError(
            f"{path}: data.bands names band {missing[0]}; the image has {count} band(s): {known}",
            "bands",
        )
    return [in_file.index(band - 1) for band in bands]
