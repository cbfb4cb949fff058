"""Broken and hostile COCO files give a clear error, or are counted with data.skip_broken."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, ConfigError, DataError
from segkit.config import DataConfig
from segkit.data.sources import coco_json as coco_files
from segkit.data.sources.coco import open_coco
from tests.helpers.coco_json import (
    BOTH,
    CATEGORIES,
    PERSON,
    PERSON_ID,
    annotation,
    box,
    content,
    filled,
    save,
)
from tests.helpers.errors import fails

NAN, INF = float("nan"), float("inf")
GOOD = annotation(PERSON_ID, [box(0, 0, 2, 2)], 100)
SKIP = "data.skip_broken: true"


def runs(counts: object, size: object = (4, 6)) -> dict[str, object]:
    return {"size": size, "counts": counts}


SEGMENTATIONS: list[tuple[object, str, *tuple[object, ...]]] = [
    ([[0, 0, 1, 1]], "coco-polygon", 4),
    ([[0, 0, 1, 1, 2, 2, 3]], "coco-polygon", 7),
    ([0, 0, 1, 1, 2, 2], "coco-polygon", 0),
    ([[0, 0, 1, 1, 2, NAN]], "coco-polygon", 60, "nan"),
    ([[0, 0, 1, 1, 2, INF]], "coco-polygon", 60, "inf"),
    ([[0, 0, 1, 1, 2, 1e9]], "coco-polygon", 60, 1e9),
    ([[0, 0, 1, 1, 2, -(10**400)]], "coco-polygon", 60, f"-1{'0' * 16}..."),
    ([[0, 0, 1, 1, 2, "3"]], "coco-polygon", 60, "'3'"),
    ([[0, 0, 1, 1, 2, True]], "coco-polygon", 60, True),
    ([[-50, 0, 50, 4] * 30_000], "coco-polygon", "6,000,000"),
    ([box(7, 0, 9, 2)], "coco-outside", "6 x 4", "7 to 9", "0 to 2"),
    ([box(0, -3, 2, 0)], "coco-outside", "-3 to 0"),
    ([box(0, 0, 2, 2), box(6, 0, 9, 2)], "coco-outside", "6 to 9"),
    (runs([2, 3, 18]), "coco-rle", 24, 23),
    (runs([2, -3, 25]), "coco-rle", 24, -3),
    (runs([24.0]), "coco-rle", 24.0),
    (runs([10**30]), "coco-rle", 24, "1000000000000000000000000000000"),
    (runs([]), "coco-rle", 24, 0),
    (runs(None), "coco-rle", "'counts'", None),
    ({"size": [4, 6]}, "coco-rle", "'counts'", None),
    (runs("23b0"), "coco-rle", 24, 23),
    (runs("2M"), "coco-rle", 24, -3),
    (runs(""), "coco-rle", "''"),
    (runs("23o"), "coco-rle", "'23o'"),
    (runs("2ü"), "coco-rle", "'2ü'"),
    (runs("2\ud800"), "coco-rle", r"'2\ud800'"),
    (runs("ooooooo0"), "coco-rle", "'ooooooo0'"),
    (runs("oooooO" * 2000), "coco-rle"),
    (runs([24], (6, 4)), "coco-rle", [4, 6], [6, 4]),
    (runs([24], (2**40, 2**40)), "coco-rle", [4, 6], [2**40, 2**40]),
    (runs([24], None), "coco-rle", [4, 6], None),
    (None, "no-segmentation", "none"),
    ([], "no-segmentation", []),
    ("23c0", "no-segmentation", "'23c0'"),
]


@pytest.mark.parametrize(
    ("segmentation", "code", "values"), [(s, c, v) for s, c, *v in SEGMENTATIONS]
)
def test_a_broken_segmentation_is_named_or_left_out(
    tmp_path: Path, segmentation: object, code: str, values: list[object]
) -> None:
    settings = save(tmp_path, content(annotation(PERSON_ID, segmentation, 23), GOOD))
    with fails(DataError, code, settings.annotations, 23, "image 7", *values, SKIP) as problem:
        open_coco(settings, PERSON).read("a")
    assert "\n" not in str(problem.value)
    assert len(str(problem.value)) < 400 + len(str(tmp_path))
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    for _ in range(2):  # counted once; the object may be anywhere
        np.testing.assert_array_equal(source.read("a").mask, unlabelled_but((0, 0, 2, 2)))
    assert source.skipped == {code: 1}


def unlabelled_but(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Return a mask of these objects in which nothing is known of the other pixels."""
    mask = filled(*boxes)
    mask[mask == 0] = VOID
    return mask


@pytest.mark.parametrize(
    ("given", "unlabelled"),
    [
        ([3, 1, 2, 2], (3, 1, 5, 3)),
        ([2.5, 0.5, 2, 2], (2, 0, 5, 3)),
        ([0, 0, 6, 4], (0, 0, 6, 4)),
        ([3, 1, 2, 9], (0, 0, 6, 4)),
        ([-1, 1, 2, 2], (0, 0, 6, 4)),
        ([3, 1, 0, 2], (0, 0, 6, 4)),
        ([3, 1, NAN, 2], (0, 0, 6, 4)),
        ([3, 1, "2", 2], (0, 0, 6, 4)),
        (None, (0, 0, 6, 4)),
    ],
)
def test_trap_42_what_is_left_out_is_unlabelled_in_its_box_or_anywhere(
    tmp_path: Path, given: object, unlabelled: tuple[int, int, int, int]
) -> None:
    broken = annotation(PERSON_ID, [[0, 0, 1]], 23, bbox=given)
    source = open_coco(
        save(tmp_path, content(broken, GOOD)).model_copy(update={"skip_broken": True}), PERSON
    )
    expected = filled(unlabelled, value=VOID)
    expected[:2, :2] = 1
    np.testing.assert_array_equal(source.read("a").mask, expected)


def test_trap_42_what_is_left_out_of_one_class_leaves_the_others(tmp_path: Path) -> None:
    broken = annotation(18, [[0, 0, 1]], 23, bbox=[3, 1, 2, 2])
    settings = save(tmp_path, content(broken, GOOD)).model_copy(update={"skip_broken": True})
    person, dog = filled((0, 0, 2, 2)), filled((3, 1, 5, 3), value=VOID)
    np.testing.assert_array_equal(
        open_coco(settings, BOTH).read("a").mask, np.stack([person, dog], axis=-1)
    )
    np.testing.assert_array_equal(open_coco(settings, PERSON).read("a").mask, person)


def test_segmentations_of_other_classes_are_not_checked(
    tmp_path: Path,
) -> None:
    broken = annotation(18, [[1, 2]], 23)
    assert open_coco(save(tmp_path, content(broken, GOOD)), PERSON).read("a").mask.sum() == 4
    with fails(DataError, "coco-polygon", "annotation 23"):
        open_coco(save(tmp_path, content(broken, GOOD)), BOTH).read("a")


def test_a_box_without_a_segmentation_is_refused(tmp_path: Path) -> None:
    only_box = {"id": 23, "image_id": 7, "category_id": PERSON_ID, "bbox": [0, 0, 2, 2]}
    with fails(DataError, "no-segmentation", "annotation 23", "image 7", "none"):
        open_coco(save(tmp_path, content(only_box)), PERSON).read("a")


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | st.text(max_size=3)
    | st.just([])
    | st.just([[1]])
)


@given(
    st.sampled_from(["id", "category_id", "iscrowd", "segmentation", "bbox", "extra"]),
    ODD,
    st.booleans(),
)
def test_trap_42_an_object_that_is_left_out_never_becomes_background(
    tmp_path_factory: pytest.TempPathFactory, key: str, odd: object, remove: bool
) -> None:
    """Whatever is wrong with an annotation, its pixels are the object or unlabelled."""
    entry = annotation(PERSON_ID, [box(1, 1, 4, 3)], 23, bbox=[1, 1, 3, 2], iscrowd=0) | {key: odd}
    if remove:
        del entry[key]
    root = tmp_path_factory.getbasetemp() / "left out"
    root.mkdir(exist_ok=True)
    settings = save(root, content(entry, annotation(PERSON_ID, [box(5, 0, 6, 1)], 24)))
    mask = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON).read("a").mask
    if entry.get("category_id") not in (18, 90):  # another class, which is no object of this task
        assert (mask[filled((1, 1, 4, 3)) == 1] != 0).all()
    assert mask[0, 5] == 1


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k != key}


ANNOTATIONS: list[tuple[object, str, *tuple[object, ...]]] = [
    (without(GOOD, "id"), "coco-entry", "annotations[0]", "'id'"),
    (without(GOOD, "category_id"), "coco-entry", 100, "'category_id'"),
    (GOOD | {"id": [1]}, "coco-entry", "annotations[0]", "'id'", [1]),
    (GOOD | {"category_id": True}, "coco-entry", 100, "'category_id'", True),
    (GOOD | {"iscrowd": "no"}, "coco-entry", 100, "'iscrowd'", "'no'"),
    (GOOD | {"iscrowd": 2}, "coco-entry", 100, "'iscrowd'", 2),
    (GOOD | {"image_id": 8}, "coco-reference", 100, "image 8"),
    (GOOD | {"category_id": 2}, "coco-reference", 100, "category 2"),
    (annotation(PERSON_ID, [box(1, 1, 4, 3)], 5), "coco-duplicate", "annotation 5"),
]


@pytest.mark.parametrize(("entry", "code", "values"), [(e, c, v) for e, c, *v in ANNOTATIONS])
def test_a_broken_annotation_is_named_or_left_out(
    tmp_path: Path, entry: dict[str, Any], code: str, values: list[object]
) -> None:
    """The pixels of an annotation that is left out are unlabelled."""
    stored = content()
    first = annotation(PERSON_ID, [box(0, 0, 2, 2)], 5)
    if code != "coco-duplicate":
        entry = entry | {"segmentation": [box(1, 1, 4, 3)]}
    stored["annotations"] = [first, entry] if code == "coco-duplicate" else [entry, first]
    settings = save(tmp_path, stored)
    with fails(DataError, code, settings.annotations, *values, SKIP):
        open_coco(settings, PERSON)
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    expected = filled((1, 1, 4, 3), value=VOID) if entry["image_id"] == 7 else filled()
    expected[:2, :2] = 1
    np.testing.assert_array_equal(source.read("a").mask, expected)
    assert source.skipped == {code: 1}


@pytest.mark.parametrize(
    ("entry", "code", "values"),
    [
        (without(GOOD, "image_id"), "coco-entry", [100, "'image_id'"]),
        (GOOD | {"image_id": {}}, "coco-entry", [100, "'image_id'", {}]),
        (GOOD | {"image_id": "7"}, "coco-reference", [100, "image '7'"]),
        ("text", "coco-entry", ["annotations[0]", "'text'"]),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_trap_42_an_annotation_with_an_uncertain_image_is_never_left_out(
    tmp_path: Path, entry: object, code: str, values: list[object], skip: bool
) -> None:
    stored = content()
    stored["annotations"] = [entry]
    settings = save(tmp_path, stored).model_copy(update={"skip_broken": skip})
    with fails(DataError, code, settings.annotations, *values) as problem:
        open_coco(settings, PERSON)
    assert "skip_broken" not in str(problem.value)


IMAGE = {"id": 8, "file_name": "b.png", "width": 6, "height": 4}
IMAGES: list[tuple[Any, str, *tuple[object, ...]]] = [
    (without(IMAGE, "id"), "coco-entry", "images[1]", "'id'"),
    (without(IMAGE, "file_name"), "coco-entry", "image 8", "'file_name'"),
    (without(IMAGE, "width"), "coco-entry", "image 8", "'width'"),
    (IMAGE | {"file_name": 5}, "coco-entry", "image 8", "'file_name'", 5),
    (IMAGE | {"height": 4.5}, "coco-entry", "image 8", "'height'", 4.5),
    (IMAGE | {"height": True}, "coco-entry", "image 8", "'height'", True),
    ([8], "coco-entry", "images[1]", [8]),
    (IMAGE | {"width": 0}, "coco-size", "image 8", "0 x 4"),
    (IMAGE | {"height": -4}, "coco-size", "image 8", "6 x -4"),
    (
        IMAGE | {"width": 50_000, "height": 50_000},
        "too-large",
        "image 8",
        "50000 x 50000",
        "data.max_pixels",
    ),
    (IMAGE | {"width": 10**4000}, "too-large", "image 8", "data.max_pixels"),
    *(
        (IMAGE | {"file_name": name}, "coco-file-name", "image 8", "data.images", repr(name))
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
            "b\0.png",
            "b\n.png",
            "b\ud800.png",
        )
    ),
]


@pytest.mark.parametrize(("entry", "code", "values"), [(e, c, v) for e, c, *v in IMAGES])
def test_a_broken_image_is_named_or_left_out(
    tmp_path: Path, entry: Any, code: str, values: list[object]
) -> None:
    stored = content(GOOD)
    settings = save(tmp_path, stored)
    stored["images"].append(entry)
    if "id" in entry:  # what belongs to an image that is left out goes with it
        stored["annotations"].append(annotation(PERSON_ID, [], 101, 8))
    _write(settings, stored)
    with fails(DataError, code, settings.annotations, *values, SKIP) as problem:
        open_coco(settings, PERSON)
    assert "\n" not in str(problem.value)
    source = open_coco(settings.model_copy(update={"skip_broken": True}), PERSON)
    assert (source.names, source.skipped) == (["a"], {code: 1})


def _write(settings: DataConfig, values: object) -> None:
    assert settings.annotations
    settings.annotations.write_text(
        values if isinstance(values, str) else json.dumps(values), encoding="utf-8"
    )


VALID = content(GOOD)
FILES: list[tuple[object, str, *tuple[object, ...]]] = [
    ("", "coco-file", "line 1, column 1"),
    (json.dumps(VALID)[:150], "coco-file", "line 1"),
    (json.dumps(VALID)[:40], "coco-file", "line 1"),
    ("<html>", "coco-file", "line 1, column 1"),
    ("[" * 100_000, "coco-file"),
    ("9" * 5000, "coco-file"),
    ([GOOD], "coco-file", "images", "annotations", "categories"),
    (without(VALID, "images"), "coco-file", "'images'"),
    (without(VALID, "annotations"), "coco-file", "'annotations'"),
    (VALID | {"categories": {}}, "coco-file", "'categories'", {}),
    (VALID | {"images": []}, "empty"),
    (VALID | {"images": VALID["images"] * 2}, "coco-duplicate", "image 7"),
    (VALID | {"images": [*VALID["images"], IMAGE | {"id": 7}]}, "coco-duplicate", "image 7"),
    (
        content() | {"images": [IMAGE, IMAGE | {"id": 9, "file_name": "b.jpg"}]},
        "coco-duplicate",
        "'b.png'",
        "'b.jpg'",
    ),
    (VALID | {"categories": CATEGORIES * 2}, "coco-duplicate", "category 18"),
    (VALID | {"categories": [{"id": 1}]}, "coco-entry", "category 1", "'name'"),
    (VALID | {"categories": [{"id": 1, "name": 1}]}, "coco-entry", "category 1", "'name'", 1),
    (VALID | {"categories": [3]}, "coco-entry", "categories[0]", 3),
    (VALID | {"categories": [{"name": "person"}]}, "coco-entry", "categories[0]", "'id'"),
    (VALID | {"categories": CATEGORIES[::2]}, "coco-category", "person", "dog, kite"),
    (VALID | {"categories": []}, "coco-category", "person"),
]


@pytest.mark.parametrize(("stored", "code", "values"), [(s, c, v) for s, c, *v in FILES])
@pytest.mark.parametrize("skip", [False, True])
def test_a_wrong_file_is_refused_even_with_skip_broken(
    tmp_path: Path, stored: object, code: str, values: list[object], skip: bool
) -> None:
    settings = save(tmp_path, VALID)
    _write(settings, stored)
    with fails(DataError, code, settings.annotations, *values) as problem:
        open_coco(settings.model_copy(update={"skip_broken": skip}), PERSON)
    assert "\n" not in str(problem.value)


def test_a_missing_file_and_one_that_is_not_text_are_named(tmp_path: Path) -> None:
    settings = save(tmp_path, VALID)
    assert settings.annotations
    settings.annotations.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with fails(DataError, "coco-file", settings.annotations, "utf-8"):
        open_coco(settings, PERSON)
    settings.annotations.unlink()
    with fails(DataError, "coco-file", settings.annotations, os.strerror(errno.ENOENT)):
        open_coco(settings, PERSON)
    with fails(DataError, "unpaired", tmp_path / "none"):
        open_coco(settings.model_copy(update={"images": tmp_path / "none"}), PERSON)
    with fails(ConfigError, "missing-setting", "data.images", "data.annotations", setting="data"):
        open_coco(DataConfig(images=tmp_path), PERSON)
    with fails(ConfigError, "contradiction", setting="data.pages"):
        open_coco(settings.model_copy(update={"pages": "samples"}), PERSON)


@pytest.mark.parametrize(
    ("link", "target", "name"), [("b.png", "b.png", "b.png"), ("sub", ".", "sub/b.png")]
)
def test_a_link_out_of_the_image_folder_is_not_followed(
    tmp_path: Path, link: str, target: str, name: str
) -> None:
    (tmp_path / "outside").mkdir()
    Image.fromarray(np.full((4, 6, 3), 99, np.uint8)).save(tmp_path / "outside" / "b.png")
    settings = save(tmp_path, content())
    (tmp_path / "images" / link).symlink_to(tmp_path / "outside" / target)
    _write(settings, content(name=name))
    with fails(
        DataError, "coco-file-name", settings.annotations, "image 7", tmp_path / "images" / name
    ):
        open_coco(settings, PERSON).read(name.removesuffix(".png"))


def test_a_link_inside_the_image_folder_is_followed(tmp_path: Path) -> None:
    settings = save(tmp_path, content(name="b.png"))
    (tmp_path / "images" / "a.png").symlink_to("b.png")
    (tmp_path / "way").symlink_to(tmp_path / "images")
    _write(settings, content())
    assert (
        open_coco(settings.model_copy(update={"images": tmp_path / "way"}), PERSON)
        .read("a")
        .mask.sum()
        == 0
    )


@pytest.mark.parametrize("name", ["a.png", f"{'long' * 100}.png"])
def test_a_missing_image_is_named_with_the_file_that_lists_it(tmp_path: Path, name: str) -> None:
    settings = save(tmp_path, content(name="b.png"))
    _write(settings, content(name=name))
    with fails(DataError, "unpaired", settings.annotations, "image 7", tmp_path / "images" / name):
        open_coco(settings, PERSON).read(name.removesuffix(".png"))


def test_an_image_of_another_size_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coco_files.codecs.Image, "MAX_IMAGE_PIXELS", None)
    settings = save(tmp_path, content())
    _write(settings, content(GOOD, width=2**31, height=2**31))
    values = ("image 7", 2**31, tmp_path / "images" / "a.png", 6, 4)
    with fails(DataError, "mask-size", settings.annotations, *values) as problem:
        open_coco(settings, PERSON).read("a")
    assert "EXIF" not in str(problem.value)


def test_an_image_turned_by_exif_alone_is_named_as_the_cause(tmp_path: Path) -> None:
    settings = save(tmp_path, content())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "images" / "a.png", exif=exif)
    with fails(DataError, "mask-size", tmp_path / "images" / "a.png", 6, 4, "EXIF"):
        open_coco(settings, PERSON).read("a")
