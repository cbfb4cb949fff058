"""Images on disk: read, write whole or not at all. `image_files` finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.atomic import atomic, named_by_user
from segkit.io.image_files import SUFFIXES as SUFFIXES
from segkit.io.image_files import list_images as list_images
from segkit.io.image_files import walk_images as walk_images
from segkit.io.names import file_in
from segkit.io.pages import Pages
from segkit.io.pixels import Pixels
from segkit.io.tiff import read_tiff


def read_image(path: Path, pages: Pages | None = None, channels: int | None = None) -> np.ndarray:
    """Return the values of `read_pixels`."""
    return read_pixels(path, pages, channels).values


def read_pixels(path: Path, pages: Pages | None = None, channels: int | None = None) -> Pixels:
    """Return an image (H, W, C) uint8, uint16 or float32, turned as its orientation says, and where it is valid.

    Grey images have one channel; palettes, CMYK, YCbCr and CIELAB become RGB, 0 is black; TIFF
    keeps all its bands. An alpha channel is dropped; pixels that are wholly transparent, and the
    nodata value of a GeoTIFF, are not valid. Nodata values are replaced by the lowest valid value
    of their band.

    Args:
        path: The file, or the address of a page (`pages.page_path`).
        pages: What the pages of a file are (`data.pages`), if the user says so.
        channels: How many a model takes, which decides what a file leaves open: whether its fourth
            band is alpha, and whether its pages are bands.

    Raises:
        DataError: With the file's name, if it cannot be read or holds NaN or infinite values.
    """
    with codecs.naming(path):
        stored = (
            read_tiff(path, pages, channels)
            if codecs.is_tiff(path)
            else codecs.read_picture(path, pages)
        )
    return stored._replace(values=as_image(stored.values, path))


def as_image(array: np.ndarray, path: Path) -> np.ndarray:
    """Return decoded pixels (H, W) or (H, W, C) as `read_image` does, (H, W, C) uint8, uint16 or float32."""
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "c":
        raise DataError(
            f"{path}: holds complex numbers, like those of radar; save their amplitude, or two bands",
            "depth",
        )
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
        _save(temporary, rgb)


def write_picture_for_user(path: Path, rgb: np.ndarray) -> None:
    """Write a picture as `write_picture` does to a path that the user has named, see `named_by_user`."""
    with named_by_user(path) as temporary:
        _save(temporary, rgb, None if path.suffix else "PNG")  # /dev/stdout


def _save(path: Path, rgb: np.ndarray, kind: str | None = None) -> None:
    Image.fromarray(rgb[..., 0] if rgb.shape[-1] == 1 else rgb).save(path, kind)


def write_image(folder: Path, name: str, image: np.ndarray) -> None:
    """Write an image (H, W, C) without loss: PNG where 8 bits of grey or RGB hold it, else TIFF."""
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        write_picture(file_in(folder, name, ".png"), image)
    else:
        write_tiff(file_in(folder, name, ".tif"), image)


def write_tiff(path: Path, array: np.ndarray) -> None:
    """Write an image or probabilities (H, W, C) as a compressed TIFF with all its bands."""
    import tifffile

    with atomic(path) as temporary:
        layout = "contig" if array.shape[-1] > 1 else None
        tifffile.imwrite(
            temporary, array, compression="zlib", photometric="minisblack", planarconfig=layout
        )


def as_display(image: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Return an image as a picture to look at.

    Args:
        image: An image (H, W, channels) of any depth. The first three channels are used, or else
            the first one.
        valid: Where the image has data, (H, W) bool; None if everywhere. Other pixels do not
            influence the contrast.

    Returns:
        (H, W, 3) uint8. Depths other than uint8 are stretched between their 1st and 99th
        percentile.
    """
    if image.shape[-1] >= 3:
        picture = image[..., :3]
    else:
        picture = np.repeat(image[..., :1], 3, axis=-1)
    if picture.dtype != np.uint8:
        known = picture
        if valid is not None and valid.any():
            known = picture[valid]
        low, high = np.percentile(known, (1, 99))
        span = max(float(high - low), 1e-6)
        picture = np.clip((picture.astype(np.float32) - low) / span, 0, 1) * 255
    return np.ascontiguousarray(picture.astype(np.uint8))
