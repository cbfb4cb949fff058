"""Pixels as they are stored in a file, by Pillow and tifffile: other readers change the values of mask ids.

Only PNG of which no reader can make anything else goes a faster way (`png`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segkit.errors import DataError
from segkit.io import png
from segkit.io.files import check_is_file
from segkit.io.pictures import open_picture, open_tiff, pixels_of

TIFF = (".tif", ".tiff")
ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is to be turned."""
GREY_ALPHA = 4
"""The colour type of a PNG of grey with an alpha channel, which OpenCV reads as four channels."""
MOST_BYTES_A_PIXEL = 16
BYTES_BESIDE_PIXELS = 2**26
MOST_PAGES = 2**16
"""Pages of a TIFF; a small file may hold a list of millions."""


def is_tiff(path: Path) -> bool:
    """Return whether a file is read by tifffile rather than Pillow: by its suffix."""
    return path.suffix.lower() in TIFF


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a `DataError` that names the file; a pipe or a device is not even opened."""
    check_is_file(path, most_bytes(path))
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file", "missing-file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(f"{path}: not an image, or a damaged one; copy or export it again") from problem
    except Image.DecompressionBombError as problem:
        raise DataError(_too_large(path), "too-large") from problem
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
        Image.MAX_IMAGE_PIXELS = -(-most // 2)  # Pillow warns from here and refuses from twice as many


def most_pixels() -> float:
    """Return how many pixels an image may have."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")


def _too_large(path: Path) -> str:
    return (
        f"{path}: has more than {most_pixels():,.0f} pixels; a small file may claim so to fill the memory. If it is meant, "
        f"raise the limit with data.max_pixels"
    )


def read_picture(path: Path) -> np.ndarray:
    """Return a picture upright, (H, W) or (H, W, 3): grey stays grey, palettes and the like become RGB."""
    plain = png.read_plain(path)
    if plain is not None:
        return plain
    with open_picture(path) as picture:
        if is_deep_png(path, picture):
            deep = deep_png(path.read_bytes())
            return upright(deep[..., :3] if deep.ndim == 3 else deep, picture.getexif().get(ORIENTATION, 1))
        ImageOps.exif_transpose(picture, in_place=True)  # without it, an upright picture is copied as well
        if picture.mode in ("L", "1", "F", "I", "RGB") or picture.mode.startswith("I;16"):
            return pixels_of(picture)
        return np.asarray(picture.convert("L" if picture.mode == "LA" else "RGB"))


def read_stored(path: Path) -> np.ndarray:
    """Return the stored values of a picture, upright: palette indices rather than colours."""
    plain = png.read_plain(path, indices=True)
    if plain is not None:
        return plain
    with open_picture(path) as picture:
        if is_deep_png(path, picture):
            raise DataError(f"{path}: a 16-bit mask of several channels; save class ids in one", "mask-channels")
        ImageOps.exif_transpose(picture, in_place=True)
        return pixels_of(picture)


def lossy(path: Path) -> str | None:
    """Return the name of the lossy compression of a picture file, whatever its suffix says."""
    if is_tiff(path):
        with open_tiff(path) as tiff:
            name = tiff.pages[0].compression.name
        return name if "JP" in name or name in ("WEBP", "JPEGXL", "LERC") else None
    if png.is_png(path):
        return None
    with open_picture(path) as picture:
        if picture.format == "WEBP" and b"VP8 " in path.read_bytes():
            return "lossy WebP"
        return "JPEG" if picture.format in ("JPEG", "MPO", "JPEG2000", "AVIF") else None


def is_deep_png(path: Path, picture: Image.Image) -> bool:
    """Return whether an opened picture is a PNG of several 16-bit channels, of which Pillow reads the upper 8 bits."""
    if picture.format != "PNG" or picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    with path.open("rb") as stream:
        return stream.read(25)[24] == 16


def deep_png(content: bytes) -> np.ndarray:
    """Return a PNG of several 16-bit channels as (H, W, 3 or 4) in the order RGBA, or (H, W) if it is grey with alpha.

    Raises `ValueError` if it is damaged.
    """
    import cv2

    array: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("a damaged or cut off PNG")
    return np.asarray(array[..., 0] if content[25] == GREY_ALPHA else array[..., [2, 1, 0, 3][: array.shape[-1]]])


def check_pages(pages: Iterable[Any]) -> None:
    """Raise `ValueError` for a list of pages that bites its own tail, which tifffile may follow for ever, or a huge one."""
    seen: set[int] = set()
    for page in pages:
        if len(seen) == MOST_PAGES:
            raise ValueError(f"it has more than {MOST_PAGES} pages")
        if page.offset in seen:
            raise ValueError("its list of pages runs in a circle")
        seen.add(page.offset)


def read_tiff(path: Path, alpha: bool = False, colours: bool = False) -> np.ndarray:
    """Return a TIFF upright, (H, W) or (H, W, bands), without its alpha channel unless `alpha`.

    With `colours` a palette becomes RGB.
    """
    with open_tiff(path) as tiff:
        check_pages(tiff.pages)
        series, keyframe = tiff.series[0], tiff.series[0].keyframe
        if series.size > most_pixels() * max(1, keyframe.samplesperpixel):
            raise DataError(_too_large(path), "too-large")
        array = series.asarray()
        if array.shape != series.shape or not array.size:  # tifffile only logs that there are too few values
            raise DataError(
                f"{path}: cannot be read (a damaged or cut off TIFF: it holds other than {series.shape} values); copy or "
                f"export it again"
            )
        tag = keyframe.tags.get("Orientation")
        orientation = int(tag.value) if tag else 1
        palette = keyframe.colormap if colours else None
        transparent = any(int(kind) in (1, 2) for kind in keyframe.extrasamples)
    extra = [i for i, axis in enumerate(series.axes) if axis not in "YX"]
    if len(extra) > 1:
        raise DataError(
            f"{path}: has axes {series.axes} {array.shape}; segkit reads flat images with or without bands", "channels"
        )
    array = upright(np.moveaxis(array, extra[0], -1) if extra else array, orientation)
    if palette is not None and array.ndim == 2:
        return np.moveaxis((palette >> 8).astype(np.uint8), 0, -1)[array]  # a TIFF palette has 16 bits
    return array[..., :-1] if transparent and not alpha and array.ndim == 3 and array.shape[-1] in (2, 4) else array


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return pixels turned as the EXIF or TIFF orientation (1 to 8) says.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
