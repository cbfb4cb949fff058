"""Masks whose values are sets of classes, and samples in which classes were not annotated."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.convert import convert
from segkit.data.parts import open_data
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import open_source
from tests.helpers.errors import fails
from tests.helpers.listings import listing

CLASSES = ["background", "liver", "tumour", "vessel"]
TASK: dict[str, Any] = {"kind": "multiclass", "classes": CLASSES}
LABELS: dict[str, Any] = {"kind": "multilabel", "classes": CLASSES[1:]}


def save(path: Path, pixels: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, np.uint8)).save(path)


def image(root: Path, name: str, width: int = 4) -> None:
    save(root / "images" / f"{name}.png", np.arange(width * 3).reshape(1, width, 3))


def meanings(task: Task, mask: np.ndarray) -> list[str]:
    """Return the classes that each pixel of a mask of one row can have, as text."""
    texts = []
    for possible in task.possible[task.encode(mask, void=VOID)][0]:
        texts.append("|".join(name[0] for name in np.array(task.classes)[possible]))
    return texts


def read(root: Path, task: dict[str, Any] | None = None, **data: Any) -> dict[str, list[str]]:
    """Return what the pixels of each sample can be."""
    folders = {"images": root / "images", "masks": root / "masks"}
    section = {"validation": 0.0, "test": 0.0, **folders, **data}
    config, parts = open_data(Config.model_validate({"task": task or TASK, "data": section}))
    found = {}
    for sample in parts["train"]:
        found[sample.name] = meanings(config.task, sample.mask)
    return found


def test_a_value_may_mean_several_classes_a_parent_or_not_a_class(tmp_path: Path) -> None:
    image(tmp_path, "a", 7)
    save(tmp_path / "masks" / "a.png", [[0, 1, 3, 4, 9, 12, 255]])
    values = {
        0: "background",
        1: "liver",
        3: ["liver", "tumour"],
        4: "organ",
        9: "not tumour",
        12: "not organ",
        255: "void",
    }
    task = {**TASK, "parents": {"organ": ["liver", "vessel"]}}
    found = read(tmp_path, task, mask_values=values)
    assert found["a"] == ["b", "l", "l|t", "l|v", "b|l|v", "b|t", "b|l|t|v"]


def test_a_colour_may_mean_several_classes(tmp_path: Path) -> None:
    image(tmp_path, "a", 3)
    save(tmp_path / "masks" / "a.png", [[[0, 0, 0], [255, 0, 0], [250, 250, 0]]])
    colours = {"#000000": "background", "#ff0000": ["liver", "tumour"], "#ffff00": "not liver"}
    found = read(tmp_path, mask_colours=colours, colour_tolerance=5)
    assert found["a"] == ["b", "l|t", "b|t|v"]


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("mask_values", {0: "background", 3: ["liver", "spleen"]}, "liver or spleen"),
        ("mask_values", {0: "background", 3: "not spleen"}, "not spleen"),
        ("mask_colours", {"#000000": ["spleen"]}, "spleen"),
        ("unlabelled", {"spleen": "void"}, "spleen"),
        ("unlabelled", {"background": "void"}, "background"),
    ],
)
def test_unknown_names_are_refused(tmp_path: Path, setting: str, value: Any, found: str) -> None:
    image(tmp_path, "a")
    save(tmp_path / "masks" / "a.png", [[0, 1, 2, 3]])
    with fails(ConfigError, "unknown-name", found, "liver", setting=f"data.{setting}"):
        read(tmp_path, **{setting: value})


@pytest.mark.parametrize("value", [{3: []}, {3: 4}, {3: [4]}, {3: {"a": "b"}}])
def test_a_meaning_is_a_name_or_a_list_of_names(value: Any) -> None:
    with fails(ConfigError, "wrong-value") as problem:
        DataConfig(mask_values=value)
    assert str(problem.value.setting).startswith("mask_values.3")


def test_stored_ids_are_never_taken_for_sets(tmp_path: Path) -> None:
    image(tmp_path, "a")
    save(tmp_path / "masks" / "a.png", [[0, 1, 2, 4]])
    with fails(DataError, "mask-values", "0 to 3", 4):
        read(tmp_path, {**TASK, "sets": [["liver", "tumour"]]})


def test_a_class_that_nobody_annotated_may_be_where_background_is(tmp_path: Path) -> None:
    image(tmp_path, "a")
    save(tmp_path / "masks" / "a.png", [[0, 1, 3, 255]])
    found = read(tmp_path, unlabelled={"vessel": "void"})
    assert found["a"] == ["b|v", "l", "v", "b|l|t|v"]
    values = {0: "background", 1: "not liver", 3: "vessel", 255: "void"}
    found = read(tmp_path, mask_values=values, unlabelled={"liver": "void"})
    assert found["a"] == ["b|l", "b|l|t|v", "v", "b|l|t|v"]


def test_an_unlabelled_class_of_yes_and_no_is_void_where_it_is_not(tmp_path: Path) -> None:
    image(tmp_path, "a", 3)
    for label in ("liver", "tumour", "vessel"):
        save(tmp_path / "masks" / label / "a.png", [[0, 1, 1]])
    data = DataConfig(
        images=tmp_path / "images", masks=tmp_path / "masks", unlabelled={"liver": "void"}
    )
    mask = open_source(data, Task.model_validate(LABELS)).read("a").mask
    assert mask.tolist() == [[[VOID, 0, 0], [1, 1, 1], [1, 1, 1]]]


def test_without_a_background_no_class_can_be_left_open(tmp_path: Path) -> None:
    image(tmp_path, "a")
    save(tmp_path / "masks" / "a.png", [[0, 1, 2, 2]])
    task = {"kind": "multiclass", "classes": CLASSES[1:]}
    with fails(ConfigError, "not-for-task", "data.mask_values", setting="data.unlabelled"):
        read(tmp_path, task, unlabelled={"vessel": "void"})


def class_folders(root: Path) -> None:
    """Save masks of liver for a, b and c, of tumour for a, and of vessel for none."""
    for name in ("a", "b", "c"):
        image(root, name, 3)
        save(root / "masks" / "liver" / f"{name}.png", [[0, 255, 0]])
    save(root / "masks" / "tumour" / "a.png", [[0, 0, 255]])


def test_a_missing_mask_of_a_class_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    class_folders(tmp_path)
    with fails(DataError, "unpaired", "vessel", "data.missing_masks"):
        read(tmp_path)
    save(tmp_path / "masks" / "vessel" / "a.png", [[0, 0, 0]])
    with fails(DataError, "unpaired", "b, c", "data.missing_masks"):
        read(tmp_path)


def test_a_missing_mask_may_mean_that_the_class_was_not_annotated(tmp_path: Path) -> None:
    class_folders(tmp_path)
    expected = {"a": ["b|v", "l", "t"], "b": ["b|t|v", "l", "b|t|v"], "c": ["b|t|v", "l", "b|t|v"]}
    assert read(tmp_path, missing_masks="void") == expected
    image(tmp_path, "d", 3)
    with fails(DataError, "unpaired", "d"):
        read(tmp_path, missing_masks="void")


def test_a_mask_without_an_image_stays_an_error(tmp_path: Path) -> None:
    class_folders(tmp_path)
    save(tmp_path / "masks" / "tumour" / "x.png", [[0, 0, 0]])
    with fails(DataError, "unpaired", "x"):
        read(tmp_path, missing_masks="void")


def csv(root: Path, *rows: tuple[str, ...]) -> dict[str, Any]:
    """Write a list, and return the settings that read it."""
    made = listing(root, *rows)
    return {"images": None, "masks": None, "list_file": made.list_file}


def test_a_list_names_the_annotated_classes_of_each_image(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        image(tmp_path, name, 2)
        save(tmp_path / f"{name}.png", [[0, 1]])
    data = csv(
        tmp_path,
        ("image", "mask", "Labelled_classes"),
        ("images/a.png", "a.png", "liver | vessel"),
        ("images/b.png", "b.png", "liver;tumour,vessel"),
        ("images/c.png", "c.png", "all"),
    )
    expected = {"images/a": ["b|t", "l"], "images/b": ["b", "l"], "images/c": ["b", "l"]}
    assert read(tmp_path, **data) == expected


@pytest.mark.parametrize("cell", ["", "spleen", "liver|", "background"])
def test_a_cell_of_annotated_classes_names_classes(tmp_path: Path, cell: str) -> None:
    image(tmp_path, "a", 2)
    save(tmp_path / "a.png", [[0, 1]])
    rows = (("image", "mask", "labelled_classes"), ("images/a.png", "a.png", cell))
    with fails(DataError, "list", "line 2", "labelled_classes", "liver, tumour, vessel", "all"):
        read(tmp_path, **csv(tmp_path, *rows))


def test_an_empty_cell_of_a_class_may_mean_not_annotated(tmp_path: Path) -> None:
    for name in ("a", "b"):
        image(tmp_path, name, 2)
        save(tmp_path / "liver" / f"{name}.png", [[0, 1]])
    save(tmp_path / "tumour" / "a.png", [[1, 0]])
    data = csv(
        tmp_path,
        ("image", "liver", "tumour"),
        ("images/a.png", "liver/a.png", "tumour/a.png"),
        ("images/b.png", "liver/b.png", ""),
    )
    with fails(DataError, "list", "line 3"):
        read(tmp_path, **data)
    found = read(tmp_path, **data, missing_masks="void")
    assert found == {"images/a": ["t", "l"], "images/b": ["b|t|v", "l"]}


def coco(root: Path, **of_image: Any) -> dict[str, Any]:
    """Save an image with a liver as a COCO file, and return the settings that read it."""
    image(root, "a", 3)
    entry = {"id": 1, "file_name": "a.png", "width": 3, "height": 1, **of_image}
    region = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]]}
    categories = [{"id": i, "name": name} for i, name in enumerate([*CLASSES[1:], "chair"], 1)]
    content = {"images": [entry], "annotations": [region], "categories": categories}
    (root / "coco.json").write_text(json.dumps(content), encoding="utf-8")
    return {"source": "coco", "masks": None, "annotations": root / "coco.json"}


@pytest.mark.parametrize(
    ("of_image", "rest"),
    [
        ({}, "b"),
        ({"neg_category_ids": []}, "b|t|v"),
        ({"neg_category_ids": [2, 4]}, "b|v"),
        ({"neg_category_ids": [2, 3], "not_exhaustive_category_ids": []}, "b"),
        ({"neg_category_ids": [2, 3], "not_exhaustive_category_ids": [1]}, "b|l"),
        ({"not_exhaustive_category_ids": [1, 4]}, "b|l"),
    ],
)
def test_a_coco_file_says_which_classes_were_looked_for(
    tmp_path: Path, of_image: dict[str, Any], rest: str
) -> None:
    assert read(tmp_path, **coco(tmp_path, **of_image))["a"] == ["l", rest, rest]


@pytest.mark.parametrize(
    ("value", "code"), [(7, "coco-entry"), ([9], "coco-reference"), ([[1]], "coco-reference")]
)
def test_wrong_lists_of_categories_are_refused(tmp_path: Path, value: Any, code: str) -> None:
    with fails(DataError, code, "neg_category_ids"):
        read(tmp_path, **coco(tmp_path, neg_category_ids=value))


def test_the_task_of_a_config_has_the_sets_of_its_data(tmp_path: Path) -> None:
    class_folders(tmp_path)
    folders = {"images": tmp_path / "images", "masks": tmp_path / "masks"}
    data = {**folders, "missing_masks": "void", "validation": 0.0, "test": 0.0}
    config = Config.model_validate({"task": TASK, "data": data})
    opened, parts = open_data(config)
    assert opened.task.sets == (("background", "vessel"), ("background", "tumour", "vessel"))
    assert open_data(opened)[0] == opened
    assert Config.model_validate(opened.model_dump(mode="json")) == opened
    mask_file = parts["train"].source.files("a")[0]  # type: ignore[attr-defined]
    assert mask_file == tmp_path / "images" / "a.png"
    source = in_folders(folders["images"], folders["masks"], opened.task, opened.data)
    assert [source.read(name).mask.tolist() for name in ("a", "b")] == [
        parts["train"].read(name).mask.tolist() for name in ("a", "b")
    ]


def test_parts_with_files_of_their_own_share_one_table_of_sets(tmp_path: Path) -> None:
    names = {"train": ("liver", "tumour"), "val": ("liver", "vessel")}
    for part, labels in names.items():
        image(tmp_path / part, part, 2)
        for label in labels:
            save(tmp_path / part / "masks" / label / f"{part}.png", [[0, int(label == "liver")]])
    section = {
        "images": tmp_path / "train" / "images",
        "masks": tmp_path / "train" / "masks",
        "missing_masks": "void",
        "validation": {
            "images": tmp_path / "val" / "images",
            "masks": tmp_path / "val" / "masks",
        },
        "test": 0.0,
    }
    config, parts = open_data(Config.model_validate({"task": TASK, "data": section}))
    found = {
        part: meanings(config.task, parts[part].read(name).mask)
        for part, name in (("train", "train"), ("validation", "val"))
    }
    assert found == {"train": ["b|v", "l"], "validation": ["b|t", "l"]}


def test_a_table_has_one_set_for_each_combination_of_annotated_classes(tmp_path: Path) -> None:
    classes = ["background", *(f"c{i}" for i in range(8))]
    rows = [("image", "mask", "labelled_classes")]
    kept = list(itertools.combinations(classes[1:], 3))
    for number, labelled in enumerate(kept):
        image(tmp_path, str(number), 1)
        rows.append((f"images/{number}.png", f"images/{number}.png", "|".join(labelled)))
    section = {"list_file": listing(tmp_path, *rows).list_file, "validation": 0.0, "test": 0.0}
    task = {"kind": "multiclass", "classes": classes}
    config, _ = open_data(Config.model_validate({"task": task, "data": section}))
    assert len(kept) == 56
    expected = {tuple(name for name in classes if name not in labelled) for labelled in kept}
    assert set(config.task.sets) == expected


def test_too_many_different_sets_are_refused(tmp_path: Path) -> None:
    classes = ["background", *(f"c{i}" for i in range(9))]
    rows = [("image", "mask", "labelled_classes")]
    for number in range(1, 300):
        image(tmp_path, str(number), 1)
        labelled = [name for bit, name in enumerate(classes[1:]) if number >> bit & 1]
        rows.append((f"images/{number}.png", f"images/{number}.png", "|".join(labelled)))
    with fails(ConfigError, "wrong-value", setting="task.sets"):
        read(tmp_path, {"kind": "multiclass", "classes": classes}, **csv(tmp_path, *rows))


def test_masks_with_sets_are_not_converted(tmp_path: Path) -> None:
    image(tmp_path, "a")
    save(tmp_path / "masks" / "a.png", [[0, 1, 3, 255]])
    folders = {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks")}
    data = {**folders, "unlabelled": {"vessel": "void"}, "validation": 0.0, "test": 0.0}
    with fails(ConfigError, "not-for-task", setting="task.sets"):
        convert({"task": TASK, "data": data}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blocks_of_partly_labelled_images_have_the_sets(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        save(tmp_path / folder / "a.png", np.eye(80, 80))
    section = {
        "images": tmp_path / "images",
        "masks": tmp_path / "masks",
        "blocks": 32,
        "unlabelled": {"vessel": "void"},
    }
    config, parts = open_data(Config.model_validate({"task": TASK, "data": section}))
    sample = parts["train"].read(next(iter(parts["train"].names)))
    assert config.task.possible[sample.mask].sum(axis=-1).max() == 2


def test_labelled_classes_are_the_others_than_unlabelled_ones(tmp_path: Path) -> None:
    image(tmp_path, "a", 3)
    save(tmp_path / "masks" / "a.png", [[0, 1, 255]])
    expected = {"a": ["b|t|v", "l", "b|l|t|v"]}
    assert read(tmp_path, labelled_classes=["liver"]) == expected
    assert read(tmp_path, unlabelled={"tumour": "void", "vessel": "void"}) == expected
    assert read(tmp_path, labelled_classes=CLASSES[1:])["a"] == ["b", "l", "b|l|t|v"]
    with fails(DataError, "mask-values", "liver", "data.labelled_classes"):
        read(tmp_path, labelled_classes=["vessel"])
    with fails(ConfigError, "unknown-name", "spleen", setting="data.labelled_classes"):
        read(tmp_path, labelled_classes=["liver", "spleen"])
    data = DataConfig(labelled_classes=("vessel",))
    task = Task.model_validate(TASK)
    other = in_folders(tmp_path / "images", tmp_path / "masks", task, data)
    assert other.read("a").mask[0, 1] == 1  # masks of an evaluation may show more classes


@pytest.mark.parametrize("bands", [2, 3])
def test_a_file_has_a_band_for_each_class_or_for_each_annotated_one(
    tmp_path: Path, bands: int
) -> None:
    image(tmp_path, "a", 3)
    stored = np.zeros((1, 3, bands), np.uint8)
    stored[0, 0, 0] = stored[0, 1, bands - 1] = 1
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(
        tmp_path / "masks" / "a.tif", stored, photometric="minisblack", planarconfig="contig"
    )
    folders = {"images": tmp_path / "images", "masks": tmp_path / "masks"}
    task = Task.model_validate(LABELS)
    data = DataConfig.model_validate({**folders, "labelled_classes": ["liver", "vessel"]})
    found = open_source(data, task).read("a").mask[0]
    assert found[..., 0].tolist() == [1, 0, 0]
    assert found[..., 1].tolist() == [VOID] * 3
    assert found[..., 2].tolist() == [0, 1, 0]
    data = DataConfig.model_validate({**folders, "labelled_classes": ["liver"]})
    if bands == 2:
        with fails(DataError, "mask-channels", 3, 2):
            open_source(data, task).read("a")
