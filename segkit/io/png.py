"""PNG as most data sets keep it, 8 bits of grey, RGB or palette and nothing beside the pixels, read faster than by Pillow.

PNG is lossless, so every correct decoder gives the same values. All that could make readers differ
(colours of palettes, alpha, other depths, orientation, animation, damage) is left to Pillow. Three
quarters of libpng's time are zlib's, and libdeflate takes half of that: it unpacks the pixels, and
libpng gets them as a PNG without compression to undo the filters.
"""

from __future__ import annotations

import functools
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
"""The chunks of a plain file, in their order."""
PALETTE = re.compile(rb"IHDR" + IGNORED + rb"PLTE(?:tRNS)?" + IGNORED + rb"(?:IDAT)+(?:tIME)*IEND")
HEADER = struct.Struct(">IIBBBBB")
START = struct.Struct(">8sI4sIIBBBBB")
"""The signature, and the first chunk up to its checksum."""
GREY, RGB, INDICES = 0, 2, 3
"""Colour types."""
STORED = struct.Struct("<BHH")
"""What precedes a block without compression (RFC 1951): whether it is the last, its size, and the size's complement."""
BLOCK = 2**16 - 1
"""Bytes that such a block holds at most."""
LARGE = 2**24
"""Bytes of pixels above which memory counts more than time: libpng alone does not hold them thrice."""


class Plain(NamedTuple):
    """What the pixels of a plain file follow from: its size, the bytes of a pixel, and the compressed rows."""

    width: int
    height: int
    channels: int
    packed: Sequence[memoryview]

    @property
    def size(self) -> int:
        """Bytes of the rows, each of which begins with the number of its filter."""
        return self.height * (1 + self.width * self.channels)


def read_plain(path: Path, indices: bool = False) -> np.ndarray | None:
    """Return what `decode_plain` makes of a file."""
    with path.open("rb") as stream:
        if not _channels(stream.read(START.size), indices):
            return None
        stream.seek(0)
        return decode_plain(stream.read(), indices)


class Indexed(NamedTuple):
    """Values (H, W) uint8, and the palette (256, 3) uint8 that they are indices of; None if they are grey."""

    values: np.ndarray
    palette: np.ndarray | None


def read_indexed(path: Path) -> Indexed | None:
    """Return the values of a plain file of one channel, or of RGB, and its palette."""
    with path.open("rb") as stream:
        if not _channels(stream.read(START.size), True):
            return None
        stream.seek(0)
        content = stream.read()
    values = decode_plain(content, True)
    return None if values is None else Indexed(values, _palette(content))


def _palette(content: bytes) -> np.ndarray | None:
    """Return the colours of a file that `decode_plain` read."""
    if content[START.size - 4] != INDICES:
        return None
    place = len(SIGNATURE)
    while content[place + 4 : place + 8] != b"PLTE":
        place += 12 + struct.unpack_from(">I", content, place)[0]
    (size,) = struct.unpack_from(">I", content, place)
    colours = np.zeros((256, 3), np.uint8)
    given = np.frombuffer(content, np.uint8, min(size, colours.size) // 3 * 3, place + 8).reshape(
        -1, 3
    )
    colours[: len(given)] = given
    return colours


def is_png(path: Path) -> bool:
    """Return whether a file begins as a PNG does, whatever its suffix says."""
    with path.open("rb") as stream:
        return stream.read(8) == SIGNATURE


def decode_plain(content: bytes, indices: bool = False) -> np.ndarray | None:
    """Return the pixels of a plain PNG, (H, W) or (H, W, 3) uint8; None if it is anything else, or damaged.

    Of a file with a palette these are its `indices`; without them, and if it is large, None.
    """
    plain = _plain(content, indices)
    if plain is None:
        return None
    try:
        array: np.ndarray = (
            imagecodecs.png_decode(content) if plain.size > LARGE else _decode(plain)
        )
    except (imagecodecs.PngError, imagecodecs.DeflateError):
        return None  # Pillow says what is wrong with it
    return array


def _plain(content: bytes, indices: bool) -> Plain | None:
    channels = _channels(content, indices)
    if not channels:
        return None
    kinds, packed = _chunks(content)
    _, _, _, width, height, _, colour, *_ = START.unpack_from(content)
    plain = Plain(width, height, channels, packed)
    if colour == INDICES:
        return plain if PALETTE.fullmatch(kinds) and plain.size <= LARGE else None
    return plain if PLAIN.fullmatch(kinds) else None


def _channels(content: bytes, indices: bool) -> int:
    """Return the bytes of a pixel, 1 or 3, of a file that begins as a plain one does; 0 of others."""
    if len(content) < START.size:
        return 0
    *begin, width, height, depth, colour, _, _, _ = START.unpack_from(content)
    usual = (
        begin == [SIGNATURE, HEADER.size, b"IHDR"]
        and depth == 8
        and not any(content[START.size - 3 : START.size])
    )
    if not usual or not 0 < width * height <= (
        Image.MAX_IMAGE_PIXELS or math.inf
    ):  # Pillow warns of larger ones
        return 0
    return {GREY: 1, RGB: 3, INDICES: int(indices)}.get(colour, 0)


def _chunks(content: bytes) -> tuple[bytes, Sequence[memoryview]]:
    """Return the kinds of the chunks up to the last, one after the other, and the parts of the compressed rows.

    There are no kinds if a chunk is damaged; rows have a checksum of their own.
    """
    kinds, packed, place, view = [b""], [], len(SIGNATURE), memoryview(content)
    while kinds[-1] != b"IEND":
        if place + 12 > len(content):
            return b"", []
        (size,), kind = struct.unpack_from(">I", content, place), content[place + 4 : place + 8]
        end = place + 8 + size
        if kind == b"IDAT":
            packed.append(view[place + 8 : end])
        elif content[end : end + 4] != struct.pack(">I", zlib.crc32(view[place + 4 : end])):
            return b"", []
        kinds.append(kind)
        place = end + 4
    return b"".join(kinds), packed


def _decode(plain: Plain) -> np.ndarray:
    width, height, channels, parts = plain
    packed = b"".join(parts)
    content = bytes(imagecodecs.deflate_decode(packed, out=plain.size))
    if len(content) == plain.size:
        rows = np.frombuffer(content, np.uint8).reshape(height, -1)
        if not rows[:, 0].any():  # nothing was filtered: masks, mostly
            shape = (height, width, channels) if channels > 1 else (height, width)
            return np.ascontiguousarray(rows[:, 1:]).reshape(shape)
    header = HEADER.pack(width, height, 8, RGB if channels == 3 else GREY, 0, 0, 0)
    chunks = (
        *_chunk(b"IHDR", header),
        *_stored(content),
        *_chunk(b"IDAT", packed[-4:]),
        *_chunk(b"IEND"),
    )
    array: np.ndarray = imagecodecs.png_decode(b"".join([SIGNATURE, *chunks]))
    return array


def _stored(content: bytes) -> Iterator[bytes | memoryview]:
    """Yield the chunks of a zlib stream without compression (RFC 1950), all but the checksum at its end."""
    yield from _chunk(b"IDAT", b"\x78\x01")
    for first in range(0, len(content), BLOCK):
        block = memoryview(content)[first : first + BLOCK]
        yield from _chunk(
            b"IDAT",
            STORED.pack(first + BLOCK >= len(content), len(block), BLOCK - len(block)),
            block,
        )


def _chunk(kind: bytes, *parts: bytes | memoryview) -> Iterator[bytes | memoryview]:
    checksum = functools.reduce(
        lambda before, part: zlib.crc32(part, before), parts, zlib.crc32(kind)
    )
    yield from (struct.pack(">I", sum(map(len, parts))), kind, *parts, struct.pack(">I", checksum))
