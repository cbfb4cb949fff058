"""Distances between the outlines of a true and a predicted mask of one class.

Definitions:

* The *surface* of a mask is the mask minus its erosion by one pixel (4 neighbours). Outside the
  image nothing belongs to a mask, so a mask that touches the border has a surface there.
* *HD95* is the larger of the two directed 95th percentiles of the distances between the surfaces
  (Taha and Hanbury, 2015, https://doi.org/10.1186/s12880-015-0068-x; MONAI defines it so, too).
* The *average surface distance* is the mean of all distances of both directions (symmetric ASSD).
* The *normalised surface Dice* at a tolerance is the share of the pixels of both surfaces that lie
  within the tolerance of the other surface (Nikolov et al., 2018, https://arxiv.org/abs/1809.04430).
  Each surface pixel counts as one.
* *Boundary IoU* is the IoU of the pixels of each mask that lie within a band along its outline
  (Cheng et al., 2021, https://arxiv.org/abs/2103.16562).

Empty masks: if both are empty, every score is NaN and the image is left out of means. If one is
empty, distances are the image's diagonal and overlaps are 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

BAND = 0.02
"""Width of the band of boundary IoU, as a share of the image's diagonal."""
TOLERANCE = 2.0
"""Default tolerance of the normalised surface Dice, in the unit of the spacing."""
PERCENTILE = 95.0


class BoundaryScores(NamedTuple):
    """Boundary scores of one class in one image; NaN where both masks are empty."""

    hd95: float
    """In the unit of the spacing."""
    average_surface_distance: float
    """In the unit of the spacing."""
    surface_dice: float
    """0 to 1."""
    boundary_iou: float
    """0 to 1."""


class SurfaceDistances(NamedTuple):
    """Distances between two surfaces, in the unit of the spacing."""

    to_truth: np.ndarray
    """Distance of each pixel of the predicted surface to the true surface, (N,) float64."""
    to_prediction: np.ndarray
    """Distance of each pixel of the true surface to the predicted surface, (M,) float64."""


def boundary_scores(
    truth: np.ndarray,
    predicted: np.ndarray,
    spacing: tuple[float, float] = (1.0, 1.0),
    tolerance: float = TOLERANCE,
    band: float = BAND,
) -> BoundaryScores:
    """Compute the boundary scores of one class in one image.

    Args:
        truth: True mask, (H, W) bool.
        predicted: Predicted mask, (H, W) bool.
        spacing: Height and width of a pixel, in any unit; (1, 1) gives distances in pixels.
        tolerance: Tolerance of the normalised surface Dice, 0 or more, in the unit of `spacing`.
        band: Width of the band of boundary IoU as a share of the image's diagonal, 0 to 1.

    Returns:
        The scores. All are NaN if both masks are empty; if one is empty, the distances are the
        image's diagonal and the overlaps are 0.

    >>> square = np.zeros((9, 9), bool)
    >>> square[2:5, 2:5] = True
    >>> boundary_scores(square, np.roll(square, 1, axis=1)).hd95
    1.0
    """
    if not truth.any() and not predicted.any():
        return BoundaryScores(math.nan, math.nan, math.nan, math.nan)
    if not truth.any() or not predicted.any():
        longest = diagonal(truth.shape, spacing)
        return BoundaryScores(longest, longest, 0.0, 0.0)
    distances = surface_distances(truth, predicted, spacing)
    return BoundaryScores(
        hd95=hausdorff95(distances),
        average_surface_distance=average_distance(distances),
        surface_dice=surface_dice(distances, tolerance),
        boundary_iou=boundary_iou(truth, predicted, band),
    )


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)
) -> SurfaceDistances:
    """Measure the distances between the surfaces of two masks.

    Args:
        truth: True mask, (H, W) bool, not empty.
        predicted: Predicted mask, (H, W) bool, not empty.
        spacing: Height and width of a pixel.

    Returns:
        The distances in both directions, in the unit of `spacing`.
    """
    rows, columns = _shared_box(truth, predicted)
    true_surface = surface(truth)[rows, columns]
    predicted_surface = surface(predicted)[rows, columns]
    return SurfaceDistances(
        to_truth=_distance_to(true_surface, spacing)[predicted_surface],
        to_prediction=_distance_to(predicted_surface, spacing)[true_surface],
    )


def surface(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask (H, W) bool that touch its outside or the image's border."""
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inside


def hausdorff95(distances: SurfaceDistances) -> float:
    """Return the larger of the two directed 95th percentiles (linear interpolation)."""
    there = np.percentile(distances.to_truth, PERCENTILE)
    back = np.percentile(distances.to_prediction, PERCENTILE)
    return float(max(there, back))


def average_distance(distances: SurfaceDistances) -> float:
    """Return the mean of all distances of both directions."""
    return float(np.concatenate(distances).mean())


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Return the share of both surfaces' pixels within `tolerance` of the other surface."""
    return float((np.concatenate(distances) <= tolerance).mean())


def boundary_iou(truth: np.ndarray, predicted: np.ndarray, band: float = BAND) -> float:
    """Compute the IoU of the bands along the inside of two masks' outlines.

    Args:
        truth: True mask, (H, W) bool.
        predicted: Predicted mask, (H, W) bool.
        band: Width of the band as a share of the image's diagonal; at least one pixel.

    Returns:
        0 to 1; NaN if both masks are empty.
    """
    width = max(1, round(band * diagonal(truth.shape)))
    true_band = _band(truth, width)
    predicted_band = _band(predicted, width)
    union = np.count_nonzero(true_band | predicted_band)
    if not union:
        return math.nan
    return np.count_nonzero(true_band & predicted_band) / union


def diagonal(shape: tuple[int, ...], spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the diagonal of an image of a shape (H, W), in the unit of the spacing.

    >>> diagonal((3, 4))
    5.0
    """
    return math.hypot(shape[0] * spacing[0], shape[1] * spacing[1])


def _distance_to(pixels: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    from scipy import ndimage  # takes longer to import than all of this module

    return ndimage.distance_transform_edt(~pixels, sampling=spacing)


def _band(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a mask within `width` pixels (chessboard distance) of its outside."""
    import cv2

    padded = np.pad(mask, 1).astype(np.uint8)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask & (eroded[1:-1, 1:-1] == 0)


def _shared_box(first: np.ndarray, second: np.ndarray) -> tuple[slice, slice]:
    """Return the smallest box that holds both masks."""
    both = first | second
    rows = np.flatnonzero(both.any(axis=1))
    columns = np.flatnonzero(both.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
