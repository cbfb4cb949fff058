"""Whole slides are read as openslide reads them, at the level with pixels of the wanted size."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, DataError
from segkit.config import DataConfig
from segkit.io import slides
from segkit.io.images import read_image
from segkit.io.physical_size import read_geometry
from segkit.io.raster_windows import open_windowed, pixels_for_windows
from segkit.io.slide_addresses import Reading, level_path, split_level
from segkit.io.slides import at_level, choose_level, levels_of, scale_to_full
from tests.helpers.errors import fails
from tests.helpers.slides import (
    BIF_OVERLAP,
    BIF_TILE,
    MICRONS,
    REASON,
    SCN_CORNER,
    SIZE,
    STEPS,
    bif_tiles,
    has_slides,
    level_of,
    picture,
    save_bif,
    save_ndpi,
    save_pyramid,
    save_scn,
    save_svs,
)

needs_slides = pytest.mark.skipif(not has_slides(), reason=REASON)
KINDS = {"SVS": ("a.svs", save_svs), "OME-TIFF": ("a.ome.tif", save_pyramid)}
OTHER_KINDS = {
    "NDPI": ("a.ndpi", save_ndpi),
    "SCN": ("a.scn", save_scn),
    "BIF": ("a.bif", save_bif),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def save(folder: Path, kind: str, array: np.ndarray) -> Path:
    name, write = KINDS[kind]
    return write(folder / name, array)


@needs_slides
@kinds
@pytest.mark.parametrize(
    ("microns", "reading", "step"),
    [
        (MICRONS, Reading(0, 1), 1),
        (0.26, Reading(0, 1), 1),
        (0.5, Reading(0, 2), 2),
        (1.0, Reading(1, 1), 4),
        (2.0, Reading(1, 2), 8),
        (4.0, Reading(2, 1), 16),
        (8.0, Reading(2, 2), 32),
    ],
)
def test_the_level_is_chosen_by_the_size_of_a_pixel(
    tmp_path: Path, kind: str, microns: float, reading: Reading, step: int
) -> None:
    array = picture()
    path = save(tmp_path, kind, array)
    address = at_level(path, microns)
    assert address == level_path(path, reading)
    expected = (
        level_of(array, step)
        if step in STEPS
        else level_of(level_of(array, STEPS[reading.level]), reading.reduce)
    )
    np.testing.assert_array_equal(read_image(address), expected)
    assert pixels_for_windows(address) == expected.shape[0] * expected.shape[1]
    with open_windowed(address) as windowed:
        assert (windowed.height, windowed.width) == expected.shape[:2]
        rows = slice(3, windowed.height - 2)
        columns = slice(5, windowed.width - 1)
        np.testing.assert_array_equal(windowed.read(rows, columns), expected[rows, columns])
    geometry = read_geometry(address)
    assert geometry is not None
    np.testing.assert_allclose(geometry.size_in("µm"), [MICRONS * step] * 2)
    np.testing.assert_allclose(scale_to_full(address), [step] * 2)


@needs_slides
def test_levels_are_those_of_openslide(tmp_path: Path) -> None:
    import openslide

    path = save_svs(tmp_path / "a.svs", picture())
    with openslide.OpenSlide(path) as oracle:
        levels = levels_of(path)
        assert [(level.width, level.height) for level in levels] == list(oracle.level_dimensions)
        assert float(oracle.properties["openslide.mpp-x"]) == MICRONS
        for number, step in enumerate(STEPS):
            region = oracle.read_region((16 * step, 8 * step), number, (20, 30))
            with open_windowed(level_path(path, Reading(number))) as windowed:
                found = windowed.read(slice(8, 38), slice(16, 36))
            np.testing.assert_array_equal(found, np.asarray(region)[..., :3])


@needs_slides
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_slides_of_other_scanners_are_read_as_openslide_reads_them(
    tmp_path: Path, kind: str, recwarn: pytest.WarningsRecorder
) -> None:
    import openslide

    name, write = OTHER_KINDS[kind]
    path = write(tmp_path / name, picture())
    with openslide.OpenSlide(path) as oracle:
        levels = levels_of(path)
        assert len(levels) == (2 if kind == "BIF" else 3)
        for number, level in enumerate(levels):
            size = (level.width, level.height)
            of_oracle = oracle.level_dimensions.index(size)
            step = round(oracle.level_downsamples[of_oracle])
            np.testing.assert_allclose(level.size, [MICRONS * step] * 2, rtol=0.01)
            region = np.asarray(oracle.read_region((0, 0), of_oracle, size))
            found = read_image(level_path(path, Reading(number)))
            was_scanned = region[..., 3] == 255
            np.testing.assert_array_equal(found[was_scanned], region[was_scanned][:, :3])
            assert was_scanned.mean() > (0.2 if kind == "SCN" else 0.9)
            if kind != "NDPI":  # in which OpenSlide leaves out the last, incomplete blocks
                assert not found[region[..., 3] == 0].any()
            with open_windowed(level_path(path, Reading(number))) as windowed:
                part = windowed.read(slice(8, 38), slice(16, 36))
            np.testing.assert_array_equal(part, found[8:38, 16:36])
    assert not [found for found in recwarn if "metadata" in str(found.message)]


@needs_slides
def test_overlapping_tiles_are_joined(tmp_path: Path) -> None:
    array = picture()
    down, across = bif_tiles(array.shape)
    advance = BIF_TILE - BIF_OVERLAP
    whole = array[: down * advance + BIF_OVERLAP, : across * advance + BIF_OVERLAP]
    path = save_bif(tmp_path / "a.bif", array)
    np.testing.assert_array_equal(read_image(level_path(path, Reading(0))), whole)
    assert at_level(path, MICRONS * 2) == level_path(path, Reading(1))


@needs_slides
def test_the_field_of_a_slide_lies_where_it_was_scanned(tmp_path: Path) -> None:
    array = picture()
    path = save_scn(tmp_path / "a.scn", array)
    found = read_image(level_path(path, Reading(0)))
    top, left = SCN_CORNER
    height, width = array.shape[:2]
    np.testing.assert_array_equal(found[top : top + height, left : left + width], array)
    assert found.shape == (2 * height, 2 * width, 3)


@needs_slides
def test_the_mean_of_pixels_is_that_of_a_window_anywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    path = save_svs(tmp_path / "a.svs", array, steps=(1, 16))
    address = level_path(path, Reading(0, 3))
    rows, columns = SIZE[0] // 3, SIZE[1] // 3
    expected = level_of(array[: rows * 3, : columns * 3], 3)
    np.testing.assert_array_equal(read_image(address), expected)
    with open_windowed(address) as windowed:
        np.testing.assert_array_equal(
            windowed.read(slice(101, 234), slice(7, 297)), expected[101:234, 7:297]
        )


@needs_slides
@pytest.mark.parametrize("reduce", [1, 4])
@pytest.mark.parametrize("size", [(4096, 512), (512, 4096)], ids=["high", "wide"])
def test_a_large_area_takes_little_more_memory_than_its_pixels(
    tmp_path: Path, size: tuple[int, int], reduce: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slides, "BLOCK", (128, 256))
    array = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    address = level_path(save_svs(tmp_path / "a.svs", array, steps=(1,)), Reading(0, reduce))
    height = size[0] // reduce
    width = size[1] // reduce
    with open_windowed(address) as windowed:
        windowed.read(slice(0, 128), slice(0, 128))  # what is allocated once
        tracemalloc.start()
        found = windowed.read(slice(10, height), slice(3, width))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_array_equal(found, level_of(array, reduce)[10:, 3:])
    assert peak < found.nbytes + array.nbytes / 4


@needs_slides
def test_a_size_that_no_level_has_is_refused(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    for microns in (0.1, 0.35):
        with fails(DataError, "slide-level", path, f"{microns:g}", "0.25", "896 x 704", "4"):
            at_level(path, microns)


@needs_slides
def test_a_slide_is_refused_without_the_setting(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    assert at_level(path, None) == path
    for read in (read_image, open_windowed):
        with fails(DataError, "slide-level", path, "data.microns_per_pixel", "896 x 704"):
            read(path)


@needs_slides
def test_a_slide_without_a_size_is_refused(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture(), microns=None)
    with fails(DataError, "slide-level", path):
        at_level(path, 0.5)


@needs_slides
def test_other_images_have_no_level(tmp_path: Path) -> None:
    flat = save_pyramid(tmp_path / "flat.ome.tif", picture(), steps=(1,))
    pyramid = save_pyramid(tmp_path / "pyramid.ome.tif", picture())
    (tmp_path / "broken.svs").write_bytes(b"II*\0nothing")
    for path in (flat, tmp_path / "broken.svs", tmp_path / "a.png", level_path(flat, Reading(0))):
        assert at_level(path, 0.5) == path
    np.testing.assert_array_equal(read_image(pyramid), picture())
    with fails(DataError, "unreadable", tmp_path / "broken.svs"):
        read_image(tmp_path / "broken.svs")
    with fails(DataError, "slide-level", 3, 8):
        read_image(level_path(pyramid, Reading(7)))


@pytest.mark.parametrize(("name", "package"), [("a.svs", "tiffslide"), ("a.bif", "openslide")])
def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    with fails(DataError, "missing-package", tmp_path / name, "keras-segkit[slides]"):
        read_image(tmp_path / name)


def test_addresses_are_read_back() -> None:
    for reading in (Reading(0), Reading(2, 16)):
        path = Path("monday") / "a b.svs"
        assert split_level(level_path(path, reading)) == (path, reading)
    for name in ("a.svs#level_1_of_0", "a.svs#level_1", "a#3.svs"):
        assert split_level(Path(name)) == (Path(name), None)


def test_levels_are_chosen_for_unequal_sides() -> None:
    from segkit.io.slides import Level

    levels = [Level(100, 100, (0.24, 0.26)), Level(25, 25, (0.96, 1.04))]
    assert choose_level(levels, 1.0, Path("a.svs")) == Reading(1)
    assert choose_level(levels, 0.52, Path("a.svs")) == Reading(0, 2)


@pytest.mark.parametrize("source", ["coco", "scans", "labelme"])
def test_other_sources_read_no_slides(source: str) -> None:
    with fails(ConfigError, "contradiction", setting="data.microns_per_pixel"):
        DataConfig.model_validate({"source": source, "microns_per_pixel": 0.5})
