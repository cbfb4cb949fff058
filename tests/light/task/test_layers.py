"""Layers and planes of targets and masks, against plain loops over the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit import VOID, Task
from segkit.task.layers import (
    any_plane,
    as_planes,
    channels_of,
    class_layers,
    coverage,
    known_pixels,
    labelled_pixels,
    layer_of,
    layers_of,
    plane_of,
    planes_of,
    stack_layers,
    stack_planes,
)
from tests.helpers.draws import masks, tasks

ONE_LABEL = Task.multilabel(["liver"])
ANY_TASK = tasks() | st.just(ONE_LABEL)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Task, np.ndarray]:
    """Draw a task with an encoded target, or with a mask for `Task.encode`."""
    task = draw(ANY_TASK)
    mask = draw(masks(task))
    return task, draw(st.sampled_from([mask, task.encode(mask, void=VOID)]))


@st.composite
def encoded(draw: st.DrawFn) -> tuple[Task, np.ndarray]:
    task = draw(ANY_TASK)
    return task, task.encode(draw(masks(task)), void=VOID)


def stored(task: Task, labels: np.ndarray, row: int, column: int, label: int) -> int:
    """Return the value that a target or mask stores for a class at a pixel."""
    values = np.atleast_1d(labels[row, column]).tolist()
    return values[label] if task.kind == "multilabel" else values[0]


def answer(task: Task, labels: np.ndarray, row: int, column: int, label: int) -> int:
    """Return 1 if a pixel belongs to a class, 0 if it does not, VOID if it is unlabelled."""
    value = stored(task, labels, row, column, label)
    if value == VOID:
        return VOID
    return int(value == (label if task.kind == "multiclass" else 1))


def answers(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return `answer` of every pixel and class, (H, W, C)."""
    found = np.zeros((*labels.shape[:2], task.channels), np.uint8)
    for row, column, label in np.ndindex(found.shape):
        found[row, column, label] = answer(task, labels, row, column, label)
    return found


@given(labelled())
def test_a_layer_is_the_pixels_of_a_class(drawn: tuple[Task, np.ndarray]) -> None:
    task, labels = drawn
    expected = answers(task, labels) == 1
    layers = list(layers_of(task, labels))
    assert len(layers) == task.channels
    for label, layer in enumerate(layers):
        assert layer.dtype == bool
        np.testing.assert_array_equal(layer, expected[..., label])
        np.testing.assert_array_equal(layer_of(task, labels, label), layer)


@given(encoded())
def test_channels_hold_0_1_and_void(drawn: tuple[Task, np.ndarray]) -> None:
    task, target = drawn
    expected = answers(task, target)
    channels = channels_of(task, target)
    assert channels.dtype == np.uint8
    np.testing.assert_array_equal(channels, expected)
    np.testing.assert_array_equal(class_layers(task, target), expected == 1)
    np.testing.assert_array_equal(known_pixels(task, target), expected != VOID)


@given(labelled())
def test_a_pixel_is_labelled_if_one_class_is_not_void(drawn: tuple[Task, np.ndarray]) -> None:
    task, labels = drawn
    found = labelled_pixels(labels)
    assert found.shape == labels.shape[:2]
    for row, column in np.ndindex(found.shape):
        values = [answer(task, labels, row, column, label) for label in range(task.channels)]
        assert found[row, column] == any(value != VOID for value in values)


@given(encoded())
def test_coverage_counts_the_classes_of_each_pixel(drawn: tuple[Task, np.ndarray]) -> None:
    task, target = drawn
    expected = [0, 0, 0]
    for values in answers(task, target).reshape(-1, task.channels).tolist():
        known = any(value != VOID for value in values)
        expected[0] += known
        expected[1] += known and values.count(1) == 0
        expected[2] += values.count(1) > 1
    assert list(coverage(task, target)) == expected


@given(labelled())
def test_a_plane_is_a_writable_view_of_the_stored_values(drawn: tuple[Task, np.ndarray]) -> None:
    task, labels = drawn
    assert as_planes(labels).shape == (*labels.shape[:2], task.planes)
    assert planes_of(labels).shape == (task.planes, *labels.shape[:2])
    for label in range(task.channels):
        plane = plane_of(task, labels, label)
        for row, column in np.ndindex(plane.shape):
            assert plane[row, column] == stored(task, labels, row, column, label)
        np.testing.assert_array_equal(plane, planes_of(labels)[label if task.planes > 1 else 0])
    last = task.channels - 1
    plane_of(task, labels, last)[0, 0] = 77
    assert stored(task, labels, 0, 0, last) == 77


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=3, max_side=4)))
def test_any_plane_equals_a_loop_over_the_planes(holds: np.ndarray) -> None:
    found = any_plane(holds)
    assert found.shape == holds.shape[:2]
    for row, column in np.ndindex(found.shape):
        assert found[row, column] == any(np.atleast_1d(holds[row, column]).tolist())


@given(st.data())
def test_stacking_the_planes_of_a_mask_returns_the_mask(data: st.DataObject) -> None:
    task = data.draw(ANY_TASK)
    mask = data.draw(masks(task))
    again = stack_planes(task, list(planes_of(mask)))
    assert (again.shape, again.dtype) == (mask.shape, mask.dtype)
    np.testing.assert_array_equal(again, mask)


@pytest.mark.parametrize(
    "task", [Task.binary(), Task.multilabel(["a", "b", "c"]), Task.multiclass(["a", "b", "c"])]
)
def test_a_wrong_number_of_planes_is_refused(task: Task) -> None:
    with pytest.raises(ValueError, match=rf"\b{task.planes}\b.*\b2\b"):
        stack_planes(task, [np.zeros((2, 2))] * 2)


def painted(task: Task, layers: dict[str, np.ndarray], row: int, column: int) -> int | list[int]:
    """Return the value of one pixel of a stacked mask; it is a list in a multilabel task."""
    values = {name: int(layer[row, column]) for name, layer in layers.items()}
    if task.kind == "multilabel":
        return [values.get(name, 0) for name in task.classes]
    if task.kind == "binary":
        return values[task.classes[0]]
    inside = [name for name, value in values.items() if value == 1]
    if inside:
        return task.classes.index(inside[-1])
    if task.background is None or VOID in values.values():
        return VOID
    return task.classes.index(task.background)


@given(st.data())
def test_stacked_layers_equal_a_loop_over_the_pixels(data: st.DataObject) -> None:
    task = data.draw(ANY_TASK)
    names = [task.classes[label] for label in task.foreground]
    given_names = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    values = st.sampled_from([0, 0, 1, VOID])
    layers = {
        name: data.draw(arrays.arrays(np.uint8, shape, elements=values)) for name in given_names
    }
    mask = stack_layers(task, layers)
    assert mask.dtype == np.uint8
    assert mask.shape == ((*shape, task.channels) if task.kind == "multilabel" else shape)
    for row, column in np.ndindex(shape):
        assert mask[row, column].tolist() == painted(task, layers, row, column)


@given(st.data())
def test_stacking_the_layers_of_a_target_returns_the_target(data: st.DataObject) -> None:
    task = data.draw(ANY_TASK.filter(lambda task: task.can_be_nothing))
    target = task.encode(data.draw(masks(task)), void=VOID)
    channels = channels_of(task, target)
    mask = stack_layers(
        task, {task.classes[label]: channels[..., label] for label in task.foreground}
    )
    np.testing.assert_array_equal(task.encode(mask, void=VOID), target)
