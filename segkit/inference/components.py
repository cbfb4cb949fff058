"""Objects of a yes/no mask: connected sets of pixels, found by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

OBJECT, HOLE = 8, 4
"""Pixels of an object touch by a side or a corner, those of a hole by a side: the usual pair, in which a line drawn
corner to corner is one object and does separate (Rosenfeld, Connectivity in digital pictures, 1970)."""


def remove_small_objects(mask: np.ndarray, smallest: int, only_largest: bool) -> np.ndarray:
    """Return the mask (H, W) bool without objects of fewer than `smallest` pixels and, if asked, all but the largest.

    Of several largest ones the first from the top stays. An empty mask stays empty.

    >>> remove_small_objects(np.array([[True, False, True], [True, False, False]]), smallest=2, only_largest=False).astype(int)
    array([[1, 0, 0],
           [1, 0, 0]])
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=OBJECT
    )
    if count == 1:
        return mask.astype(bool)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= smallest
    keep[0] = False  # what is outside all objects
    if only_largest:
        keep &= np.arange(count) == 1 + areas[1:].argmax()
    return keep[labels]


def areas(mask: np.ndarray) -> np.ndarray:
    """Return the area of each object of a mask (H, W) bool in pixels, (N,).

    >>> areas(np.array([[True, False, True], [True, False, False]])).tolist()
    [2, 1]
    """
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=OBJECT)[2]
    return np.asarray(stats[1:, cv2.CC_STAT_AREA])


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """Return the mask (H, W) bool with its holes: what is outside it and not connected to the image's border."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=HOLE
    )
    left, top, width, height = stats[
        :, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]
    ].T
    rows, columns = mask.shape
    hole = (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows)
    hole[0] = False  # the mask itself
    return mask | hole[labels]
