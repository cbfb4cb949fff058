"""Polygons of a mask that is read by strips are those of the whole mask."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segkit.data.polygons import outlines
from segkit.data.strip_outlines import outlines_of_strips


def strips(mask: np.ndarray, heights: list[int]) -> Iterator[np.ndarray]:
    top = 0
    while top < len(mask):
        height = heights[top % len(heights)]
        yield mask[top : top + height]
        top += height


def comparable(outline) -> tuple:  # type: ignore[no-untyped-def]
    return (tuple(outline.outer), tuple(sorted(map(tuple, outline.holes))), outline.pixel)


masks = st.tuples(
    st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1), st.floats(0.05, 0.95)
)


@given(masks, st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_objects_are_those_of_the_whole_mask(
    made: tuple[int, int, int, float], heights: list[int]
) -> None:
    height, width, seed, share = made
    mask = np.random.default_rng(seed).random((height, width)) < share
    found = list(outlines_of_strips(strips(mask, heights)))
    whole = sorted(comparable(outline) for outline in outlines(mask))
    parts = [outline for one in found for outline in one.parts]
    assert sorted(comparable(outline) for outline in parts) == whole
    numbers, count = ndimage.label(mask, np.ones((3, 3)))
    assert len(found) == count
    for one in found:
        [number] = {int(numbers[part.pixel]) for part in one.parts}
        assert one.area == (numbers == number).sum()


@pytest.mark.parametrize("height", [1, 3, 50])
def test_long_objects_cross_many_strips(height: int) -> None:
    mask = np.zeros((50, 40), bool)
    mask[2:48, 3:5] = True
    mask[2:48, 20:22] = True
    mask[47, 3:22] = True
    mask[10:20, 30:38] = True
    mask[13:16, 32:35] = False
    found = sorted(outlines_of_strips(strips(mask, [height])), key=lambda one: one.area)
    assert [one.area for one in found] == [mask[:, 23:].sum(), mask[:, :23].sum()]
    assert [len(one.parts[0].holes) for one in found] == [1, 0]
    assert list(outlines_of_strips([])) == []
    assert list(outlines_of_strips([np.zeros((3, 4), bool)])) == []


def test_finished_objects_do_not_stay_in_memory() -> None:
    rng = np.random.default_rng(0)
    tracemalloc.start()
    peaks = []
    for rows in (200, 2000):
        tracemalloc.reset_peak()
        objects = outlines_of_strips(rng.random((20, 200)) < 0.3 for _ in range(rows // 20))
        assert sum(one.area for one in objects) > 0
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0]  # ten times as many rows; other threads allocate, too
