"""YOLO's text files of polygons (https://docs.ultralytics.com/datasets/segment)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import Source
from segkit.data.sources.yolo import open_yolo
from tests.helpers.errors import fails
from tests.helpers.label_sets import filled, picture

SIZE = (8, 12)
CAT = Task.binary("cat")
SQUARE = "0.25 0.125 0.75 0.125 0.75 0.625 0.25 0.625"
EXPECTED = filled([(3, 1, 9, 5)], SIZE)


def save(path: Path, text: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        Image.fromarray(picture(*SIZE)).save(path)
    else:
        path.write_text(text)


def opened(root: Path, **more: Any) -> Source:
    return open_yolo(DataConfig(source="yolo", images=root, **more), CAT)


def one(root: Path, text: str, names: str = "[dog, cat]") -> np.ndarray:
    save(root / "images" / "train" / "a.jpg")
    save(root / "labels" / "train" / "a.txt", text)
    save(root / "data.yaml", f"train: images/train\nnames: {names}\n")
    return opened(root).read("train/a").mask


@pytest.mark.parametrize("names", ["[dog, cat]", "{0: dog, 1: cat}"])
def test_names_are_a_list_or_a_table(tmp_path: Path, names: str) -> None:
    np.testing.assert_array_equal(one(tmp_path, f"1 {SQUARE}\n\n", names) == 1, EXPECTED)


def test_the_layout_of_roboflow_has_the_parts_first(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        save(tmp_path / part / "images" / f"{part[0]}.jpg")
        save(tmp_path / part / "labels" / f"{part[0]}.txt", f"0 {SQUARE}")
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\n"
    save(tmp_path / "data.yaml", text + "names: ['cat']\nroboflow: {license: CC BY 4.0}\n")
    source = opened(tmp_path)
    parts = {"train": ["train/t"], "validation": ["valid/v"], "test": ["test/t"]}
    assert source.parts == parts
    for names in parts.values():
        np.testing.assert_array_equal(source.read(names[0]).mask == 1, EXPECTED)


def test_the_path_in_the_file_is_that_of_another_machine(tmp_path: Path) -> None:
    save(tmp_path / "images" / "train" / "a.jpg")
    save(tmp_path / "labels" / "train" / "a.txt", f"0 {SQUARE}")
    text = "path: /home/somebody/datasets/cats\ntrain: /home/somebody/datasets/cats/images/train\n"
    save(tmp_path / "data.yaml", text + "names: [cat]\n")
    assert opened(tmp_path).read("train/a").mask.sum() == 24


def test_lists_of_images_are_read(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.jpg")
        save(tmp_path / "labels" / f"{name}.txt", f"0 {SQUARE}")
    save(tmp_path / "train.txt", "./images/a.jpg\n")
    save(tmp_path / "val.txt", "./images/b.jpg\n\n")
    save(tmp_path / "data.yaml", "train: train.txt\nval: [val.txt]\nnames: [cat]\n")
    assert opened(tmp_path).parts == {"train": ["a"], "validation": ["b"]}


def test_folders_that_are_in_two_parts_are_no_parts(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg")
    save(tmp_path / "labels" / "a.txt", f"0 {SQUARE}")
    save(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    source = opened(tmp_path)
    assert (list(source.names), dict(source.parts)) == (["a"], {})


def test_without_data_yaml_labels_are_paired_by_name(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg")
    save(tmp_path / "labels" / "a.txt", f"1 {SQUARE}")
    images, labels = tmp_path / "images", tmp_path / "labels"
    source = opened(images, annotations=labels, labels={1: "cat"})
    assert source.read("a").mask.sum() == 24
    save(labels / "classes.txt", "dog\ncat\n")
    assert opened(images, annotations=labels).read("a").mask.sum() == 24


def test_labels_are_found_from_the_folder_of_images(tmp_path: Path) -> None:
    one(tmp_path, f"1 {SQUARE}")
    images = tmp_path / "images"
    for more in ({"annotations": tmp_path / "data.yaml"}, {"labels": {1: "cat"}}):
        assert opened(images, **more).read("train/a").mask.sum() == 24
    assert opened(images / "train", annotations=tmp_path / "data.yaml").read("train/a").mask.any()


def test_a_data_set_without_any_text_file_is_refused(tmp_path: Path) -> None:
    one(tmp_path, "")
    path = tmp_path / "labels" / "train" / "a.txt"
    path.unlink()
    with fails(DataError, "empty", path):
        opened(tmp_path)


def test_an_empty_file_is_background(tmp_path: Path) -> None:
    assert not one(tmp_path, "").any()


def test_text_files_without_an_image_are_named(tmp_path: Path) -> None:
    one(tmp_path, "")
    save(tmp_path / "labels" / "train" / "lost.txt", f"0 {SQUARE}")
    with fails(DataError, "unpaired", 1, tmp_path / "labels" / "train" / "lost.txt"):
        opened(tmp_path)


def test_boxes_for_detection_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels" / "train" / "a.txt"
    with fails(DataError, "no-segmentation", path, "line 2", 4):
        one(tmp_path, f"1 {SQUARE}\n1 0.5 0.5 0.2 0.2\n")


@pytest.mark.parametrize(
    ("line", "code", "values"),
    [
        ("1 0.1 0.1 0.2", "label-shape", (3,)),
        ("1 0.1 0.1 0.2 0.2", "no-segmentation", ()),
        ("1 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "label-shape", (7,)),
        ("1", "label-shape", (0,)),
        ("2 " + SQUARE, "label-entry", (1, "'2'")),
        ("-1 " + SQUARE, "label-entry", ("'-1'",)),
        ("1.0 " + SQUARE, "label-entry", ("'1.0'",)),
        ("cat " + SQUARE, "label-entry", ("'cat'",)),
        ("1 0.1 0.1 0.2 0.2 0.3 nan", "label-shape", ("nan",)),
        ("1 0.1 0.1 0.2 0.2 0.3 x", "label-shape", ("'x'",)),
        ("1 10 10 20 20 30 10", "label-shape", (10,)),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, line: str, code: str, values: tuple[Any, ...]
) -> None:
    path = tmp_path / "labels" / "train" / "a.txt"
    with fails(DataError, code, path, "line 3", *values):
        one(tmp_path, f"1 {SQUARE}\n\n{line}\n")


@pytest.mark.parametrize(
    ("text", "code", "values"),
    [
        ("train: [", "label-file", ()),
        ("- 1", "label-entry", ()),
        ("names: [cat]", "label-entry", ("train, val, test",)),
        ("train: images\n", "label-entry", ("'names'", None)),
        ("train: images\nnames: {1: cat}", "label-entry", ("'names'",)),
        ("train: 3\nnames: [cat]", "label-entry", (3,)),
        ("train: pictures\nnames: [cat]", "missing-file", ("pictures",)),
        ("train: ../../outside\nnames: [cat]", "missing-file", ("outside",)),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" + "x" * 50, "label-file", ()),
    ],
)
def test_a_broken_data_yaml_is_named(
    tmp_path: Path, text: str, code: str, values: tuple[Any, ...]
) -> None:
    root = tmp_path / "set"
    (tmp_path / "outside").mkdir()
    save(root / "images" / "a.jpg")
    save(root / "data.yaml", text)
    with fails(DataError, code, *values) as problem:
        opened(root)
    assert str(root) in str(problem.value)
