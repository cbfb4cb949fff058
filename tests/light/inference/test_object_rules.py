"""Objects and holes against scipy.ndimage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from segkit.inference.components import fill_holes, remove_small_objects

MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9))
CORNERS = np.ones((3, 3), bool)


def kept_by_scipy(mask: np.ndarray, smallest: int, only_largest: bool) -> np.ndarray:
    labels, count = ndimage.label(mask, CORNERS)
    areas = [int((labels == i).sum()) for i in range(1, count + 1)]
    result = np.zeros(mask.shape, bool)
    for i, area in enumerate(areas, start=1):
        if area >= smallest and (not only_largest or area == max(areas)):
            result |= labels == i
    return result


@given(MASKS, st.integers(0, 12))
def test_small_objects_are_removed_as_scipy_counts_them(mask: np.ndarray, smallest: int) -> None:
    np.testing.assert_array_equal(
        remove_small_objects(mask, smallest, False), kept_by_scipy(mask, smallest, False)
    )


@given(MASKS, st.integers(0, 4))
def test_one_of_the_largest_stays_and_nothing_else(mask: np.ndarray, smallest: int) -> None:
    answer, largest = (
        remove_small_objects(mask, smallest, True),
        kept_by_scipy(mask, smallest, True),
    )
    assert not (answer & ~largest).any()
    assert ndimage.label(answer, CORNERS)[1] == min(1, ndimage.label(largest, CORNERS)[1])
    labels, count = ndimage.label(mask, CORNERS)
    sizes = [int((labels == i).sum()) for i in range(1, count + 1)]
    assert answer.sum() == (max(sizes) if sizes and max(sizes) >= smallest else 0)


@given(MASKS)
def test_holes_are_filled_as_scipy_fills_them(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_with_one_value_does_not_change(value: bool) -> None:
    mask = np.full((4, 5), value)
    assert (remove_small_objects(mask, 2, True) == mask).all()
    assert (fill_holes(mask) == mask).all()


def test_a_diagonal_is_one_object_and_closes_a_hole() -> None:
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    assert remove_small_objects(ring, 4, False).sum() == 4
    assert fill_holes(ring).sum() == 5
