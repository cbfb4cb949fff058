"""Polygons hold exactly the pixels of the mask, and they are valid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from segkit.data.polygons import Outline, Ring, outlines, signed_area
from tests.helpers.polygons import filled

LAYERS = arrays.arrays(
    bool,
    arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.booleans(),
)


def rings_of(polygon: Outline) -> list[Ring]:
    return [polygon.outer, *polygon.holes]


def check_valid(polygon: Outline) -> None:
    """Rings are closed, follow the grid, turn at each corner and pass no point twice."""
    for ring, outer in [(polygon.outer, True), *((hole, False) for hole in polygon.holes)]:
        assert ring[0] == ring[-1]
        assert len(set(ring)) == len(ring) - 1 >= 4
        steps = np.diff(np.array(ring), axis=0)
        assert ((steps == 0).sum(1) == 1).all()
        assert ((steps[:, 0] == 0) != (np.roll(steps[:, 0], 1) == 0)).all()
        assert (signed_area(ring) > 0) == outer


@given(LAYERS)
def test_the_pixels_inside_the_polygons_are_the_mask(layer: np.ndarray) -> None:
    found = outlines(layer)
    numbers, count = ndimage.label(layer)  # four neighbours
    assert len(found) == count
    for polygon in found:
        check_valid(polygon)
        own = numbers == numbers[polygon.pixel]
        assert numbers[polygon.pixel] > 0
        np.testing.assert_array_equal(filled(rings_of(polygon), layer.shape), own)
        assert sum(map(signed_area, rings_of(polygon))) == own.sum()
        # each hole is what is enclosed by sides, so no two polygons of one region overlap
        assert len(polygon.holes) == ndimage.label(ndimage.binary_fill_holes(own) & ~own)[1]
    np.testing.assert_array_equal(
        filled([r for p in found for r in rings_of(p)], layer.shape), layer
    )


@pytest.mark.parametrize(
    ("rows", "polygons", "holes"),
    [
        (["#"], 1, [0]),
        (["."], 0, []),
        (["#.", ".#"], 2, [0, 0]),
        ([".#", "#."], 2, [0, 0]),
        (["###", "#.#", "###"], 1, [1]),
        (["###", "#.#", "##."], 1, [1]),  # the hole meets the outside at a corner
        (["####.", "#.###", "##.##", ".####"], 1, [2]),  # two holes that meet at a corner
        (["#####", "#...#", "#.#.#", "#...#", "#####"], 2, [1, 0]),  # an island in a hole
        (
            ["#####", "#..##", "#.#.#", "##..#", "#####"],
            2,
            [1, 0],
        ),  # an island that meets the ring at corners
    ],
)
def test_corners_holes_and_single_pixels(rows: list[str], polygons: int, holes: list[int]) -> None:
    layer = np.array([[sign == "#" for sign in row] for row in rows])
    found = outlines(layer)
    assert (len(found), [len(polygon.holes) for polygon in found]) == (polygons, holes)
    for polygon in found:
        check_valid(polygon)
    np.testing.assert_array_equal(
        filled([r for p in found for r in rings_of(p)], layer.shape), layer
    )


def test_a_checkerboard_is_one_square_a_pixel() -> None:
    layer = np.indices((40, 40)).sum(0) % 2 == 0
    found = outlines(layer)
    assert len(found) == 800
    assert all(signed_area(polygon.outer) == 1 and not polygon.holes for polygon in found)
