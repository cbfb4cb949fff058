"""How bright the pixels of an image are: counts, sums, percentiles, extremes."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)
SAMPLED = 8192
"""Pixels that the percentiles of images of more than 8 bits are taken from."""
BLOCK = 2**24
"""Pixels counted at a time: OpenCV gives counts as float32, which are exact up to here."""
LEVELS = np.arange(256.0)


class Intensities(NamedTuple):
    """Of each of B bands."""

    sums: np.ndarray
    """Sum and sum of squares, (2, B) float64."""
    percentiles: np.ndarray
    """`PERCENTILES`, (5, B) float64; of 8-bit images exact, of others those of a regular grid of pixels."""
    low: float
    high: float


def intensities(image: np.ndarray) -> Intensities:
    """Return the intensities of an image (H, W, B) of one pixel or more; of 8 bits all come from one count."""
    if image.dtype != np.uint8:
        percentiles = np.percentile(_some(image), PERCENTILES, axis=0)
        return Intensities(_sums(image), percentiles, float(image.min()), float(image.max()))
    counts = histogram(image)
    found = np.flatnonzero(counts.any(axis=0))
    sums = np.stack([counts @ LEVELS, counts @ LEVELS**2])
    return Intensities(sums, _percentiles(counts), float(found[0]), float(found[-1]))


def histogram(image: np.ndarray) -> np.ndarray:
    """Return how many pixels of an image (H, W, B) uint8 have each of the 256 levels, (B, 256) int64.

    >>> histogram(np.array([[[0], [2], [2]]], np.uint8))[0, :4]
    array([1, 0, 2, 0])
    """
    counts = np.zeros((image.shape[-1], 256), np.int64)
    rows = max(1, BLOCK // max(1, image.shape[1]))
    for start in range(0, image.shape[0] if image.size else 0, rows):
        for first in range(0, image.shape[-1], 4):  # OpenCV takes pictures of up to 4 bands
            part = image[start : start + rows, :, first : first + 4]
            for band in range(part.shape[-1]):
                counts[first + band] += cv2.calcHist([part], [band], None, [256], [0, 256]).ravel().astype(np.int64)
    return counts


def _percentiles(counts: np.ndarray) -> np.ndarray:
    """Return the percentiles that NumPy's linear interpolation gives, from counts (B, 256)."""
    total = int(counts[0].sum())
    place = np.array(PERCENTILES) / 100 * (total - 1)
    below = np.floor(place).astype(np.int64)
    both = np.stack([below, np.minimum(below + 1, total - 1)])
    one, other = np.stack([np.searchsorted(band, both, side="right") for band in counts.cumsum(axis=1)], axis=-1)
    return one + (other - one) * (place - below)[:, None]


def _sums(image: np.ndarray) -> np.ndarray:
    """Return sum and sum of squares; mean and deviation are OpenCV's, several times as fast as NumPy's."""
    pixels = image.shape[0] * image.shape[1]
    moments = [cv2.meanStdDev(np.ascontiguousarray(image[..., i : i + 4])) for i in range(0, image.shape[-1], 4)]
    mean = np.concatenate([m.ravel() for m, _ in moments])
    deviation = np.concatenate([d.ravel() for _, d in moments])
    return np.stack([mean * pixels, (deviation**2 + mean**2) * pixels])


def _some(image: np.ndarray) -> np.ndarray:
    """Return pixels on a regular grid, (N, B)."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // SAMPLED))
    return image[::step, ::step].reshape(-1, image.shape[-1])
