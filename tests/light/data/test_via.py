"""Files of the VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via/docs/user_guide.html)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.rasterise import Ellipse, Line, draw_mask
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    filled,
    picture,
    via_metadata,
    via_polygon,
    via_region,
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


def via_source(root: Path, *regions: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "a.png")
    path = write_json(root / "via.json", via_metadata(root, {"a.png": regions}))
    data = DataConfig(source="via", images=root, annotations=path, **more)
    return open_source(data, task)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (via_polygon(BOX), EXPECTED),
        ({"name": "rect", "x": 1, "y": 1, "width": 6, "height": 4}, EXPECTED),
        ({"name": "circle", "cx": 6, "cy": 4, "r": 3}, draw_mask(Ellipse(6, 4, 3, 3), SIZE)),
        (
            {"name": "ellipse", "cx": 6, "cy": 4, "rx": 4, "ry": 2, "theta": math.pi / 6},
            draw_mask(Ellipse(6, 4, 4, 2, 30), SIZE),
        ),
        (
            {"name": "ellipse", "cx": 6, "cy": 4, "rx": 4, "ry": 2},
            draw_mask(Ellipse(6, 4, 4, 2), SIZE),
        ),
        ({"name": "point", "cx": 6, "cy": 4}, draw_mask(Line(np.array([[6.0, 4]]), 3), SIZE)),
        (
            {"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 6]},
            draw_mask(Line(np.array([[1.0, 1], [9, 6]]), 3), SIZE),
        ),
    ],
)
def test_regions_of_via(tmp_path: Path, shape: dict[str, Any], expected: np.ndarray) -> None:
    source = via_source(tmp_path, via_region(shape, type="cat"), line_width=3)
    np.testing.assert_array_equal(source.read("a").mask == 1, expected)


def test_via_1_numbers_its_regions_and_csv_has_a_row_for_each(tmp_path: Path) -> None:
    source = via_source(tmp_path, via_region(via_polygon(BOX), type="cat"))
    path = tmp_path / "via.json"
    content = json.loads(path.read_text())
    for entry in content.values():
        entry["regions"] = {str(number): region for number, region in enumerate(entry["regions"])}
    write_json(path, content)
    np.testing.assert_array_equal(
        open_source(source.data, CAT).read("a").mask == 1,  # type: ignore[attr-defined]
        EXPECTED,
    )
    shape = json.dumps(via_polygon(BOX)).replace('"', '""')
    table = tmp_path / "via.csv"
    table.write_text(
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        "region_attributes\n"
        f'a.png,7,"{{}}",1,0,"{shape}","{{""type"":""cat""}}"\n'
        'b.png,7,"{}",0,0,"{}","{}"\n'
    )
    image(tmp_path / "b.png")
    data = source.data.model_copy(update={"annotations": table})  # type: ignore[attr-defined]
    read = open_source(data, CAT)
    np.testing.assert_array_equal(read.read("a").mask == 1, EXPECTED)
    assert not read.read("b").mask.any()


def test_several_attributes_of_via_need_the_setting(tmp_path: Path) -> None:
    region = via_region(via_polygon(BOX), type="cat", quality={"good": True, "blurred": False})
    with fails(ConfigError, "missing-setting", "type, quality", setting="data.label_attribute"):
        via_source(tmp_path, region)
    source = via_source(tmp_path, region, label_attribute="type")
    assert source.read("a").mask.sum() == 24
    source = via_source(tmp_path, region, task=Task.binary("good"), label_attribute="quality")
    assert source.read("a").mask.sum() == 24
    with fails(ConfigError, "unknown-name", "kind", setting="data.label_attribute"):
        via_source(tmp_path, region, label_attribute="kind")


def test_regions_of_via_without_attributes_have_the_empty_label(tmp_path: Path) -> None:
    with fails(DataError, "label-name", "''"):
        via_source(tmp_path, via_region(via_polygon(BOX))).read("a")
    source = via_source(tmp_path, via_region(via_polygon(BOX)), labels={"": "cat"})
    assert source.read("a").mask.sum() == 24


@pytest.mark.parametrize(
    ("shape", "code", "values"),
    [
        ({"name": "rect", "x": 1}, "label-entry", ("'y'",)),
        ({"name": "star"}, "label-shape", ("'star'",)),
        ({}, "label-entry", ("'name'",)),
        ({"name": "circle", "cx": 1, "cy": 1, "r": -1}, "label-shape", (-1,)),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": []}, "label-shape", (1, 0)),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": [1]}, "label-shape", (3, 1)),
        ({"name": "polygon", "all_points_x": 3}, "label-entry", ("'all_points_x'", 3)),
    ],
)
def test_a_broken_region_of_via_is_named(
    tmp_path: Path, shape: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "via.json", *values):
        via_source(tmp_path, via_region(shape, type="cat")).read("a")
