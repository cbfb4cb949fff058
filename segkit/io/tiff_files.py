"""TIFF files of one picture: compressed, its bands together, with the tags of the image that it belongs to."""

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
) -> None:
    """Write an array as a compressed TIFF.

    Args:
        path: The file.
        array: (H, W) or (H, W, bands).
        tags: Further tags, as tifffile takes them.
        palette: The colours (256, 3) uint8 in which whole numbers (H, W) are shown.
        colours: Whether three bands are a colour.
    """
    import tifffile

    look = tiff_look(array.shape, palette, colours)
    tifffile.imwrite(path, array, compression="zlib", extratags=tags, **look)


def tiff_look(shape: Sequence[int], palette: np.ndarray | None, colours: bool) -> dict[str, Any]:
    """Return how tifffile is to store pixels of a shape (H, W) or (H, W, bands): in a palette, as colours or as numbers."""
    if palette is not None:
        return {
            "photometric": "palette",
            "colormap": palette.astype(np.uint16).T * 257,
        }  # a TIFF palette has 16 bits
    has_bands = len(shape) > 2 and shape[2] > 1
    layout = {"planarconfig": "contig"} if has_bands else {}
    return {"photometric": "rgb" if colours else "minisblack", **layout}
