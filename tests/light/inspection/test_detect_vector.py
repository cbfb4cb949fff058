"""`inspect` recognises maps with vector labels, and proposes the config that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import DataError
from segkit.inspection.inspect import inspect, inspect_data
from segkit.inspection.mask_format.vector import is_vector_of_map
from segkit.planning.choices import Plan
from segkit.planning.yaml_text import as_yaml
from tests.helpers.errors import fails
from tests.helpers.extras import NO_GEO
from tests.helpers.maps import LEFT, TOP, write_features, write_raster

shapely = pytest.importorskip("shapely", reason=NO_GEO)
pytest.importorskip("rasterio", reason=NO_GEO)
pytest.importorskip("pyogrio", reason=NO_GEO)


def made(root: Path, columns: dict[str, list[Any]], **how: Any) -> Path:
    """Write two images and six features on them; return the folder."""
    rng = np.random.default_rng(0)
    for number in range(2):
        values = rng.integers(1, 4000, (40, 50, 4)).astype(np.uint16)
        transform = None
        if number:
            from tests.helpers.maps import north_up

            transform = north_up(10, LEFT + 500, TOP)
        write_raster(root / f"{'ab'[number]}.tif", values, transform=transform)
    shapes = []
    for number in range(6):
        left = LEFT + 150 * number
        shapes.append(shapely.box(left, TOP - 200, left + 70, TOP - 100))
    write_features(root / "labels.gpkg", shapes, columns, **how)
    return root


KINDS = ["house", "road", "house", "road", "house", "road"]


def test_a_folder_with_maps_and_a_vector_file_is_recognised(tmp_path: Path) -> None:
    folder = made(tmp_path, {"id": [1, 2, 3, 4, 5, 6], "class": KINDS})
    found = inspect(folder)
    assert found.config is not None
    assert found.config.data.source == "vector"
    assert found.config.data.annotations == folder / "labels.gpkg"
    assert found.config.data.vector.class_column == "class"
    assert set(found.task.classes) >= {"house", "road"}
    assert not found.wrong
    assert "labels.gpkg" in found.read_as
    assert "6 features" in found.read_as
    assert sum(map(len, found.parts.values())) == 2


def test_the_vector_file_may_be_named(tmp_path: Path) -> None:
    folder = made(tmp_path, {"class": KINDS})
    write_features(folder / "other.gpkg", [shapely.box(0, 0, 1, 1)], {"n": [1]})
    with fails(DataError, "list", "labels.gpkg", "other.gpkg"):
        inspect_data(folder)
    assert inspect(folder, folder / "labels.gpkg").config is not None
    one = inspect(folder / "a.tif", folder / "labels.gpkg")
    assert one.config is not None
    assert [len(part) for part in one.parts.values() if len(part)] == [1]


def test_a_geojson_of_qupath_is_none_of_a_map(tmp_path: Path) -> None:
    folder = made(tmp_path, {"class": KINDS})
    pixels = shapely.box(1, 1, 9, 9)
    feature = {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(pixels),
        "properties": {"objectType": "annotation", "classification": {"name": "house"}},
    }
    content = {"type": "FeatureCollection", "features": [feature]}
    (folder / "a.geojson").write_text(json.dumps(content))
    assert not is_vector_of_map(folder / "a.geojson", folder)
    feature["properties"] = {"kind": "house"}
    (folder / "a.geojson").write_text(json.dumps(content))
    assert is_vector_of_map(folder / "a.geojson", folder)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "pictures" / "a.png")
    assert not is_vector_of_map(folder / "a.geojson", tmp_path / "pictures")


def codes(found: Any) -> list[str]:
    return [problem.code for problem in found.problems]


@pytest.mark.parametrize(
    ("columns", "column", "doubt"),
    [
        ({"class": KINDS, "n": [1, 2, 3, 4, 5, 6]}, "class", False),
        ({"use": KINDS, "name": list("abcdef")}, "use", True),
        ({"name": list("abcdef")}, None, True),
        ({"kind": KINDS, "type": KINDS}, "kind", True),
    ],
)
def test_the_column_of_classes_is_found_or_doubted(
    tmp_path: Path, columns: dict[str, list[Any]], column: str | None, doubt: bool
) -> None:
    found = inspect(made(tmp_path, columns))
    assert found.config is not None
    assert found.config.data.vector.class_column == column
    assert ("vector-column" in codes(found)) == doubt
    if column is None:
        assert found.task.classes == ("object",)


def test_features_without_a_value_are_unlabelled_and_doubted(tmp_path: Path) -> None:
    found = inspect(made(tmp_path, {"class": [*KINDS[:5], None]}))
    assert found.config is not None
    assert found.config.data.vector.class_values == {"null": "void"}
    assert "vector-column" in codes(found)


def test_chosen_classes_are_drawn_alone(tmp_path: Path) -> None:
    found = inspect(made(tmp_path, {"class": KINDS}), classes=["road"])
    assert found.config is not None
    assert found.task.classes == ("road",)
    assert found.config.data.vector.class_values == {"house": "background"}
    assert not found.wrong


def test_a_coordinate_system_that_is_missing_is_an_error_that_names_the_setting(
    tmp_path: Path,
) -> None:
    from segkit import ConfigError

    folder = made(tmp_path, {"class": KINDS}, crs=None)
    with fails(ConfigError, "missing-setting", setting="data.vector.crs"):
        inspect(folder)
    found = inspect(folder, settings=["data.vector.crs=image"])
    assert not found.wrong


def test_the_proposed_config_is_written_with_its_vector_section(tmp_path: Path) -> None:
    found = inspect(made(tmp_path, {"class": KINDS}))
    assert found.config is not None
    text = as_yaml(Plan(found.config, {}), "segkit.plan", "config.yaml", tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    again = inspect(tmp_path / "config.yaml")
    assert not again.wrong
    assert again.config is not None
    assert again.config.data.vector.class_column == "class"
