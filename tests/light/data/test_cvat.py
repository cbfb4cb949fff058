"""CVAT's XML for images (https://docs.cvat.ai/docs/manual/advanced/xml_format)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.rasterise import Ellipse, Line, draw_mask
from segkit.data.sources.cvat import open_cvat, read_xml
from segkit.data.sources.source import Source
from tests.helpers.errors import fails
from tests.helpers.label_sets import cvat_xml, filled, picture

SIZE = (8, 12)
CAT = Task.binary("cat")
PETS = Task.multiclass(["background", "cat", "dog"])
RECTANGLE = '<polygon label="{}" points="{}" z_order="{}"/>'
SQUARE = "1.0,1.0;7.0,1.0;7.0,5.0;1.0,5.0"
RIGHT = "5,2;9,2;9,7;5,7"


def source(root: Path, text: str, task: Task = CAT, **more: Any) -> Source:
    (root / "images").mkdir(exist_ok=True)
    for name in "ab":
        Image.fromarray(picture(*SIZE)).save(root / "images" / f"{name}.png")
    (root / "annotations.xml").write_text(text, encoding="utf-8")
    data = DataConfig(
        source="cvat", images=root / "images", annotations=root / "annotations.xml", **more
    )
    return open_cvat(data, task)


def image(*shapes: str, name: str = "a.png", more: str = "") -> str:
    return f'<image id="0" name="{name}" width="12" height="8"{more}>{"".join(shapes)}</image>'


def one(root: Path, *shapes: str, task: Task = CAT, **more: Any) -> np.ndarray:
    return source(root, cvat_xml(image(*shapes)), task, **more).read("a").mask


def test_shapes_of_all_kinds(tmp_path: Path) -> None:
    polygon = RECTANGLE.format("cat", SQUARE, 0)
    np.testing.assert_array_equal(one(tmp_path, polygon) == 1, filled([(1, 1, 7, 5)], SIZE))
    box = '<box label="cat" source="manual" xtl="1.0" ytl="1.0" xbr="7.0" ybr="5.0" z_order="0"/>'
    np.testing.assert_array_equal(one(tmp_path, box) == 1, filled([(1, 1, 7, 5)], SIZE))
    ellipse = '<ellipse label="cat" cx="6" cy="4" rx="3.5" ry="2" rotation="30" z_order="0"/>'
    expected = draw_mask(Ellipse(6, 4, 3.5, 2, 30), SIZE)
    np.testing.assert_array_equal(one(tmp_path, ellipse) == 1, expected)


def test_a_box_turns_about_its_centre(tmp_path: Path) -> None:
    box = '<box label="cat" xtl="4" ytl="1" xbr="8" ybr="7" rotation="90.0" z_order="0"/>'
    np.testing.assert_array_equal(one(tmp_path, box) == 1, filled([(3, 2, 9, 6)], SIZE))


def test_a_mask_is_run_lengths_along_the_rows_of_its_box(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 0]], bool)
    mask = '<mask label="cat" rle="1,2,1,4,2,1,1" left="2" top="3" width="4" height="3"/>'
    expected = np.zeros(SIZE, bool)
    expected[3:6, 2:6] = pixels
    np.testing.assert_array_equal(one(tmp_path, mask) == 1, expected)


@pytest.mark.parametrize("tag", ["polyline", "points"])
def test_lines_and_points_need_a_width(tmp_path: Path, tag: str) -> None:
    line = f'<{tag} label="cat" points="1,1;9,6" z_order="0"/>'
    with fails(ConfigError, "missing-setting", tmp_path / "annotations.xml", tag) as problem:
        one(tmp_path, line)
    assert problem.value.setting == "data.line_width"
    expected = draw_mask(Line(np.array([[1.0, 1], [9, 6]]), 3), SIZE)
    np.testing.assert_array_equal(one(tmp_path, line, line_width=3) == 1, expected)


@pytest.mark.parametrize(
    ("orders", "top"), [((0, 0), "dog"), ((1, 0), "cat"), ((0, 1), "dog"), ((-1, -2), "cat")]
)
def test_the_higher_z_order_hides_and_then_the_later_shape(
    tmp_path: Path, orders: tuple[int, int], top: str
) -> None:
    shapes = [RECTANGLE.format("cat", SQUARE, orders[0]), RECTANGLE.format("dog", RIGHT, orders[1])]
    mask = one(tmp_path, *shapes, task=PETS)
    both = filled([(1, 1, 7, 5)], SIZE) & filled([(5, 2, 9, 7)], SIZE)
    assert set(mask[both].tolist()) == {PETS.classes.index(top)}


def test_tags_are_no_shapes_and_others_are_refused(tmp_path: Path) -> None:
    tag = '<tag label="night" source="manual"/>'
    assert not one(tmp_path, tag).any()
    with fails(DataError, "label-shape", tmp_path / "annotations.xml", "'a.png'", "cuboid"):
        one(tmp_path, '<cuboid label="cat" xtl1="1"/>')


def test_subsets_are_parts(tmp_path: Path) -> None:
    images = [
        image(name="a.png", more=' subset="Train"'),
        image(name="b.png", more=' subset="Validation"'),
    ]
    parts = source(tmp_path, cvat_xml("".join(images))).parts
    assert {part: list(names) for part, names in parts.items()} == {
        "train": ["a"],
        "validation": ["b"],
    }


BROKEN = [
    (RECTANGLE.format("cat", "1,1;2", 0), "label-shape", ([2.0],)),
    (RECTANGLE.format("cat", "1,1;2,2", 0), "label-shape", (3, 2)),
    (RECTANGLE.format("cat", "", 0), "label-shape", ()),
    (RECTANGLE.format("cat", "1,1;2,2;x,y", 0), "label-shape", ("'x,y'",)),
    (RECTANGLE.format("cat", "1,1;2,2;3,nan", 0), "label-shape", ("nan",)),
    (RECTANGLE.format("cat", "1,1;2,2;3,1e9", 0), "label-shape", (120,)),
    (RECTANGLE.format("cat", SQUARE, "up"), "label-entry", ("'z_order'", "'up'")),
    ('<box label="cat" xtl="1"/>', "label-entry", ("'ytl'", None)),
    ('<ellipse label="cat" cx="6" cy="4" rx="-3" ry="2"/>', "label-shape", (-3,)),
    ('<mask label="cat" rle="1,2" left="2" top="3" width="4" height="3"/>', "label-rle", (12, 2)),
    ('<mask label="cat" rle="1,x" left="2" top="3" width="4" height="3"/>', "label-rle", ()),
    (
        f'<mask label="cat" rle="{10**30}" left="2" top="3" width="4" height="3"/>',
        "label-rle",
        (),
    ),
    (
        '<mask label="cat" rle="1" left="0" top="0" width="99999999" height="99999999"/>',
        "label-rle",
        ("99999999 x 99999999",),
    ),
]


@pytest.mark.parametrize(("shape", "code", "values"), BROKEN)
def test_a_broken_shape_is_named(
    tmp_path: Path, shape: str, code: str, values: tuple[Any, ...]
) -> None:
    with fails(DataError, code, tmp_path / "annotations.xml", *values):
        one(tmp_path, shape)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotations>&b;</annotations>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<annotations><image",
        b"<other/>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<?xml version="1.0" encoding="uti-8"?><annotations/>',
        b"<annotations><version>1.1</version><track id='0' label='cat'/></annotations>",
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "annotations.xml").write_bytes(content)
    with fails(DataError, "label-file", tmp_path / "annotations.xml"):
        read_xml(tmp_path / "annotations.xml")


def test_an_image_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "label-entry", tmp_path / "annotations.xml", "image[1]", "a"):
        source(tmp_path, cvat_xml(image() + image(name="x/a.png")))


@pytest.mark.parametrize(
    ("reference", "file", "is_found"),
    [
        ("train/a.png", "train/a.png", True),
        ("x/train/a.png", "train/a.png", True),
        ("train/a.png", "x/train/a.png", True),
        ("a.png", "x/a.png", True),
        ("train/a.png", "a.png", True),
        ("train/a.png", "val/a.png", False),
        ("/home/me/train/a.png", "val/a.png", True),
        ("s3://bucket/train/a.png", "val/a.png", True),
        ("b.png", "a.png", False),
    ],
)
def test_trap_33_an_image_in_another_folder_is_another_image(
    tmp_path: Path, reference: str, file: str, is_found: bool
) -> None:
    for path in (tmp_path / "images" / file, tmp_path / "images" / "other.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(*SIZE)).save(path)
    xml = tmp_path / "annotations.xml"
    xml.write_text(cvat_xml(image(name=reference) + image(name="other.png")))
    data = DataConfig(source="cvat", images=tmp_path / "images", annotations=xml, skip_broken=True)
    assert (len(open_cvat(data, CAT).names) == 2) == is_found


def test_a_name_that_can_be_two_images_is_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        path = tmp_path / "images" / folder / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(picture(*SIZE)).save(path)
    xml = tmp_path / "annotations.xml"
    xml.write_text(cvat_xml(image()))
    data = DataConfig(source="cvat", images=tmp_path / "images", annotations=xml)
    with fails(DataError, "label-image", xml, "'a.png'", "x/a", "y/a"):
        open_cvat(data, CAT)
