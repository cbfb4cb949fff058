"""`data.bands` chooses bands of an image and their order, whole and by windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import ConfigError, DataError
from segkit.config import DataConfig
from segkit.io.images import read_image, read_pixels
from segkit.io.tiff_windows import LargeImage
from tests.helpers.errors import fails


def four_bands(path: Path, dtype: str = "uint16", **how: Any) -> np.ndarray:
    """Write a TIFF of four bands (7, 9, 4) and return its values."""
    values = np.random.default_rng(0).integers(1, 200, (7, 9, 4)).astype(dtype)
    settings = {"photometric": "minisblack", "planarconfig": "contig", **how}
    tifffile.imwrite(path, values, **settings)
    return values


def windows(path: Path, bands: tuple[int, ...]) -> np.ndarray:
    with LargeImage(path, bands=bands, channels=len(bands)) as image:
        assert image.channels == len(bands)
        return image.read(slice(0, image.height), slice(0, image.width))


@pytest.mark.parametrize("bands", [(4, 3, 2), (1,), (2, 2), (1, 2, 3, 4)])
def test_bands_are_read_in_the_order_of_the_setting(tmp_path: Path, bands: tuple[int, ...]) -> None:
    values = four_bands(tmp_path / "a.tif")
    expected = values[..., [band - 1 for band in bands]]
    assert (read_image(tmp_path / "a.tif", bands=bands) == expected).all()
    assert (windows(tmp_path / "a.tif", bands) == expected).all()


def test_bands_of_a_picture_are_its_colours(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", bands=(3, 1)) == rgb[..., [2, 0]]).all()
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    Image.fromarray(grey).save(tmp_path / "g.png")
    assert (read_image(tmp_path / "g.png", bands=(1,))[..., 0] == grey).all()


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_band_that_the_image_does_not_have_is_an_error(tmp_path: Path, name: str) -> None:
    four_bands(tmp_path / "a.tif")
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "a.png")
    with fails(DataError, "bands", tmp_path / name, 5):
        read_image(tmp_path / name, bands=(1, 5))


def test_a_chosen_band_is_a_measurement_although_the_file_calls_it_alpha(tmp_path: Path) -> None:
    values = np.full((6, 6, 4), 90, np.uint8)
    values[:3, :, 3] = 255
    values[3:, :, 3] = 0
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"])
    chosen = read_pixels(path, bands=(4, 1))
    assert chosen.valid is None
    assert (chosen.values == values[..., [3, 0]]).all()
    others = read_pixels(path, bands=(3, 1))
    assert others.valid is not None
    assert (others.valid == (values[..., 3] != 0)).all()
    assert (windows(path, (4, 1)) == chosen.values).all()


def test_a_pixel_is_without_data_by_all_bands_of_the_file_not_by_the_chosen_one(
    tmp_path: Path,
) -> None:
    values = four_bands(tmp_path / "b.tif")
    values[2, 3] = 0
    values[4, 5, 1] = 0  # a measurement of 0 in one band
    path = tmp_path / "a.tif"
    tags = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", extratags=tags)
    found = read_pixels(path, bands=(2,))
    assert found.valid is not None
    assert np.argwhere(~found.valid).tolist() == [[2, 3]]


def test_of_floats_only_the_chosen_bands_must_have_data(tmp_path: Path) -> None:
    values = four_bands(tmp_path / "b.tif", "float32")
    values[1, 1, 0] = -9999
    path = tmp_path / "a.tif"
    tags = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", extratags=tags)
    assert read_pixels(path, bands=(2, 3)).valid is None
    found = read_pixels(path, bands=(2, 1)).valid
    assert found is not None
    assert np.argwhere(~found).tolist() == [[1, 1]]
    with LargeImage(path, bands=(2, 3)) as image:
        valid = image.valid(slice(0, 7), slice(0, 9))
    assert valid is None or valid.all()


@pytest.mark.parametrize("source", ["shapes", "tfds"])
def test_a_source_without_image_files_has_no_bands_to_choose(source: str) -> None:
    with fails(ConfigError, "contradiction", source, setting="data.bands"):
        DataConfig(source=source, bands=(1,))


@pytest.mark.parametrize("bands", [(), (0,), (-1, 2)])
def test_bands_are_counted_from_1(bands: tuple[int, ...]) -> None:
    with fails(ConfigError, "wrong-value") as problem:
        DataConfig(bands=bands)
    assert str(problem.value.setting).startswith("bands")
