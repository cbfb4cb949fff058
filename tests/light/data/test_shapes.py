from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, Task
from segkit.config import DataConfig
from segkit.data.sources.shapes import KINDS, ShapesSource, open_shapes
from tests.helpers.errors import fails

ALL = Task.multilabel(list(KINDS))
ONE = Task.multiclass(["background", *KINDS])


def source(task: Task, seed: int = 0, count: int = 3) -> ShapesSource:
    return ShapesSource(task, count, (40, 56), seed)


def test_a_sample_depends_on_seed_and_number_alone() -> None:
    first, again, more = source(ALL).read("shape_00002"), source(ALL), source(ALL, count=900)
    again.read("shape_00000")
    for other in (again.read("shape_00002"), more.read("shape_00002")):
        np.testing.assert_array_equal(other.image, first.image)
        np.testing.assert_array_equal(other.mask, first.mask)
    assert (source(ALL, seed=1).read("shape_00002").image != first.image).any()
    assert (source(ALL).read("shape_00001").image != first.image).any()


def test_there_are_count_names_and_they_differ() -> None:
    names = source(ALL, count=120).names
    assert (len(names), len(set(names)), names[0]) == (120, 120, "shape_00000")


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_masks_of_all_kinds_of_task_agree(number: int) -> None:
    name = f"shape_{number:05d}"
    several, single = source(ALL).read(name), source(ONE).read(name)
    np.testing.assert_array_equal(several.image, single.image)
    layers = {kind: several.mask[..., i] == 1 for i, kind in enumerate(KINDS)}
    for i, kind in enumerate(KINDS, start=1):
        assert not (single.mask == i)[~layers[kind]].any()  # what was painted last was painted
        np.testing.assert_array_equal(source(Task.binary(kind)).read(name).mask, layers[kind])
    anything = source(Task.binary("thing")).read(name).mask
    np.testing.assert_array_equal(anything == 1, single.mask > 0)
    np.testing.assert_array_equal(anything == 1, np.any(list(layers.values()), axis=0))


def test_where_two_overlap_the_one_painted_last_wins_and_that_is_not_always_the_same() -> None:
    winners = set()
    for name in source(ALL, count=30).names:
        several, single = source(ALL).read(name).mask, source(ONE).read(name).mask
        winners |= set(single[(several[..., 0] == 1) & (several[..., 1] == 1)].tolist())
    assert winners >= {1, 2}


@pytest.mark.parametrize(
    "task", [ALL, ONE, Task.binary("disc"), Task.multiclass(["square", "background"])]
)
def test_masks_fit_their_task(task: Task) -> None:
    sample = source(task).read("shape_00001")
    assert (sample.image.shape, sample.image.dtype) == ((40, 56, 3), np.uint8)
    assert task.encode(sample.mask).shape == task.target_shape(40, 56)


def test_shapes_overlap_and_every_kind_occurs() -> None:
    masks = np.stack([source(ALL).read(f"shape_{i:05d}").mask for i in range(40)])
    assert (masks.sum(axis=(0, 1, 2)) > 500).all()
    assert (masks.sum(axis=-1) > 1).any()


def test_the_order_of_classes_is_the_task_s() -> None:
    turned = Task.multiclass(["triangle", "background", "disc", "square"])
    ids, others = source(ONE).read("shape_00000").mask, source(turned).read("shape_00000").mask
    np.testing.assert_array_equal(np.array(turned.classes)[others], np.array(ONE.classes)[ids])


@pytest.mark.parametrize(
    "task", [Task.multilabel(["disc", "cat"]), Task.multiclass(["disc", "square"])]
)
def test_unknown_shapes_are_refused(task: Task) -> None:
    with fails(
        ConfigError,
        "unknown-name",
        "disc, square, triangle",
        ", ".join(task.classes),
        setting="task.classes",
    ):
        source(task)


def test_the_data_section_sets_count_size_and_seed() -> None:
    opened = open_shapes(DataConfig(source="shapes", count=5, size=(32, 48), seed=4), ALL)
    assert (len(opened.names), opened.read("shape_00003").image.shape) == (5, (32, 48, 3))
    np.testing.assert_array_equal(
        opened.read("shape_00003").image,
        ShapesSource(ALL, 9, (32, 48), 4).read("shape_00003").image,
    )
