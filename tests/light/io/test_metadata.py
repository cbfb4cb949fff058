"""Pixels are read despite broken metadata; transparency; lossless compressions."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import DataError
from segkit.io.images import read_image, read_pixels
from segkit.io.lossless import lossy
from segkit.io.masks import read_mask
from tests.helpers.errors import fails

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
SMOOTH = np.dstack(np.broadcast_arrays(np.arange(48)[:, None] * 4, np.arange(80) * 3, 90)).astype(
    np.uint8
)
IDS = np.random.default_rng(1).integers(0, 3, (32, 32), np.uint8)


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value


def exif(*entries: bytes, tail: bytes = b"", following: int = 0) -> bytes:
    count = struct.pack("<IH", 8, len(entries))
    return b"Exif\0\0II*\0" + count + b"".join(entries) + struct.pack("<I", following) + tail


TURNED = entry(0x0112, 3, 1, struct.pack("<HH", 6, 0))
AFTER_TWO = struct.pack("<I", 8 + 2 + 2 * 12 + 4)
EXIF: dict[str, tuple[bytes, bool]] = {
    "a rational out of range": (
        exif(TURNED, entry(0x011A, 10, 1, AFTER_TWO), tail=struct.pack("<ii", -1, 0)),
        True,
    ),
    "a rational of 0/0": (
        exif(TURNED, entry(0x011A, 5, 1, AFTER_TWO), tail=struct.pack("<II", 0, 0)),
        True,
    ),
    "a pointer out of the block": (
        exif(TURNED, entry(0x8769, 4, 1, struct.pack("<I", 60000))),
        True,
    ),
    "a next directory out of the block": (exif(TURNED, following=70000), True),
    "a comment of a wrong type": (exif(TURNED, entry(0x9286, 7, 4, bytes(range(4)))), True),
    "a text that is cut off": (exif(TURNED, entry(0x010E, 2, 400, AFTER_TWO), tail=b"short"), True),
    "an orientation of 0": (exif(entry(0x0112, 3, 1, bytes(4))), False),
    "an orientation that is text": (exif(entry(0x0112, 2, 2, b"6\0\0\0")), False),
    "nothing": (b"Exif\0\0", False),
}


@pytest.mark.parametrize("what", EXIF)
def test_broken_exif_refuses_no_pixels_and_the_orientation_holds(tmp_path: Path, what: str) -> None:
    block, turned = EXIF[what]
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, "JPEG", quality=95, subsampling=0)
    content = stream.getvalue()
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    expected = np.rot90(SMOOTH, -1) if turned else SMOOTH
    found = read_image(tmp_path / "a.jpg").astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 16


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checked = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checked)


CHUNKS = {
    "a text with a wrong check sum": chunk(b"tEXt", b"Title\0x", 1),
    "a text that unpacks to gigabytes": chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(2**23))),
    "a colour profile that is none": chunk(b"iCCP", b"icc\0\0nothing"),
    "broken EXIF": chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "a size that is cut off": chunk(b"pHYs", b"\0\0"),
}


@pytest.mark.parametrize("what", CHUNKS)
@pytest.mark.parametrize("last", [False, True])
def test_broken_chunks_refuse_no_pixels(tmp_path: Path, what: str, last: bool) -> None:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    content = stream.getvalue()
    place = content.index(b"IEND") - 4 if last else content.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(content[:place] + CHUNKS[what] + content[place:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


def test_a_png_whose_pixels_are_broken_is_refused_all_the_same(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[content.index(b"IDAT") + 30 :] = b"x" * 400
    (tmp_path / "a.png").write_bytes(bytes(content))
    with fails(DataError, "unreadable", tmp_path / "a.png"):
        read_image(tmp_path / "a.png")


HIDDEN = np.arange(12)[:, None] < np.full(20, 4)


def _palette() -> Image.Image:
    picture = Image.fromarray(np.where(HIDDEN, 7, RGB[..., 0] % 5).astype(np.uint8))
    picture.putpalette([value for index in range(256) for value in (index, 9, 100)])
    return picture


ALPHA = np.where(HIDDEN, 0, 255).astype(np.uint8)
GREY = np.where(HIDDEN, 7, RGB[..., 0] // 2 * 2).astype(np.uint8)
TRANSPARENT: dict[str, tuple[Callable[[Path], None], np.ndarray]] = {
    "rgba.png": (lambda path: Image.fromarray(np.dstack([RGB, ALPHA])).save(path), RGB),
    "rgba.webp": (
        lambda path: Image.fromarray(np.dstack([RGB, ALPHA])).save(path, lossless=True, exact=True),
        RGB,
    ),
    "grey and alpha.png": (
        lambda path: Image.fromarray(np.dstack([GREY, ALPHA])).save(path),
        GREY[..., None],
    ),
    "a grey that is transparent.png": (
        lambda path: Image.fromarray(GREY).save(path, transparency=7),
        GREY[..., None],
    ),
    "an index.png": (
        lambda path: _palette().save(path, transparency=7),
        np.asarray(_palette().convert("RGB")),
    ),
    "an index.gif": (
        lambda path: _palette().save(path, transparency=7),
        np.asarray(_palette().convert("RGB")),
    ),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_trap_39_wholly_transparent_pixels_of_an_image_are_not_valid(
    tmp_path: Path, name: str
) -> None:
    write, expected = TRANSPARENT[name]
    write(tmp_path / name)
    found = read_pixels(tmp_path / name)
    np.testing.assert_array_equal(found.values, expected)
    assert found.valid is not None
    np.testing.assert_array_equal(found.valid, ~HIDDEN)


def test_half_transparent_pixels_and_pictures_that_would_be_invisible_are_valid(
    tmp_path: Path,
) -> None:
    for alpha in (1, 0):
        Image.fromarray(np.dstack([RGB, np.full((12, 20), alpha, np.uint8)])).save(
            tmp_path / "a.png"
        )
        assert read_pixels(tmp_path / "a.png").valid is None
    Image.fromarray(np.zeros((12, 20, 4), np.uint8)).save(tmp_path / "blank.png")
    blank = read_pixels(tmp_path / "blank.png").valid
    assert blank is not None
    assert not blank.any()


LOSSLESS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "WebP.webp": (
        lambda path: Image.fromarray(np.dstack([IDS] * 3)).save(path, lossless=True),
        lambda path: Image.fromarray(np.dstack([IDS] * 3)).save(path, quality=50),
    ),
    "WebP.tif": (
        lambda path: _tiff(
            path, np.dstack([IDS] * 3), "webp", {"lossless": True}, photometric="rgb"
        ),
        lambda path: _tiff(
            path, np.dstack([IDS] * 3), "webp", {"level": 50, "lossless": False}, photometric="rgb"
        ),
    ),
    "JPEG 2000.tif": (
        lambda path: _tiff(path, IDS, "jpeg2000", {"level": 0}),
        lambda path: _tiff(path, IDS, "jpeg2000", {"level": 40, "reversible": False}),
    ),
    "LERC.tif": (
        lambda path: _tiff(path, IDS, "lerc", {}),
        lambda path: _tiff(path, IDS, "lerc", {"level": 2}),
    ),
    "JPEG.tif": (
        lambda path: _tiff(path, IDS, "jpeg", {"lossless": True}),
        lambda path: _tiff(path, IDS, "jpeg", {"level": 80}),
    ),
}


def _tiff(
    path: Path, array: np.ndarray, compression: str, settings: dict[str, Any], **how: Any
) -> None:
    tifffile.imwrite(path, array, compression=compression, compressionargs=settings, **how)


@pytest.mark.parametrize("name", LOSSLESS)
def test_trap_27_lossless_compression_is_not_called_lossy(tmp_path: Path, name: str) -> None:
    without_loss, with_loss = LOSSLESS[name]
    without_loss(tmp_path / name)
    assert lossy(tmp_path / name) is None
    np.testing.assert_array_equal(read_mask(tmp_path / name), IDS)
    with_loss(tmp_path / name)
    with fails(DataError, "mask-lossy", tmp_path / name):
        read_mask(tmp_path / name)
