"""Finds out whether the compression of a file changed its pixels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from segkit.io import codecs, png
from segkit.io.pages import file_of
from segkit.io.pictures import open_picture, open_tiff
from segkit.io.stack_files import is_stack_file

CODING_STYLE = b"\xff\x52"
"""The marker of the JPEG 2000 segment that names the wavelet (ISO 15444-1, A.6.1)."""
REVERSIBLE = 1
"""The number of the wavelet that uses whole numbers."""
LOSSLESS_FRAME = b"\xff\xc3"
"""The marker of the frame of a lossless JPEG (ISO 10918-1, process 14)."""
LERC2_ERROR = {2: 34, 3: 38, 4: 42, 5: 42, 6: 50}
"""The offset of the largest error in a LERC2 header, by version."""


def lossy(path: Path) -> str | None:
    """Return the name of the lossy compression of an image file; None if it is lossless.

    The format is found by the content, except for TIFF, which is found by the suffix.

    Args:
        path: The file, or the address of a page in it.
    """
    path = file_of(path)
    if is_stack_file(path):
        return None
    if codecs.is_tiff(path):
        return _lossy_tiff(path)
    if png.is_png(path):
        return None
    with open_picture(path) as picture:
        kind = picture.format
    if kind == "WEBP" and is_lossy_webp(path.read_bytes()):
        return "lossy WebP"
    if kind == "JPEG2000" and not is_reversible(path.read_bytes()):
        return "JPEG2000"
    if kind in ("JPEG", "MPO", "AVIF"):
        return "JPEG"
    return None


def _lossy_tiff(path: Path) -> str | None:
    with open_tiff(path) as tiff:
        page = tiff.pages[0]
        name = str(getattr(page.compression, "name", page.compression))
        may_be_lossy = "JP" in name or name in ("WEBP", "JPEGXL", "LERC")
        if not may_be_lossy:
            return None
        if not page.dataoffsets:
            return name
        tiff.filehandle.seek(page.dataoffsets[0])
        piece = tiff.filehandle.read(page.databytecounts[0])
    if _is_lossless(name, piece, page):
        return None
    return name


def _is_lossless(name: str, piece: bytes, page: Any) -> bool:
    if name == "WEBP":
        return not is_lossy_webp(piece)
    if "JPEG2000" in name or "JP2000" in name:
        return is_reversible(piece)
    if name == "LERC":
        most = 0.0
        if page.dtype.kind in "iu":
            most = 0.5
        return _error_of_lerc(piece) <= most
    return name in ("JPEG", "OJPEG", "ALT_JPEG") and LOSSLESS_FRAME in piece[:2000]


def is_lossy_webp(content: bytes) -> bool:
    """Return whether the content of a WebP file has a lossy frame."""
    return b"VP8 " in _chunk_kinds(content, 12, len(content))


def _chunk_kinds(content: bytes, place: int, end: int) -> set[bytes]:
    """Return the names of the chunks from a place on; pixels may contain the same bytes."""
    found = set()
    while place + 8 <= end:
        kind, size = struct.unpack_from("<4sI", content, place)
        found.add(kind)
        if kind == b"ANMF":  # a frame: 16 bytes, and chunks of its own
            found |= _chunk_kinds(content, place + 24, min(end, place + 8 + size))
        place += 8 + size + size % 2
    return found


def is_reversible(content: bytes) -> bool:
    """Return whether the content of a JPEG 2000 file uses the lossless wavelet."""
    place = content.find(CODING_STYLE)
    return place >= 0 and len(content) > place + 13 and content[place + 13] == REVERSIBLE


def _error_of_lerc(piece: bytes) -> float:
    """Return the largest error that a LERC2 blob allows; infinity if that is unknown."""
    if not piece.startswith(b"Lerc2 ") or len(piece) < 64:
        return float("inf")
    (version,) = struct.unpack_from("<i", piece, 6)
    place = LERC2_ERROR.get(version)
    if place is None:
        return float("inf")
    (error,) = struct.unpack_from("<d", piece, place)
    return float(error)
