"""What inspect counts and says of classes that the masks leave open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, Task, inspect
from segkit.config import Config
from segkit.data.sources.source import Sample
from segkit.inspection.class_problems import find_class_problems
from segkit.inspection.fingerprint import facts_of
from segkit.inspection.inspect import Inspection, as_json
from segkit.inspection.report import summary_lines
from segkit.inspection.summary import read_data_summary
from segkit.io.overlay import overlay
from segkit.task.layers import known_pixels
from tests.helpers.draws import masks, tasks

CLASSES = ["background", "liver", "vessel"]
BODY = Task.multiclass(CLASSES, sets=[["background", "vessel"]])


@given(st.data())
def test_known_pixels_are_counted_as_by_a_loop(data: st.DataObject) -> None:
    task = data.draw(tasks() | st.just(BODY))
    target = task.encode(data.draw(masks(task)), void=VOID)
    if task is BODY:
        target = np.where(target == 0, 3, target).astype(np.uint8)
    image = np.zeros((*target.shape[:2], 1), np.uint8)
    fact = facts_of(task, "train", Sample("a", image, target), target)
    known = known_pixels(task, target).reshape(-1, task.channels)
    assert fact.known.tolist() == known.sum(axis=0).tolist()


def data_set(root: Path, annotated: dict[str, tuple[str, ...]]) -> Path:
    """Save an image for each name, with masks of liver and vessel, and a config that reads them."""
    lines = ["image,mask,labelled_classes"]
    for number, (name, labels) in enumerate(annotated.items()):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3)).astype(np.uint8)
        mask = np.zeros((8, 8), np.uint8)
        mask[1:4, 1:4] = 1
        if "vessel" in labels:
            mask[5:, 5:] = 2
        for folder, content in (("images", pixels), ("masks", mask)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(content).save(root / folder / f"{name}.png")
        lines.append(f"images/{name}.png,masks/{name}.png,{'|'.join(labels)}")
    (root / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    path = root / "config.yaml"
    path.write_text(
        f"task: {{kind: multiclass, classes: [{', '.join(CLASSES)}]}}\n"
        "data: {relative_to: config, list_file: list.csv, validation: 0, test: 0}\n",
        encoding="utf-8",
    )
    return path


def test_inspect_says_in_how_many_images_a_class_is_known(tmp_path: Path) -> None:
    annotated: dict[str, tuple[str, ...]] = {"a": ("liver", "vessel"), "b": ("liver",)}
    found = inspect(data_set(tmp_path, annotated | {"c": ("liver",)}))
    summary = found.summary()
    vessel = summary.classes["vessel"]
    assert (vessel.known_images, vessel.images) == (1, 1)
    assert vessel.known_share == pytest.approx((64 + 2 * 9) / (3 * 64), abs=1e-6)
    assert summary.classes["liver"].known_images == 3
    line = dict(summary_lines(summary))["partly labelled"]
    assert "vessel is known in 1 of 3 images" in line
    assert "liver" not in line
    assert found.task.sets == (("background", "vessel"),)


def test_a_data_set_that_says_all_has_no_such_line(tmp_path: Path) -> None:
    annotated: dict[str, tuple[str, ...]] = {"a": ("liver", "vessel"), "b": ("liver", "vessel")}
    found = inspect(data_set(tmp_path, annotated))
    assert "partly labelled" not in dict(summary_lines(found.summary()))


@pytest.mark.parametrize(("value", "reported"), [("void", True), (None, False)])
def test_a_class_that_is_nowhere_absent_is_reported(
    tmp_path: Path, value: str | None, reported: bool
) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        mask = np.eye(8, dtype=np.uint8) * 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    unlabelled: dict[str, Any] = {"unlabelled": {"object": value}} if value else {}
    settings = [f"data.{key}={val}" for key, val in unlabelled.items()]
    settings = [setting.replace("'", "") for setting in settings]
    found = inspect(tmp_path / "images", tmp_path / "masks", settings=settings)
    codes = [problem.code for problem in found.problems]
    assert ("never-absent" in codes) == reported


def test_pictures_veil_pixels_of_several_classes_less_than_void() -> None:
    image = np.full((4, 3, 3), 200, np.uint8)
    target = np.tile(np.array([[0, 3, VOID]], np.uint8), (4, 1))
    picture = overlay(BODY, image, target)[0].astype(int)
    sure, several, void = (abs(picture[i] - 128).max() for i in range(3))
    assert sure > several > void


@pytest.mark.parametrize(("complete", "reported"), [(9, True), (10, False), (30, False)])
def test_a_class_that_is_known_in_few_training_images_is_reported(
    complete: int, reported: bool
) -> None:
    facts = []
    for number in range(30):
        target = np.zeros((4, 4), np.uint8)
        target[0, 0] = 1
        target[1, 1] = 2
        if number >= complete:
            target[2:] = 3
        image = np.zeros((4, 4, 1), np.uint8)
        facts.append(facts_of(BODY, "train", Sample(str(number), image, target), target))
    found = list(find_class_problems(BODY, facts, flips=False))
    messages = [problem.message for problem in found if problem.code == "known-in-few"]
    assert bool(messages) == reported
    assert all("vessel in 9" in message and "liver" not in message for message in messages)


def test_inspect_says_what_each_of_several_data_sets_knows(tmp_path: Path) -> None:
    sets = {}
    for seed, (name, label) in enumerate({"one": "liver", "two": "vessel"}.items()):
        root = tmp_path / name
        for number in range(4):
            rng = np.random.default_rng([seed, number])
            pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            mask = np.zeros((8, 8), np.uint8)
            mask[2:4] = CLASSES.index(label)
            for folder, content in (("images", pixels), ("masks", mask)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(content).save(root / folder / f"{number}.png")
        sets[name] = {"images": str(root / "images"), "masks": str(root / "masks")}
    sets["one"]["labelled_classes"] = ["liver"]
    sets["two"]["labelled_classes"] = ["vessel"]
    task = {"kind": "multiclass", "classes": CLASSES}

    def inspected() -> Inspection:
        config = Config.model_validate({"task": task, "data": {"sets": sets, "test": 0.0}})
        (tmp_path / "config.yaml").write_text(config.as_yaml(), encoding="utf-8")
        return inspect(tmp_path / "config.yaml")

    found = inspected()
    summary = found.summary()
    assert summary.sets["one"].known == {"liver": 4, "vessel": 0}
    assert summary.sets["two"].known == {"liver": 0, "vessel": 4}
    assert summary.sets["two"].shown == {"liver": 0, "vessel": 4}
    assert sum(summary.sets["one"].samples.values()) == 4
    lines = dict(summary_lines(summary))
    assert "liver 4, vessel 0" in lines["set one"]
    assert "liver 0, vessel 4" in lines["set two"]
    assert "liver is known in 4 of 8 images" in lines["partly labelled"]
    assert "one (folder)" in found.read_as
    (tmp_path / "data.json").write_text(json.dumps(as_json(found)), encoding="utf-8")
    assert read_data_summary(tmp_path / "data.json").sets == summary.sets
    del sets["two"]["labelled_classes"]  # so background of the set is no liver
    messages = [p.message for p in inspected().problems if p.code == "absent-class"]
    assert any("two" in text and "data.sets.two.labelled_classes" in text for text in messages)


@pytest.mark.parametrize(
    ("head", "annotated", "expected"),
    [
        ("sigmoid", {"a": ("liver",), "b": ("liver",)}, True),
        ("sigmoid", {"a": ("liver",), "b": ("liver", "vessel")}, False),
        ("softmax", {"a": ("liver",), "b": ("liver",)}, False),
    ],
)
def test_a_sigmoid_needs_pixels_that_are_surely_background(
    tmp_path: Path, head: str, annotated: dict[str, tuple[str, ...]], expected: bool
) -> None:
    config = data_set(tmp_path, annotated)
    found = inspect(config, settings=[f"task.head={head}"])
    assert ("no-background" in [problem.code for problem in found.problems]) == expected
