"""Reads and writes images. `image_files` finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.atomic import atomic, named_by_user
from segkit.io.bands import Bands, choose_bands
from segkit.io.image_files import SUFFIXES as SUFFIXES
from segkit.io.image_files import list_images as list_images
from segkit.io.image_files import walk_images as walk_images
from segkit.io.microscopes.reading import microscope_may_have_gaps
from segkit.io.microscopes.suffixes import is_microscope_file
from segkit.io.names import file_in
from segkit.io.pages import Pages
from segkit.io.pixels import Pixels
from segkit.io.rasters import is_raster, raster_may_have_holes, read_raster
from segkit.io.slide_addresses import is_slide
from segkit.io.slides import read_slide
from segkit.io.stack_files import chosen_channels, is_stack_file
from segkit.io.tiff import read_tiff, tiff_may_have_holes


def read_image(
    path: Path,
    pages: Pages | None = None,
    channels: int | None = None,
    bands: Bands | None = None,
) -> np.ndarray:
    """Return the values of `read_pixels`, (H, W, C) uint8, uint16 or float32."""
    return read_pixels(path, pages, channels, bands).values


def read_pixels(
    path: Path,
    pages: Pages | None = None,
    channels: int | None = None,
    bands: Bands | None = None,
) -> Pixels:
    """Return the pixels of an image, turned as its orientation says.

    Grey images have one channel; palettes, CMYK, YCbCr and CIELAB become RGB, 0 is black; TIFF
    keeps all its bands. An alpha channel is dropped; pixels that are wholly transparent, and the
    nodata value of a GeoTIFF, are not valid. Nodata values are replaced by the lowest valid value
    of their band.

    Args:
        path: The file, or the address of a page (`pages.page_path`), a plane or a level.
        pages: The meaning of the pages of a file (`data.pages`); None if the user names none.
        channels: How many a model takes, which decides what a file leaves open: whether its fourth
            band is alpha, and whether its pages are bands.
        bands: The bands to read, in their order (`data.bands`); None for all. A chosen band is
            never an alpha channel.

    Raises:
        DataError: If the file cannot be read, has no such band, or holds NaN or infinite values.
    """
    with codecs.naming(path):
        if is_slide(path):
            stored = read_slide(path)
            stored = stored._replace(values=choose_bands(stored.values, bands, path))
        elif is_stack_file(path):
            stored = chosen_channels(path, bands)
        elif codecs.is_tiff(path):
            stored = read_tiff(path, pages, channels, bands)
        elif is_raster(path):
            stored = read_raster(path, channels, bands)
        else:
            stored = codecs.read_picture(path, pages)
            values = np.atleast_3d(stored.values)
            stored = stored._replace(values=choose_bands(values, bands, path))
    return stored._replace(values=as_image(stored.values, path))


def may_have_holes(path: Path) -> bool:
    """Return whether an image file states that pixels may have no data.

    Raises:
        DataError: If the file cannot be read.
    """
    if is_raster(path):
        return raster_may_have_holes(path)
    if is_microscope_file(path):
        return microscope_may_have_gaps(path)
    return tiff_may_have_holes(path)


def as_image(array: np.ndarray, path: Path) -> np.ndarray:
    """Return decoded pixels in the shape and depth of `read_image`.

    Args:
        array: Pixels (H, W) or (H, W, C) of any dtype.
        path: The file, for messages.

    Returns:
        (H, W, C) uint8, uint16 or float32. Bits become 0 and 255.

    Raises:
        DataError: For complex, NaN and infinite values.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "c":
        raise DataError(
            f"{path}: holds complex numbers, like radar images; save the amplitude, or two bands",
            "depth",
        )
    if array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            message = f"{path}: holds NaN or infinite values; replace them by a number"
            raise DataError(message, "not-finite")
    return array


def fit_channels(image: np.ndarray, channels: int, where: str) -> np.ndarray:
    """Return an image with the number of channels that a model takes, if that loses nothing.

    Args:
        image: An image (H, W, C).
        channels: The number of channels. Grey becomes RGB, and RGB of three equal channels becomes
            grey.
        where: The file, for the message.

    Returns:
        (H, W, channels).

    Raises:
        DataError: If the image has another number of channels ("channels").
    """
    found = image.shape[-1]
    if found == channels:
        return image
    if found == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if found == 3 and channels == 1 and (image == image[..., :1]).all():
        return image[..., :1]
    message = f"{where}: the model takes {channels} channel(s); this image has {found}"
    raise DataError(message, "channels")


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write a picture (H, W, 3) or (H, W, 1) uint8 in the format of the path's suffix."""
    with atomic(path) as temporary:
        _save(temporary, rgb)


def write_picture_for_user(path: Path, rgb: np.ndarray) -> None:
    """Write a picture as `write_picture` does, to a path that the user named (`named_by_user`).

    Without a suffix, as for /dev/stdout, it is a PNG.
    """
    kind = None
    if not path.suffix:
        kind = "PNG"
    with named_by_user(path) as temporary:
        _save(temporary, rgb, kind)


def _save(path: Path, rgb: np.ndarray, kind: str | None = None) -> None:
    if rgb.shape[-1] == 1:
        rgb = rgb[..., 0]
    Image.fromarray(rgb).save(path, kind)


def write_image(folder: Path, name: str, image: np.ndarray) -> Path:
    """Write an image without loss: as PNG if it is grey or RGB of 8 bits, else as TIFF.

    Args:
        folder: The folder.
        name: The name of the image without suffix.
        image: The image, (H, W, C).

    Returns:
        The path of the file.

    Raises:
        DataError: If the name cannot be that of a file.
    """
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        path = file_in(folder, name, ".png")
        write_picture(path, image)
    else:
        path = file_in(folder, name, ".tif")
        write_tiff(path, image)
    return path


def write_tiff(path: Path, array: np.ndarray) -> None:
    """Write an image or probabilities (H, W, C) as a compressed TIFF with all its bands."""
    import tifffile

    with atomic(path) as temporary:
        layout = None
        if array.shape[-1] > 1:
            layout = "contig"
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
