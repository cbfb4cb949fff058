"""Without the extra geo, errors name it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from segkit.inference.outputs.shape_options import ShapeOptions
from segkit.inference.outputs.writer import Outputs, Results
from segkit.io.images import read_pixels, write_picture
from tests.helpers.errors import fails
from tests.helpers.stand_in import config_of

EXTRA = '"keras-segkit[geo]"'
VRT = """<VRTDataset rasterXSize="4" rasterYSize="3">
<VRTRasterBand dataType="Byte" band="1"></VRTRasterBand></VRTDataset>"""


@pytest.fixture(autouse=True)
def without_geo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("rasterio", "pyogrio", "shapely"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("rasterio", "pyogrio", "shapely"):
        monkeypatch.setitem(sys.modules, name, None)


def test_a_vrt(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(VRT)
    with fails(DataError, "missing-package", tmp_path / "a.vrt", EXTRA):
        read_pixels(tmp_path / "a.vrt")


def test_vector_labels(tmp_path: Path) -> None:
    write_picture(tmp_path / "in" / "a.png", np.zeros((4, 5, 3), np.uint8))
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    data = DataConfig(source="vector", images=tmp_path / "in", annotations=tmp_path / "a.geojson")
    with fails(DataError, "missing-package", EXTRA):
        open_source(data, Task.binary("house"))


@pytest.mark.parametrize("name", ["geotiff", "geopackage"])
def test_outputs_before_anything_is_predicted(tmp_path: Path, name: str) -> None:
    with fails(ConfigError, "missing-package", EXTRA):
        Results(config_of(Task.binary("a")), Outputs(tmp_path / "out", formats=(name,)))
    assert list(tmp_path.iterdir()) == []


def test_thin_polygons() -> None:
    with fails(ConfigError, "missing-package", EXTRA):
        ShapeOptions.parse(0, 1.5)
    assert ShapeOptions.parse(0, 0).simplify == 0
