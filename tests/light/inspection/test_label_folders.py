"""inspect recognises the files of labelling tools in a folder, and plans with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.parts import open_parts
from segkit.inspection.find_config import find_config
from segkit.inspection.inspect import inspect, inspect_data
from segkit.inspection.mask_format.detect import detect_format
from segkit.planning.rules import draft
from segkit.system.progress import Progress
from tests.helpers.coco_json import content
from tests.helpers.errors import fails, holds
from tests.helpers.label_sets import (
    MAKERS,
    PREFIXES,
    Labelled,
    roboflow,
    save_images,
    voc,
    write_json,
)

SIZES = dict.fromkeys("abcd", (9, 12))
LABELLED: Labelled = {
    "a": [("car", (1, 1, 7, 5)), ("truck", (8, 1, 11, 6))],
    "b": [("car", (0, 0, 5, 7)), ("void", (6, 0, 7, 9))],
    "c": [],
}
every_tool = pytest.mark.parametrize("tool", MAKERS)
ORDER = ["data.run_lengths.order=column"]


def settings_of(tool: str) -> list[str]:
    return ORDER if tool == "rle" else []


@every_tool
def test_a_folder_is_recognised_with_its_classes_shapes_and_unlabelled_images(
    tmp_path: Path, tool: str
) -> None:
    MAKERS[tool](tmp_path, SIZES, LABELLED)
    found = inspect_data(tmp_path, settings=settings_of(tool))
    assert found.config is not None
    assert found.config.data.source == tool
    classes = found.task.classes
    assert classes == ("car", "truck")
    assert "4 shapes" in found.read_as
    for words in ("car 2", "truck 1", "void 1", tool):
        assert words in found.read_as
    [warning] = [problem for problem in found.problems if problem.code == "not-labelled"]
    assert PREFIXES.get(tool, "") + "d" in str(warning)
    assert not found.wrong
    assert found.verdict is not None
    assert found.verdict.kind == "exclusive"


@every_tool
def test_a_plan_reads_the_folder_as_inspect_does(tmp_path: Path, tool: str) -> None:
    MAKERS[tool](tmp_path, SIZES, LABELLED)
    found = inspect_data(tmp_path, settings=settings_of(tool))
    assert found.config is not None
    assert found.verdict is not None
    drafted = draft(found.config, found.verdict, found.survey.facts, found.guess)
    config = drafted.config
    assert config.data.source == tool
    whole = config.data.model_copy(update={"validation": 0.0, "test": 0.0})
    again = open_parts(config.model_copy(update={"data": whole}))
    for part, subset in found.parts.items():
        assert list(again[part].names) == list(subset.names)
    name = PREFIXES.get(tool, "") + "a"
    mask = again["train"].read(name).mask
    assert mask.ndim == 2
    values = {config.task.classes.index(label) for label in ("car", "truck")}
    assert values <= set(mask.ravel().tolist())


@every_tool
def test_images_and_labels_may_be_named_apart(tmp_path: Path, tool: str) -> None:
    made = MAKERS[tool](tmp_path, SIZES, LABELLED)
    labels = made.get("annotations")
    if labels is None:
        return
    config, guess = find_config(made["images"], labels, [], settings_of(tool), Progress())
    assert guess is not None
    assert config.data.source == tool
    assert config.task.classes == ("car", "truck")


@pytest.mark.parametrize("layout", ["together", "images", "annotations", "parts"])
def test_label_files_are_found_beside_the_images_or_in_folders(tmp_path: Path, layout: str) -> None:
    images = {"together": "", "images": "images", "annotations": "images", "parts": "train"}
    MAKERS["labelme"](tmp_path / images[layout], SIZES, LABELLED)
    if layout == "annotations":
        (tmp_path / "annotations").mkdir()
        for path in (tmp_path / "images").glob("*.json"):
            path.rename(tmp_path / "annotations" / path.name)
    if layout == "parts":
        MAKERS["labelme"](tmp_path / "val", SIZES, LABELLED)
    found = inspect_data(tmp_path)
    assert found.config is not None
    assert found.config.data.source == "labelme"
    expected = [3, 3, 0] if layout == "parts" else [3, 0, 0]
    assert [len(part) for part in found.parts.values()] == expected
    assert found.task.classes == ("car", "truck")


def test_labels_in_a_folder_beside_the_images(tmp_path: Path) -> None:
    for tool, ending in (("labelme", ".json"), ("qupath", ".geojson"), ("yolo", ".txt")):
        root = tmp_path / tool
        MAKERS[tool](root, SIZES, LABELLED)
        images, labels = root / "pictures", root / "drawn"
        labels.mkdir()
        for path in list(root.rglob(f"*{ending}")):
            path.rename(labels / path.name)
        save_images(images, SIZES)
        guess = detect_format(images, labels)
        assert (guess.data.source, guess.data.annotations) == (tool, labels)
        names = ("0", "1", "2") if tool == "yolo" else ("car", "truck")
        assert guess.task.classes == names


def test_chosen_classes_leave_out_the_others(tmp_path: Path) -> None:
    MAKERS["labelme"](tmp_path, SIZES, LABELLED)
    found = inspect(tmp_path, classes=["truck"])
    assert found.task == Task.binary("truck")
    assert not found.wrong
    sample = found.parts["train"].read("a")
    assert sample.mask.sum() == 15
    with fails(DataError, "list", "lorry", "car, truck"):
        inspect_data(tmp_path, classes=["lorry"])


def test_shapes_without_a_label_are_called_object(tmp_path: Path) -> None:
    MAKERS["qupath"](tmp_path, SIZES, {"a": [("", (1, 1, 7, 5))]})
    found = inspect_data(tmp_path)
    assert found.task == Task.binary("object")
    assert found.parts["train"].read("a").mask.sum() == 24


def test_roboflow_voc_and_coco_folders_are_recognised(tmp_path: Path) -> None:
    sizes = dict.fromkeys("abc", (8, 12))
    roboflow(tmp_path / "r", sizes, {name: [("cat", (1, 1, 7, 5))] for name in sizes})
    found = inspect_data(tmp_path / "r")
    assert found.config is not None
    assert (found.config.data.source, found.task) == ("roboflow", Task.binary("cat"))
    assert [len(part) for part in found.parts.values()] == [1, 1, 1]
    mask = np.array([[0, 15, 255, 12]] * 8, np.uint8)
    voc(tmp_path / "v", {"x": (8, 4), "y": (8, 4)}, {"x": mask, "y": mask})
    found = inspect_data(tmp_path / "v")
    assert found.config is not None
    assert found.config.data.source == "voc"
    assert len(found.task.classes) == 21
    assert [problem.code for problem in found.problems].count("mask-values") == 1
    (tmp_path / "v" / "class_names.txt").write_text("_background_\n" + "\n".join("abcdefghijklmno"))
    named = inspect_data(tmp_path / "v")
    assert named.task.classes == ("background", *"abcdefghijklmno")
    assert [problem.code for problem in named.problems].count("mask-values") == 0
    (tmp_path / "v" / "class_names.txt").unlink()
    found = inspect_data(tmp_path / "v", classes=["person"])
    assert found.task == Task.binary("person")
    assert found.parts["train"].read("x").mask[0].tolist() == [0, 1, 255, 0]
    save_images(tmp_path / "c" / "images", {"a": (4, 6)})
    write_json(tmp_path / "c" / "annotations" / "instances.json", content())
    guess = detect_format(tmp_path / "c", None)
    assert guess.data.source == "coco"


def test_files_of_two_tools_in_one_folder_are_refused(tmp_path: Path) -> None:
    MAKERS["labelme"](tmp_path, SIZES, LABELLED)
    made = MAKERS["via"](tmp_path / "other", SIZES, LABELLED)
    made["annotations"].rename(tmp_path / "via_project.json")
    with fails(DataError, "list", tmp_path, "labelme", "via"):
        inspect_data(tmp_path)
    guess = detect_format(tmp_path, None, data=DataConfig(source="labelme"))
    assert guess.data.source == "labelme"


def test_several_files_of_one_tool_are_named(tmp_path: Path) -> None:
    save_images(tmp_path / "images", {"a": (4, 6)})
    for part in ("train", "val"):
        write_json(tmp_path / "annotations" / f"{part}.json", content())
    with fails(DataError, "list", tmp_path / "annotations" / "val.json", "IMAGES LABELS"):
        inspect_data(tmp_path)


def test_a_broken_label_file_is_a_problem_of_its_image(tmp_path: Path) -> None:
    MAKERS["labelme"](tmp_path, SIZES, LABELLED)
    path = tmp_path / "b.json"
    changed = json.loads(path.read_text())
    changed["shapes"][0]["points"] = [[0, 0], [1, 1]]
    write_json(path, changed)
    found = inspect_data(tmp_path)
    [problem] = [problem for problem in found.problems if problem.level == "error"]
    assert problem.code == "label-shape"
    assert str(path) in str(problem)
    assert len(found.survey.facts) == 2
    found = inspect_data(tmp_path, settings=["data.skip_broken=true"])
    assert not found.wrong
    assert len(found.survey.facts) == 2


def test_missing_images_are_an_error_or_a_warning_with_their_number(tmp_path: Path) -> None:
    MAKERS["labelstudio"](tmp_path, SIZES, LABELLED)
    (tmp_path / "images" / "a.png").unlink()
    with fails(DataError, "unpaired", 1):
        inspect_data(tmp_path)
    found = inspect_data(tmp_path, settings=["data.skip_broken=true"])
    [problem] = [problem for problem in found.problems if problem.code == "unpaired"]
    assert problem.level == "warning"
    assert holds(str(problem), 1)


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    MAKERS["labelme"](tmp_path, SIZES, LABELLED)
    path = tmp_path / "b.json"
    changed = json.loads(path.read_text())
    changed["shapes"][0] |= {"shape_type": "point", "points": [[3, 3]]}
    write_json(path, changed)
    with fails(ConfigError, "missing-setting", path, setting="data.line_width"):
        inspect_data(tmp_path)
    found = inspect_data(tmp_path, settings=["data.line_width=5"])
    assert not found.wrong


def test_the_order_of_run_lengths_is_asked_for(tmp_path: Path) -> None:
    MAKERS["rle"](tmp_path, SIZES, LABELLED)
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.order"):
        inspect_data(tmp_path)


def test_a_folder_without_label_files_is_refused_as_before(tmp_path: Path) -> None:
    save_images(tmp_path, SIZES)
    write_json(tmp_path / "notes.json", {"by": "somebody"})
    with fails(DataError, "list", tmp_path):
        inspect_data(tmp_path)
