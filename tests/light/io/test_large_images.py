"""Windows of a TIFF equal those of `read_image`, however it is stored, or an error is raised."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segkit import DataError
from segkit.io import codecs
from segkit.io.images import read_image, write_picture
from segkit.io.masks import read_mask
from segkit.io.pages import Pages
from segkit.io.tiff_windows import LargeImage, largest_page_size
from tests.helpers.errors import fails
from tests.helpers.large_cases import noise

RGB = noise(70, 90)
DEEP = RGB.astype(np.uint16) * 200
STORED: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "tiles": (RGB, {"tile": (16, 32), "photometric": "rgb"}),
    "compressed tiles": (RGB, {"tile": (32, 16), "compression": "zlib", "photometric": "rgb"}),
    "tiles with a predictor": (
        DEEP,
        {"tile": (32, 16), "compression": "zlib", "predictor": True, "photometric": "rgb"},
    ),
    "LZW strips": (RGB, {"rowsperstrip": 7, "compression": "lzw", "photometric": "rgb"}),
    "JPEG tiles": (RGB, {"tile": (32, 32), "compression": "jpeg", "photometric": "rgb"}),
    "one piece": (RGB, {"photometric": "rgb"}),
    "strips": (DEEP, {"rowsperstrip": 7, "photometric": "rgb"}),
    "big-endian": (DEEP, {"byteorder": ">", "photometric": "rgb"}),
    "big-endian tiles": (DEEP, {"byteorder": ">", "tile": (16, 16), "photometric": "rgb"}),
    "bands apart": (np.moveaxis(RGB, -1, 0), {"planarconfig": "separate", "photometric": "rgb"}),
    "bands apart in tiles": (
        np.moveaxis(RGB, -1, 0),
        {"planarconfig": "separate", "photometric": "rgb", "tile": (16, 32), "compression": "zlib"},
    ),
    "five bands": (
        noise(40, 50, 5),
        {"photometric": "minisblack", "planarconfig": "contig", "tile": (16, 16)},
    ),
    "bands as pages": (
        np.moveaxis(noise(40, 50, 5), -1, 0),
        {"photometric": "minisblack", "compression": "zlib"},
    ),
    "grey": (RGB[..., 0], {"tile": (16, 16)}),
    "alpha": (
        noise(40, 50, 4),
        {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (16, 16)},
    ),
    "palette": (
        RGB[..., 0],
        {
            "photometric": "palette",
            "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 85,
            "tile": (16, 16),
        },
    ),
    "1 bit": (RGB[..., 0] > 128, {"photometric": "minisblack", "compression": "packbits"}),
    "float": (
        RGB.astype(np.float32) / 3,
        {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"},
    ),
    "0 is white": (RGB[..., 0], {"photometric": "miniswhite", "tile": (16, 16)}),
    "inks": (noise(40, 50, 4), {"photometric": "separated", "tile": (16, 16)}),
    "no data": (
        np.maximum(RGB[..., 0], 40).astype(np.float32) - 40,
        {"tile": (16, 16), "extratags": [(42113, "s", 0, "0", True)]},
    ),
    "no data in colours": (
        RGB // 128 * 7,
        {"photometric": "rgb", "extratags": [(42113, "s", 0, "0", True)]},
    ),
    "int32": (RGB[..., 0].astype(np.int32), {"tile": (16, 16)}),
}
PAGES: dict[str, Pages] = {"bands as pages": "channels"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stored")
    for name, (array, how) in STORED.items():
        tifffile.imwrite(folder / f"{name}.tif", array, **how)
    return {name: folder / f"{name}.tif" for name in STORED}


def span(data: st.DataObject, length: int) -> slice:
    first = data.draw(st.integers(0, length - 1))
    return slice(first, data.draw(st.integers(first + 1, length)))


@pytest.mark.parametrize("name", STORED)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_window_is_a_cut_of_the_whole_image(
    stored: dict[str, Path], name: str, data: st.DataObject
) -> None:
    whole = read_image(stored[name], PAGES.get(name))
    assert largest_page_size(stored[name]) == whole.shape[0] * whole.shape[1]
    with LargeImage(stored[name], pages=PAGES.get(name)) as image:
        assert (image.height, image.width, image.channels) == whole.shape
        assert image.dtype == whole.dtype
        rows, columns = span(data, image.height), span(data, image.width)
        window = image.read(rows, columns)
    assert window.dtype == whole.dtype
    np.testing.assert_array_equal(window, whole[rows, columns])


def test_the_full_resolution_of_a_pyramid_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        how: dict[str, Any] = {"tile": (16, 16), "photometric": "rgb", "compression": "zlib"}
        tiff.write(RGB, subifds=1, **how)
        tiff.write(RGB[::2, ::2], subfiletype=1, **how)
    with LargeImage(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.read(slice(3, 60), slice(5, 80)), RGB[3:60, 5:80])


@pytest.mark.parametrize("name", ["tiles", "LZW strips", "one piece", "bands as pages"])
def test_a_cut_off_file_is_refused_before_anything_is_read(
    stored: dict[str, Path], tmp_path: Path, name: str
) -> None:
    broken = tmp_path / "broken.tif"
    with tifffile.TiffFile(stored[name]) as tiff:
        last = max(page.dataoffsets[-1] + page.databytecounts[-1] for page in tiff.pages)
    broken.write_bytes(stored[name].read_bytes()[: last - 1])
    with fails(DataError, "unreadable", broken):
        LargeImage(broken, pages=PAGES.get(name))


@pytest.mark.parametrize("tags", [(273, 279), (273,), (279,)], ids=["both", "offsets", "counts"])
def test_a_file_that_lists_too_few_strips_is_refused(tmp_path: Path, tags: tuple[int, ...]) -> None:
    """Missing rows would be read as zeros, which are a class in a mask."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((10, 8), 7, np.uint8), rowsperstrip=1, photometric="minisblack")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for code in tags:
            struct.pack_into("<I", content, tiff.pages[0].tags[code].offset + 4, 6)
    path.write_bytes(content)
    for read in (read_image, read_mask, LargeImage):
        with fails(DataError, "unreadable", path):
            read(path)


def test_a_damaged_tile_is_an_error_with_the_file_s_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, tile=(32, 32), compression="zlib", photometric="rgb")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = bytes(40)
    path.write_bytes(content)
    with LargeImage(path) as image:
        image.read(slice(0, 20), slice(0, 20))
        with fails(DataError, "unreadable", path):
            image.read(slice(60, 70), slice(80, 90))


def test_files_that_cannot_be_read_by_windows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(
        array: np.ndarray, code: str, *values: object, most: float = float("inf"), **how: Any
    ) -> None:
        tifffile.imwrite(tmp_path / "a.tif", array, **how)
        with fails(DataError, code, tmp_path / "a.tif", *values):
            LargeImage(tmp_path / "a.tif", most)

    turned = [(274, "H", 1, 6, True)]
    refused(RGB, "orientation", 6, "--memory", photometric="rgb", tile=(16, 16), extratags=turned)
    refused(np.zeros((2, 3, 40, 50), np.uint8), "pages", (2, 3, 40, 50), photometric="minisblack")
    one_strip: dict[str, Any] = {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 70}
    refused(RGB, "too-large", "0 MB", "--memory", most=4 * RGB.nbytes - 1, **one_strip)
    LargeImage(tmp_path / "a.tif", 4 * RGB.nbytes).close()
    floats = np.full((20, 20), np.nan, np.float32)
    refused(floats, "not-finite", "NaN", tile=(16, 16))
    monkeypatch.setattr(codecs.Image, "MAX_IMAGE_PIXELS", 100)
    refused(RGB, "too-large", photometric="rgb", tile=(16, 16))
    monkeypatch.undo()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "zarr" else found(name)
    )
    refused(
        RGB,
        "missing-package",
        "zarr",
        "pip install keras-segkit[large]",
        photometric="rgb",
        tile=(16, 16),
    )


def test_pixels_are_counted_in_tiffs_only(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", RGB)
    (tmp_path / "b.tif").write_text("no picture")
    assert [largest_page_size(tmp_path / name) for name in ("a.png", "b.tif", "gone.tif")] == [
        0,
        0,
        0,
    ]
