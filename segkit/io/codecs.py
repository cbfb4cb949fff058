"""Reads pixels as files store them, by Pillow and tifffile; other readers change the ids of masks.

PNG files that every reader decodes alike are read faster by `png`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from segkit.errors import DataError, one_line
from segkit.io import png
from segkit.io.files import check_is_file
from segkit.io.metadata import without_metadata
from segkit.io.microscopes.suffixes import is_microscope_file
from segkit.io.pages import Pages, choose_frame, file_of, split_page
from segkit.io.pictures import open_picture, picture_pixels
from segkit.io.pixels import Pixels, without_holes
from segkit.io.slide_addresses import is_slide
from segkit.io.turning import orientation_of, upright

TIFF = (".tif", ".tiff")
CORE_HEADER = 12
"""Bytes of the oldest header of a BMP."""
MAX_BYTES_PER_PIXEL = 16
BYTES_BESIDE_PIXELS = 2**26
"""A file may have `MAX_BYTES_PER_PIXEL` times the pixel limit, and these bytes for all else."""
GREY_ALPHA = 4
"""The colour type of a grey PNG with an alpha channel, which OpenCV reads as four channels."""


def is_tiff(path: Path) -> bool:
    """Return whether a file is read by tifffile: it has the suffix of a TIFF, and is no slide."""
    return file_of(path).suffix.lower() in TIFF and not is_slide(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn every error of a decoder into an error that names the file.

    Args:
        path: The file, or the address of a page in it. Pipes and devices are refused before they
            are opened.

    Raises:
        DataError: For every error in the block, and for a file that is missing, too large or not a
            file.
    """
    check_is_file(file_of(path), most_bytes(path))
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file", "missing-file") from problem
    except UnidentifiedImageError as problem:
        message = f"{path}: not an image, or a damaged one; copy or export it again"
        raise DataError(message) from problem
    except Image.DecompressionBombError as problem:
        raise DataError(too_large(path), "too-large") from problem
    except Exception as problem:  # decoders raise errors of every type without the file's name
        message = f"{path}: cannot be read ({one_line(problem)}); copy or export it again"
        raise DataError(message) from problem


def most_bytes(path: Path) -> float:
    """Return how many bytes a picture may have; infinity for files that are read by planes."""
    if is_tiff(path) or is_slide(path) or is_microscope_file(path):
        return math.inf
    return MAX_BYTES_PER_PIXEL * most_pixels() + BYTES_BESIDE_PIXELS


def limit_pixels(most: int | None) -> None:
    """Set how many pixels an image may have, in Pillow and TIFF files; None changes nothing."""
    if most is not None:
        # Pillow warns from MAX_IMAGE_PIXELS on, and refuses images of more than twice as many.
        Image.MAX_IMAGE_PIXELS = (most + 1) // 2


def most_pixels() -> float:
    """Return how many pixels an image may have; infinity without a limit."""
    if not Image.MAX_IMAGE_PIXELS:
        return math.inf
    return 2 * Image.MAX_IMAGE_PIXELS


def too_large(path: Path) -> str:
    """Return the message for an image of too many pixels."""
    return (
        f"{path}: has more than {most_pixels():,.0f} pixels. A small file may state a huge size to "
        f"fill the memory. If the size is right, raise the limit with data.max_pixels"
    )


def read_picture(path: Path, pages: Pages | None = None) -> Pixels:
    """Return the pixels of an image file that is not a TIFF, upright.

    Args:
        path: The file, or the address of a page in it.
        pages: What the frames of an animated picture are (`data.pages`).

    Returns:
        Values (H, W) of a grey picture, or (H, W, 3) of any other, whose colours become RGB. Wholly
        transparent pixels are not valid.

    Raises:
        DataError: If it is animated and nothing says which frame is meant.
    """
    file, page = split_page(path)
    plain = png.read_plain(file)
    if plain is not None:
        return Pixels(plain)
    with opened(file) as picture:
        choose_frame(picture, path, page, pages)
        orientation = orientation_of(picture)
        if is_deep_png(file, picture):
            return _deep(deep_png(file.read_bytes()), orientation)
        values, valid = _in_colours(picture)
    if valid is not None:
        valid = upright(valid, orientation)
    return without_holes(Pixels(upright(values, orientation), valid))


def _deep(deep: np.ndarray, orientation: int) -> Pixels:
    deep = upright(deep, orientation)
    if deep.ndim == 2 or deep.shape[-1] == 3:
        return Pixels(deep)
    return without_holes(Pixels(deep[..., :3], deep[..., 3] != 0))


def _in_colours(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a picture as grey or RGB, and where it is visible; None if everywhere."""
    valid = None
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        valid = alpha != 0
        has_one_colour = len(picture.getcolors(1) or []) == 1
        if not valid.any() and not has_one_colour:
            valid = None  # the picture shows something, so its alpha channel is wrong
    if picture.mode in ("L", "1", "F", "I", "RGB") or picture.mode.startswith("I;16"):
        return picture_pixels(picture), valid
    if picture.mode == "LA":
        return np.asarray(picture.convert("L")), valid
    return np.asarray(picture.convert("RGB")), valid


def read_stored(path: Path, pages: Pages | None = None) -> Pixels:
    """Return the values that an image file stores if it is not a TIFF, upright, and its palette.

    Args:
        path: The file, or the address of a page in it.
        pages: What the frames of an animated picture are (`data.pages`).

    Returns:
        Values (H, W) or (H, W, C); indices if there is a palette. A grey PNG of 2 or 4 bits counts
        as one with a palette of greys.

    Raises:
        DataError: For several channels of 16 bits, or if nothing says which frame of an animated
            picture is meant.
    """
    file, page = split_page(path)
    plain = png.read_indexed(file)
    if plain is not None:
        return Pixels(plain.values, palette=plain.palette)
    with opened(file) as picture:
        choose_frame(picture, path, page, pages)
        if is_deep_png(file, picture):
            message = f"{path}: a 16-bit mask of several channels; save class ids in one"
            raise DataError(message, "mask-channels")
        orientation = orientation_of(picture)
        values = picture_pixels(picture)
        palette = palette_of(picture)
        levels = _grey_levels(file, picture)
    if levels:
        step = 255 // (levels - 1)
        values = values // step
        palette = _grey_palette(step)
    return Pixels(upright(values, orientation), palette=palette)


def _grey_levels(path: Path, picture: Image.Image) -> int:
    """Return 4 or 16 for a grey PNG of 2 or 4 bits, whose values Pillow stretches; else 0."""
    if picture.format != "PNG" or picture.mode != "L":
        return 0
    bits = _png_depth(path)
    if bits not in (2, 4):
        return 0
    return 2**bits


def _grey_palette(step: int) -> np.ndarray:
    """Return the greys (256, 3) uint8 that a viewer shows for stored values, `step` apart."""
    greys = np.minimum(np.arange(256) * step, 255).astype(np.uint8)
    return np.repeat(greys[:, None], 3, axis=1)


def _png_depth(path: Path) -> int:
    """Return the bits of a sample, from the header of a PNG."""
    with path.open("rb") as stream:
        return stream.read(25)[24]


def palette_of(picture: Image.Image) -> np.ndarray | None:
    """Return the palette of a picture, (256, 3) uint8, padded with black; None without one."""
    if picture.mode not in ("P", "PA"):
        return None
    stored = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored)] = stored
    return palette


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Yield an opened picture, decoded unless `is_deep_png`. Broken metadata are ignored.

    Args:
        path: The file, which is not a TIFF by its suffix.

    Raises:
        DataError: For a format whose values Pillow would change.
        Exception: The error of Pillow for a file that it cannot read.
    """
    with _open(path) as picture:
        yield picture


def _open(path: Path) -> Image.Image:
    try:
        return _decoded(open_picture(path), path)
    except (DataError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception as problem:  # Pillow raises errors of every type for broken metadata
        if getattr(problem, "errno", None) is not None:
            raise  # the file cannot be opened
        return _open_anew(path, problem)


def _open_anew(path: Path, problem: Exception) -> Image.Image:
    """Return a picture read without its metadata; raise `problem` if it still cannot be read."""
    try:
        picture = without_metadata(path.read_bytes())
        if picture is not None:
            return _decoded(picture, path)
    except Exception:  # the pixels are broken
        raise problem from None
    raise problem


def _decoded(picture: Image.Image, path: Path) -> Image.Image:
    if picture.format == "BMP" and picture.mode == "1":
        return _black_and_white_bmp(picture, path)
    if not is_deep_png(path, picture):
        _load(picture)
    return picture


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    except BaseException:
        picture.close()
        raise


def _black_and_white_bmp(picture: Image.Image, path: Path) -> Image.Image:
    """Return a BMP whose palette is black and white.

    Pillow reads all of them as 1 bit per pixel, so files of 4 or 8 bits are decoded by OpenCV, as
    grey.
    """
    import cv2

    content = path.read_bytes()
    place_of_bits = 28
    if content[14] == CORE_HEADER:
        place_of_bits = 24
    if content[place_of_bits] == 1:
        _load(picture)
        return picture
    picture.close()
    grey: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError("a damaged or cut off BMP")
    found = Image.fromarray(grey)
    found.format = "BMP"
    return found


def is_deep_png(path: Path, picture: Image.Image) -> bool:
    """Return whether a picture is a PNG of several 16-bit channels, which Pillow cuts to 8 bits."""
    if picture.format != "PNG" or picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    return _png_depth(path) == 16


def deep_png(content: bytes) -> np.ndarray:
    """Return the pixels of a PNG of several 16-bit channels.

    Args:
        content: The content of the file.

    Returns:
        uint16, (H, W, 3) or (H, W, 4) in the order RGBA; (H, W) without its alpha channel if it is
        grey.

    Raises:
        ValueError: If the file is damaged.
    """
    import cv2

    array: Any = None
    if _has_whole_chunks(content):  # OpenCV allocates the size that a chunk claims
        array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("a damaged or cut off PNG")
    if content[25] == GREY_ALPHA:
        return np.asarray(array[..., 0])
    channels_of_bgra = [2, 1, 0, 3][: array.shape[-1]]
    return np.asarray(array[..., channels_of_bgra])


def _has_whole_chunks(content: bytes) -> bool:
    """Return whether every chunk of a PNG up to the last one is within the file."""
    place = 8
    kind = b""
    while kind != b"IEND":
        kind = content[place + 4 : place + 8]
        size = int.from_bytes(content[place : place + 4], "big")
        place += 12 + size  # length, kind, content and checksum
        if place > len(content):
            return False
    return True
