"""Pixels as they are stored in a file, by Pillow and tifffile: other readers change the values of mask ids.

Only PNG of which no reader can make anything else goes a faster way (`png`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from segkit.errors import DataError
from segkit.io import png
from segkit.io.files import check_is_file
from segkit.io.metadata import without_metadata
from segkit.io.pages import Pages, choose_frame, file_of, split_page
from segkit.io.pictures import open_picture, picture_pixels
from segkit.io.pixels import Pixels, without_holes
from segkit.io.turning import orientation_of, upright

TIFF = (".tif", ".tiff")
CORE_HEADER = 12
"""Bytes of the oldest header of a BMP."""
MOST_BYTES_A_PIXEL = 16
BYTES_BESIDE_PIXELS = 2**26
GREY_ALPHA = 4
"""The colour type of a PNG of grey with an alpha channel, which OpenCV reads as four channels."""


def is_tiff(path: Path) -> bool:
    """Return whether a file is read by tifffile rather than Pillow: by its suffix."""
    return file_of(path).suffix.lower() in TIFF


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a `DataError` that names the file; a pipe or a device is not even opened."""
    check_is_file(file_of(path), most_bytes(path))
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file", "missing-file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(
            f"{path}: not an image, or a damaged one; copy or export it again"
        ) from problem
    except Image.DecompressionBombError as problem:
        raise DataError(too_large(path), "too-large") from problem
    except Exception as problem:  # decoders raise of every kind; the user needs the file's name
        told = " ".join(str(problem).split())  # one line
        raise DataError(f"{path}: cannot be read ({told}); copy or export it again") from problem


def most_bytes(path: Path) -> float:
    """Return how many bytes a picture may have: few more than pixels. TIFFs are read piece by piece, whatever their size."""
    if is_tiff(path):
        return float("inf")
    return MOST_BYTES_A_PIXEL * most_pixels() + BYTES_BESIDE_PIXELS


def limit_pixels(most: int | None) -> None:
    """Open images of up to `most` pixels; None changes nothing. TIFF files are held to Pillow's limit, too."""
    if most is not None:
        Image.MAX_IMAGE_PIXELS = -(
            -most // 2
        )  # Pillow warns from here and refuses from twice as many


def most_pixels() -> float:
    """Return how many pixels an image may have."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")


def too_large(path: Path) -> str:
    """Return the message for an image of too many pixels."""
    return (
        f"{path}: has more than {most_pixels():,.0f} pixels; a small file may claim so to fill the memory. If it is meant, "
        f"raise the limit with data.max_pixels"
    )


def read_picture(path: Path, pages: Pages | None = None) -> Pixels:
    """Return a picture upright, (H, W) or (H, W, 3): grey stays grey, palettes and the like become RGB.

    Pixels that are wholly transparent are not valid. `pages` says what the pictures of a moving one are.
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
    valid = None if valid is None else upright(valid, orientation)
    return without_holes(Pixels(upright(values, orientation), valid))


def _deep(deep: np.ndarray, orientation: int) -> Pixels:
    deep = upright(deep, orientation)
    if deep.ndim == 2 or deep.shape[-1] == 3:
        return Pixels(deep)
    return without_holes(Pixels(deep[..., :3], deep[..., 3] != 0))


def _in_colours(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a picture as grey or RGB, and where it is not wholly transparent."""
    valid = None
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        valid = alpha != 0
        if not valid.any() and len(picture.getcolors(1) or []) != 1:
            valid = None  # something is to be seen, so it is no transparency
    if picture.mode in ("L", "1", "F", "I", "RGB") or picture.mode.startswith("I;16"):
        return picture_pixels(picture), valid
    return np.asarray(picture.convert("L" if picture.mode == "LA" else "RGB")), valid


def read_stored(path: Path, pages: Pages | None = None) -> Pixels:
    """Return the stored values of a picture, upright: palette indices rather than colours, and the palette."""
    file, page = split_page(path)
    plain = png.read_indexed(file)
    if plain is not None:
        return Pixels(plain.values, palette=plain.palette)
    with opened(file) as picture:
        choose_frame(picture, path, page, pages)
        if is_deep_png(file, picture):
            raise DataError(
                f"{path}: a 16-bit mask of several channels; save class ids in one", "mask-channels"
            )
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
    """Return 4 or 16 for a grey PNG of 2 or 4 bits, whose values Pillow stretches to 0 to 255; 0 for other files."""
    if picture.format != "PNG" or picture.mode != "L":
        return 0
    bits = _png_depth(path)
    return 2**bits if bits in (2, 4) else 0


def _grey_palette(step: int) -> np.ndarray:
    """Return the greys (256, 3) uint8 that a viewer shows for stored values, `step` apart."""
    greys = np.minimum(np.arange(256) * step, 255).astype(np.uint8)
    return np.repeat(greys[:, None], 3, axis=1)


def _png_depth(path: Path) -> int:
    """Return the bits of a sample, from the header of a PNG."""
    with path.open("rb") as stream:
        return stream.read(25)[24]


def palette_of(picture: Image.Image) -> np.ndarray | None:
    """Return the colours (256, 3) uint8 that a picture's values are indices of; None if it has none."""
    if picture.mode not in ("P", "PA"):
        return None
    given = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(given)] = given
    return colours


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Yield an opened picture, decoded unless it is deep; what is broken beside its pixels is left out."""
    with _open(path) as picture:
        yield picture


def _open(path: Path) -> Image.Image:
    try:
        return _decoded(open_picture(path), path)
    except (DataError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except (
        Exception
    ) as problem:  # Pillow raises of every kind for what it cannot read beside the pixels
        if getattr(problem, "errno", None) is not None:
            raise  # the file cannot be opened
        return _open_anew(path, problem)


def _open_anew(path: Path, problem: Exception) -> Image.Image:
    """Return a picture without its metadata; raises `problem` if that does not help."""
    try:
        picture = without_metadata(path.read_bytes())
        if picture is not None:
            return _decoded(picture, path)
    except Exception:  # it is the pixels that are broken
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
    """Return a BMP of black and white; one of 4 or 8 bits a pixel as grey, because Pillow takes all for 1 bit a pixel."""
    import cv2

    content = path.read_bytes()
    place = 24 if content[14] == CORE_HEADER else 28
    if content[place] == 1:
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
    """Return whether an opened picture is a PNG of several 16-bit channels, of which Pillow reads the upper 8 bits."""
    if picture.format != "PNG" or picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    return _png_depth(path) == 16


def deep_png(content: bytes) -> np.ndarray:
    """Return a PNG of several 16-bit channels as (H, W, 3 or 4) in the order RGBA, or (H, W) if it is grey with alpha.

    Raises `ValueError` if it is damaged.
    """
    import cv2

    array: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("a damaged or cut off PNG")
    return np.asarray(
        array[..., 0] if content[25] == GREY_ALPHA else array[..., [2, 1, 0, 3][: array.shape[-1]]]
    )
