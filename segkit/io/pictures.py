"""Pictures opened by Pillow and tifffile: in formats named one by one, without other programs and without other files."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from segkit.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
"""As Pillow calls them. Left to itself it would try some forty, and start Ghostscript for a file that says it is EPS."""
FULL_SCALE = (255, 65535)
"""The largest values of a PGM or PPM, of which Pillow leaves the stored values as they are."""

BEGINNING = 2**16
"""Bytes in which the code stream of a JPEG 2000 file begins."""
START_OF_SIZES = b"\xff\x4f\xff\x51"


def open_picture(source: Path | IO[bytes]) -> Image.Image:
    """Return a picture as `PIL.Image.open` does, in one of `FORMATS`, whatever its suffix says.

    Raises:
        DataError: For a PGM, a PPM or a JPEG 2000 file whose values Pillow would change.
        UnidentifiedImageError: If it is none of them.
    """
    picture = Image.open(source, formats=FORMATS)
    try:
        why = _changed_values(picture, source)
    except BaseException:
        picture.close()
        raise
    if why:
        picture.close()
        where = source if isinstance(source, Path) else "the picture"
        raise DataError(f"{where}: {why}. Save it as PNG or TIFF", "depth")
    return picture


def open_tiff(path: Path) -> Any:
    """Return an open `tifffile.TiffFile`. Pixels in other files, which OME metadata may name anywhere, are not its own."""
    import tifffile

    return tifffile.TiffFile(path, _multifile=False)


def picture_pixels(picture: Image.Image) -> np.ndarray:
    """Return the pixels of a picture; of a PGM of 16 bits as uint16, where Pillow has 32 bits."""
    array = np.asarray(picture)
    return array.astype(np.uint16) if picture.format == "PPM" and array.dtype == np.int32 else array


def _changed_values(picture: Image.Image, source: Path | IO[bytes]) -> str | None:
    """Return in words what values Pillow would change: it stretches them to 8 or 16 bits, and cuts colours to 8."""
    grey = picture.mode in ("1", "L", "I", "I;16")
    if picture.format == "PPM":
        largest = _largest_value(picture)
        if largest not in FULL_SCALE or (largest > FULL_SCALE[0] and not grey):
            return f"its largest value is stated as {largest}; a PGM is read with 255 or 65535, a PPM with 255"
    if picture.format == "JPEG2000":
        bits = _bits_of_jpeg_2000(source)
        if bits not in (8, 16) or (bits == 16 and not grey):
            return f"has {bits} bits; JPEG 2000 is read with 8, or grey with 16"
    return None


def _largest_value(picture: Image.Image) -> int:
    """Return the largest value that a PGM or PPM states, 255 for those that are read as they are."""
    stated = picture.tile[0][3]  # type: ignore[attr-defined]
    return int(stated[1]) if isinstance(stated, tuple) and len(stated) == 2 else FULL_SCALE[0]


def _bits_of_jpeg_2000(source: Path | IO[bytes]) -> int:
    """Return the bits of the first band, from the segment of sizes at the start of the code stream; 0 if there is none."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            content = stream.read(BEGINNING)
    else:
        source.seek(0)
        content = source.read(BEGINNING)
    at = content.find(START_OF_SIZES)
    return (content[at + 42] & 127) + 1 if 0 <= at < len(content) - 42 else 0
