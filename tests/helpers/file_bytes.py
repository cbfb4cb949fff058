"""Image files made byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit.io import codecs
from segkit.io.images import read_image
from segkit.io.masks import read_colours, read_layers, read_mask

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


GREY = RGB[..., 0].copy()


ORIENTATION = 0x0112


READERS: list[Callable[[Path], np.ndarray]] = [
    read_image,
    read_mask,
    read_layers,
    read_colours,
]


every_reader = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


@contextmanager
def pixel_limit(most: int | None = None) -> Iterator[None]:
    """Give Pillow's limit back as it was, whatever is opened meanwhile."""
    before = Image.MAX_IMAGE_PIXELS
    try:
        codecs.limit_pixels(most)
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(
    width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0, before: bytes = b""
) -> bytes:
    """Return a PNG file made by hand; `rows` begin with their filter byte, `before` are chunks
    ahead of the pixels.
    """
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + before
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(
    array: np.ndarray, compressed: bool = False, size: tuple[int, int] | None = None, **tags: int
) -> bytes:
    """Return a TIFF file made by hand, LZW if `compressed` (tifffile alone cannot decode it);
    `size` is what it claims.
    """
    height, width = size or array.shape[:2]
    bands, bits = array.shape[2] if array.ndim == 3 else 1, array.dtype.itemsize * 8
    pixels = lzw(array.tobytes()) if compressed else array.tobytes()
    many = struct.pack(f"<{bands}H", *[bits] * bands)
    number = {"orientation": 1, "photometric": 2 if bands == 3 else 1, "extra": 0, **tags}
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, bits if bands < 2 else -1)]
    entries += [
        (259, 3, 1, 5 if compressed else 1),
        (262, 3, 1, number["photometric"]),
        (273, 4, 1, -2),
    ]
    entries += [
        (274, 3, 1, number["orientation"]),
        (277, 3, 1, bands),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
    ]
    entries += [(338, 3, 1, number["extra"])] if "extra" in tags else []
    start = 8 + 2 + 12 * len(entries) + 4
    where = {-1: start if bands > 2 else bits | bits << 16, -2: start + len(many)}
    body = b"".join(
        struct.pack("<HHII", tag, kind, count, where.get(v, v)) for tag, kind, count, v in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0\0\0\0" + many + pixels


def lzw(content: bytes) -> bytes:
    """Return TIFF's LZW of single bytes, the table cleared before its codes grow beyond 9 bits."""
    codes = [code for i in range(0, len(content), 200) for code in (256, *content[i : i + 200])] + [
        257
    ]
    bits = "".join(f"{code:09b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def encoded(array: np.ndarray, kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **settings)
    return stream.getvalue()


def deep_png(orientation: int | None = None) -> bytes:
    """Return a 16-bit RGB PNG of `RGB * 257`, with an orientation ahead of the pixels."""
    deep = RGB.astype(">u2") * 257
    exif = Image.Exif()
    exif[ORIENTATION] = orientation or 1
    turn = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) if orientation else b""
    rows = b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2"))
    return png(7, 5, rows, depth=16, colour=2, before=turn)


BROKEN = {
    "empty.png": b"",
    "empty.tif": b"",
    "empty.jpg": b"",
    "text.png": b"image,mask\n",
    "text.tif": b"image,mask\n",
    "cut.png": encoded(RGB, "PNG")[:-40],
    "cut.tif": tiff(RGB)[:-20],
    "cut lzw.tif": tiff(RGB, compressed=True)[:-60],
    "cut deep.png": deep_png()[:-60],
    "cut deep turned.png": deep_png(orientation=6)[:-60],
    "head only.png": encoded(RGB, "PNG")[:20],
    "head only.tif": tiff(RGB)[:40],
    "wrong sum.png": encoded(RGB, "PNG").replace(b"IDAT", b"IDAT\0", 1),
    "tiff.png": tiff(RGB)[:60],
    "png.tif": encoded(GREY, "PNG"),
    "ünï cödé 図.png": b"no image",
    "two  spaces .tif": b"no image",
}
