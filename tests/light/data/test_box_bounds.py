"""Boxes that bound objects: inside the class or background, outside not the class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task, inspect
from segkit.config import Config, DataConfig
from segkit.config.sets import task_for
from segkit.data.parts import open_data
from segkit.data.sources.box_bounds import leave_boxes_open
from segkit.data.sources.source import open_source
from tests.helpers import coco_json
from tests.helpers.errors import fails
from tests.helpers.label_sets import labelme_file, labelme_shape, picture, write_json

SIZE = (6, 8)
CLASSES = ["background", "cat", "dog", "owl"]
PETS = Task.multiclass(CLASSES)
BOUNDS = DataConfig(source="labelme", boxes="bounds")
Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""


def possible(boxes: dict[str, list[Box]], truth: np.ndarray | None = None) -> list[list[set[str]]]:
    """The oracle: the classes that each pixel can have, by a loop."""
    table = []
    for row in range(SIZE[0]):
        line = []
        for column in range(SIZE[1]):
            names = {"background"}
            for name, places in boxes.items():
                for left, top, right, bottom in places:
                    if left <= column < right and top <= row < bottom:
                        names.add(name)
            if truth is not None and truth[row, column]:
                names = {CLASSES[truth[row, column]]}
            line.append(names)
        table.append(line)
    return table


def meant(task: Task, mask: np.ndarray) -> list[list[set[str]]]:
    found = task.possible[task.encode(mask, void=VOID)]
    names = np.array(task.classes)
    return [[set(names[pixel].tolist()) for pixel in row] for row in found]


boxes_drawn = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 3), st.integers(1, 2)),
    max_size=3,
)


@given(cats=boxes_drawn, dogs=boxes_drawn, seed=st.integers(0, 5))
def test_a_pixel_can_be_background_and_the_classes_of_its_boxes(
    cats: list[Any], dogs: list[Any], seed: int
) -> None:
    task = task_for(PETS, BOUNDS)
    truth = np.random.default_rng(seed).choice([0, 0, 0, 3], SIZE).astype(np.uint8)
    drawn = {}
    areas = {}
    for name, places in (("cat", cats), ("dog", dogs)):
        drawn[name] = [(x, y, x + across, y + down) for x, y, across, down in places]
        areas[name] = np.zeros(SIZE, bool)
        for left, top, right, bottom in drawn[name]:
            areas[name][top:bottom, left:right] = True
    found = leave_boxes_open(task, truth, areas)
    assert meant(task, found) == possible(drawn, truth)


def test_boxes_of_a_yes_no_task_are_void_inside_and_no_outside() -> None:
    task = Task.multilabel(["cat", "dog"])
    inside = np.zeros(SIZE, bool)
    inside[1:3, 2:5] = True
    mask = np.zeros((*SIZE, 2), np.uint8)
    mask[2, 2] = 1
    found = leave_boxes_open(task, mask, {"cat": inside})
    assert (found[..., 1] == mask[..., 1]).all()
    assert (found[inside][..., 0] == VOID).sum() == inside.sum() - 1
    assert found[2, 2, 0] == 1
    assert (found[~inside] == mask[~inside]).all()


def test_three_boxes_above_each_other_leave_the_pixel_open() -> None:
    task = task_for(PETS, BOUNDS)
    everywhere = np.ones(SIZE, bool)
    areas = dict.fromkeys(("cat", "dog", "owl"), everywhere)
    assert (leave_boxes_open(task, np.zeros(SIZE, np.uint8), areas) == VOID).all()
    many = Task.multiclass(["background", *(f"c{i}" for i in range(40))])
    assert len(task_for(many, BOUNDS).sets) == 40


def labelme(root: Path, *shapes: Any) -> Path:
    for seed, name in enumerate(("a", "b")):
        Image.fromarray(picture(*SIZE, seed)).save(root / f"{name}.png")
        write_json(root / f"{name}.json", labelme_file(shapes, f"{name}.png", SIZE))
    return root


def test_boxes_of_a_tool_are_areas_unless_the_config_says_bounds(tmp_path: Path) -> None:
    owl = labelme_shape("owl", [[0, 0], [2, 0], [2, 2], [0, 2]])
    cat = labelme_shape("cat", [[1, 1], [5, 4]], "rectangle")
    dog = labelme_shape("dog", [[4, 2], [8, 6]], "rectangle")
    root = labelme(tmp_path, cat, dog, owl)
    areas = open_source(DataConfig(source="labelme", images=root), PETS).read("a").mask
    assert areas[1, 2] == 1
    assert areas[3, 4] == 2
    section = {"source": "labelme", "images": root, "boxes": "bounds", "test": 0.0}
    config, parts = open_data(Config.model_validate({"task": PETS, "data": section}))
    truth = np.zeros(SIZE, np.uint8)
    truth[:2, :2] = 3
    expected = possible({"cat": [(1, 1, 5, 4)], "dog": [(4, 2, 8, 6)]}, truth)
    for subset in parts.values():
        for sample in subset:
            assert meant(config.task, sample.mask) == expected


def test_boxes_and_a_class_that_was_not_annotated(tmp_path: Path) -> None:
    root = labelme(tmp_path, labelme_shape("cat", [[1, 1], [5, 4]], "rectangle"))
    section = {
        "source": "labelme",
        "images": root,
        "boxes": "bounds",
        "unlabelled": {"owl": "void"},
        "test": 0.0,
        "validation": 0.0,
    }
    config, parts = open_data(Config.model_validate({"task": PETS, "data": section}))
    found = meant(config.task, parts["train"].read("a").mask)
    assert found[1][1] == {"background", "cat", "owl"}
    assert found[0][0] == {"background", "owl"}


@pytest.mark.parametrize(("boxes", "asked"), [("auto", True), ("areas", False), ("bounds", False)])
def test_inspect_asks_what_boxes_mean(tmp_path: Path, boxes: str, asked: bool) -> None:
    root = labelme(tmp_path, labelme_shape("cat", [[1, 1], [5, 4]], "rectangle"))
    section: dict[str, Any] = {"source": "labelme", "images": str(root), "boxes": boxes}
    section |= {"validation": 0.0, "test": 0.0}
    config = tmp_path / "config.yaml"
    config.write_text(
        Config.model_validate({"task": PETS, "data": section}).as_yaml(), encoding="utf-8"
    )
    found = inspect(config)
    messages = [problem.message for problem in found.problems if problem.code == "boxes"]
    assert bool(messages) == asked
    assert all("data.boxes: bounds" in message for message in messages)
    if boxes == "bounds":
        cat = found.summary().classes["cat"]
        assert cat.pixels == 0
        assert cat.known_share == pytest.approx(1 - 12 / 48)


def test_shapes_beside_boxes_are_no_question(tmp_path: Path) -> None:
    cat = labelme_shape("cat", [[1, 1], [5, 4]], "rectangle")
    dog = labelme_shape("dog", [[5, 4], [8, 4], [8, 6]])
    root = labelme(tmp_path, cat, dog)
    found = inspect(root, classes=["cat", "dog"])
    assert "boxes" not in [problem.code for problem in found.problems]


def coco(root: Path, boxes: str, box: Any = (1, 1, 3, 2)) -> tuple[Task, np.ndarray]:
    entries = [
        coco_json.annotation(coco_json.PERSON_ID, [], bbox=list(box)),
        coco_json.annotation(coco_json.DOG_ID, [coco_json.box(4, 0, 6, 2)], 2, bbox=[0, 0, 6, 4]),
    ]
    data = coco_json.save(root, coco_json.content(*entries)).model_copy(update={"boxes": boxes})
    task = task_for(Task.multiclass(["background", "person", "dog"]), data)
    return task, open_source(data, task).read("a").mask


def test_boxes_of_a_coco_file(tmp_path: Path) -> None:
    with fails(DataError, "no-segmentation", "data.boxes"):
        coco(tmp_path, "auto")
    task, mask = coco(tmp_path, "bounds")
    names = meant(task, mask)
    assert names[1][1] == {"background", "person"}
    assert names[0][0] == {"background"}
    assert names[0][5] == {"dog"}
    assert sum(value == {"background", "person"} for row in names for value in row) == 6
    task, mask = coco(tmp_path, "areas")
    np.testing.assert_array_equal(mask == 1, coco_json.filled((1, 1, 4, 3)) == 1)


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ([1, 1, 3], "no-segmentation"),
        ([1, 1, 0, 2], "label-shape"),
        ([1, 1, "3", 2], "label-entry"),
    ],
)
def test_a_wrong_box_of_a_coco_file_is_refused(tmp_path: Path, box: Any, code: str) -> None:
    with fails(DataError, code, "annotation 1"):
        coco(tmp_path, "bounds", box)


def test_boxes_of_a_yolo_file(tmp_path: Path) -> None:
    Image.fromarray(picture(*SIZE)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.375 0.5 0.5 0.5\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    data = DataConfig(source="yolo", images=tmp_path)
    task = Task.binary("cat")
    with fails(DataError, "no-segmentation", "data.boxes"):
        open_source(data, task).read("a")
    found = open_source(data.model_copy(update={"boxes": "bounds"}), task).read("a").mask
    expected = np.zeros(SIZE, np.uint8)
    expected[2:4, 1:5] = VOID  # y from 1.5 to 4.5 holds the centres of the rows 2 and 3
    expected[1, 1:5] = VOID
    np.testing.assert_array_equal(found, expected)


def test_bounds_need_a_background(tmp_path: Path) -> None:
    root = labelme(tmp_path, labelme_shape("cat", [[1, 1], [5, 4]], "rectangle"))
    data = DataConfig(source="labelme", images=root, boxes="bounds")
    with fails(ConfigError, "not-for-task", setting="data.boxes"):
        open_source(data, Task.multiclass(["cat", "dog"]))
    with fails(ConfigError, "contradiction", "data.boxes", setting="data.outside_shapes"):
        DataConfig(source="labelme", boxes="bounds", outside_shapes="void")
