"""Orientation tags, and values that compressed files would change."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from segkit.io.images import read_image
from segkit.io.masks import read_colours, read_layers, read_mask
from tests.helpers.file_bytes import (
    GREY,
    ORIENTATION,
    RGB,
    chunk,
    deep_png,
    encoded,
    png,
    tiff,
)


def turned(orientation: int) -> np.ndarray:
    """Return `RGB` as Pillow turns a PNG of this orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = Image.open(io.BytesIO(encoded(RGB, "PNG", exif=exif)))
    return np.asarray(ImageOps.exif_transpose(picture))


every_orientation = pytest.mark.parametrize("orientation", range(1, 9))


@every_orientation
def test_trap_29_pictures_of_8_bits_are_turned_as_pillow_turns_them(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for name in ("a.png", "a.webp"):
        Image.fromarray(RGB).save(tmp_path / name, exif=exif, lossless=True)
        np.testing.assert_array_equal(read_image(tmp_path / name), turned(orientation))
        np.testing.assert_array_equal(read_layers(tmp_path / name), turned(orientation))
        np.testing.assert_array_equal(read_colours(tmp_path / name), turned(orientation))
    Image.fromarray(GREY).save(tmp_path / "grey.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), turned(orientation)[..., 0])
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), expected)


@every_orientation
def test_trap_29_colour_pngs_of_16_bits_are_turned_too(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "a.png").write_bytes(deep_png(orientation))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, turned(orientation).astype(np.uint16) * 257)


@every_orientation
@pytest.mark.parametrize("compressed", [False, True])
def test_trap_29_tiffs_are_turned_as_pillow_turns_them(
    tmp_path: Path, orientation: int, compressed: bool
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(RGB, compressed, orientation=orientation))
    np.testing.assert_array_equal(
        np.asarray(ImageOps.exif_transpose(Image.open(path))), turned(orientation)
    )
    for read in (read_image, read_layers, read_colours):
        np.testing.assert_array_equal(read(path), turned(orientation))
    path.write_bytes(tiff(GREY.astype(np.uint16) * 257, compressed, orientation=orientation))
    expected = turned(orientation)[..., 0].astype(np.uint16) * 257
    np.testing.assert_array_equal(read_mask(path), expected)
    np.testing.assert_array_equal(read_image(path)[..., 0], expected)


def written_twice() -> dict[str, bytes]:
    """Return files that state orientation 6 twice: in one or two tables, or in two chunks."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    table = exif.tobytes().removeprefix(b"Exif\0\0")
    entry = struct.pack("<HHII", ORIENTATION, 3, 1, 6)
    in_one_table = b"II*\0" + struct.pack("<IH", 8, 2) + 2 * entry + bytes(4)
    one = struct.pack("<H", 1) + entry
    in_two_tables = b"II*\0" + struct.pack("<I", 8) + one + struct.pack("<I", 26) + one + bytes(4)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    tables = {"once": table, "in one table": in_one_table, "in two tables": in_two_tables}
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    content = encoded(RGB, "PNG")
    head, pixels = content[:33], content[33:]
    files = {f"PNG, {name}": head + chunk(b"eXIf", each) + pixels for name, each in tables.items()}
    files["PNG, two chunks"] = head + 2 * chunk(b"eXIf", table) + pixels
    files["PNG, EXIF and XMP"] = head + chunk(b"eXIf", table) + text + pixels
    files["WebP, EXIF and XMP"] = encoded(RGB, "WEBP", lossless=True, exif=exif, xmp=xmp)
    tags = {ORIENTATION: 6, 700: xmp}
    files["TIFF, tag and XMP"] = encoded(RGB, "TIFF", tiffinfo=tags)
    files["TIFF, tag and XMP, compressed"] = encoded(
        RGB, "TIFF", tiffinfo=tags, compression="tiff_lzw"
    )
    return files


@pytest.mark.parametrize("name", written_twice())
def test_an_orientation_that_is_written_twice_turns_an_image_once(
    tmp_path: Path, name: str
) -> None:
    suffixes = [".png"]
    if name.startswith("TIFF"):
        suffixes.append(".tif")
    for suffix in suffixes:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(written_twice()[name])
        for read in (read_image, read_layers, read_colours):
            np.testing.assert_array_equal(read(path), turned(6))


def test_grey_with_alpha_of_16_bits_stays_grey(tmp_path: Path) -> None:
    deep = np.stack([GREY.astype(">u2") * 257, np.full_like(GREY, 255, ">u2")], axis=-1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "a.png").write_bytes(png(7, 5, rows, depth=16, colour=4))
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), GREY[..., None].astype(np.uint16) * 257
    )


CHANGED_BY_PILLOW = {
    "16-bit RGB, of which Pillow keeps 8 bits": (RGB.astype(np.uint16) * 257, {}),
    "two bands, of which Pillow keeps one": (RGB[..., :2], {"extra": 0}),
}


@pytest.mark.parametrize("what", CHANGED_BY_PILLOW)
def test_trap_26_a_compressed_tiff_keeps_its_values(tmp_path: Path, what: str) -> None:
    values, settings = CHANGED_BY_PILLOW[what]
    (tmp_path / "a.tif").write_bytes(tiff(values.squeeze(), compressed=True, **settings))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), values)


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "zstd", "packbits", "tiff_adobe_deflate", "jpeg"]
)
def test_compressed_tiffs_are_read_without_another_package(
    tmp_path: Path, compression: str
) -> None:
    picture = Image.fromarray(RGB)
    picture.save(tmp_path / "a.tif", compression=compression)
    expected = np.asarray(Image.open(tmp_path / "a.tif"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_trap_25_palette_tiffs_are_colours_as_images_and_ids_as_masks(
    tmp_path: Path, compression: str | None
) -> None:
    picture = Image.fromarray(np.array([[2, 1, 0]], np.uint8))
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 7] + [0] * 759)
    picture.save(tmp_path / "a.tif", compression=compression)
    assert read_image(tmp_path / "a.tif").tolist() == [[[0, 200, 7], [200, 0, 0], [0, 0, 0]]]
    assert read_mask(tmp_path / "a.tif").tolist() == [[2, 1, 0]]
