"""Colours of TIFF files as RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageCms

from segkit.errors import DataError

WHITE_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 2, 3, 5, 6, 8, 9
"""Values of the tag PhotometricInterpretation (TIFF 6.0, and Adobe's Technical Note 4 for ICCLAB)."""
PHOTOMETRIC = 262
"""The number of that tag."""
IN_COLOUR = (RGB, SEPARATED, YCBCR, CIELAB, ICCLAB)
READABLE = (0, 1, 2, 3, 4, 5, 6, 8, 9, 34892)
"""Those that can be read; 1 is grey or bands, 4 a mask, 34892 linear values of a camera."""
INKS = 4
"""Cyan, magenta, yellow, black."""


def is_white_zero(page: Any) -> bool:
    """Return whether a TIFF page says that 0 is white; one that says nothing does not."""
    return int(page.photometric) == WHITE_IS_ZERO and PHOTOMETRIC in page.tags


def check_colour_space(page: Any, where: object) -> None:
    """Raise `DataError` if the colours of a TIFF page cannot be made RGB."""
    kind = int(page.photometric)
    whole = page.dtype is not None and page.dtype.kind == "u"
    if kind not in READABLE or (kind == SEPARATED and not (whole and _is_cmyk(page))):
        raise _refused(page, where)
    if kind in (YCBCR, CIELAB, ICCLAB) and not (
        page.dtype == np.uint8 and page.samplesperpixel >= 3
    ):
        raise _refused(page, where)
    if (kind in (CIELAB, ICCLAB) and _is_jpeg(page)) or (
        kind == YCBCR and not _is_jpeg(page) and _is_subsampled(page)
    ):
        raise _refused(page, where)


def _is_jpeg(page: Any) -> bool:
    return "JPEG" in getattr(page.compression, "name", "")


def _is_subsampled(page: Any) -> bool:
    """Return whether YCbCr has fewer values of colour than of brightness, which only decoders of JPEG undo."""
    tag = page.tags.get(530)
    return tag is not None and tuple(tag.value) != (1, 1)


def _is_cmyk(page: Any) -> bool:
    inks = page.tags.get(332)
    return page.samplesperpixel >= INKS and (inks is None or inks.value == 1)


def _refused(page: Any, where: object) -> DataError:
    name = getattr(page.photometric, "name", page.photometric)
    return DataError(
        f"{where}: has colours of the kind {name} in {page.dtype} with {page.samplesperpixel} samples; segkit reads grey, "
        f"RGB, palettes, CMYK of whole numbers, and YCbCr and CIELAB of 8 bits. Save it as RGB",
        "colour-space",
    )


def as_rgb(values: np.ndarray, page: Any) -> np.ndarray:
    """Return values (H, W) or (H, W, C) of a TIFF page as RGB if they are CMYK, YCbCr or CIELAB, else as they are."""
    kind = int(page.photometric)
    if values.ndim != 3 or kind not in (SEPARATED, YCBCR, CIELAB, ICCLAB):
        return values
    if kind == SEPARATED:
        return _from_cmyk(values)
    if kind == YCBCR:
        decoded = _is_jpeg(page)  # decoders of JPEG give RGB
        return values if decoded else np.asarray(_picture(values, "YCbCr").convert("RGB"))
    return _from_lab(values, signed=kind == CIELAB)


def _from_cmyk(values: np.ndarray) -> np.ndarray:
    most = float(np.iinfo(values.dtype).max)
    paper = most - values[..., :INKS].astype(np.float32)
    return np.asarray(np.rint(paper[..., :3] * paper[..., 3:] / most).astype(values.dtype))


def _picture(values: np.ndarray, mode: str) -> Image.Image:
    height, width = values.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(values[..., :3]).tobytes())


def _from_lab(values: np.ndarray, signed: bool) -> np.ndarray:
    """Return CIELAB of white D50 as sRGB; its chroma is of two's complement if `signed`, else moved by 128."""
    lab = values if signed else values ^ np.array([0, 128, 128], np.uint8)
    profile = ImageCms.createProfile("LAB")
    screen = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(_picture(lab, "LAB"), profile, screen, outputMode="RGB")
    return np.asarray(shown)
