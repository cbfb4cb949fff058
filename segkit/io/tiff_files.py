"""Writes TIFF files of one picture, compressed, with the tags of the image that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def save_tiff(
    path: Path,
    array: np.ndarray,
    tags: Sequence[Any] = (),
    palette: np.ndarray | None = None,
    colours: bool = False,
    pixel_mm: tuple[float, float] | None = None,
) -> None:
    """Write an array as a compressed TIFF.

    Args:
        path: The file.
        array: (H, W) or (H, W, bands).
        tags: Further tags, as tifffile takes them.
        palette: The colours (256, 3) uint8 in which whole numbers (H, W) are shown.
        colours: Whether three bands are a colour.
        pixel_mm: Height and width of a pixel in millimetres, which the file then states; None if
            they are unknown.
    """
    import tifffile

    arguments = display_arguments(array.shape, palette, colours)
    if pixel_mm is not None:
        height, width = pixel_mm
        arguments["resolution"] = (10 / width, 10 / height)
        arguments["resolutionunit"] = "CENTIMETER"
    tifffile.imwrite(path, array, compression="zlib", extratags=tags, **arguments)


def display_arguments(
    shape: Sequence[int], palette: np.ndarray | None, colours: bool
) -> dict[str, Any]:
    """Return the arguments of tifffile that say how pixels are shown.

    Args:
        shape: The shape of the pixels, (H, W) or (H, W, bands).
        palette: The colours (256, 3) uint8 of whole numbers; None without a palette.
        colours: Whether three bands are a colour.
    """
    if palette is not None:
        of_16_bits = palette.astype(np.uint16).T * 257
        return {"photometric": "palette", "colormap": of_16_bits}
    arguments = {"photometric": "minisblack"}
    if colours:
        arguments["photometric"] = "rgb"
    if len(shape) > 2 and shape[2] > 1:
        arguments["planarconfig"] = "contig"
    return arguments
