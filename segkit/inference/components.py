"""Objects of a yes/no mask: connected sets of pixels, found by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

OBJECT_CONNECTIVITY = 8
"""Pixels of an object touch by a side or a corner."""
HOLE_CONNECTIVITY = 4
"""Pixels of a hole touch by a side, so that a diagonal line of an object separates two holes.

Source: Rosenfeld, Connectivity in digital pictures, 1970 (https://doi.org/10.1145/321556.321570).
"""


def remove_small_objects(mask: np.ndarray, smallest: int, only_largest: bool) -> np.ndarray:
    """Return a mask without its small objects.

    Args:
        mask: (H, W) bool.
        smallest: Objects of fewer pixels are removed.
        only_largest: Whether all objects but the largest are removed. Of several largest objects
            the first from the top stays.

    Returns:
        (H, W) bool. An empty mask stays empty.

    >>> mask = np.array([[True, False, True], [True, False, False]])
    >>> remove_small_objects(mask, smallest=2, only_largest=False).astype(int)
    array([[1, 0, 0],
           [1, 0, 0]])
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=OBJECT_CONNECTIVITY
    )
    if count == 1:
        return mask.astype(bool)
    pixels = stats[:, cv2.CC_STAT_AREA]
    keep = pixels >= smallest
    keep[0] = False  # label 0 is the outside
    if only_largest:
        largest = 1 + pixels[1:].argmax()
        keep &= np.arange(count) == largest
    return keep[labels]


def areas(mask: np.ndarray) -> np.ndarray:
    """Return the area of each object of a mask (H, W) bool in pixels, (N,).

    >>> areas(np.array([[True, False, True], [True, False, False]])).tolist()
    [2, 1]
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=OBJECT_CONNECTIVITY
    )
    return np.asarray(stats[1:, cv2.CC_STAT_AREA])


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """Return a mask (H, W) bool with its holes filled.

    A hole is a connected set of pixels outside the mask that does not touch the image's border.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=HOLE_CONNECTIVITY
    )
    rows, columns = mask.shape
    left = stats[:, cv2.CC_STAT_LEFT]
    top = stats[:, cv2.CC_STAT_TOP]
    right = left + stats[:, cv2.CC_STAT_WIDTH]
    bottom = top + stats[:, cv2.CC_STAT_HEIGHT]
    is_hole = (left > 0) & (top > 0) & (right < columns) & (bottom < rows)
    is_hole[0] = False  # label 0 is the mask itself
    return mask | is_hole[labels]
