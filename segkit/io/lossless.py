"""Whether the compression of a file changed its pixels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from segkit.io import codecs, png
from segkit.io.pages import file_of
from segkit.io.pictures import open_picture, open_tiff

CODING_STYLE = b"\xff\x52"
"""What begins the segment of a JPEG 2000 codestream that names its wavelet (ISO 15444-1, A.6.1)."""
REVERSIBLE = 1
"""The number of the wavelet of whole numbers."""
LOSSLESS_FRAME = b"\xff\xc3"
"""What begins the frame of a JPEG that is lossless (ISO 10918-1, process 14)."""
LERC2_ERROR = {2: 34, 3: 38, 4: 42, 5: 42, 6: 50}
"""Where a LERC2 header has the largest error, by its version."""


def lossy(path: Path) -> str | None:
    """Return the name of the lossy compression of a picture file, whatever its suffix says."""
    path = file_of(path)
    if codecs.is_tiff(path):
        return _lossy_tiff(path)
    if png.is_png(path):
        return None
    with open_picture(path) as picture:
        kind = picture.format
    if kind == "WEBP":
        return "lossy WebP" if is_lossy_webp(path.read_bytes()) else None
    if kind == "JPEG2000":
        return None if is_reversible(path.read_bytes()) else "JPEG2000"
    return "JPEG" if kind in ("JPEG", "MPO", "AVIF") else None


def _lossy_tiff(path: Path) -> str | None:
    with open_tiff(path) as tiff:
        page = tiff.pages[0]
        name = str(getattr(page.compression, "name", page.compression))
        suspect = "JP" in name or name in ("WEBP", "JPEGXL", "LERC")
        if not suspect or not page.dataoffsets:
            return name if suspect else None
        tiff.filehandle.seek(page.dataoffsets[0])
        piece = tiff.filehandle.read(page.databytecounts[0])
    return None if _is_lossless(name, piece, page) else name


def _is_lossless(name: str, piece: bytes, page: Any) -> bool:
    if name == "WEBP":
        return not is_lossy_webp(piece)
    if "JPEG2000" in name or "JP2000" in name:
        return is_reversible(piece)
    if name == "LERC":
        return _error_of_lerc(piece) <= (0.5 if page.dtype.kind in "iu" else 0)
    return name in ("JPEG", "OJPEG", "ALT_JPEG") and LOSSLESS_FRAME in piece[:2000]


def is_lossy_webp(content: bytes) -> bool:
    """Return whether a WebP file or one of its frames is lossy: by its chunks, not by bytes that look like their names."""
    return b"VP8 " in _kinds(content, 12, len(content))


def _kinds(content: bytes, place: int, end: int) -> set[bytes]:
    found = set()
    while place + 8 <= end:
        kind, size = struct.unpack_from("<4sI", content, place)
        found.add(kind)
        if kind == b"ANMF":  # a frame: 16 bytes, and chunks of its own
            found |= _kinds(content, place + 24, min(end, place + 8 + size))
        place += 8 + size + size % 2
    return found


def is_reversible(content: bytes) -> bool:
    """Return whether JPEG 2000 was made with the wavelet that loses nothing."""
    place = content.find(CODING_STYLE)
    return place >= 0 and len(content) > place + 13 and content[place + 13] == REVERSIBLE


def _error_of_lerc(piece: bytes) -> float:
    """Return the largest error that a LERC2 blob allows; infinite if it cannot be told."""
    if not piece.startswith(b"Lerc2 ") or len(piece) < 64:
        return float("inf")
    (version,) = struct.unpack_from("<i", piece, 6)
    place = LERC2_ERROR.get(version)
    return float(struct.unpack_from("<d", piece, place)[0]) if place else float("inf")
