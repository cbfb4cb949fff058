"""PNG as most data sets keep it, 8 bits of grey or RGB and nothing beside the pixels, decoded in two thirds of Pillow's time.

PNG is lossless, so every correct decoder gives the same values. All that could make readers differ (palettes, alpha,
other depths, orientation, animation, damage) is left to Pillow.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = re.compile(rb"IHDR(?:pHYs|gAMA|cHRM|sRGB|sBIT|tIME)*(?:IDAT)+(?:tIME)*IEND")
"""The chunks of a plain file, in their order; those in brackets change no value that Pillow reads."""
HEADER = struct.Struct(">IIBBBBB")
GREY, RGB = 0, 2
"""Colour types."""


def read_plain(path: Path) -> np.ndarray | None:
    """Return the pixels of a plain PNG file, (H, W) or (H, W, 3) uint8; None if it is anything else, or damaged."""
    with path.open("rb") as stream:
        if stream.read(8) != SIGNATURE:
            return None
        stream.seek(0)
        return decode_plain(stream.read())


def is_png(path: Path) -> bool:
    """Return whether a file begins as a PNG does, whatever its suffix says."""
    with path.open("rb") as stream:
        return stream.read(8) == SIGNATURE


def decode_plain(content: bytes) -> np.ndarray | None:
    """Return the pixels of a plain PNG, (H, W) or (H, W, 3) uint8; None if it is anything else, or damaged."""
    if not _is_plain(content):
        return None
    try:
        array: np.ndarray = imagecodecs.png_decode(content)
    except imagecodecs.PngError:
        return None  # Pillow says what is wrong with it
    return array


def _is_plain(content: bytes) -> bool:
    if content[:8] != SIGNATURE or content[12:16] != b"IHDR" or not PLAIN.fullmatch(_kinds(content)):
        return False
    width, height, depth, colour, _, _, interlaced = HEADER.unpack_from(content, 16)
    known = depth == 8 and colour in (GREY, RGB) and not interlaced
    return known and 0 < width * height <= (Image.MAX_IMAGE_PIXELS or math.inf)  # Pillow warns of larger ones


def _kinds(content: bytes) -> bytes:
    """Return the kinds of the chunks up to the last, one after the other; "" if one is damaged (pixels apart)."""
    kinds, place = b"", len(SIGNATURE)
    while kinds[-4:] != b"IEND":
        if place + 12 > len(content):
            return b""
        (size,), kind = struct.unpack_from(">I", content, place), content[place + 4 : place + 8]
        end = place + 8 + size
        if kind != b"IDAT" and content[end : end + 4] != struct.pack(">I", zlib.crc32(content[place + 4 : end])):
            return b""
        kinds, place = kinds + kind, end + 4
    return kinds
