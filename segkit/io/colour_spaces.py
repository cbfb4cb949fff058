"""Converts the colours of TIFF files to RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageCms

from segkit.errors import DataError

PHOTOMETRIC = 262
"""The number of the tag PhotometricInterpretation."""
WHITE_IS_ZERO = 0
RGB = 2
PALETTE = 3
SEPARATED = 5
YCBCR = 6
CIELAB = 8
ICCLAB = 9
"""Values of that tag (TIFF 6.0, and Adobe's Technical Note 4 for ICCLAB)."""
YCBCR_SUBSAMPLING = 530
INK_SET = 332
IN_COLOUR = (RGB, SEPARATED, YCBCR, CIELAB, ICCLAB)
READABLE = (0, 1, 2, 3, 4, 5, 6, 8, 9, 34892)
"""Values that can be read; 1 is grey or bands, 4 a mask, 34892 linear values of a camera."""
INKS = 4
"""The number of inks: cyan, magenta, yellow, black."""


def is_white_zero(page: Any) -> bool:
    """Return whether a TIFF page says that 0 is white; one that says nothing does not."""
    return int(page.photometric) == WHITE_IS_ZERO and PHOTOMETRIC in page.tags


def check_colour_space(page: Any, where: object) -> None:
    """Check that `as_rgb` can convert the colours of a TIFF page.

    Args:
        page: A page of tifffile.
        where: The file, for the message.

    Raises:
        DataError: If it cannot ("colour-space").
    """
    if not _is_readable(page):
        raise _refused(page, where)


def _is_readable(page: Any) -> bool:
    kind = int(page.photometric)
    of_8_bits = page.dtype == np.uint8 and page.samplesperpixel >= 3
    if kind == SEPARATED:
        return page.dtype is not None and page.dtype.kind == "u" and _is_cmyk(page)
    if kind == YCBCR:
        return of_8_bits and (_is_jpeg(page) or not _is_subsampled(page))
    if kind in (CIELAB, ICCLAB):
        return of_8_bits and not _is_jpeg(page)
    return kind in READABLE


def _is_jpeg(page: Any) -> bool:
    return "JPEG" in getattr(page.compression, "name", "")


def _is_subsampled(page: Any) -> bool:
    """Return whether YCbCr has fewer values of colour than of brightness."""
    tag = page.tags.get(YCBCR_SUBSAMPLING)
    return tag is not None and tuple(tag.value) != (1, 1)


def _is_cmyk(page: Any) -> bool:
    inks = page.tags.get(INK_SET)
    return page.samplesperpixel >= INKS and (inks is None or inks.value == 1)


def _refused(page: Any, where: object) -> DataError:
    name = getattr(page.photometric, "name", page.photometric)
    return DataError(
        f"{where}: has colours of the kind {name} in {page.dtype} with {page.samplesperpixel} "
        f"samples; segkit reads grey, RGB, palettes, CMYK of whole numbers, and YCbCr and CIELAB "
        f"of 8 bits. Save it as RGB",
        "colour-space",
    )


def as_rgb(values: np.ndarray, page: Any) -> np.ndarray:
    """Return the values of a TIFF page; CMYK, YCbCr and CIELAB become RGB.

    Args:
        values: The values, (H, W) or (H, W, C).
        page: The page of tifffile, which `check_colour_space` accepts.

    Returns:
        (H, W, 3), or `values` in other colour spaces.
    """
    kind = int(page.photometric)
    if values.ndim != 3 or kind not in (SEPARATED, YCBCR, CIELAB, ICCLAB):
        return values
    if kind == SEPARATED:
        return _from_cmyk(values)
    if kind == YCBCR:
        if _is_jpeg(page):  # its decoder has converted it
            return values
        return np.asarray(_picture(values, "YCbCr").convert("RGB"))
    return _from_lab(values, signed=kind == CIELAB)


def _from_cmyk(values: np.ndarray) -> np.ndarray:
    full_ink = float(np.iinfo(values.dtype).max)
    light = full_ink - values[..., :INKS].astype(np.float32)
    return np.asarray(np.rint(light[..., :3] * light[..., 3:] / full_ink).astype(values.dtype))


def _picture(values: np.ndarray, mode: str) -> Image.Image:
    height, width = values.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(values[..., :3]).tobytes())


def _from_lab(values: np.ndarray, signed: bool) -> np.ndarray:
    """Return CIELAB (white point D50) as sRGB; a* and b* are signed, or offset by 128."""
    if not signed:
        values = values ^ np.array([0, 128, 128], np.uint8)
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    rgb = ImageCms.profileToProfile(_picture(values, "LAB"), lab, srgb, outputMode="RGB")
    return np.asarray(rgb)
