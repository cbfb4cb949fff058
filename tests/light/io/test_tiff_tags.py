"""TIFF images are read as their tags say, whole and by windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import DataError
from segkit.io.images import read_image, read_pixels
from segkit.io.tiff_windows import LargeImage
from tests.helpers.errors import fails
from tests.helpers.large_cases import noise
from tests.helpers.tiff_palettes import write_bits

RGB = noise(40, 50)
GREY = RGB[..., 0]
NIR = noise(40, 50, 1, seed=1)
OPAQUE = np.full((40, 50, 1), 255, np.uint8)
HIDDEN = np.arange(40)[:, None] < np.full(50, 9)
MOSAIC = np.where(HIDDEN[..., None], 0, RGB)
HEIGHTS = 200 + GREY.astype(np.float32) / 4
Write = Callable[[Path], None]


def single(array: np.ndarray, **how: Any) -> Write:
    return lambda path: tifffile.imwrite(path, array, metadata=None, **how)


def several(*pages: tuple[np.ndarray, dict[str, Any]]) -> Write:
    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as tiff:
            for array, how in pages:
                tiff.write(array, metadata=None, **how)

    return write


def by_pillow(mode: str) -> Write:
    return lambda path: Image.fromarray(RGB).convert(mode).save(path)


def nodata(text: str) -> dict[str, Any]:
    return {"extratags": [(42113, "s", 0, text, True)]}


HOW: dict[str, Any] = {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}
THUMBNAIL = (RGB[::4, ::4].copy(), {"photometric": "rgb", "subfiletype": 1})
FILES: dict[str, tuple[Write, np.ndarray, float]] = {
    "0 is white, 8 bits": (single(255 - GREY, photometric="miniswhite"), GREY[..., None], 0),
    "0 is white, 16 bits": (
        single(65535 - GREY.astype(np.uint16), photometric="miniswhite"),
        GREY[..., None].astype(np.uint16),
        0,
    ),
    "0 is white, 1 bit": (
        single(GREY < 128, photometric="miniswhite", compression="packbits"),
        (GREY >= 128)[..., None] * np.uint8(255),
        0,
    ),
    "near infrared of no kind": (
        single(np.dstack([RGB, NIR]), extrasamples=["unspecified"], **HOW),
        np.dstack([RGB, NIR]),
        0,
    ),
    "near infrared that GDAL calls alpha": (
        single(np.dstack([RGB, NIR]), extrasamples=["unassalpha"], **HOW),
        np.dstack([RGB, NIR]),
        0,
    ),
    "near infrared of water, 0 everywhere": (
        single(np.dstack([RGB, 0 * NIR]), extrasamples=["unassalpha"], **HOW),
        np.dstack([RGB, 0 * NIR]),
        0,
    ),
    "opaque alpha": (single(np.dstack([RGB, OPAQUE]), extrasamples=["unassalpha"], **HOW), RGB, 0),
    "alpha after near infrared": (
        single(np.dstack([RGB, NIR, OPAQUE]), extrasamples=["unspecified", "unassalpha"], **HOW),
        np.dstack([RGB, NIR]),
        0,
    ),
    "grey and alpha": (
        single(
            np.dstack([GREY, OPAQUE]),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["assocalpha"],
        ),
        GREY[..., None],
        0,
    ),
    "a thumbnail first": (several(THUMBNAIL, (RGB, HOW)), RGB, 0),
    "a thumbnail last": (several((RGB, HOW), THUMBNAIL), RGB, 0),
    "a small copy first that is not called so": (
        several((RGB[::4, ::4].copy(), {"photometric": "rgb"}), (RGB, HOW)),
        RGB,
        0,
    ),
    "levels of a pyramid": (
        several((GREY, {"tile": (16, 16)}), (GREY[::2, ::2].copy(), {"subfiletype": 1})),
        GREY[..., None],
        0,
    ),
    "a mask of transparency": (
        several((GREY, {}), (GREY > 9, {"subfiletype": 4, "photometric": "mask"})),
        GREY[..., None],
        0,
    ),
    "CMYK": (single(np.dstack([255 - RGB, 0 * GREY]), photometric="separated"), RGB, 0),
    "CMYK with black": (by_pillow("CMYK"), RGB, 2),
    "YCbCr": (by_pillow("YCbCr"), RGB, 4),
    "CIELAB": (by_pillow("LAB"), np.asarray(Image.fromarray(RGB).convert("LAB").convert("RGB")), 3),
    "an old palette of 8 bits": (
        single(
            GREY, photometric="palette", colormap=np.tile(np.arange(256, dtype=np.uint16), (3, 1))
        ),
        np.repeat(GREY[..., None], 3, -1),
        0,
    ),
    "a palette of 1 bit": (
        lambda path: write_bits(path, GREY > 99, [(9, 8, 7), (200, 0, 0)]),
        np.array([(9, 8, 7), (200, 0, 0)], np.uint8)[(GREY > 99).astype(int)],
        0,
    ),
    "an orientation that there is not": (
        single(RGB, extratags=[(274, "H", 1, 77, True)], **HOW),
        RGB,
        0,
    ),
    "a value of no data that is no number": (single(GREY, **nodata("none")), GREY[..., None], 0),
    "a value of no data that 8 bits cannot hold": (
        single(GREY, **nodata("-9999")),
        GREY[..., None],
        0,
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_trap_39_an_image_is_what_its_tags_say(tmp_path: Path, what: str) -> None:
    write, expected, difference = FILES[what]
    write(tmp_path / "a.tif")
    whole = read_image(tmp_path / "a.tif")
    assert (whole.shape, whole.dtype) == (expected.shape, expected.dtype)
    assert np.abs(whole.astype(float) - expected).max() <= difference
    with LargeImage(tmp_path / "a.tif") as large:
        assert (large.height, large.width, large.channels, large.dtype) == (
            *expected.shape,
            expected.dtype,
        )
        window = large.read(slice(7, 31), slice(3, 44))
    np.testing.assert_array_equal(window, whole[7:31, 3:44])


FILLED = np.where(HIDDEN, HEIGHTS[~HIDDEN].min(), HEIGHTS)[..., None]
HOLES: dict[str, tuple[Write, np.ndarray]] = {
    "heights": (single(np.where(HIDDEN, np.float32(-9999), HEIGHTS), **nodata("-9999")), FILLED),
    "heights in tiles": (
        single(
            np.where(HIDDEN, np.float32(-9999), HEIGHTS),
            tile=(16, 16),
            compression="zlib",
            **nodata("-9999"),
        ),
        FILLED,
    ),
    "not a number": (
        single(np.where(HIDDEN, np.float32(np.nan), HEIGHTS), **nodata("nan")),
        FILLED,
    ),
    "the lowest float": (
        single(np.where(HIDDEN, np.finfo(np.float32).min, HEIGHTS), **nodata("-3.40282e+38")),
        FILLED,
    ),
    "16 bits": (
        single(
            np.where(HIDDEN, 65535, GREY.astype(np.uint16) + 300).astype(np.uint16),
            **nodata("65535"),
        ),
        np.where(HIDDEN, int(GREY[~HIDDEN].min()) + 300, GREY.astype(np.uint16) + 300)[
            ..., None
        ].astype(np.uint16),
    ),
    "integers with a sign": (
        single(np.where(HIDDEN, -1, GREY.astype(np.int16)), **nodata("-1")),
        np.where(HIDDEN, GREY[~HIDDEN].min(), GREY)[..., None].astype(np.float32),
    ),
    "colours of which all are 0": (
        single(MOSAIC, **HOW, **nodata("0")),
        np.where(HIDDEN[..., None], RGB[~HIDDEN].min(axis=0), RGB),
    ),
    "alpha of a mosaic": (
        single(
            np.dstack([MOSAIC, np.where(HIDDEN, 0, 255).astype(np.uint8)]),
            extrasamples=["unassalpha"],
            **HOW,
        ),
        MOSAIC,
    ),
    "a mask of transparency": (
        several((MOSAIC, HOW), (~HIDDEN, {"subfiletype": 4, "photometric": "mask"})),
        MOSAIC,
    ),
}


@pytest.mark.parametrize("what", HOLES)
def test_trap_39_pixels_without_data_are_not_valid_and_hold_a_usual_value(
    tmp_path: Path, what: str
) -> None:
    write, expected = HOLES[what]
    write(tmp_path / "a.tif")
    found = read_pixels(tmp_path / "a.tif")
    assert found.valid is not None
    np.testing.assert_array_equal(found.valid, ~HIDDEN)
    np.testing.assert_array_equal(found.values, expected)
    rows, columns = slice(4, 23), slice(11, 40)
    with LargeImage(tmp_path / "a.tif") as large:
        np.testing.assert_array_equal(large.read(rows, columns), expected[rows, columns])
        np.testing.assert_array_equal(large.valid(rows, columns), ~HIDDEN[rows, columns])


def test_one_colour_of_the_value_of_no_data_is_a_usual_colour(tmp_path: Path) -> None:
    blue = RGB.copy()
    blue[3:9, :, 0] = 0
    single(blue, **HOW, **nodata("0"))(tmp_path / "a.tif")
    found = read_pixels(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.values, blue)
    assert found.valid is None


def test_an_image_without_any_data_holds_0(tmp_path: Path) -> None:
    single(np.full((4, 5), -9999, np.float32), **nodata("-9999"))(tmp_path / "a.tif")
    found = read_pixels(tmp_path / "a.tif")
    assert not found.values.any()
    assert found.valid is not None
    assert not found.valid.any()


def test_what_a_model_takes_decides_between_alpha_and_a_band(tmp_path: Path) -> None:
    single(np.dstack([RGB, NIR]), extrasamples=["unassalpha"], **HOW)(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", channels=3), RGB)
    with LargeImage(tmp_path / "a.tif", channels=3) as large:
        np.testing.assert_array_equal(large.read(slice(0, 40), slice(0, 50)), RGB)


def subsampled(path: Path) -> None:
    single(RGB, photometric="ycbcr")(path)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags[530].overwrite((2, 2))


UNREADABLE: dict[str, Write] = {
    "a camera's mosaic": single(GREY, photometric="cfa"),
    "CIELAB of 16 bits": single(RGB.astype(np.uint16), photometric="cielab"),
    "CIELAB in JPEG": lambda path: (
        Image.fromarray(RGB).convert("LAB").save(path, compression="jpeg")
    ),
    "YCbCr with less colour than brightness": subsampled,
    "other inks": single(
        np.dstack([RGB, NIR]), photometric="separated", extratags=[(332, "H", 1, 2, True)]
    ),
    "inks in floats": single(np.dstack([RGB, NIR]).astype(np.float32), photometric="separated"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_trap_39_colours_that_cannot_be_read_are_refused(tmp_path: Path, what: str) -> None:
    UNREADABLE[what](tmp_path / "a.tif")
    for read in (read_image, LargeImage):
        with fails(DataError, "colour-space", tmp_path / "a.tif"):
            read(tmp_path / "a.tif")


def test_a_file_that_does_not_say_what_0_is_has_black_as_0(tmp_path: Path) -> None:
    single(GREY)(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        place = tiff.pages[0].tags[262].offset
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[place : place + 2] = (263).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    single((GREY + 1j * GREY).astype(np.complex64))(tmp_path / "a.tif")
    with fails(DataError, "depth", tmp_path / "a.tif"):
        read_image(tmp_path / "a.tif")
