"""The physical size and place in the headers of files that tifffile and Pillow write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segkit.config import DataConfig
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import geometry_of, open_source
from segkit.io.geometry import METRES, Geometry, Georeference, as_unit
from segkit.io.physical_size import read_geometry
from segkit.task import Task
from tests.helpers.geotiff import DEGREES, UTM_32, map_tags

PICTURE = np.zeros((6, 8), np.uint8)


def size_of(path: Path) -> tuple[tuple[float, float], str] | None:
    """Return the pixel size, rounded to 9 digits, and its unit."""
    found = read_geometry(path)
    if found is None or found.pixel_size is None or found.unit is None:
        return None
    height, width = found.pixel_size
    return (float(f"{height:.9g}"), float(f"{width:.9g}")), found.unit


def written(path: Path, **settings: Any) -> Path:
    tifffile.imwrite(path, PICTURE, **settings)
    return path


def test_resolution_in_dots_per_inch_and_centimetre(tmp_path: Path) -> None:
    inch = written(tmp_path / "a.tif", resolution=(1000, 500), resolutionunit="INCH")
    assert size_of(inch) == ((0.0508, 0.0254), "mm")
    centimetre = written(tmp_path / "b.tif", resolution=(10, 1000), resolutionunit="CENTIMETER")
    assert size_of(centimetre) == ((0.01, 1.0), "mm")


@pytest.mark.parametrize(
    ("resolution", "unit"),
    [
        ((72, 72), "INCH"),
        ((96, 96), "INCH"),
        ((300, 300), "INCH"),
        ((1, 1), "INCH"),
        ((28.35, 28.35), "CENTIMETER"),  # 72 dpi
        ((37.8, 37.8), "CENTIMETER"),  # 96 dpi
        ((1000, 500), "NONE"),
        ((0, 0), "INCH"),
    ],
)
def test_defaults_of_displays_and_no_unit_are_no_size(
    tmp_path: Path, resolution: tuple[float, float], unit: str
) -> None:
    path = written(tmp_path / "a.tif", resolution=resolution, resolutionunit=unit)
    assert read_geometry(path) is None


def test_a_turned_picture_exchanges_its_sides(tmp_path: Path) -> None:
    turned = [(274, "H", 1, 6, True)]
    path = written(
        tmp_path / "a.tif", resolution=(10, 1000), resolutionunit="CENTIMETER", extratags=turned
    )
    assert size_of(path) == ((1.0, 0.01), "mm")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("um", "µm"), ("micron", "µm"), ("mm", "mm"), ("\\u00B5m", "µm"), ("nm", "nm")],
)
def test_imagej(tmp_path: Path, unit: str, expected: str) -> None:
    path = written(tmp_path / "a.tif", imagej=True, resolution=(4, 2), metadata={"unit": unit})
    assert size_of(path) == ((0.5, 0.25), expected)


@pytest.mark.parametrize("unit", ["pixel", "", "parsec"])
def test_imagej_without_a_unit_of_length(tmp_path: Path, unit: str) -> None:
    path = written(tmp_path / "a.tif", imagej=True, resolution=(4, 2), metadata={"unit": unit})
    assert read_geometry(path) is None


def test_imagej_in_inches_keeps_the_rule_for_displays(tmp_path: Path) -> None:
    for dots, expected in ((72, None), (1000, ((0.0254, 0.0254), "mm"))):
        path = written(
            tmp_path / "a.tif", imagej=True, resolution=(dots, dots), metadata={"unit": "inch"}
        )
        assert size_of(path) == expected


def test_ome_names_its_unit_or_means_micrometres(tmp_path: Path) -> None:
    sizes = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    path = written(tmp_path / "a.ome.tif", ome=True, metadata=sizes)
    assert size_of(path) == ((0.5, 0.25), "µm")
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    path = written(tmp_path / "b.ome.tif", ome=True, metadata=sizes | units)
    assert size_of(path) == ((0.5, 0.25), "nm")
    path = written(tmp_path / "c.ome.tif", ome=True, metadata={"axes": "YX"})
    assert read_geometry(path) is None


def test_a_map_in_metres(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", extratags=map_tags(UTM_32, scale=(0.5, 0.25)))
    assert size_of(path) == ((0.25, 0.5), "m")
    found = read_geometry(path)
    assert found is not None
    assert found.georeference == Georeference((0.5, 0, 500000, 0, -0.25, 5200000), "EPSG:32632")


@pytest.mark.parametrize(
    ("unit", "metres"), [(9001, 1.0), (9002, 0.3048), (9003, 0.304800610), (9036, 1000.0)]
)
def test_the_unit_of_a_map_becomes_metres(tmp_path: Path, unit: int, metres: float) -> None:
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 2263, 3076, 0, 1, unit)
    path = written(tmp_path / "a.tif", extratags=map_tags(keys, scale=(2, 2)))
    found = size_of(path)
    assert found is not None
    assert found[0][0] == pytest.approx(2 * metres)
    assert found[1] == "m"


def test_a_turned_map_has_the_lengths_of_its_columns(tmp_path: Path) -> None:
    """A rotation by the 3-4-5 triangle: both sides of a pixel are 5 m."""
    matrix = (3, 4, 0, 500000, 4, -3, 0, 5200000, 0, 0, 0, 0, 0, 0, 0, 1)
    path = written(tmp_path / "a.tif", extratags=map_tags(UTM_32, matrix=matrix))
    assert size_of(path) == ((5, 5), "m")


def test_a_map_in_degrees_has_a_place_and_no_size(tmp_path: Path) -> None:
    """Not even its resolution in dots per inch is taken."""
    path = written(
        tmp_path / "a.tif",
        extratags=map_tags(DEGREES, scale=(0.001, 0.001)),
        resolution=(1000, 1000),
        resolutionunit="INCH",
    )
    found = read_geometry(path)
    assert found is not None
    assert found.pixel_size is None
    assert found.unit is None
    assert found.georeference is not None
    assert found.georeference.crs == "EPSG:4326"


def test_png_states_pixels_per_metre(tmp_path: Path) -> None:
    """4000 and 2000 of them."""
    text = PngInfo()
    text.add_text("before", "x" * 5000)
    Image.fromarray(PICTURE).save(tmp_path / "a.png", pnginfo=text, dpi=(101.6, 50.8))
    assert size_of(tmp_path / "a.png") == ((0.5, 0.25), "mm")


@pytest.mark.parametrize("dpi", [72, 96, 100, 300])
def test_png_defaults_of_displays_are_no_size(tmp_path: Path, dpi: int) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png", dpi=(dpi, dpi))
    assert read_geometry(tmp_path / "a.png") is None


def test_files_that_state_nothing(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    Image.fromarray(PICTURE).save(tmp_path / "b.jpg", dpi=(1000, 1000))
    assert read_geometry(tmp_path / "a.png") is None
    assert read_geometry(tmp_path / "b.jpg") is None
    assert read_geometry(written(tmp_path / "c.tif")) is None


def test_a_sample_has_the_geometry_of_its_image(tmp_path: Path) -> None:
    """Blocks have a place of their own."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    tags = map_tags(UTM_32, scale=(0.5, 0.5))
    tifffile.imwrite(tmp_path / "images/a.tif", np.zeros((80, 80), np.uint8), extratags=tags)
    Image.fromarray(np.zeros((80, 80), np.uint8)).save(tmp_path / "masks/a.png")
    source = in_folders(tmp_path / "images", tmp_path / "masks", Task.binary("house"))
    sample = source.read("a")
    assert sample.geometry is not None
    assert sample.geometry.pixel_size == (0.5, 0.5)
    assert geometry_of(source, "a") == sample.geometry
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks", blocks=32)
    blocks = open_source(data, Task.binary("house"))
    (last,) = [name for name in blocks.names if name.endswith("@1-1")]
    block = blocks.read(last).geometry
    assert block is not None
    assert block == geometry_of(blocks, last)
    assert block.georeference is not None
    first_row = blocks.blocks[last].rows[0]  # type: ignore[attr-defined]
    assert first_row > 0
    assert block.georeference.transform[5] == 5200000 - 0.5 * first_row


@given(
    st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    st.sampled_from(list(METRES)),
    st.sampled_from(list(METRES)),
)
def test_units_are_converted_there_and_back(
    size: tuple[float, float], one: str, other: str
) -> None:
    found = Geometry(size, one).size_in(other)
    assert found is not None
    back = Geometry(found, other).size_in(one)
    assert back == pytest.approx(size)
    assert found[0] * METRES[other] == pytest.approx(size[0] * METRES[one])


@pytest.mark.parametrize(
    ("height", "width", "unit"),
    [(math.nan, 1, "mm"), (1, math.inf, "mm"), (0, 1, "mm"), (1, 1, "furlong"), (None, 1, "mm")],
)
def test_values_without_sense_are_no_geometry(height: Any, width: Any, unit: str) -> None:
    assert Geometry.measured(height, width, unit) is None
    kept = Geometry.measured(height, width, unit, orientation="PL")
    assert kept == Geometry(orientation="PL")


def test_units_have_several_names() -> None:
    for name in ("um", "\u03bcm", "µm", "micron", "Microns", "micrometer", " micrometres "):
        assert as_unit(name) == "µm"
    for name in ("", None, "pixel", "inch"):
        assert as_unit(name) is None
