"""Projects of Supervisely (https://developer.supervisely.com/getting-started/supervisely-annotation-format)."""

from __future__ import annotations

import base64
import zlib
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
    png,
    supervisely_bitmap,
    supervisely_object,
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


def supervisely_source(root: Path, *objects: Any, task: Task = CAT, **more: Any) -> Source:
    image(root / "ds" / "img" / "a.png")
    content = {"size": {"height": 8, "width": 12}, "objects": objects}
    write_json(root / "ds" / "ann" / "a.png.json", content)
    write_json(root / "meta.json", {"classes": [{"title": "cat"}]})
    return open_source(DataConfig(source="supervisely", images=root, **more), task)


def test_a_polygon_of_supervisely_has_holes(tmp_path: Path) -> None:
    points = {"exterior": corners(BOX), "interior": [corners((2, 2, 4, 4)), corners((5, 2, 6, 3))]}
    source = supervisely_source(tmp_path, supervisely_object("cat", "polygon", points=points))
    expected = EXPECTED & ~filled([(2, 2, 4, 4), (5, 2, 6, 3)], SIZE)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


def test_old_files_do_not_name_the_kind_of_an_object(tmp_path: Path) -> None:
    polygon = {"classTitle": "cat", "bitmap": None, "points": {"exterior": corners(BOX)}}
    bitmap = supervisely_bitmap("cat", 0, 6, np.ones((2, 3), bool))
    del bitmap["geometryType"]
    source = supervisely_source(tmp_path, polygon, bitmap)
    expected = EXPECTED | filled([(0, 6, 3, 8)], SIZE)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


def test_a_bitmap_of_supervisely_has_an_origin(tmp_path: Path) -> None:
    pixels = np.arange(12).reshape(3, 4) % 5 > 1
    expected = np.zeros(SIZE, bool)
    expected[3:6, 2:6] = pixels
    source = supervisely_source(tmp_path, supervisely_bitmap("cat", 2, 3, pixels))
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)
    rgba = np.zeros((3, 4, 4), np.uint8)
    rgba[..., 0] = 7
    rgba[pixels, 3] = 255
    data = base64.b64encode(zlib.compress(png(rgba))).decode()
    shape = supervisely_object("cat", "bitmap", bitmap={"data": data, "origin": [2, 3]})
    source = supervisely_source(tmp_path, shape)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


def test_rectangles_lines_and_points_of_supervisely(tmp_path: Path) -> None:
    points = {"exterior": [[1, 1], [7, 5]], "interior": []}
    source = supervisely_source(tmp_path, supervisely_object("cat", "rectangle", points=points))
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, EXPECTED)
    line = supervisely_object("cat", "line", points=points)
    with fails(ConfigError, "missing-setting", "line", setting="data.line_width"):
        supervisely_source(tmp_path, line).read("ds/a")
    expected = draw_mask(Line(np.array([[1.0, 1], [7, 5]]), 2), SIZE)
    source = supervisely_source(tmp_path, line, line_width=2)
    np.testing.assert_array_equal(source.read("ds/a").mask == 1, expected)


BITMAP = {"origin": [0, 0]}


@pytest.mark.parametrize(
    ("shape", "code", "values"),
    [
        (supervisely_object("cat", "graph"), "label-shape", ("'graph'",)),
        (supervisely_object("cat", "polygon"), "label-entry", ("'points'",)),
        (
            supervisely_object("cat", "polygon", points={"exterior": [[1, 1]]}),
            "label-shape",
            (3, 1),
        ),
        (supervisely_object("cat", "bitmap", bitmap={**BITMAP, "data": "%"}), "label-shape", ()),
        (
            supervisely_object("cat", "bitmap", bitmap={**BITMAP, "data": "AAAA"}),
            "label-shape",
            ("zlib",),
        ),
        (
            supervisely_object(
                "cat",
                "bitmap",
                bitmap={**BITMAP, "data": base64.b64encode(zlib.compress(b"x")).decode()},
            ),
            "label-shape",
            ("PNG",),
        ),
        ({"geometryType": "polygon"}, "label-entry", ("'classTitle'",)),
        ({"classTitle": "cat"}, "label-entry", ("'points'",)),
    ],
)
def test_a_broken_object_of_supervisely_is_named(
    tmp_path: Path, shape: Any, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "ds" / "ann" / "a.png.json", *values):
        supervisely_source(tmp_path, shape).read("ds/a")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "empty", tmp_path):
        open_source(DataConfig(source="supervisely", images=tmp_path), CAT)
