"""GeoJSON files of QuPath (https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.rasterise import Line, draw_mask
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    corners,
    filled,
    picture,
    qupath_feature,
    write_json,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
BOX = (1, 1, 7, 5)
EXPECTED = filled([BOX], SIZE)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(path)
    return path


def qupath_source(root: Path, content: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "a.tif")
    write_json(root / "a.geojson", content)
    return open_source(DataConfig(source="qupath", images=root, **more), task)


def ring(box: tuple[float, float, float, float]) -> list[list[float]]:
    points = corners(box)
    return [*points, points[0]]


def polygon(*boxes: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring(box) for box in boxes]}


def test_polygons_of_qupath_have_holes_and_parts(tmp_path: Path) -> None:
    hole = polygon(BOX, (2, 2, 4, 4))
    several = {
        "type": "MultiPolygon",
        "coordinates": [[ring((8, 0, 10, 2))], [ring((8, 4, 12, 8)), ring((9, 5, 10, 6))]],
    }
    both = {"type": "GeometryCollection", "geometries": [hole, several]}
    expected = EXPECTED & ~filled([(2, 2, 4, 4)], SIZE)
    parts = filled([(8, 0, 10, 2), (8, 4, 12, 8)], SIZE) & ~filled([(9, 5, 10, 6)], SIZE)
    for geometry, pixels in ((hole, expected), (several, parts), (both, expected | parts)):
        feature = qupath_feature("cat", geometry)
        collection = {"type": "FeatureCollection", "features": [feature]}
        for content in (collection, [feature], feature):
            mask = qupath_source(tmp_path, content).read("a").mask
            np.testing.assert_array_equal(mask == 1, pixels)


def test_the_label_of_qupath_is_the_name_of_the_classification(tmp_path: Path) -> None:
    feature = qupath_feature(None, polygon(BOX))
    with fails(DataError, "label-name", "''"):
        qupath_source(tmp_path, [feature]).read("a")
    assert qupath_source(tmp_path, [feature], labels={"": "cat"}).read("a").mask.sum() == 24
    feature["properties"]["classification"] = {"names": ["Tumor", "Positive"]}
    source = qupath_source(tmp_path, [feature], task=Task.binary("Tumor: Positive"))
    assert source.read("a").mask.sum() == 24


def test_lines_and_points_of_qupath_need_a_width(tmp_path: Path) -> None:
    for geometry, points in (
        ({"type": "LineString", "coordinates": [[1, 1], [9, 6]]}, [[1.0, 1], [9, 6]]),
        ({"type": "Point", "coordinates": [3, 4]}, [[3.0, 4]]),
        ({"type": "MultiPoint", "coordinates": [[3, 4]]}, [[3.0, 4]]),
    ):
        feature = qupath_feature("cat", geometry)
        with fails(ConfigError, "missing-setting", setting="data.line_width"):
            qupath_source(tmp_path, [feature]).read("a")
        mask = qupath_source(tmp_path, [feature], line_width=3).read("a").mask
        np.testing.assert_array_equal(mask == 1, draw_mask(Line(np.array(points), 3), SIZE))


def test_the_file_of_qupath_may_have_the_whole_name_of_the_image(tmp_path: Path) -> None:
    source = qupath_source(tmp_path, [qupath_feature("cat", polygon(BOX))])
    for name in ("a.tif.geojson", "a.json"):
        found = next(path for path in tmp_path.iterdir() if path.suffix != ".tif")
        found.rename(tmp_path / name)
        assert open_source(source.data, CAT).read("a").mask.sum() == 24  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "code", "values"),
    [
        ({"type": "FeatureCollection"}, "label-entry", ("'features'",)),
        ({"features": [], "crs": {}}, "label-file", ()),
        ({"features": [], "coordinates": "map"}, "label-file", ()),
        ([3], "label-entry", (3,)),
        ([{"properties": {}}], "label-entry", (None,)),
        ([qupath_feature("cat", {"type": "Circle"})], "label-shape", ("'Circle'",)),
        ([qupath_feature("cat", {"type": "Polygon"})], "label-entry", (None,)),
        (
            [qupath_feature("cat", {"type": "Polygon", "coordinates": [[[1, 2]]]})],
            "label-shape",
            (3, 1),
        ),
        (
            [qupath_feature("cat", {"type": "MultiPolygon", "coordinates": [3]})],
            "label-entry",
            (3,),
        ),
        ([qupath_feature(3, polygon(BOX))], "label-entry", (3,)),  # type: ignore[arg-type]
    ],
)
def test_a_broken_file_of_qupath_is_named(
    tmp_path: Path, content: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "a.geojson", *values):
        qupath_source(tmp_path, content).read("a")
