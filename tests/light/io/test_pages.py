"""Files of several pages: each is read as the user says, or it is a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import DataError
from segkit.io.images import read_image
from segkit.io.masks import read_colours, read_layers, read_mask
from segkit.io.pages import count_pages, page_path, pages_apart, split_page
from segkit.io.tiff_windows import LargeImage
from tests.helpers.errors import fails

STACK = np.random.default_rng(0).integers(0, 256, (5, 12, 14), np.uint8)
WRITTEN: dict[str, dict[str, Any]] = {
    "plain": {"photometric": "minisblack", "metadata": None},
    "with a shape": {"photometric": "minisblack"},
    "compressed": {"photometric": "minisblack", "compression": "zlib", "metadata": None},
    "ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ImageJ in time": {"imagej": True, "metadata": {"axes": "TYX"}},
    "OME": {"ome": True, "metadata": {"axes": "ZYX"}},
}


@pytest.mark.parametrize("way", WRITTEN)
def test_trap_39_pages_without_a_meaning_are_refused(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, **WRITTEN[way])
    for read in (read_image, read_mask, read_layers, LargeImage):
        with fails(DataError, "pages", path, 5, "data.pages"):
            read(path)
    np.testing.assert_array_equal(read_image(path, "first")[..., 0], STACK[0])
    np.testing.assert_array_equal(read_image(path, "channels"), np.moveaxis(STACK, 0, -1))
    np.testing.assert_array_equal(read_image(path, channels=5), np.moveaxis(STACK, 0, -1))
    assert count_pages(path) == 5
    for page, expected in enumerate(STACK):
        address = page_path(path, page)
        np.testing.assert_array_equal(read_image(address)[..., 0], expected)
        np.testing.assert_array_equal(read_mask(address), expected)
        with LargeImage(address) as large:
            np.testing.assert_array_equal(
                large.read(slice(2, 9), slice(1, 8))[..., 0], expected[2:9, 1:8]
            )
    with fails(DataError, "pages", 5):
        read_image(page_path(path, 5))


@pytest.mark.parametrize("way", ["imagej", "ome"])
def test_axes_that_are_called_channels_are_bands(tmp_path: Path, way: str) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "CYX"}, **{way: True})
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif"), np.moveaxis(STACK, 0, -1))
    assert count_pages(tmp_path / "a.ome.tif") == 1


@pytest.mark.parametrize("axes", ["ZCYX", "TZYX", "CZYX"])
def test_pages_of_several_axes_are_counted_through(tmp_path: Path, axes: str) -> None:
    stack = np.random.default_rng(1).integers(0, 256, (3, 2, 6, 7), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", stack, ome=True, metadata={"axes": axes}, photometric="minisblack"
    )
    pages = {
        "ZCYX": [*stack],
        "TZYX": [*stack.reshape(6, 1, 6, 7)],
        "CZYX": [*stack.swapaxes(0, 1)],
    }[axes]
    assert count_pages(tmp_path / "a.tif") == len(pages)
    for page, expected in enumerate(pages):
        found = read_image(page_path(tmp_path / "a.tif", page))
        np.testing.assert_array_equal(found, np.moveaxis(expected, 0, -1))
    with fails(DataError, "pages", len(pages)):
        read_image(tmp_path / "a.tif", "channels")


def test_images_of_different_kinds_in_one_file_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(STACK[0], metadata=None)
        tiff.write(STACK[1, :9, :9].copy(), metadata=None)
    with fails(DataError, "pages", tmp_path / "a.tif", "data.pages"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", "first")[..., 0], STACK[0])


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animated_pictures_are_refused_without_a_setting(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.full((6, 7), level, np.uint8)) for level in (10, 200, 90)]
    settings: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **settings)
    assert count_pages(tmp_path / name) == 3
    for read in (read_image, read_mask, read_colours):
        with fails(DataError, "pages", tmp_path / name, 3, "data.pages"):
            read(tmp_path / name)
    assert np.unique(read_image(tmp_path / name, "first")).tolist() == [10]
    assert [np.unique(read_image(page_path(tmp_path / name, i))).tolist() for i in range(3)] == [
        [10],
        [200],
        [90],
    ]


def test_a_file_that_is_called_like_a_page_is_a_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    assert split_page(tmp_path / "a.tif#002") == (tmp_path / "a.tif", 1)
    (tmp_path / "a.tif#002").write_bytes(b"")
    assert split_page(tmp_path / "a.tif#002") == (tmp_path / "a.tif#002", None)
    assert split_page(tmp_path / "a#002.tif") == (tmp_path / "a#002.tif", None)


def test_pages_are_images_of_their_own_only_if_they_are_samples(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[:2], photometric="minisblack")
    Image.fromarray(STACK[0]).save(tmp_path / "b.png")
    images = {"a": tmp_path / "a.tif", "b": tmp_path / "b.png", "gone": tmp_path / "gone.tif"}
    assert pages_apart(images, "first") == images
    assert list(pages_apart(images, "samples")) == ["a#001", "a#002", "b", "gone"]
    Image.fromarray(STACK[0]).save(tmp_path / "a#002.png")
    with fails(DataError, "duplicate-name", tmp_path / "a#002.png", "a#002"):
        pages_apart({**images, "a#002": tmp_path / "a#002.png"}, "samples")
