"""Every problem that the fingerprints of samples show, each with its code."""

from __future__ import annotations

import numpy as np
import pytest

from segkit import VOID, DataError, Task
from segkit.data.sources.source import Subset
from segkit.inspection.fingerprint import Survey, survey
from segkit.inspection.problems import few_images, find_problems
from tests.helpers.errors import holds
from tests.helpers.problem_data import (
    CRACK,
    LABELS,
    ORGANS,
    SIZE,
    Memory,
    found,
    good,
    image,
    mask,
    only,
    subset,
)


@pytest.mark.parametrize("task", [CRACK, ORGANS, LABELS], ids=lambda task: task.kind)
def test_clean_data_have_no_problem(task: Task) -> None:
    assert found(task, train=good(task), validation=good(task, 4, 50), test=good(task, 4, 70)) == []


def test_empty() -> None:
    problem = only(found(CRACK, train={}), "empty")
    assert problem.level == "error"


def test_depth() -> None:
    samples = good(CRACK) | {"deep": (image(90, dtype=np.uint16), mask(CRACK))}
    problem = only(found(CRACK, train=samples), "depth")
    assert (problem.level, problem.files, problem.number) == ("error", ("deep",), 1)
    assert holds(problem.message, "uint8 (12 images), uint16 (1 images)")


@pytest.mark.parametrize(
    ("bands", "wrong"), [((3, 1), False), ((3, 4), True), ((3, 1, 5), True), ((2, 1), True)]
)
def test_channels(bands: tuple[int, ...], wrong: bool) -> None:
    samples = {
        f"{i}": (image(i, bands[0] if i < 4 else bands[i % len(bands)]), mask(CRACK))
        for i in range(8)
    }
    problems = found(CRACK, train=samples)
    assert [problem.code for problem in problems] == (["channels"] if wrong else [])
    if wrong:
        assert problems[0].level == "error"
        assert holds(problems[0].message, f"{bands[0]} band(s)")


def test_leak_and_duplicates() -> None:
    train = good(CRACK)
    copies = dict.fromkeys(("a", "b"), train["i0"])
    problem = only(found(CRACK, train=train | copies), "duplicates")
    assert (problem.level, problem.number) == ("warning", 1)
    assert "i0 (train) = a (train) = b (train)" in problem.message
    problem = only(found(CRACK, train=train, test=good(CRACK, 4, 50) | {"a": train["i0"]}), "leak")
    assert problem.level == "error"
    assert "i0 (train) = a (test)" in problem.message


def blank(value: int, *masks: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return tiles of one colour, each with a mask of one value."""
    tile = np.full((*SIZE, 3), (value, value // 2, 0), np.uint8)
    return {f"blank{value} {i}": (tile, np.full(SIZE, m, np.uint8)) for i, m in enumerate(masks)}


def test_trap_45_blank_tiles_are_not_copies() -> None:
    """Tiles outside the flight strip have one colour, in several parts and often in one."""
    problems = found(
        CRACK,
        train=good(CRACK) | blank(0, 0, 0) | blank(255, 0),
        test=good(CRACK, 4, 50) | blank(0, 0),
    )
    assert only(problems, "flat-image").number == 3
    drawn = {"a": blank(7, 0)["blank7 0"]}
    drawn["a"][1][4:8, 4:8] = 1
    problems = found(CRACK, train=good(CRACK) | drawn, test=good(CRACK, 4, 50) | drawn)
    assert "leak" not in [problem.code for problem in problems]


@pytest.mark.parametrize(
    "name", ["Background", "_background_", "BG", "bg", "background 0", "None", "empty"]
)
def test_trap_43_a_background_with_another_name_is_a_warning(name: str) -> None:
    task = Task.multiclass([name, "liver", "tumour"])
    problem = only(found(task, train=good(ORGANS)), "background-name")
    assert problem.level == "warning"
    assert f"task.background: {name!r}" in problem.message
    task = Task.multiclass([name, "liver", "tumour"], background=name)
    assert found(task, train=good(ORGANS)) == []


def test_trap_43_names_of_unlabelled_pixels_and_backgrounds_of_layers() -> None:
    unlabelled = Task.multiclass(["background", "Unlabeled", "tumour"])
    problem = only(found(unlabelled, train=good(ORGANS)), "background-name")
    assert holds(problem.message, "data.mask_values")
    layers = Task.multilabel(["Background", "tumour"])
    problem = only(found(layers, train=good(LABELS)), "background-name")
    assert holds(problem.message, "task.classes")
    for name in ("ground", "back wall", "nonetheless", "bgr2rgb"):
        assert found(Task.multiclass(["background", name, "tumour"]), train=good(ORGANS)) == []


@pytest.mark.parametrize(
    ("count", "values"),
    [
        (1, ["data.validation: 0", "data.test: 0"]),
        (3, ["--fold all/3", "data.test=0"]),
        (5, ["--fold all/5", "data.test=0"]),
        (12, ["--fold all/5", "data.test=0"]),
        (19, ["--fold all/5", "data.test=0"]),
        (20, []),
    ],
)
def test_what_few_images_allow(count: int, values: list[str]) -> None:
    samples = good(CRACK, count)
    parts = {"train": subset(samples), "test": subset({})}
    facts = survey(CRACK, parts).facts
    problems = few_images(parts, facts)
    assert [problem.code for problem in problems] == ["few-images"] * bool(values)
    if values:
        assert [value for value in values if value not in problems[0].message] == []
        assert "data.blocks" not in problems[0].message
        large = [facts[0]._replace(size=(1024, 2000)), *facts[1:]]
        assert "data.blocks: 512" in few_images(parts, large)[0].message


def test_near_copies() -> None:
    train = good(CRACK)
    darker = {"a": ((train["i0"][0] * 0.9).astype(np.uint8), mask(CRACK))}
    problem = only(found(CRACK, train=train | darker), "near-duplicates")
    assert (problem.level, problem.number) == ("warning", 1)
    assert "i0 (train) ~ a (train)" in problem.message
    problem = only(found(CRACK, train=train, test=good(CRACK, 4, 50) | darker), "near-leak")
    assert problem.level == "warning"
    assert "i0 (train) ~ a (test)" in problem.message


@pytest.mark.parametrize("value", [0, VOID])
def test_nothing_to_learn(value: int) -> None:
    empty = {
        name: (array, np.full(SIZE, value, np.uint8)) for name, (array, _) in good(ORGANS).items()
    }
    problems = found(ORGANS, train=empty, validation=good(ORGANS, 30, 50))
    assert (problems[0].code, problems[0].level) == ("nothing-to-learn", "error")
    assert holds(problems[0].message, "liver, tumour")


@pytest.mark.parametrize("part", ["train", "test"])
def test_absent_class(part: str) -> None:
    parts = {"train": good(ORGANS), "test": good(ORGANS, 4, 50)}
    parts[part] = {
        name: (array, np.minimum(labels, 1)) for name, (array, labels) in parts[part].items()
    }
    problem = only(found(ORGANS, **parts), "absent-class")
    assert problem.level == "warning"
    assert holds(problem.message, "tumour")
    assert holds(problem.message, part)


def test_rare_class() -> None:
    samples = {
        name: (array, np.minimum(labels, 1)) for name, (array, labels) in good(ORGANS).items()
    }
    samples["i0"][1][0, :3] = 2
    problem = only(found(ORGANS, train=samples), "rare-class")
    assert problem.level == "warning"
    assert holds(problem.message, f"tumour {100 * 3 / (12 * 16 * 20):.2g} %")


def test_void() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:9] = VOID
    problem = only(found(CRACK, train=samples), "void")
    assert problem.level == "warning"
    assert holds(problem.message, "56 %")


def test_less_than_half_unlabelled_is_no_problem() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:7] = VOID
    assert found(CRACK, train=samples) == []


def test_empty_masks() -> None:
    samples = good(CRACK)
    for name in list(samples)[:7]:
        samples[name] = (samples[name][0], np.zeros(SIZE, np.uint8))
    problem = only(found(CRACK, train=samples), "empty-masks")
    assert (problem.level, problem.number, problem.files) == (
        "warning",
        7,
        ("i0", "i1", "i2", "i3", "i4"),
    )
    assert str(problem).endswith("[7: i0, i1, i2, i3, i4, ...]")


def test_sides_by_name() -> None:
    task = Task.multiclass(["background", "left lung", "right lung"])
    problem = only(found(task, train=good(task)), "sides")
    assert problem.level == "error"
    assert "augment.flip_horizontal: false" in problem.message
    assert found(task, flips=False, train=good(task)) == []
    paired = Task.multiclass(list(task.classes), flip_pairs=[("left lung", "right lung")])
    assert found(paired, train=good(paired)) == []


@pytest.mark.parametrize(
    ("count", "other", "is_warning"), [(12, 0, True), (9, 0, False), (12, 1, False)]
)
def test_sides_by_place(count: int, other: int, is_warning: bool) -> None:
    samples = good(CRACK, count)
    half = SIZE[1] // 2
    for i, (_, labels) in enumerate(samples.values()):
        labels[:, slice(0, half) if i < other else slice(half, None)] = 0
    problems = found(CRACK, train=samples)
    assert [(problem.code, problem.level) for problem in problems] == (
        [("sides", "warning")] if is_warning else []
    )
    assert found(CRACK, flips=False, train=samples) == []


def test_tiny_objects() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:] = 0
        labels[::4, ::4] = 1
    problem = only(found(CRACK, train=samples), "tiny-objects")
    assert problem.level == "warning"
    for value in ("crack", "9 pixels", 12 * 4 * 5):
        assert holds(problem.message, value)


def test_flat_image() -> None:
    samples = good(CRACK) | {"black": (np.zeros((*SIZE, 3), np.uint8), mask(CRACK))}
    problem = only(found(CRACK, train=samples), "flat-image")
    assert (problem.level, problem.files) == ("warning", ("black",))


def test_no_overlap() -> None:
    samples = good(LABELS)
    for _, labels in samples.values():
        labels[..., 1] &= 1 - labels[..., 0]
    problem = only(found(LABELS, train=samples), "no-overlap")
    assert problem.level == "warning"


def test_errors_come_first() -> None:
    task = Task.multiclass(["background", "left lung", "right lung"])
    samples = good(task) | {"black": (np.zeros((*SIZE, 3), np.uint8), mask(task))}
    samples["copy"] = samples["i0"]
    problems = [(problem.code, problem.level) for problem in found(task, train=samples)]
    assert problems == [("sides", "error"), ("duplicates", "warning"), ("flat-image", "warning")]


def test_a_survey_that_stopped_early_reports_only_the_samples_read() -> None:
    empty = {name: (array, np.zeros(SIZE, np.uint8)) for name, (array, _) in good(CRACK).items()}
    begun = survey(CRACK, {"train": subset(empty)})
    torn = survey(
        CRACK, {"train": Subset(Memory({"torn": DataError("torn.png: cut off")}), ["torn"])}
    ).broken
    assert [problem.code for problem in find_problems(CRACK, Survey(begun.facts, torn, 99))] == [
        "unreadable"
    ]
