"""Broken and hostile COCO files: each one a clear line, or left out and counted with data.skip_broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError
from segkit.config import DataConfig
from segkit.data.sources import coco_json as coco_files
from segkit.data.sources.coco import open_coco
from tests.helpers.coco_json import BOTH, CATEGORIES, PERSON, PERSON_ID, annotation, box, content, filled, save
from tests.helpers.draws import says

NAN, INF = float("nan"), float("inf")
GOOD = annotation(PERSON_ID, [box(0, 0, 2, 2)], 100)
SKIP = "data.skip_broken: true"


def runs(counts: object, size: object = (4, 6)) -> dict[str, object]:
    return {"size": size, "counts": counts}


SEGMENTATIONS = [
    ([[0, 0, 1, 1]], "coco-polygon", "3 points or more", "found 4 numbers"),
    ([[0, 0, 1, 1, 2, 2, 3]], "coco-polygon", "found 7 numbers"),
    ([0, 0, 1, 1, 2, 2], "coco-polygon", "in a list of polygons; found 0"),
    ([[0, 0, 1, 1, 2, NAN]], "coco-polygon", "not farther than 60", "found nan"),
    ([[0, 0, 1, 1, 2, INF]], "coco-polygon", "not farther than 60", "found inf"),
    ([[0, 0, 1, 1, 2, 1e9]], "coco-polygon", "not farther than 60", "found 1000000000.0"),
    ([[0, 0, 1, 1, 2, -(10**400)]], "coco-polygon", "not farther than 60", "found -1000"),
    ([[0, 0, 1, 1, 2, "3"]], "coco-polygon", "coordinates are pixels", "found '3'"),
    ([[0, 0, 1, 1, 2, True]], "coco-polygon", "coordinates are pixels", "found True"),
    ([[-50, 0, 50, 4] * 30_000], "coco-polygon", "outline is 6,000,000 pixels long"),
    ([box(7, 0, 9, 2)], "coco-outside", "outside the image of 6 x 4", "x from 7 to 9, y from 0 to 2"),
    ([box(0, -3, 2, 0)], "coco-outside", "y from -3 to 0"),
    ([box(0, 0, 2, 2), box(6, 0, 9, 2)], "coco-outside", "x from 6 to 9"),
    (runs([2, 3, 18]), "coco-rle", "add up to height x width, 24; found 23"),
    (runs([2, -3, 25]), "coco-rle", "whole numbers from 0 to 24; found -3"),
    (runs([24.0]), "coco-rle", "found 24.0"),
    (runs([10**30]), "coco-rle", "found 1000000"),
    (runs([]), "coco-rle", "add up to height x width, 24; found 0"),
    (runs(None), "coco-rle", "'counts' is a list of run lengths, or text; found None"),
    ({"size": [4, 6]}, "coco-rle", "'counts' is a list"),
    (runs("23b0"), "coco-rle", "add up to height x width, 24; found 23"),
    (runs("2M"), "coco-rle", "from 0 to 24; found -3"),
    (runs(""), "coco-rle", "compressed run lengths cannot be read: ''"),
    (runs("23o"), "coco-rle", "compressed run lengths cannot be read: '23o'"),
    (runs("2ü"), "coco-rle", "cannot be read: '2ü'"),
    (runs("2\ud800"), "coco-rle", "cannot be read"),
    (runs("ooooooo0"), "coco-rle", "cannot be read: 'ooooooo0'"),
    (runs("oooooO" * 2000), "coco-rle", "found"),
    (runs([24], (6, 4)), "coco-rle", "[height, width] = [4, 6]; found [6, 4]"),
    (runs([24], (2**40, 2**40)), "coco-rle", "[4, 6]; found [1099511627776"),
    (runs([24], None), "coco-rle", "[4, 6]; found None"),
    (None, "no-segmentation", "found none", "A box alone says nothing"),
    ([], "no-segmentation", "found []", "A box alone says nothing"),
    ("23c0", "no-segmentation", "found '23c0'"),
]


@pytest.mark.parametrize(("segmentation", "code", "words"), [(s, c, w) for s, c, *w in SEGMENTATIONS])
def test_a_broken_segmentation_is_named_or_left_out(
    tmp_path: Path, segmentation: object, code: str, words: list[str]
) -> None:
    settings = save(tmp_path, content(annotation(PERSON_ID, segmentation, 23), GOOD))
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON).read("a")
    assert problem.value.code == code
    assert says(problem, settings.annotations, "annotation 23 of image 7", *words, SKIP)
    assert "\n" not in str(problem.value)
    assert len(str(problem.value)) < 400 + len(str(tmp_path))
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    for _ in range(2):  # counted once
        np.testing.assert_array_equal(source.read("a").mask, filled((0, 0, 2, 2)))
    assert source.skipped == {code: 1}


def test_a_segmentation_of_a_class_that_the_task_does_not_name_is_not_looked_at(tmp_path: Path) -> None:
    broken = annotation(18, [[1, 2]], 23)
    assert open_coco(save(tmp_path, content(broken, GOOD)), PERSON).read("a").mask.sum() == 4
    with pytest.raises(DataError, match="annotation 23"):
        open_coco(save(tmp_path, content(broken, GOOD)), BOTH).read("a")


def test_a_box_alone_is_no_mask(tmp_path: Path) -> None:
    only_box = {"id": 23, "image_id": 7, "category_id": PERSON_ID, "bbox": [0, 0, 2, 2]}
    with pytest.raises(DataError, match=r"annotation 23 of image 7: .* found none\. A box alone") as problem:
        open_coco(save(tmp_path, content(only_box)), PERSON).read("a")
    assert problem.value.code == "no-segmentation"


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k != key}


ANNOTATIONS = [
    (without(GOOD, "id"), "coco-entry", "annotations[0]: has no 'id'"),
    (without(GOOD, "image_id"), "coco-entry", "annotation 100: has no 'image_id'"),
    (without(GOOD, "category_id"), "coco-entry", "annotation 100: has no 'category_id'"),
    (GOOD | {"id": [1]}, "coco-entry", "annotations[0]: 'id' is a whole number or text; found [1]"),
    (GOOD | {"image_id": {}}, "coco-entry", "'image_id' is a whole number or text; found {}"),
    (GOOD | {"category_id": True}, "coco-entry", "'category_id' is a whole number or text; found True"),
    (GOOD | {"iscrowd": "no"}, "coco-entry", "'iscrowd' is 0 or 1; found 'no'"),
    (GOOD | {"iscrowd": 2}, "coco-entry", "'iscrowd' is 0 or 1; found 2"),
    (GOOD | {"image_id": 8}, "coco-reference", "annotation 100: there is no image 8"),
    (GOOD | {"image_id": "7"}, "coco-reference", "there is no image '7'"),
    (GOOD | {"category_id": 2}, "coco-reference", "annotation 100: there is no category 2"),
    ("text", "coco-entry", "annotations[0]: is an object with an id; found 'text'"),
    (annotation(PERSON_ID, [], 5), "coco-duplicate", "annotation 5: the id is given twice"),
]


@pytest.mark.parametrize(("entry", "code", "words"), ANNOTATIONS)
def test_a_broken_annotation_is_named_or_left_out(tmp_path: Path, entry: object, code: str, words: str) -> None:
    values = content()
    first = annotation(PERSON_ID, [box(0, 0, 2, 2)], 5)
    values["annotations"] = [first, entry] if code == "coco-duplicate" else [entry, first]
    settings = save(tmp_path, values)
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON)
    assert problem.value.code == code
    assert says(problem, settings.annotations, words, SKIP)
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    np.testing.assert_array_equal(source.read("a").mask, filled((0, 0, 2, 2)))
    assert source.skipped == {code: 1}


IMAGE = {"id": 8, "file_name": "b.png", "width": 6, "height": 4}
IMAGES = [
    (without(IMAGE, "id"), "coco-entry", "images[1]: has no 'id'"),
    (without(IMAGE, "file_name"), "coco-entry", "image 8: has no 'file_name'"),
    (without(IMAGE, "width"), "coco-entry", "image 8: has no 'width'"),
    (IMAGE | {"file_name": 5}, "coco-entry", "image 8: 'file_name' is text; found 5"),
    (IMAGE | {"height": 4.5}, "coco-entry", "'height' is a whole number of pixels; found 4.5"),
    (IMAGE | {"height": True}, "coco-entry", "'height' is a whole number of pixels; found True"),
    ([8], "coco-entry", "images[1]: is an object with an id; found [8]"),
    (IMAGE | {"width": 0}, "coco-size", "image 8: width and height are 1 or more; found 0 x 4"),
    (IMAGE | {"height": -4}, "coco-size", "found 6 x -4"),
    (IMAGE | {"width": 50_000, "height": 50_000}, "too-large", "50000 x 50000 is more than", "data.max_pixels"),
    (IMAGE | {"width": 10**4000}, "too-large", "image 8: 1000000"),
    *(
        (IMAGE | {"file_name": name}, "coco-file-name", "image 8: file_name is a path below data.images", "found '")
        for name in (
            "../b.png",
            "a/../../b.png",
            "/etc/passwd",
            "//h/b.png",
            "C:/b.png",
            "c:b.png",
            "a\\b.png",
            "",
            ".",
        )
    ),
    (IMAGE | {"file_name": "b\0.png"}, "coco-file-name", r"found 'b\x00.png'"),
    (IMAGE | {"file_name": "b\n.png"}, "coco-file-name", r"found 'b\n.png'"),
    (IMAGE | {"file_name": "b\ud800.png"}, "coco-file-name", r"found 'b\ud800.png'"),
]


@pytest.mark.parametrize(("entry", "code", "words"), [(e, c, w) for e, c, *w in IMAGES])
def test_a_broken_image_is_named_or_left_out(tmp_path: Path, entry: object, code: str, words: list[str]) -> None:
    values = content(GOOD)
    settings = save(tmp_path, values)
    values["images"].append(entry)
    if "id" in entry:  # what belongs to an image that is left out goes with it
        values["annotations"].append(annotation(PERSON_ID, [], 101, 8))
    _write(settings, values)
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON)
    assert problem.value.code == code
    assert says(problem, settings.annotations, *words, SKIP)
    assert "\n" not in str(problem.value)
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    assert (source.names, source.skipped) == (["a"], {code: 1})


def _write(settings: DataConfig, values: object) -> None:
    assert settings.annotations
    settings.annotations.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")


VALID = content(GOOD)
FILES = [
    ("", "coco-file", "is cut off or empty (line 1, column 1)"),
    (json.dumps(VALID)[:150], "coco-file", "is cut off or empty (line 1, column"),
    (json.dumps(VALID)[:40], "coco-file", "is cut off or empty (line 1, column"),
    ("<html>", "coco-file", "not JSON (Expecting value at line 1, column 1)"),
    ("[" * 100_000, "coco-file", "not a COCO JSON file"),
    ("9" * 5000, "coco-file", "not a COCO JSON file"),
    ([GOOD], "coco-file", "an object of images, annotations and categories; found [", "A file of results"),
    (without(VALID, "images"), "coco-file", "it has no 'images'"),
    (without(VALID, "annotations"), "coco-file", "it has no 'annotations'"),
    (VALID | {"categories": {}}, "coco-file", "'categories' is {}"),
    (VALID | {"images": []}, "empty", "lists no image"),
    (VALID | {"images": VALID["images"] * 2}, "coco-duplicate", "image 7: the id is given twice"),
    (VALID | {"images": [*VALID["images"], IMAGE | {"id": 7}]}, "coco-duplicate", "image 7: the id is given twice"),
    (content() | {"images": [IMAGE, IMAGE | {"id": 9, "file_name": "b.jpg"}]}, "coco-duplicate", "'b.png'", "'b.jpg'"),
    (VALID | {"categories": CATEGORIES * 2}, "coco-duplicate", "category 18: the id is given twice"),
    (VALID | {"categories": [{"id": 1}]}, "coco-entry", "category 1: has no 'name'"),
    (VALID | {"categories": [{"id": 1, "name": 1}]}, "coco-entry", "category 1: 'name' is text; found 1"),
    (VALID | {"categories": [3]}, "coco-entry", "categories[0]: is an object with an id; found 3"),
    (VALID | {"categories": [{"name": "person"}]}, "coco-entry", "categories[0]: has no 'id'"),
    (VALID | {"categories": CATEGORIES[::2]}, "coco-category", "called person; its categories are dog, kite. Call"),
    (VALID | {"categories": []}, "coco-category", "no category is called person; its categories are (none)"),
]


@pytest.mark.parametrize(("values", "code", "words"), [(v, c, w) for v, c, *w in FILES])
@pytest.mark.parametrize("skip", [False, True])
def test_a_file_that_makes_no_sense_is_never_passed_over(
    tmp_path: Path, values: object, code: str, words: list[str], skip: bool
) -> None:
    settings = save(tmp_path, VALID)
    _write(settings, values)
    with pytest.raises(DataError) as problem:
        open_coco(settings.model_copy(update={"skip_broken": skip}), PERSON)
    assert problem.value.code == code
    assert says(problem, settings.annotations, *words)
    assert "\n" not in str(problem.value)


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    settings = save(tmp_path, VALID)
    assert settings.annotations
    settings.annotations.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(DataError, match=r"coco\.json: not a COCO JSON file \(.*utf-8"):
        open_coco(settings, PERSON)
    settings.annotations.unlink()
    with pytest.raises(DataError, match=r"coco\.json: cannot be read \(No such file"):
        open_coco(settings, PERSON)
    with pytest.raises(DataError, match="none: there is no such folder"):
        open_coco(settings.model_copy(update={"images": tmp_path / "none"}), PERSON)
    with pytest.raises(ConfigError, match=r"needs data\.images, a folder, and data\.annotations"):
        open_coco(DataConfig(images=tmp_path), PERSON)


@pytest.mark.parametrize(("link", "target", "name"), [("b.png", "b.png", "b.png"), ("sub", ".", "sub/b.png")])
def test_a_link_out_of_the_image_folder_is_not_followed(tmp_path: Path, link: str, target: str, name: str) -> None:
    (tmp_path / "outside").mkdir()
    Image.fromarray(np.full((4, 6, 3), 99, np.uint8)).save(tmp_path / "outside" / "b.png")
    settings = save(tmp_path, content())
    (tmp_path / "images" / link).symlink_to(tmp_path / "outside" / target)
    _write(settings, content(name=name))
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON).read(name.removesuffix(".png"))
    assert problem.value.code == "coco-file-name"
    assert says(problem, settings.annotations, "image 7", "a link that leads out of", tmp_path / "images")


def test_a_link_inside_the_image_folder_is_followed(tmp_path: Path) -> None:
    settings = save(tmp_path, content(name="b.png"))
    (tmp_path / "images" / "a.png").symlink_to("b.png")
    (tmp_path / "way").symlink_to(tmp_path / "images")
    _write(settings, content())
    assert open_coco(settings.model_copy(update={"images": tmp_path / "way"}), PERSON).read("a").mask.sum() == 0


@pytest.mark.parametrize("name", ["a.png", f"{'long' * 100}.png"])
def test_a_missing_image_is_named_with_the_file_that_lists_it(tmp_path: Path, name: str) -> None:
    settings = save(tmp_path, content(name="b.png"))
    _write(settings, content(name=name))
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON).read(name.removesuffix(".png"))
    assert problem.value.code == "unpaired"
    assert says(problem, settings.annotations, "image 7", "there is no file", tmp_path / "images" / name)


def test_an_image_of_another_size_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coco_files.codecs.Image, "MAX_IMAGE_PIXELS", None)
    settings = save(tmp_path, content())
    _write(settings, content(GOOD, width=2**31, height=2**31))
    with pytest.raises(DataError) as problem:
        open_coco(settings, PERSON).read("a")
    assert problem.value.code == "mask-size"
    assert says(
        problem, settings.annotations, "image 7", f"{2**31} wide", tmp_path / "images" / "a.png", "6 wide and 4"
    )
    assert "EXIF" not in str(problem.value)


def test_an_image_turned_by_exif_alone_is_named_as_the_cause(tmp_path: Path) -> None:
    settings = save(tmp_path, content())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "images" / "a.png", exif=exif)
    with pytest.raises(DataError, match="drawn on 6 wide and 4 high; .* is 4 wide and 6 high.*EXIF orientation"):
        open_coco(settings, PERSON).read("a")
