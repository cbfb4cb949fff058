"""Shapes are drawn by the centres of pixels: compared with plain loops and with scikit-image."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import draw as skimage_draw

from segkit import DataError
from segkit.data import rasterise
from segkit.data.polygons import outlines
from segkit.data.rasterise import Bitmap, Ellipse, Line, Polygon, draw, draw_mask
from tests.helpers.errors import fails

pytestmark = pytest.mark.long

SIZE = (9, 12)
COORDINATES = st.integers(-60, 200).map(lambda value: value / 10 + 0.013)
"""Coordinates that are never at the centre of a pixel."""
RINGS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=7)


def by_loop(rings: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre has an odd number of edges to its left."""
    inside = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y = column + 0.5, row + 0.5
            crossings = 0
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                    if (y0 <= y) != (y1 <= y):
                        crossings += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
            inside[row, column] = crossings % 2 == 1
    return inside


def passes_centres(rings: list[np.ndarray]) -> bool:
    """Return whether an edge passes so near to a pixel's centre that rounding decides its side."""
    centres = np.arange(SIZE[0]) + 0.5
    for ring in rings:
        following = np.roll(ring, -1, axis=0)
        for (x0, y0), (x1, y1) in zip(ring, following, strict=True):
            if y0 == y1:
                continue
            crossings = x0 + (centres - y0) * (x1 - x0) / (y1 - y0) - 0.5
            if np.any(np.abs(crossings - np.round(crossings)) < 1e-9):
                return True
    return False


def drawn(shape: rasterise.Shape, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return the pixels of a shape; none if it is outside."""
    try:
        return draw_mask(shape, size)
    except DataError as problem:
        if problem.code != "label-outside":
            raise
        return np.zeros(size, bool)


@settings(deadline=None)
@given(st.lists(RINGS, min_size=1, max_size=3))
def test_a_polygon_with_holes_is_the_pixels_with_an_odd_number_of_edges_to_the_left(
    rings: list[list[tuple[float, float]]],
) -> None:
    points = [np.array(ring) for ring in rings]
    assume(not passes_centres(points))
    np.testing.assert_array_equal(drawn(Polygon(points)), by_loop(points, SIZE))


@settings(deadline=None, max_examples=50)
@given(RINGS)
def test_scikit_image_draws_the_same_polygon(ring: list[tuple[float, float]]) -> None:
    points = np.array(ring)
    assume(not passes_centres([points]))
    mask = np.zeros(SIZE, bool)
    rows, columns = skimage_draw.polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, SIZE)
    mask[rows, columns] = True
    np.testing.assert_array_equal(drawn(Polygon([points])), mask)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, SIZE, elements=st.integers(0, 1)))
def test_drawing_the_outlines_of_a_mask_returns_the_mask(mask: np.ndarray) -> None:
    again = np.zeros(SIZE, bool)
    for polygon in outlines(mask):
        rings = [np.array(ring, float) for ring in (polygon.outer, *polygon.holes)]
        again |= draw_mask(Polygon(rings), SIZE)
    np.testing.assert_array_equal(again, mask == 1)


@settings(deadline=None)
@given(COORDINATES, COORDINATES)
def test_neighbours_share_no_pixel_and_leave_no_gap(x: float, y: float) -> None:
    """Four triangles around a point cover each pixel of the square as often as the square does."""
    square = np.array([[-7, -7], [21, -7], [21, 21], [-7, 21]], float)
    counts = np.zeros(SIZE, int)
    for start, end in zip(square, np.roll(square, -1, axis=0), strict=True):
        counts += drawn(Polygon([np.array([start, end, [x, y]])]))
    assert (counts == 1).all()


def test_a_polygon_through_the_centres_of_pixels_has_its_left_and_upper_edge() -> None:
    ring = np.array([[1.5, 1.5], [4.5, 1.5], [4.5, 3.5], [1.5, 3.5]])
    expected = np.zeros(SIZE, bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(draw_mask(Polygon([ring]), SIZE), expected)


@pytest.mark.parametrize(
    "ellipse",
    [
        Ellipse(5.3, 4.1, 3, 2),
        Ellipse(5.3, 4.1, 4.2, 1.1, 30),
        Ellipse(5.3, 4.1, 4.2, 1.1, -75.5),
        Ellipse(0, 0, 5, 5),
        Ellipse(11.9, 8.9, 20, 3, 10),
    ],
)
def test_an_ellipse_is_the_pixels_whose_centre_is_inside(ellipse: Ellipse) -> None:
    expected = np.zeros(SIZE, bool)
    angle = math.radians(ellipse.angle)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            x, y = column + 0.5 - ellipse.x, row + 0.5 - ellipse.y
            along = x * math.cos(angle) + y * math.sin(angle)
            beside = y * math.cos(angle) - x * math.sin(angle)
            share = (along / ellipse.radius_x) ** 2 + (beside / ellipse.radius_y) ** 2
            expected[row, column] = share <= 1
    np.testing.assert_array_equal(draw_mask(ellipse, SIZE), expected)


@pytest.mark.parametrize("width", [1.0, 2.0, 3.7])
@pytest.mark.parametrize(
    "points", [[[2.2, 3.3]], [[1, 1], [9, 6.5]], [[-4, 2], [6, 2], [6, 30]], [[3, 3], [3, 3]]]
)
def test_a_line_is_the_pixels_within_half_its_width(
    points: list[list[float]], width: float
) -> None:
    expected = np.zeros(SIZE, bool)
    ends = points if len(points) > 1 else points * 2
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            for (x0, y0), (x1, y1) in itertools.pairwise(ends):
                along = max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-300)
                share = ((column + 0.5 - x0) * (x1 - x0) + (row + 0.5 - y0) * (y1 - y0)) / along
                share = min(max(share, 0), 1)
                x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
                expected[row, column] |= math.hypot(column + 0.5 - x, row + 0.5 - y) <= width / 2
    for x, y in points:
        if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
            expected[math.floor(y), math.floor(x)] = True
    np.testing.assert_array_equal(draw_mask(Line(np.array(points, float), width), SIZE), expected)


def test_a_bitmap_is_clipped_at_the_image() -> None:
    pixels = np.arange(20).reshape(4, 5) % 3 > 0
    expected = np.zeros(SIZE, bool)
    expected[:2, :3] = pixels[2:, 2:]
    np.testing.assert_array_equal(draw_mask(Bitmap(-2, -2, pixels), SIZE), expected)
    expected = np.zeros(SIZE, bool)
    expected[7:, 10:] = pixels[:2, :2]
    np.testing.assert_array_equal(draw_mask(Bitmap(10, 7, pixels), SIZE), expected)


def test_a_patch_is_no_larger_than_the_shape() -> None:
    ring = np.array([[1000.2, 2000.2], [1003, 2000.2], [1003, 2004]])
    assert draw(Polygon([ring]), (5000, 5000)).pixels.shape == (4, 3)


@pytest.mark.parametrize(
    "shape",
    [
        Polygon([np.array([[0, 0], [1, 1], [2, math.nan]])]),
        Polygon([np.array([[0, 0], [1, 1], [2, 121]])]),
        Ellipse(3, math.nan, 2, 2),
        Ellipse(3, 3, 0, 2),
        Ellipse(3, 3, 2, math.inf),
        Ellipse(3, 3, 2, 2, math.nan),
        Line(np.array([[math.inf, 3]]), 2),
        Bitmap(-2000, 0, np.ones((2, 2), bool)),
    ],
)
def test_what_is_no_number_or_far_away_is_refused(shape: rasterise.Shape) -> None:
    with fails(DataError, "label-shape"):
        draw(shape, SIZE)


@pytest.mark.parametrize(
    "shape",
    [
        Polygon([np.array([[13, 0], [20, 0], [20, 5]], float)]),
        Ellipse(-5, 3, 4, 4),
        Line(np.array([[3.0, 20.0]]), 2),
        Bitmap(0, 10, np.ones((2, 2), bool)),
    ],
)
def test_a_shape_outside_the_image_is_refused(shape: rasterise.Shape) -> None:
    with fails(DataError, "label-outside", "12 x 9"):
        draw(shape, SIZE)


def test_a_polygon_of_too_many_crossings_is_refused_before_it_takes_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rasterise, "MOST_CROSSINGS", 100)
    ring = np.array([[0, -1], [5, 10]] * 20, float)
    with fails(DataError, "label-shape", "360", "100"):
        draw(Polygon([ring]), SIZE)
