"""The fast PNG reader returns the pixels that Pillow returns, and leaves other files to Pillow."""

from __future__ import annotations

import io
import math
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from segkit.data.sources.folder import in_folders
from segkit.io import png
from segkit.io.images import read_image
from segkit.io.masks import read_colours, read_layers, read_mask
from segkit.task import Task
from tests.helpers import file_bytes
from tests.helpers.file_bytes import GREY, RGB, chunk, encoded, pixel_limit

IGNORED = [
    (b"pHYs", b"\0\0\1\0\0\0\2\0\1"),
    (b"gAMA", b"\0\0\x27\x10"),
    (b"sRGB", b"\0"),
    (b"sBIT", b"\3\3\3"),
]
"""Chunks that Pillow ignores."""


def by_pillow(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


def by_hand(
    pixels: np.ndarray,
    before: bytes = b"",
    after: bytes = b"",
    parts: int = 1,
    colour: int | None = None,
    methods: tuple[int, int, int] = (0, 0, 0),
    filtered: int = 0,
    missing: int = 0,
) -> bytes:
    """Return a PNG of (H, W) or (H, W, 3) uint8, whose pixels lie in several chunks.

    The header states `missing` more rows than there are, and the rows state the filter `filtered`.
    """
    height, width = pixels.shape[0] + missing, pixels.shape[1]
    rows = zlib.compress(b"".join(bytes([filtered]) + row.tobytes() for row in pixels))
    size = -(-len(rows) // parts)
    data = b"".join(chunk(b"IDAT", rows[i : i + size]) for i in range(0, len(rows), size))
    colour = (0 if pixels.ndim == 2 else 2) if colour is None else colour
    header = struct.pack(">IIBBBBB", width, height, 8, colour, *methods)
    return png.SIGNATURE + chunk(b"IHDR", header) + before + data + after + chunk(b"IEND", b"")


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Draw grey or RGB pixels: noise, or a gradient, for which encoders choose other filters."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.just((3, 300)))
    shape = draw(st.sampled_from([shape, (*shape, 3)]))
    noise = draw(arrays.arrays(np.uint8, shape))
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).reshape(
        *shape[:2], *[1] * (len(shape) - 2)
    )
    return draw(
        st.sampled_from(
            [noise, np.broadcast_to(ramp, shape).astype(np.uint8), ramp.astype(np.uint8) + noise]
        )
    )


@given(pictures(), st.integers(0, 9), st.booleans())
def test_plain_png_is_read_as_pillow_reads_it(
    pixels: np.ndarray, level: int, optimize: bool
) -> None:
    content = encoded(pixels, "PNG", compress_level=level, optimize=optimize)
    found = png.decode_plain(content)
    assert found is not None
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(by_pillow(content), pixels)


@given(
    pictures(),
    st.lists(st.sampled_from(IGNORED), max_size=3, unique=True),
    st.integers(1, 4),
    st.binary(max_size=9),
)
def test_chunks_that_change_nothing_change_nothing(
    pixels: np.ndarray, ignored: list[tuple[bytes, bytes]], parts: int, behind: bytes
) -> None:
    before = b"".join(chunk(kind, content) for kind, content in ignored)
    content = by_hand(pixels, before, chunk(b"tIME", b"\7\xe9\1\1\0\0\0"), parts) + behind
    found = png.decode_plain(content)
    assert found is not None
    np.testing.assert_array_equal(found, by_pillow(content))


@given(pictures(), st.integers(0, 4))
def test_every_filter_is_undone(pixels: np.ndarray, filtered: int) -> None:
    content = by_hand(pixels, filtered=filtered)
    found = png.decode_plain(content)
    assert found is not None
    np.testing.assert_array_equal(found, by_pillow(content))


@given(
    pictures().filter(lambda pixels: pixels.ndim == 2),
    st.integers(1, 256),
    st.booleans(),
    st.integers(0, 1),
)
def test_the_indices_of_a_palette_are_read(
    pixels: np.ndarray, colours: int, transparent: bool, filtered: int
) -> None:
    before = chunk(b"PLTE", bytes(3 * colours)) + (
        chunk(b"tRNS", bytes(colours)) if transparent else b""
    )
    content = by_hand(pixels, before, colour=png.INDICES, filtered=filtered)
    found = png.decode_plain(content, indices=True)
    assert found is not None
    np.testing.assert_array_equal(found, by_pillow(content))
    assert png.decode_plain(content) is None


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "RGB"])
def test_a_large_file_takes_no_memory_but_its_pixels(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.squeeze(np.random.default_rng(0).integers(0, 256, (300, 400, channels), np.uint8))
    content = encoded(pixels, "PNG")
    usual, found = _peak(content)
    np.testing.assert_array_equal(found, pixels)
    monkeypatch.setattr(png, "LARGE", pixels.size)  # rows have a byte more each
    least, found = _peak(content)
    np.testing.assert_array_equal(found, pixels)
    assert least < 1.2 * pixels.nbytes
    assert usual > 2 * pixels.nbytes


def _peak(content: bytes) -> tuple[int, np.ndarray | None]:
    """Return the most bytes that decoding takes, and the pixels."""
    tracemalloc.start()
    found = png.decode_plain(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, found


def test_a_large_palette_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    palette = by_hand(GREY, chunk(b"PLTE", bytes(768)), colour=png.INDICES)
    np.testing.assert_array_equal(png.decode_plain(palette, indices=True), GREY)
    monkeypatch.setattr(png, "LARGE", GREY.size)
    assert png.decode_plain(palette, indices=True) is None


@given(st.sampled_from([GREY, RGB]), st.integers(1, 3), st.data())
def test_damaged_files_are_read_as_pillow_reads_them_or_not_at_all(
    pixels: np.ndarray, parts: int, data: st.DataObject
) -> None:
    content = bytearray(
        by_hand(pixels, parts=parts) if data.draw(st.booleans()) else encoded(pixels, "PNG")
    )
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    found = png.decode_plain(damaged)
    if found is not None:
        np.testing.assert_array_equal(found, by_pillow(damaged))


def headers(*behind: bytes) -> list[bytes]:
    """Return the first chunk of `by_hand(RGB)` with bytes behind what belongs there."""
    return [chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0) + more) for more in behind]


def other_pngs() -> dict[str, bytes]:
    """Return files that Pillow turns, expands or reads in a way of its own."""
    indexed = Image.fromarray(GREY % 7)
    indexed.putpalette([10, 20, 30] * 256)
    stream = io.BytesIO()
    indexed.save(stream, "PNG")
    exif = Image.Exif()
    exif[file_bytes.ORIENTATION] = 6
    turn = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    hidden = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n".encode()
    return {
        "palette": stream.getvalue(),
        "two bits of palette": encoded(GREY % 2 * 255 > 0, "PNG"),
        "alpha": encoded(np.dstack([RGB, GREY]), "PNG"),
        "a longer header": by_hand(RGB).replace(*headers(b"", b"\0")),
        "interlaced": by_hand(RGB, methods=(0, 0, 1)),
        "a compression of tomorrow": by_hand(RGB, methods=(1, 0, 0)),
        "filters of tomorrow": by_hand(RGB, methods=(0, 1, 0)),
        "an unknown filter": by_hand(RGB, filtered=5),
        "too few rows": by_hand(RGB, missing=1),
        "too many rows": by_hand(RGB, missing=-1),
        "a transparent colour": by_hand(RGB, chunk(b"tRNS", b"\0\1\0\2\0\3")),
        "16 bits of grey": encoded(GREY.astype(np.uint16) * 257, "PNG"),
        "16 bits of colour": file_bytes.deep_png(),
        "turned": by_hand(RGB, turn),
        "turned after the pixels": by_hand(RGB, after=turn),
        "turned by a text": by_hand(RGB, chunk(b"tEXt", b"Raw profile type exif\0" + hidden)),
        "animated": by_hand(RGB, chunk(b"acTL", struct.pack(">II", 1, 0))),
        "unknown": by_hand(RGB, chunk(b"abCd", b"1")),
        "no PNG": encoded(RGB, "BMP"),
    }


@pytest.mark.parametrize("kind", other_pngs())
def test_everything_else_is_left_to_pillow(kind: str, tmp_path: Path) -> None:
    content = other_pngs()[kind]
    assert png.decode_plain(content) is None
    assert kind == "palette" or png.decode_plain(content, indices=True) is None
    (tmp_path / "a.png").write_bytes(content)
    assert png.read_plain(tmp_path / "a.png") is None
    if "turned" in kind:
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(RGB, -1))


@pytest.mark.parametrize("kind", file_bytes.BROKEN)
def test_broken_files_are_left_to_pillow(kind: str) -> None:
    assert png.decode_plain(file_bytes.BROKEN[kind]) is None or kind == "png.tif"


@pytest.mark.parametrize("kind", [b"pHYs", b"IHDR", b"IEND"])
def test_a_wrong_check_sum_is_left_to_pillow(kind: bytes) -> None:
    content = bytearray(by_hand(RGB, chunk(b"pHYs", b"\0\0\1\0\0\0\2\0\1")))
    start = content.index(kind)
    (size,) = struct.unpack_from(">I", content, start - 4)
    assert png.decode_plain(bytes(content)) is not None
    content[start + 4 + size] ^= 1
    assert png.decode_plain(bytes(content)) is None


def test_the_check_sum_of_the_rows_is_enough_as_it_is_for_pillow() -> None:
    content = bytearray(by_hand(RGB))
    end = content.index(b"IEND")
    content[end - 8] ^= 1
    np.testing.assert_array_equal(png.decode_plain(bytes(content)), by_pillow(bytes(content)))
    content[end - 12] ^= 1
    assert png.decode_plain(bytes(content)) is None


def test_many_empty_chunks_take_no_longer_than_their_bytes() -> None:
    content = by_hand(RGB, before=chunk(b"IDAT", b"") * 300_000)
    began = time.process_time()
    np.testing.assert_array_equal(png.decode_plain(content), RGB)
    assert time.process_time() - began < 10  # 0.2 s; adding to a string at each chunk took minutes


def test_files_above_the_limit_are_left_to_pillow() -> None:
    content = encoded(RGB, "PNG")
    with pixel_limit(2 * RGB[..., 0].size):
        assert png.decode_plain(content) is not None
    with pixel_limit(2 * RGB[..., 0].size - 2):
        assert png.decode_plain(content) is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("read", "mode"),
    [
        (read_image, "RGB"),
        (read_image, "L"),
        (read_mask, "L"),
        (read_mask, "P"),
        (read_colours, "RGB"),
    ],
    ids=["RGB image", "grey image", "grey mask", "palette mask", "colour mask"],
)
def test_readers_of_images_and_masks_are_faster_than_pillow(
    tmp_path: Path, read: Callable[[Path], np.ndarray], mode: str
) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(
        0, 8, (1000, 1000, 3 if mode == "RGB" else 1), np.uint8
    ) * np.uint8(30)
    Image.frombytes("L" if mode == "P" else mode, (1000, 1000), pixels.tobytes()).convert(
        mode
    ).save(path)
    np.testing.assert_array_equal(np.squeeze(read(path)), np.squeeze(pixels))
    seconds = {"read": math.inf, "Pillow": math.inf}
    for _ in range(15):
        seconds["read"] = min(seconds["read"], _seconds(lambda: read(path)))
        seconds["Pillow"] = min(seconds["Pillow"], _seconds(lambda: by_pillow(path.read_bytes())))
    assert seconds["read"] < 0.9 * seconds["Pillow"]


def _seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call in seconds."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def grey_of_few_bits(ids: np.ndarray, bits: int) -> bytes:
    """Return a grey PNG whose samples of 2 or 4 bits are these ids."""
    packed = b""
    for row in ids:
        digits = "".join(f"{value:0{bits}b}" for value in row)
        digits += "0" * (-len(digits) % 8)
        packed += b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big")
    return file_bytes.png(ids.shape[1], ids.shape[0], packed, depth=bits)


@pytest.mark.parametrize("bits", [2, 4])
def test_trap_26_masks_of_2_and_4_bits_hold_the_stored_ids(tmp_path: Path, bits: int) -> None:
    ids = np.random.default_rng(0).integers(0, 2**bits, (5, 7), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(grey_of_few_bits(ids, bits))
    step = 255 // (2**bits - 1)
    np.testing.assert_array_equal(read_mask(path), ids)
    np.testing.assert_array_equal(read_layers(path)[..., 0], ids)
    np.testing.assert_array_equal(read_mask(path, 100), ids * step >= 100)
    np.testing.assert_array_equal(read_image(path)[..., 0], ids * step)
    np.testing.assert_array_equal(read_colours(path)[..., 1], ids * step)


@pytest.mark.parametrize("bits", [2, 4])
def test_black_and_white_masks_of_2_and_4_bits_are_no_and_yes(tmp_path: Path, bits: int) -> None:
    yes = np.random.default_rng(0).integers(0, 2, (5, 7), np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "a.png").write_bytes(encoded(RGB, "PNG"))
    path = tmp_path / "masks" / "a.png"
    path.write_bytes(grey_of_few_bits(yes * (2**bits - 1), bits))
    source = in_folders(tmp_path / "images", tmp_path / "masks", Task.binary("a"))
    np.testing.assert_array_equal(np.squeeze(source.read("a").mask), yes)
