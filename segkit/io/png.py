"""Reads usual PNG files faster than Pillow: 8 bits of grey, RGB or a palette, without metadata.

PNG is lossless, so every correct decoder returns the same values. Files that readers may decode
differently are left to Pillow: colours of palettes, alpha, other depths, orientation, animation,
damage.

Three quarters of libpng's time are spent in zlib, and libdeflate takes half of that. Therefore
libdeflate decompresses the pixels, and libpng receives them in a PNG without compression to undo
the filters.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IGNORED = rb"(?:pHYs|gAMA|cHRM|sRGB|sBIT|tIME)*"
"""Chunks that change no value that Pillow reads."""
PLAIN = re.compile(rb"IHDR" + IGNORED + rb"(?:IDAT)+(?:tIME)*IEND")
"""The chunks of a plain file in order."""
PALETTE = re.compile(rb"IHDR" + IGNORED + rb"PLTE(?:tRNS)?" + IGNORED + rb"(?:IDAT)+(?:tIME)*IEND")
HEADER = struct.Struct(">IIBBBBB")
START = struct.Struct(">8sI4sIIBBBBB")
"""The signature, and the first chunk up to its checksum."""
GREY = 0
RGB = 2
INDICES = 3
"""Colour types."""
STORED = struct.Struct("<BHH")
"""The head of a block without compression (RFC 1951).

Its fields say whether the block is the last, its size, and the complement of the size.
"""
BLOCK = 2**16 - 1
"""The most bytes of such a block."""
LARGE = 2**24
"""Bytes of pixels above which libpng decodes alone, because the faster way holds three copies."""


class Plain(NamedTuple):
    """The parts of a plain file that its pixels depend on."""

    width: int
    height: int
    channels: int
    """Bytes per pixel."""
    packed: Sequence[memoryview]
    """The compressed rows."""

    @property
    def size(self) -> int:
        """The number of bytes of the rows, each of which begins with the number of its filter."""
        return self.height * (1 + self.width * self.channels)


def read_plain(path: Path, indices: bool = False) -> np.ndarray | None:
    """Return the result of `decode_plain` for a file."""
    content = _read_if_usual(path, indices)
    if content is None:
        return None
    return decode_plain(content, indices)


def _read_if_usual(path: Path, indices: bool) -> bytes | None:
    """Return the content of a file that begins as a plain one; None for other files."""
    with path.open("rb") as stream:
        if not _channels(stream.read(START.size), indices):
            return None
        stream.seek(0)
        return stream.read()


class Indexed(NamedTuple):
    """The values of a plain file, and its palette."""

    values: np.ndarray
    """(H, W) or (H, W, 3) uint8."""
    palette: np.ndarray | None
    """(256, 3) uint8: the colours that the values are indices of; None without a palette."""


def read_indexed(path: Path) -> Indexed | None:
    """Return the values of a plain file and its palette; None for other files."""
    content = _read_if_usual(path, True)
    if content is None:
        return None
    values = decode_plain(content, True)
    if values is None:
        return None
    return Indexed(values, _palette(content))


def _palette(content: bytes) -> np.ndarray | None:
    """Return the colours of a file that `decode_plain` has decoded."""
    if content[START.size - 4] != INDICES:
        return None
    place = len(SIGNATURE)
    while content[place + 4 : place + 8] != b"PLTE":
        place += 12 + struct.unpack_from(">I", content, place)[0]
    (size,) = struct.unpack_from(">I", content, place)
    palette = np.zeros((256, 3), np.uint8)
    whole_colours = min(size, palette.size) // 3 * 3
    stored = np.frombuffer(content, np.uint8, whole_colours, place + 8).reshape(-1, 3)
    palette[: len(stored)] = stored
    return palette


def is_png(path: Path) -> bool:
    """Return whether a file begins like a PNG, whatever its suffix is."""
    with path.open("rb") as stream:
        return stream.read(8) == SIGNATURE


def decode_plain(content: bytes, indices: bool = False) -> np.ndarray | None:
    """Return the pixels of a plain PNG.

    Args:
        content: The content of the file.
        indices: Whether the indices of a file with a palette are returned. Without it, such files
            are not decoded.

    Returns:
        (H, W) or (H, W, 3) uint8; None if the file is not plain, is damaged, or has a palette and
        is large.
    """
    plain = _plain(content, indices)
    if plain is None:
        return None
    try:
        if plain.size > LARGE:
            whole: np.ndarray = imagecodecs.png_decode(content)
            return whole
        return _decode(plain)
    except (imagecodecs.PngError, imagecodecs.DeflateError):
        return None  # Pillow raises the error for the user


def _plain(content: bytes, indices: bool) -> Plain | None:
    channels = _channels(content, indices)
    if not channels:
        return None
    kinds, packed = _chunks(content)
    _, _, _, width, height, _, colour, *_ = START.unpack_from(content)
    plain = Plain(width, height, channels, packed)
    if colour == INDICES:
        is_plain = bool(PALETTE.fullmatch(kinds)) and plain.size <= LARGE
    else:
        is_plain = bool(PLAIN.fullmatch(kinds))
    if not is_plain:
        return None
    return plain


def _channels(content: bytes, indices: bool) -> int:
    """Return the bytes per pixel, 1 or 3, of a file that begins like a plain one; 0 for others."""
    if len(content) < START.size:
        return 0
    *begin, width, height, depth, colour, _, _, _ = START.unpack_from(content)
    is_usual = (
        begin == [SIGNATURE, HEADER.size, b"IHDR"]
        and depth == 8
        and not any(content[START.size - 3 : START.size])
    )
    most_pixels = Image.MAX_IMAGE_PIXELS or math.inf  # Pillow warns of larger ones
    if not is_usual or not 0 < width * height <= most_pixels:
        return 0
    return {GREY: 1, RGB: 3, INDICES: int(indices)}.get(colour, 0)


def _chunks(content: bytes) -> tuple[bytes, Sequence[memoryview]]:
    """Return the joined names of the chunks up to the last, and the parts of the compressed rows.

    There are no names if a chunk is damaged. The checksums of the parts are not compared, because
    the rows have their own.
    """
    kinds = [b""]
    packed = []
    place = len(SIGNATURE)
    view = memoryview(content)
    while kinds[-1] != b"IEND":
        if place + 12 > len(content):
            return b"", []
        (size,) = struct.unpack_from(">I", content, place)
        kind = content[place + 4 : place + 8]
        end = place + 8 + size
        if kind == b"IDAT":
            packed.append(view[place + 8 : end])
        elif content[end : end + 4] != struct.pack(">I", zlib.crc32(view[place + 4 : end])):
            return b"", []
        kinds.append(kind)
        place = end + 4
    return b"".join(kinds), packed


def _decode(plain: Plain) -> np.ndarray:
    packed = b"".join(plain.packed)
    content = bytes(imagecodecs.deflate_decode(packed, out=plain.size))
    if len(content) == plain.size:
        rows = np.frombuffer(content, np.uint8).reshape(plain.height, -1)
        is_filtered = rows[:, 0].any()
        if not is_filtered:  # most masks
            pixels = np.ascontiguousarray(rows[:, 1:])
            if plain.channels == 1:
                return pixels
            return pixels.reshape(plain.height, plain.width, plain.channels)
    return _decode_by_libpng(plain, content, packed[-4:])


def _decode_by_libpng(plain: Plain, content: bytes, checksum: bytes) -> np.ndarray:
    """Return the pixels of filtered rows, which libpng gets in a PNG without compression."""
    colour = GREY
    if plain.channels == 3:
        colour = RGB
    header = HEADER.pack(plain.width, plain.height, 8, colour, 0, 0, 0)
    parts = [
        SIGNATURE,
        *_chunk(b"IHDR", header),
        *_stored(content),
        *_chunk(b"IDAT", checksum),
        *_chunk(b"IEND"),
    ]
    array: np.ndarray = imagecodecs.png_decode(b"".join(parts))
    return array


def _stored(content: bytes) -> Iterator[bytes | memoryview]:
    """Yield the chunks of a zlib stream without compression (RFC 1950) and without its checksum."""
    yield from _chunk(b"IDAT", b"\x78\x01")
    for first in range(0, len(content), BLOCK):
        block = memoryview(content)[first : first + BLOCK]
        is_last = first + BLOCK >= len(content)
        head = STORED.pack(is_last, len(block), BLOCK - len(block))
        yield from _chunk(b"IDAT", head, block)


def _chunk(kind: bytes, *parts: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield the parts of a chunk: its size, name, content and checksum."""
    size = 0
    checksum = zlib.crc32(kind)
    for part in parts:
        size += len(part)
        checksum = zlib.crc32(part, checksum)
    yield from (struct.pack(">I", size), kind, *parts, struct.pack(">I", checksum))
