"""A polygon with holes becomes one ring that encloses the same points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit.data.hole_cuts import one_ring
from segkit.data.polygons import outlines, signed_area
from segkit.inference.outputs.object_polygons import thinned
from tests.helpers.extras import NO_GEO
from tests.helpers.plain_labels import closed, filled


@settings(deadline=None)
@given(
    arrays.arrays(
        np.uint8,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.sampled_from([0, 1, 1, 1]),
    )
)
def test_the_ring_encloses_the_pixels_of_the_region(mask: np.ndarray) -> None:
    found = np.zeros(mask.shape, bool)
    for polygon in outlines(mask):
        rings = [polygon.outer, *polygon.holes]
        ring = one_ring(rings)
        assert ring.dtype == np.int64
        found ^= filled([closed(ring)], mask.shape)
        area = sum(signed_area(each) for each in rings)
        assert signed_area(closed(ring)) == area
        assert {*map(tuple, ring.tolist())} >= {point for each in rings for point in each}
        assert (ring != np.roll(ring, 1, axis=0)).any(axis=1).all()
    np.testing.assert_array_equal(found, mask == 1)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, (11, 13), elements=st.sampled_from([0, 1, 1, 1])))
def test_each_way_to_a_hole_is_walked_back(mask: np.ndarray) -> None:
    """Apart from the edges, each piece of a line is walked as often in both directions."""
    for polygon in outlines(mask):
        rings = [polygon.outer, *polygon.holes]
        steps: dict[tuple[tuple[int, int], tuple[int, int]], int] = {}
        for sign, each in [(1, closed(one_ring(rings))), *((-1, ring) for ring in rings)]:
            for step in unit_steps(each):
                steps[step] = steps.get(step, 0) + sign
        for (begin, end), times in steps.items():
            assert times >= 0
            assert times == steps.get((end, begin), 0)
            assert not times or begin[1] == end[1]  # cuts are horizontal


def unit_steps(ring: list[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    steps = []
    for (x, y), (next_x, next_y) in pairwise(ring):
        count = int(max(abs(next_x - x), abs(next_y - y)))
        places = np.linspace((x, y), (next_x, next_y), count + 1).astype(int).tolist()
        points = [(place[0], place[1]) for place in places]
        steps += list(pairwise(points))
    return steps


def test_a_hole_may_touch_the_leftmost_corner_of_the_outline() -> None:
    """Thinned polygons have such holes."""
    outer = [(0, 5), (9, 0), (9, 10), (0, 5)]
    holes = [[(0, 5), (6, 6), (6, 4), (0, 5)], [(7, 5), (8, 6), (8, 4), (7, 5)]]
    ring = one_ring([outer, *holes])
    assert signed_area(closed(ring)) == 45 - 6 - 1
    points = np.random.default_rng(0).random((200, 2)) * 10
    expected = []
    for point in points:
        rings = [np.array(each[:-1]) for each in [outer, *holes]]
        expected.append(sum(is_inside(each, point) for each in rings) % 2 == 1)
    assert [is_inside(ring, point) for point in points] == expected


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("distance", [0.8, 2.5])
def test_thin_polygons_enclose_the_same_area(seed: int, distance: float) -> None:
    shapely = pytest.importorskip("shapely", reason=NO_GEO)
    rng = np.random.default_rng(seed)
    mask = rng.random((30, 30)) < 0.8
    parts = [[polygon.outer, *polygon.holes] for polygon in outlines(mask)]
    for rings in thinned(parts, distance):
        ring = one_ring(rings)
        expected = shapely.Polygon(rings[0], rings[1:])
        assert signed_area(closed(ring)) == pytest.approx(expected.area)
        points = rng.random((100, 2)) * 30
        inside = shapely.contains_xy(expected, *points.T)
        assert [is_inside(ring, point) for point in points] == inside.tolist()


def is_inside(ring: np.ndarray, point: np.ndarray) -> bool:
    """Return whether a point is inside a ring by the even-odd rule."""
    begins = ring
    ends = np.roll(ring, -1, axis=0)
    lower = np.where((begins[:, 1] < ends[:, 1])[:, None], begins, ends)
    upper = np.where((begins[:, 1] < ends[:, 1])[:, None], ends, begins)
    spans = (lower[:, 1] < point[1]) & (point[1] < upper[:, 1])
    lower, upper = lower[spans], upper[spans]
    x = lower[:, 0] + (point[1] - lower[:, 1]) * (upper - lower)[:, 0] / (upper - lower)[:, 1]
    return bool((x < point[0]).sum() % 2)
