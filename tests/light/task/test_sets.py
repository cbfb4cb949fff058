"""Sets of classes: their table, what they mean for each class, and their descriptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, ConfigError, DataError, Task
from segkit.task import as_task
from segkit.task.layers import (
    channels_of,
    class_layers,
    decided_pixels,
    known_distributions,
    known_layers,
    known_pixels,
    leave_open,
    possible_pixels,
    sets_left_open,
)
from segkit.task.meanings import meant, value_of, with_sets
from segkit.task.sets import class_names, in_words
from tests.helpers.errors import fails

CLASSES = ["background", "liver", "tumour", "left lung", "right lung"]
PAIRS = [["left lung", "right lung"]]
BODY = Task.multiclass(CLASSES)
names = st.lists(st.sampled_from(CLASSES), min_size=1, max_size=5, unique=True)
tables = st.lists(names, max_size=6)


def members_of(task: Task, value: int) -> set[str]:
    """Return the classes that a target value leaves possible, from the settings of the task."""
    if value < task.channels:
        return {task.classes[value]}
    if value - task.channels < len(task.sets):
        return set(task.sets[value - task.channels])
    return set(task.classes)


@given(tables)
def test_a_task_with_sets_is_loaded_as_it_was_saved(table: list[list[str]]) -> None:
    task = Task.multiclass(CLASSES, sets=table, flip_pairs=PAIRS)
    again = Task.model_validate(task.model_dump(mode="json"))
    assert again == task
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert task.without_sets == Task.multiclass(CLASSES, flip_pairs=PAIRS)


def test_a_task_of_an_older_version_has_no_sets() -> None:
    saved = BODY.model_dump(mode="json")
    del saved["sets"], saved["parents"]
    assert Task.model_validate(saved) == BODY
    assert (BODY.sets, BODY.parents, BODY.target_values) == ((), {}, 5)


@given(st.data())
def test_a_value_says_yes_to_the_only_class_and_no_to_the_others(data: st.DataObject) -> None:
    task = Task.multiclass(CLASSES, sets=data.draw(tables))
    value = data.draw(st.integers(0, task.target_values - 1) | st.just(VOID))
    members = members_of(task, value)
    target = np.full((1, 1), value, np.uint8)
    possible = possible_pixels(task, target)[0, 0]
    known = known_pixels(task, target)[0, 0]
    for label, name in enumerate(CLASSES):
        assert possible[label] == (name in members)
        assert known[label] == (name not in members or len(members) == 1)
    layers = [layer[0, 0] for layer in known_layers(task, target)]
    assert layers == known.tolist()


@given(st.data())
def test_encoding_replaces_sets_of_one_and_of_all_classes(data: st.DataObject) -> None:
    task = Task.multiclass(CLASSES, sets=data.draw(tables))
    values = st.integers(0, task.target_values - 1) | st.just(VOID)
    mask = np.array([data.draw(st.lists(values, min_size=1, max_size=9))], np.int32)
    target = task.encode(mask)
    for before, after in zip(mask[0].tolist(), target[0].tolist(), strict=True):
        assert members_of(task, before) == members_of(task, after)
        assert (after < task.channels) == (len(members_of(task, before)) == 1)
        assert (after == VOID) == (len(members_of(task, before)) == len(CLASSES))
    channels = channels_of(task, target)
    layers = class_layers(task, target)
    assert ((channels == 1) == layers).all()
    assert ((channels == VOID) == ~known_pixels(task, target)).all()
    decided = decided_pixels(task, target)
    assert (decided == known_pixels(task, target).all(axis=-1)).all()
    assert (known_distributions(task, target) == decided[..., None]).all()


@given(st.data())
def test_trap_31_a_mirrored_target_has_the_mirrored_sets(data: st.DataObject) -> None:
    task = Task.multiclass(CLASSES, sets=data.draw(tables), flip_pairs=PAIRS)
    partner = {"left lung": "right lung", "right lung": "left lung"}
    values = np.append(np.arange(task.target_values), VOID).astype(np.uint8)[None]
    mirrored = task.mirror(values)
    for before, after in zip(values[0].tolist(), mirrored[0].tolist(), strict=True):
        expected = {partner.get(name, name) for name in members_of(task, before)}
        assert members_of(task, after) == expected
    assert (task.mirror(mirrored) == values).all()


def test_without_sets_the_values_above_the_classes_are_refused() -> None:
    task = Task.multiclass(CLASSES, sets=[["liver", "tumour"]])
    assert task.encode(np.array([[5, 0]])).tolist() == [[5, 0]]
    for mask in (np.array([[6, 0]]), np.array([[-1, 0]])):
        with fails(DataError, "mask-values", "a.png", "0 to 5"):
            task.encode(mask, "a.png")
    with fails(DataError, "mask-values", "0 to 4", 5):
        task.without_sets.encode(np.array([[5, 0]]))


@pytest.mark.parametrize(
    ("settings", "code", "setting"),
    [
        ({"kind": "multilabel", "sets": [["liver", "tumour"]]}, "not-for-task", "task.sets"),
        ({"sets": [[]]}, "wrong-value", "task.sets"),
        ({"sets": [["liver", "spleen"]]}, "wrong-value", "task.sets"),
        ({"sets": [3]}, "wrong-value", "task.sets.0"),
        ({"parents": {"liver": ["tumour"]}}, "wrong-value", "task.parents"),
        ({"parents": {"void": ["tumour"]}}, "wrong-value", "task.parents"),
        ({"parents": {"not liver": ["tumour"]}}, "wrong-value", "task.parents"),
        ({"parents": {"organ": ["spleen"]}}, "wrong-value", "task.parents"),
        ({"parents": {"organ": []}}, "wrong-value", "task.parents"),
        ({"parents": {"organ": CLASSES}}, "wrong-value", "task.parents"),
        ({"parents": {"a": ["b"], "b": ["a", "liver"]}}, "wrong-value", "task.parents"),
    ],
)
def test_impossible_sets_and_parents_are_refused(
    settings: dict[str, Any], code: str, setting: str
) -> None:
    with fails(ConfigError, code, setting=setting):
        as_task({"kind": "multiclass", "classes": CLASSES, **settings})


def test_an_8_bit_mask_has_room_for_255_classes_and_sets() -> None:
    classes = [f"c{i}" for i in range(250)]
    sets = [[classes[i], classes[i + 1]] for i in range(6)]
    assert Task.multiclass(classes, sets=sets[:5]).target_values == 255
    with fails(ConfigError, "wrong-value", 5, 6, setting="task.sets"):
        Task.multiclass(classes, sets=sets)


def test_a_parent_may_contain_parents_and_is_a_set() -> None:
    parents = {"organ": ["liver", "lung"], "lung": ["left lung", "right lung"]}
    task = Task.multiclass(CLASSES, parents=parents)
    assert task.parents["organ"] == ("liver", "left lung", "right lung")
    assert set(task.sets) == {("liver", "left lung", "right lung"), ("left lung", "right lung")}
    labels = Task.multilabel(CLASSES[1:], parents=parents)
    assert labels.sets == ()


@pytest.mark.parametrize(
    ("meaning", "values"),
    [
        ("liver", (1,)),
        ("lung", (3, 4)),
        ("void", (0, 1, 2, 3, 4)),
        ("not tumour", (0, 1, 3, 4)),
        ("not lung", (0, 1, 2)),
        (("tumour", "liver"), (1, 2)),
        (("tumour", "lung"), (2, 3, 4)),
        ("spleen", None),
        ("not spleen", None),
        (("liver", "spleen"), None),
        ((), None),
    ],
)
def test_descriptions_of_a_pixel(
    meaning: str | tuple[str, ...], values: tuple[int, ...] | None
) -> None:
    task = Task.multiclass(CLASSES, parents={"lung": ["left lung", "right lung"]})
    assert meant(task, meaning) == values


def test_a_class_may_be_called_like_a_description() -> None:
    task = Task.multiclass(["background", "not liver", "liver"])
    assert meant(task, "not liver") == (1,)
    assert meant(task, "not not liver") == (0, 2)


def test_descriptions_in_masks_of_yes_and_no() -> None:
    task = Task.binary("crack")
    described = ["crack", "background", "not crack", "void", "absent", ("absent", "present")]
    values = [meant(task, meaning) for meaning in described]
    assert values == [(1,), (0,), (0,), (0, 1), (0,), (0, 1)]
    assert [value_of(task, each or ()) for each in values] == [1, 0, 0, VOID, 0, VOID]


def test_values_of_sets_keep_their_places() -> None:
    first = with_sets(BODY, [["tumour", "liver"]])
    both = with_sets(first, [["liver", "tumour"], ["background", "liver"], ["liver"], CLASSES])
    assert first.sets == (("liver", "tumour"),)
    assert both.sets == (("liver", "tumour"), ("background", "liver"))
    assert [value_of(both, values) for values in ((1, 2), (0, 1), (3,), (0, 1, 2, 3, 4))] == [
        5,
        6,
        3,
        VOID,
    ]
    with fails(ConfigError, "missing-setting", "background", "tumour", setting="task.sets"):
        value_of(both, (0, 2))
    assert with_sets(Task.binary(), [["object"]]) == Task.binary()


def test_losses_of_another_table_do_not_fit() -> None:
    assert not BODY.trains_like(with_sets(BODY, [["liver", "tumour"]]))
    assert BODY.trains_like(Task.multiclass(CLASSES))


@given(st.data())
def test_classes_that_were_not_annotated_may_be_where_background_is(data: st.DataObject) -> None:
    table = data.draw(tables)
    unlabelled = data.draw(st.lists(st.sampled_from(CLASSES[1:]), min_size=1, unique=True))
    task = Task.multiclass(CLASSES, sets=table)
    task = with_sets(task, sets_left_open(task, unlabelled, task.sets))
    values = np.append(np.arange(task.target_values), VOID).astype(np.uint8)[None]
    opened = task.encode(leave_open(task, values, unlabelled))
    for before, after in zip(values[0].tolist(), opened[0].tolist(), strict=True):
        expected = members_of(task, before)
        if "background" in expected:
            expected = expected | set(unlabelled)
        assert members_of(task, after) == expected


def test_a_no_of_a_class_that_was_not_annotated_is_void() -> None:
    labels = Task.multilabel(["liver", "tumour"])
    mask = np.array([[[0, 0], [1, 1], [VOID, 0]]], np.uint8)
    opened = leave_open(labels, mask, ["liver"])
    assert opened.tolist() == [[[VOID, 0], [1, 1], [VOID, 0]]]
    crack = np.array([[0, 1, VOID]], np.uint8)
    assert leave_open(Task.binary("crack"), crack, ["crack"]).tolist() == [[VOID, 1, VOID]]
    assert crack.tolist() == [[0, 1, VOID]]


def test_names_in_descriptions() -> None:
    meanings = ["liver", ("liver", "tumour"), "not vessel", "void"]
    assert class_names(meanings) == ["liver", "tumour", "vessel"]
    assert [in_words(meaning) for meaning in meanings[:2]] == ["liver", "liver or tumour"]
