"""Images on disk: find, read, write whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.atomic import atomic

JPEG = (".jpg", ".jpeg")
SUFFIXES = (".png", *JPEG, *codecs.TIFF, ".bmp", ".gif", ".webp")
"""Image files that segkit reads, by suffix, in any case."""


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files under `folder` by name: the path below it, without suffix ("a", "monday/b"), sorted.

    Hidden files and other suffixes are passed over. Raises `DataError` if the folder is missing or two files share
    a name (a.png and a.jpg).
    """
    found: dict[str, Path] = {}
    for name, path in walk_images(folder):
        if name in found:
            raise DataError(
                f"{path} and {found[name]}: two files of one name; a name stands for one image", "duplicate-name"
            )
        found[name] = path
    return dict(sorted(found.items()))


def walk_images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every image file under `folder` as `list_images` does, names may come twice."""
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.is_file() else "there is no such folder"
        raise DataError(f"{folder}: {found}", "missing-file")
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES and not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(folder).with_suffix("").as_posix() if parent != str(folder) else stem, path


def _refuse(problem: OSError) -> None:
    raise DataError(f"{problem.filename}: the folder cannot be read ({problem.strerror})") from problem


def read_image(path: Path) -> np.ndarray:
    """Return an image as (H, W, C) uint8, uint16 or float32, turned as its EXIF orientation says.

    Grey images have one channel; palette, CMYK and the like become RGB; an alpha channel is dropped; TIFF keeps all
    its bands. Raises `DataError`, naming the file, if it cannot be read or holds NaN or infinite values.
    """
    with codecs.naming(path):
        array = codecs.read_tiff(path, colours=True) if codecs.is_tiff(path) else codecs.read_picture(path)
    return as_image(array, path)


def as_image(array: np.ndarray, path: Path) -> np.ndarray:
    """Return decoded pixels (H, W) or (H, W, C) as `read_image` does, (H, W, C) uint8, uint16 or float32."""
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise DataError(
                f"{path}: holds NaN or infinite values; replace them by a number",
                "not-finite",
            )
    return array


def fit_channels(image: np.ndarray, channels: int, where: str) -> np.ndarray:
    """Return the image with `channels` channels where that loses nothing (grey to RGB, RGB of three equal channels)."""
    found = image.shape[-1]
    if found == channels:
        return image
    if found == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if found == 3 and channels == 1 and (image == image[..., :1]).all():
        return image[..., :1]
    raise DataError(
        f"{where}: the model takes {channels} channel(s); this image has {found}",
        "channels",
    )


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W, 1) uint8 as a picture."""
    with atomic(path) as temporary:
        Image.fromarray(rgb[..., 0] if rgb.shape[-1] == 1 else rgb).save(temporary)


def write_image(folder: Path, name: str, image: np.ndarray) -> None:
    """Write an image (H, W, C) without loss: PNG where 8 bits of grey or RGB hold it, else TIFF."""
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        write_picture(folder / f"{name}.png", image)
    else:
        write_tiff(folder / f"{name}.tif", image)


def write_tiff(path: Path, array: np.ndarray) -> None:
    """Write an image or probabilities (H, W, C) as a compressed TIFF with all its bands."""
    import tifffile

    with atomic(path) as temporary:
        layout = "contig" if array.shape[-1] > 1 else None
        tifffile.imwrite(temporary, array, compression="zlib", photometric="minisblack", planarconfig=layout)


def as_display(image: np.ndarray) -> np.ndarray:
    """Return any image as (H, W, 3) uint8 to look at: other depths between their 1st and 99th percentile, three bands."""
    shown: Any = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99))
        shown = np.clip((shown.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1) * 255
    return np.ascontiguousarray(shown.astype(np.uint8))
