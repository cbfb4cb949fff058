"""Opens pictures by Pillow and tifffile, without other programs and without other files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from segkit.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
"""The formats that Pillow may try; by default it would start Ghostscript for an EPS file."""
FULL_SCALE = (255, 65535)
"""The largest values that a PGM or PPM may state for Pillow to leave its values unchanged."""

BEGINNING = 2**16
"""The number of bytes within which the code stream of a JPEG 2000 file begins."""
START_OF_SIZES = b"\xff\x4f\xff\x51"
OFFSET_OF_BITS = 42


def open_picture(source: Path | IO[bytes]) -> Image.Image:
    """Return a picture opened by Pillow, in one of `FORMATS`.

    Args:
        source: The file. Its format is found by its content, not by its suffix.

    Raises:
        DataError: For a PGM, a PPM or a JPEG 2000 file whose values Pillow would change.
        UnidentifiedImageError: If it has none of these formats.
    """
    picture = Image.open(source, formats=FORMATS)
    try:
        why = _why_values_change(picture, source)
    except BaseException:
        picture.close()
        raise
    if why:
        picture.close()
        where = "the picture"
        if isinstance(source, Path):
            where = str(source)
        raise DataError(f"{where}: {why}. Save it as PNG or TIFF", "depth")
    return picture


def open_tiff(path: Path) -> Any:
    """Return an open `tifffile.TiffFile` that reads no other files; OME metadata may name some."""
    import tifffile

    return tifffile.TiffFile(path, _multifile=False)


def open_tiff_content(content: bytes) -> Any:
    """Return an open `tifffile.TiffFile` of bytes in memory."""
    import tifffile

    return tifffile.TiffFile(io.BytesIO(content), _multifile=False)


def picture_pixels(picture: Image.Image) -> np.ndarray:
    """Return the pixels of a picture, (H, W) or (H, W, C); a PGM of 16 bits as uint16."""
    array = np.asarray(picture)
    if picture.format == "PPM" and array.dtype == np.int32:
        return array.astype(np.uint16)
    return array


def _why_values_change(picture: Image.Image, source: Path | IO[bytes]) -> str | None:
    """Return which values Pillow would stretch or cut, as a phrase; None if it keeps all."""
    is_grey = picture.mode in ("1", "L", "I", "I;16")
    if picture.format == "PPM":
        largest = _largest_value(picture)
        if largest not in FULL_SCALE or (largest > FULL_SCALE[0] and not is_grey):
            return (
                f"its largest value is stated as {largest}; a PGM is read with 255 or 65535, a PPM "
                f"with 255"
            )
    if picture.format == "JPEG2000":
        bits = _bits_of_jpeg_2000(source)
        if bits not in (8, 16) or (bits == 16 and not is_grey):
            return f"has {bits} bits; JPEG 2000 is read with 8, or grey with 16"
    return None


def _largest_value(picture: Image.Image) -> int:
    """Return the largest value that a PGM or PPM states; 255 if Pillow does not convert."""
    stated = picture.tile[0][3]  # type: ignore[attr-defined]
    if isinstance(stated, tuple) and len(stated) == 2:
        return int(stated[1])
    return FULL_SCALE[0]


def _bits_of_jpeg_2000(source: Path | IO[bytes]) -> int:
    """Return the bits of the first band, by the code stream; 0 without a code stream."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            content = stream.read(BEGINNING)
    else:
        source.seek(0)
        content = source.read(BEGINNING)
    at = content.find(START_OF_SIZES)
    if not 0 <= at < len(content) - OFFSET_OF_BITS:
        return 0
    return (content[at + OFFSET_OF_BITS] & 127) + 1
