"""Draws shapes as pixels: polygons with holes, ellipses, lines, points and bitmaps.

All shapes follow one convention. A coordinate is a distance in pixels from the upper left corner
of the image, with x to the right and y downwards. The pixel in row r and column c covers x from c
to c + 1 and y from r to r + 1, and its centre is (c + 0.5, r + 0.5). A pixel belongs to a shape if
its centre is inside. Two polygons that share an edge share no pixel and leave no gap.

`segkit.data.polygons` finds the polygons of a mask, and drawing them returns the same mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError

FARTHEST = 10
"""Largest distance of a coordinate from the image, in image sizes; no drawing slips farther."""
MOST_CROSSINGS = 100_000_000
"""Most rows of pixels that the edges of a polygon cross, all edges together."""
Size = tuple[int, int]
"""Height and width of an image, in pixels."""


class Polygon(NamedTuple):
    """A region between rings, by the even-odd rule: a ring inside another one is a hole."""

    rings: Sequence[np.ndarray]
    """Corners (N, 2) float64 of x and y; the last corner is joined to the first."""


class Ellipse(NamedTuple):
    """An ellipse; with equal radii it is a circle."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    angle: float = 0.0
    """Rotation about the centre in degrees, clockwise on the screen."""


class Line(NamedTuple):
    """The pixels within half a width of a line, and the pixels that contain its points.

    A single point is a disc.
    """

    points: np.ndarray
    """(N, 2) float64 of x and y."""
    width: float


class Points(NamedTuple):
    """The pixels that contain points."""

    points: np.ndarray
    """(N, 2) float64 of x and y."""


class Bitmap(NamedTuple):
    """Pixels in a box."""

    left: int
    top: int
    pixels: np.ndarray
    """(H, W) bool."""


Shape = Polygon | Ellipse | Line | Points | Bitmap


class Patch(NamedTuple):
    """The pixels of a shape inside an image."""

    top: int
    left: int
    pixels: np.ndarray
    """(H, W) bool."""

    @property
    def place(self) -> tuple[slice, slice]:
        """The rows and columns of the image that the pixels cover."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class _Box(NamedTuple):
    """Rows and columns of an image, from the first to the one after the last."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> Size:
        return self.bottom - self.top, self.right - self.left

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """The x (1, W) and y (H, 1) of the centres of the pixels."""
        x = np.arange(self.left, self.right)[None, :] + 0.5
        y = np.arange(self.top, self.bottom)[:, None] + 0.5
        return x, y


def draw(shape: Shape, size: Size) -> Patch:
    """Return the pixels of a shape.

    Args:
        shape: The shape. Parts of it outside the image are clipped.
        size: Height and width of the image, in pixels.

    Returns:
        The pixels, in the smallest box of the image that contains the shape.

    Raises:
        DataError: If a coordinate is no number or far away ("label-shape"), or if all of the shape
            is outside the image ("label-outside").

    >>> square = Polygon([np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)])
    >>> draw(square, (4, 3)).pixels.tolist()
    [[True, True], [True, True]]
    """
    if isinstance(shape, Polygon):
        return _draw_polygon(shape, size)
    if isinstance(shape, Ellipse):
        return _draw_ellipse(shape, size)
    if isinstance(shape, Line):
        return _draw_line(shape, size)
    if isinstance(shape, Points):
        return _draw_points(shape, size)
    return _draw_bitmap(shape, size)


def draw_mask(shape: Shape, size: Size) -> np.ndarray:
    """Return the pixels of a shape as a mask of the whole image, (H, W) bool; see `draw`."""
    mask = np.zeros(size, bool)
    patch = draw(shape, size)
    mask[patch.place] = patch.pixels
    return mask


def draw_in(shape: Shape, size: Size, rows: slice, columns: slice) -> Patch | None:
    """Return the pixels of a shape in an area of an image.

    Args:
        shape: The shape.
        size: Height and width of the image, in pixels.
        rows: Rows of the image, with start and stop.
        columns: Columns of the image.

    Returns:
        The pixels that `draw` returns, as far as they are in the area, and placed in it; None if
        there are none.

    Raises:
        DataError: If `draw` raises it.
    """
    if isinstance(shape, Polygon):
        box = _box_of_polygon(shape, size)
    else:
        patch = draw(shape, size)
        height, width = patch.pixels.shape
        box = _Box(patch.top, patch.top + height, patch.left, patch.left + width)
    inside = _Box(
        max(box.top, rows.start),
        min(box.bottom, rows.stop),
        max(box.left, columns.start),
        min(box.right, columns.stop),
    )
    if inside.top >= inside.bottom or inside.left >= inside.right:
        return None
    if isinstance(shape, Polygon):
        pixels = _inside_polygon(shape, inside)
    else:
        part = slice(inside.top - box.top, inside.bottom - box.top)
        pixels = patch.pixels[part, _columns(inside, box)]
    return Patch(inside.top - rows.start, inside.left - columns.start, pixels)


def _draw_polygon(polygon: Polygon, size: Size) -> Patch:
    box = _box_of_polygon(polygon, size)
    return Patch(box.top, box.left, _inside_polygon(polygon, box))


def _box_of_polygon(polygon: Polygon, size: Size) -> _Box:
    for ring in polygon.rings:
        check_coordinates(ring, size)
    return _box_of(np.concatenate(polygon.rings), size)


def _inside_polygon(polygon: Polygon, box: _Box) -> np.ndarray:
    """Return which pixels of a box are inside a polygon, (h, w) bool."""
    starts = np.concatenate(polygon.rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in polygon.rings])
    rows, x = _crossings(starts, ends, box)
    columns = np.clip(np.ceil(x - 0.5).astype(np.int64), box.left, box.right) - box.left
    height, width = box.size
    toggles = np.zeros((height, width + 1), np.uint8)
    np.bitwise_xor.at(toggles, (rows - box.top, columns), 1)
    inside = np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]
    return np.asarray(inside.astype(bool))


def _crossings(starts: np.ndarray, ends: np.ndarray, box: _Box) -> tuple[np.ndarray, np.ndarray]:
    """Return where edges cross the middle of rows: the rows (N,) and the x (N,).

    An edge crosses a row if the middle of the row is at or below its upper end, and above its lower
    end. Edges are taken downwards, so that an edge of two polygons has one x in both.
    """
    is_upward = starts[:, 1] > ends[:, 1]
    upper = np.where(is_upward[:, None], ends, starts)
    lower = np.where(is_upward[:, None], starts, ends)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), box.top, box.bottom).astype(np.int64)
    after_last = np.clip(np.ceil(lower[:, 1] - 0.5), box.top, box.bottom).astype(np.int64)
    counts = after_last - first
    total = int(counts.sum())
    if total > MOST_CROSSINGS:
        raise DataError(
            f"the edges of a polygon cross {total:,} rows of pixels; at most "
            f"{MOST_CROSSINGS:,} are read",
            "label-shape",
        )
    edges = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    rows = first[edges] + np.arange(total) - before[edges]
    down = rows + 0.5 - upper[edges, 1]
    height = lower[edges, 1] - upper[edges, 1]
    across = lower[edges, 0] - upper[edges, 0]
    return rows, upper[edges, 0] + down * across / height


def _draw_ellipse(ellipse: Ellipse, size: Size) -> Patch:
    check_coordinates(np.array([[ellipse.x, ellipse.y]]), size)
    radii = (ellipse.radius_x, ellipse.radius_y)
    farthest = FARTHEST * max(size)
    if not all(0 < radius <= farthest for radius in radii) or not math.isfinite(ellipse.angle):
        raise DataError(
            f"the radii of a circle or ellipse are numbers above 0 and at most {farthest}, and its "
            f"angle is a number; found {radii[0]:g}, {radii[1]:g} and {ellipse.angle:g}",
            "label-shape",
        )
    cosine = math.cos(math.radians(ellipse.angle))
    sine = math.sin(math.radians(ellipse.angle))
    reach_x = math.hypot(ellipse.radius_x * cosine, ellipse.radius_y * sine)
    reach_y = math.hypot(ellipse.radius_x * sine, ellipse.radius_y * cosine)
    reach = np.array([reach_x, reach_y])
    centre = np.array([ellipse.x, ellipse.y])
    box = _box_of(np.stack([centre - reach, centre + reach]), size)
    x, y = box.centres
    along = (x - ellipse.x) * cosine + (y - ellipse.y) * sine
    beside = (y - ellipse.y) * cosine - (x - ellipse.x) * sine
    inside = (along / ellipse.radius_x) ** 2 + (beside / ellipse.radius_y) ** 2 <= 1
    return Patch(box.top, box.left, inside)


def _draw_line(line: Line, size: Size) -> Patch:
    check_coordinates(line.points, size)
    half = line.width / 2
    corners = np.stack([line.points.min(0) - half, line.points.max(0) + half])
    box = _box_of(corners, size)
    pixels = np.zeros(box.size, bool)
    starts = line.points
    ends = line.points
    if len(line.points) > 1:
        starts = line.points[:-1]
        ends = line.points[1:]
    for start, end in zip(starts, ends, strict=True):
        around = np.stack([np.minimum(start, end) - half, np.maximum(start, end) + half])
        part = _clip(around, size)
        if min(part.size) > 0:
            near = _distances(part, start, end) <= half
            pixels[part.top - box.top : part.bottom - box.top, _columns(part, box)] |= near
    _mark(line.points, pixels, box)
    return Patch(box.top, box.left, pixels)


def _draw_points(shape: Points, size: Size) -> Patch:
    check_coordinates(shape.points, size)
    first = np.floor(shape.points)
    box = _box_of(np.concatenate([first, first + 1]), size)
    pixels = np.zeros(box.size, bool)
    _mark(shape.points, pixels, box)
    return Patch(box.top, box.left, pixels)


def _mark(points: np.ndarray, pixels: np.ndarray, box: _Box) -> None:
    """Set the pixels of a box that contain points (N, 2)."""
    for x, y in np.floor(points).astype(np.int64).tolist():
        if box.top <= y < box.bottom and box.left <= x < box.right:
            pixels[y - box.top, x - box.left] = True


def _columns(part: _Box, box: _Box) -> slice:
    return slice(part.left - box.left, part.right - box.left)


def _distances(box: _Box, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel's centre from a straight line between two points."""
    x, y = box.centres
    across, down = (end - start).tolist()
    squared = across * across + down * down
    share = np.zeros(box.size)
    if squared > 0:
        share = ((x - start[0]) * across + (y - start[1]) * down) / squared
        share = np.clip(share, 0, 1)
    return np.hypot(x - start[0] - share * across, y - start[1] - share * down)


def _draw_bitmap(bitmap: Bitmap, size: Size) -> Patch:
    height, width = bitmap.pixels.shape
    corners = np.array([[bitmap.left, bitmap.top], [bitmap.left + width, bitmap.top + height]])
    check_coordinates(corners.astype(float), size)
    box = _box_of(corners.astype(float), size)
    rows = slice(box.top - bitmap.top, box.bottom - bitmap.top)
    columns = slice(box.left - bitmap.left, box.right - bitmap.left)
    return Patch(box.top, box.left, bitmap.pixels[rows, columns].astype(bool))


def check_coordinates(points: np.ndarray, size: Size) -> None:
    """Check that coordinates are numbers that can belong to an image.

    Args:
        points: (N, 2) of x and y, in pixels.
        size: Height and width of the image.

    Raises:
        DataError: If a coordinate is NaN, or farther from the image than `FARTHEST` image sizes.
    """
    farthest = FARTHEST * max(size)
    is_near = (points >= -farthest) & (points <= farthest)  # False for NaN, too
    if not is_near.all():
        found = points[~is_near][0]
        raise DataError(
            f"coordinates are pixels, at most {farthest} from the image; found {found:g}",
            "label-shape",
        )


def _box_of(points: np.ndarray, size: Size) -> _Box:
    """Return the box of the image around points (N, 2). Raises `DataError` for an empty box."""
    box = _clip(points, size)
    if min(box.size) > 0:
        return box
    low = points.min(0)
    high = points.max(0)
    height, width = size
    is_inside_across = low[0] <= width and high[0] >= 0
    is_inside_down = low[1] <= height and high[1] >= 0
    if is_inside_across and is_inside_down:
        return _Box(box.top, max(box.top, box.bottom), box.left, max(box.left, box.right))
    raise DataError(
        f"lies outside the image of {width} x {height}: x from {low[0]:g} to {high[0]:g}, y from "
        f"{low[1]:g} to {high[1]:g}",
        "label-outside",
    )


def _clip(points: np.ndarray, size: Size) -> _Box:
    """Return the rows and columns of the image that the box around points (N, 2) touches."""
    height, width = size
    left, top = np.floor(points.min(0)).astype(np.int64).tolist()
    right, bottom = np.ceil(points.max(0)).astype(np.int64).tolist()
    top = min(max(top, 0), height)
    left = min(max(left, 0), width)
    bottom = min(max(bottom, top), height)
    right = min(max(right, left), width)
    return _Box(top, bottom, left, right)
