"""TIFF files with palettes that tifffile reads but does not write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile


def write_bits(path: Path, bits: np.ndarray, colours: list[tuple[int, int, int]]) -> None:
    """Write bits (H, W) bool as indices of two colours."""
    levels = tuple(257 * value for band in zip(*colours, strict=True) for value in band)
    tifffile.imwrite(path, bits, photometric="minisblack", extratags=[(320, "H", 6, levels, True)])
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags[262].overwrite(3)
