"""Points that grow to discs over the unlabelled pixels around them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from segkit.config import DataConfig
from segkit.data.sources.source import Sample, Source, void_where_invalid
from segkit.data.sources.wrapped import WrappedSource
from segkit.errors import ConfigError
from segkit.task import VOID
from segkit.task.layers import planes_of

LARGEST_DOT = 3
"""Largest height and width of a group of labelled pixels that is a point."""
_NEIGHBOURS = np.ones((3, 3), bool)
"""Pixels that touch, also at their corners, are one group."""


class GrownPoints(WrappedSource):
    """The samples of another source, with points that are discs.

    Args:
        source: The other source.
        radius: The radius of the discs, in pixels.
    """

    def __init__(self, source: Source, radius: float) -> None:
        super().__init__(source)
        self._radius = radius
        self._has_read = False
        self._has_grown = False

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        doubts = list(getattr(self.source, "decisions", []))
        if self._has_read and not self._has_grown:
            doubts += [
                (
                    "points",
                    "no mask has a point with unlabelled pixels around it, so data.point_radius "
                    "changes nothing. If the pixels around the points are stored as a value of "
                    "their own, name it void in data.mask_values",
                )
            ]
        return doubts

    def read(self, name: str) -> Sample:
        """Read a sample; raises `DataError` if that fails."""
        sample = self.source.read(name)
        mask = sample.mask.copy()
        for plane in planes_of(mask):
            plane[:] = grow_points(plane, self._radius)
        self._has_read = True
        self._has_grown |= bool((mask != sample.mask).any())
        return sample._replace(mask=void_where_invalid(mask, sample.valid))


def check_points(data: DataConfig, outside_is_void: bool) -> None:
    """Check that points can grow, in a source of shapes.

    Args:
        data: The `data` section of a config.
        outside_is_void: Whether pixels outside of all shapes are unlabelled.

    Raises:
        ConfigError: If they cannot.
    """
    if data.point_radius is not None and not outside_is_void:
        raise ConfigError(
            "points grow over unlabelled pixels, and pixels outside of all shapes are background. "
            "If nobody labelled them, set data.outside_shapes: void; if they are background, draw "
            "points with data.line_width",
            "contradiction",
            setting="data.point_radius",
        )


def grow_points(mask: np.ndarray, radius: float) -> np.ndarray:
    """Return a mask in which points have grown over the unlabelled pixels around them.

    A point is a group of labelled pixels that is at most `LARGEST_DOT` pixels high and wide. Where
    the discs of two points meet, each pixel belongs to the nearer point. No other label changes.

    Args:
        mask: (H, W) uint8, in which VOID is unlabelled.
        radius: The largest distance of a pixel from the point, in pixels between their centres.

    Returns:
        A new mask, or the mask itself if it has no point.

    >>> mask = np.full((3, 4), VOID, np.uint8)
    >>> mask[1, 1] = 7
    >>> grow_points(mask, 1).tolist()
    [[255, 7, 255, 255], [7, 7, 7, 255], [255, 7, 255, 255]]
    """
    is_point = _points_in(mask != VOID)
    if not is_point.any():
        return mask
    distances, nearest = ndimage.distance_transform_edt(~is_point, return_indices=True)
    grown = (mask == VOID) & (distances <= radius)
    rows, columns = nearest
    return np.where(grown, mask[rows, columns], mask)


def _points_in(labelled: np.ndarray) -> np.ndarray:
    """Return the pixels of labelled groups that are points, (H, W) bool."""
    groups, count = ndimage.label(labelled, _NEIGHBOURS)
    is_point = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(groups), start=1):
        height = rows.stop - rows.start
        width = columns.stop - columns.start
        is_point[number] = max(height, width) <= LARGEST_DOT
    return np.asarray(is_point[groups])
