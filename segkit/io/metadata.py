"""Opens PNG and JPEG files without their metadata, for files whose metadata are broken."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from segkit.io.pictures import open_picture
from segkit.io.png import SIGNATURE

NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks of a PNG that its pixels depend on."""
JPEG = b"\xff\xd8"
SCAN = 0xDA
"""The marker before the pixels of a JPEG."""
LEFT_OUT = (*range(0xE1, 0xEE), 0xEF, 0xFE)
"""Markers of metadata. The colours depend on 0xE0 (JFIF) and 0xEE (Adobe), which are kept."""


def without_metadata(content: bytes) -> Image.Image | None:
    """Return an opened PNG or JPEG without metadata; None for other files.

    Args:
        content: The content of the file.
    """
    if content.startswith(SIGNATURE):
        return open_picture(io.BytesIO(SIGNATURE + b"".join(_needed_chunks(content))))
    if content.startswith(JPEG):
        return open_picture(io.BytesIO(JPEG + b"".join(_needed_segments(content))))
    return None


def _needed_chunks(content: bytes) -> Iterator[bytes]:
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        if content[place + 4 : place + 8] in NEEDED:
            yield content[place : place + 12 + size]
        place += 12 + size


def _needed_segments(content: bytes) -> Iterator[bytes]:
    place = len(JPEG)
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != SCAN:
        (size,) = struct.unpack_from(">H", content, place + 2)
        if content[place + 1] not in LEFT_OUT:
            yield content[place : place + 2 + size]
        place += 2 + size
    yield content[place:]
