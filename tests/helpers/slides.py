"""Writes whole slides, whose levels openslide reads as well."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

REASON = "tiffslide or openslide is not installed"
MICRONS = 0.25
"""The side of a pixel of the largest level, µm."""
SIZE = (704, 896)
"""Height and width of the largest level: multiples of the steps of all levels."""
STEPS = (1, 4, 16)
"""Pixels of the largest level along a side of one pixel of each level."""
TILE = (64, 64)
GLASS = (243, 243, 243)
STAIN = (190, 80, 160)
DARK_STAIN = (90, 40, 120)


def has_slides() -> bool:
    """Return whether slides can be read, by segkit and by the oracle."""
    return all(importlib.util.find_spec(name) for name in ("tiffslide", "openslide"))


def tissue(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return where a slide shows tissue, (H, W) bool: a disc at the upper left, far from others."""
    rows, columns = np.indices(size)
    return np.hypot(rows - 180, columns - 200) < 110


def nuclei(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return where the tissue is dark, (H, W) bool: two squares."""
    found = np.zeros(size, bool)
    found[120:168, 160:216] = True
    found[200:240, 240:272] = True
    return found


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Return a slide of tissue on glass with noise, (H, W, 3) uint8."""
    values = np.empty((*size, 3), np.int16)
    values[:] = GLASS
    values[tissue(size)] = STAIN
    values[nuclei(size)] = DARK_STAIN
    values += np.random.default_rng(seed).integers(-3, 4, size)[..., None].astype(np.int16)
    return values.astype(np.uint8)


def level_of(array: np.ndarray, step: int) -> np.ndarray:
    """Return the mean of step x step pixels, rounded, as segkit and other programs do."""
    height, width, channels = array.shape
    pieces = array.reshape(height // step, step, width // step, step, channels)
    return np.rint(pieces.mean(axis=(1, 3))).astype(np.uint8)


def save_svs(
    path: Path,
    array: np.ndarray,
    microns: float | None = MICRONS,
    steps: Sequence[int] = STEPS,
) -> Path:
    """Write a slide as Aperio does: levels in tiles, and a thumbnail after the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = array.shape[:2]
    about = "Aperio Image Library v11.2.1\r\n"
    size = "" if microns is None else f"|AppMag = 40|MPP = {microns}"
    with tifffile.TiffWriter(path) as writer:
        for number, step in enumerate(steps):
            level = level_of(array, step)
            text = f"{about}{width}x{height} [0,0 {level.shape[1]}x{level.shape[0]}] {size}"
            writer.write(level, photometric="rgb", tile=TILE, description=text, metadata=None)
            if number == 0:
                thumbnail = level_of(array, max(steps))
                writer.write(
                    thumbnail, photometric="rgb", description=f"{about}thumbnail", metadata=None
                )
    return path


def save_pyramid(
    path: Path, array: np.ndarray, microns: float = MICRONS, steps: Sequence[int] = STEPS
) -> Path:
    """Write an OME-TIFF whose smaller levels are SubIFDs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "YXS"}
    for axis in "YX":
        metadata |= {f"PhysicalSize{axis}": microns, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        options = {"photometric": "rgb", "tile": TILE}
        writer.write(array, subifds=len(steps) - 1, metadata=metadata, **options)
        for step in steps[1:]:
            writer.write(level_of(array, step), subfiletype=1, metadata=None, **options)
    return path
