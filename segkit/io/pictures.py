"""Pictures opened by Pillow: in the formats that segkit reads, named one by one, so that no other program is started."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from segkit.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
"""As Pillow calls them. Left to itself it would try some forty, and start Ghostscript for a file that says it is EPS."""
FULL_SCALE = (255, 65535)
"""The largest values of a PGM or PPM, of which Pillow leaves the stored values as they are."""


def open_picture(source: Path | IO[bytes]) -> Image.Image:
    """Return a picture as `PIL.Image.open` does, in one of `FORMATS`, whatever its suffix says.

    Raises:
        DataError: For a PGM or PPM whose values Pillow would change.
        UnidentifiedImageError: If it is none of them.
    """
    picture = Image.open(source, formats=FORMATS)
    if picture.format == "PPM":
        try:
            _check_scale(picture, source)
        except BaseException:
            picture.close()
            raise
    return picture


def pixels_of(picture: Image.Image) -> np.ndarray:
    """Return the pixels of a picture; of a PGM of 16 bits as uint16, where Pillow has 32 bits."""
    array = np.asarray(picture)
    return array.astype(np.uint16) if picture.format == "PPM" and array.dtype == np.int32 else array


def _check_scale(picture: Image.Image, source: Path | IO[bytes]) -> None:
    """Pillow stretches values to the full scale, which changes ids, and cuts colours of 16 bits to 8."""
    stated = picture.tile[0][3]  # type: ignore[attr-defined]
    largest = stated[1] if isinstance(stated, tuple) and len(stated) == 2 else None
    if largest is None:  # the values are taken as they are
        return
    if largest not in FULL_SCALE or (picture.mode == "RGB" and largest > FULL_SCALE[0]):
        where = source if isinstance(source, Path) else "the picture"
        raise DataError(
            f"{where}: its largest value is stated as {largest}; a PGM is read with 255 or 65535, a PPM with 255. Save it as "
            f"PNG or TIFF",
            "depth",
        )
