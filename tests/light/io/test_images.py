"""Images as `segkit.io.images` reads them: masks are in test_files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import DataError
from segkit.io.images import as_display, fit_channels, list_images, read_image, write_tiff
from segkit.io.masks import read_mask
from tests.helpers.errors import fails

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10
RGB = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".PNG"])
def test_rgb_is_read_as_it_was_saved(tmp_path: Path, suffix: str) -> None:
    settings = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}", **settings)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), RGB)


def test_grey_images_have_one_channel_and_palettes_three(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([GREY, GREY], axis=-1), mode=None).save(tmp_path / "alpha.png")
    indexed = Image.fromarray(GREY // 10)
    indexed.putpalette([10, 20, 30] * 256)
    indexed.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), GREY[..., None])
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), GREY[..., None])
    assert np.unique(read_image(tmp_path / "palette.png").reshape(-1, 3), axis=0).tolist() == [
        [10, 20, 30]
    ]


def test_a_palette_tiff_is_read_in_its_colours(tmp_path: Path) -> None:
    colours = np.repeat(np.array([[10], [20], [30]], np.uint16) * 257, 256, axis=1)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colours)
    assert np.unique(read_image(tmp_path / "a.tif").reshape(-1, 3), axis=0).tolist() == [
        [10, 20, 30]
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 7)])
def test_tiff_keeps_16_bits_and_all_bands(
    tmp_path: Path, order: str, shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) * 300
    tifffile.imwrite(
        tmp_path / "a.tif", array, byteorder=order, photometric="minisblack", planarconfig="contig"
    )
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, array.reshape(4, 5, -1))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 9])
def test_written_tiffs_are_read_back(tmp_path: Path, channels: int) -> None:
    probabilities = np.random.default_rng(0).random((6, 7, channels), np.float32)
    write_tiff(tmp_path / "a.tif", probabilities)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), probabilities)


def test_the_alpha_channel_of_an_image_is_dropped(tmp_path: Path) -> None:
    rgba = np.concatenate([RGB, np.full_like(GREY[..., None], 255)], axis=-1)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), RGB)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_png_keeps_its_depth(tmp_path: Path, channels: int) -> None:
    import cv2  # the writer of this test alone; Pillow cannot write such a file

    deep = np.arange(4 * 5 * channels, dtype=np.uint16).reshape(4, 5, channels) * 500
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), deep[..., 2::-1])
    with fails(DataError, "mask-channels", tmp_path / "a.png"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, bad: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, bad]], np.float32))
    with fails(DataError, "not-finite", tmp_path / "a.tif"):
        read_image(tmp_path / "a.tif")


def test_volumes_of_bands_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4, 5, 3), np.uint8), photometric="rgb")
    with fails(DataError, "pages", tmp_path / "a.tif", (3, 4, 5, 3), "data.pages"):
        read_image(tmp_path / "a.tif")
    with fails(DataError, "pages", tmp_path / "a.tif", 3):
        read_image(tmp_path / "a.tif", pages="channels")


def test_channels_are_fitted_only_where_nothing_is_lost() -> None:
    grey, equal = GREY[..., None], np.repeat(GREY[..., None], 3, axis=-1)
    np.testing.assert_array_equal(fit_channels(grey, 3, "a"), equal)
    np.testing.assert_array_equal(fit_channels(equal, 1, "a"), grey)
    np.testing.assert_array_equal(fit_channels(RGB, 3, "a"), RGB)
    for image, channels in ((RGB, 1), (RGB, 4), (grey, 2)):
        with fails(DataError, "channels", "a.png", channels, image.shape[-1]):
            fit_channels(image, channels, "a.png")


def test_images_are_listed_by_name_in_sub_folders_too(tmp_path: Path) -> None:
    for name in ("b.png", "a.v2.JPG", "monday/c.tif", ".hidden.png", ".cache/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(list_images(tmp_path)) == ["a.v2", "b", "monday/c"]


def test_two_files_of_one_name_and_missing_folders_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).touch()
    with fails(DataError, "duplicate-name", tmp_path / "a.png", tmp_path / "a.jpg"):
        list_images(tmp_path)
    with fails(DataError, "missing-file", tmp_path / "gone"):
        list_images(tmp_path / "gone")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_any_image_can_be_shown(dtype: type, channels: int) -> None:
    shown = as_display((np.random.default_rng(0).random((8, 9, channels)) * 200).astype(dtype))
    assert (shown.shape, shown.dtype) == ((8, 9, 3), np.uint8)
    assert np.ptp(shown) > 100
