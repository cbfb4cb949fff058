"""Statistics of the pixel values of an image: sums, percentiles, extremes, nodata, outliers."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from segkit.config.config import FAR

PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)
SAMPLED = 8192
"""Approximate number of pixels for the percentiles of images of more than 8 bits."""
BLOCK = 2**24
"""Pixels counted at a time: OpenCV counts in float32, which is exact up to this number."""
LEVELS = np.arange(256.0)
"""The values of 8 bits."""
NODATA = 0.001
"""Smallest share of the values for which an isolated value is taken for nodata."""
APART = 1.0
"""Smallest distance of an isolated value, in ranges between the outer percentiles of the others."""


class Intensities(NamedTuple):
    """Statistics of the values of an image with B bands."""

    counted: np.ndarray
    """Number of values of each band in `sums`, (B,) int64."""
    sums: np.ndarray
    """Sum and sum of squares of each band, (2, B) float64."""
    percentiles: np.ndarray
    """`PERCENTILES` of each band, (5, B) float64.

    They are exact for 8-bit images, and those of a regular grid of pixels for others.
    """
    low: float
    """Lowest value without nodata."""
    high: float
    """Highest value without nodata."""
    nodata: float | None = None
    """The value of pixels without a measurement: many pixels have it, far from all others."""
    outliers: int = 0
    """Number of values outside `far_limits`, without nodata."""


def intensities(image: np.ndarray) -> Intensities:
    """Return the statistics of an image's values.

    In images of more than 8 bits, one defective pixel can be a thousand times as bright as all
    others. There, NaN, infinity and nodata are left out of all statistics, and outliers enter the
    sums as the nearest value inside `far_limits`.

    Args:
        image: (H, W, B), at least one pixel.
    """
    if image.dtype != np.uint8:
        return _deep_intensities(image)
    counts = intensity_histogram(image)
    levels = np.flatnonzero(counts.any(axis=0))
    return Intensities(
        counted=counts.sum(axis=1),
        sums=np.stack([counts @ LEVELS, counts @ LEVELS**2]),
        percentiles=_percentiles_from_counts(counts),
        low=float(levels[0]),
        high=float(levels[-1]),
    )


def _deep_intensities(image: np.ndarray) -> Intensities:
    """Return the statistics of an image of more than 8 bits."""
    sampled = _sample_pixels(image)
    nodata = _find_nodata(sampled)
    used = _is_used(image, nodata)
    if not used.any():
        return _without_values(image.shape[-1])
    percentiles = _percentiles_of_used(sampled, _sample_pixels(used))
    limits = far_limits(percentiles)
    lowest, highest = _extremes(image, used)
    outliers = 0
    if (lowest < limits[0]).any() or (highest > limits[1]).any():
        outliers = int(np.count_nonzero(used & ((image < limits[0]) | (image > limits[1]))))
        image = np.clip(image, *limits)
    return Intensities(
        counted=used.sum(axis=(0, 1)),
        sums=_sums(image, used),
        percentiles=percentiles,
        low=float(lowest.min()),
        high=float(highest.max()),
        nodata=nodata,
        outliers=outliers,
    )


def far_limits(percentiles: np.ndarray) -> np.ndarray:
    """Return the limits beyond which a value is an outlier.

    They lie `FAR` times the range between the outer percentiles below and above it. A band with
    equal outer percentiles has no limits: its few other values are the objects.

    Args:
        percentiles: `PERCENTILES` of each band, (5, B).

    Returns:
        The lower and the upper limit of each band, (2, B).

    >>> far_limits(np.array([[10.0], [11], [12], [13], [14]])).ravel().tolist()
    [-30.0, 54.0]
    """
    lowest = percentiles[0]
    highest = percentiles[-1]
    margin = np.where(highest > lowest, FAR * (highest - lowest), np.inf)
    return np.stack([lowest - margin, highest + margin])


def usual_values(image: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest outer percentile of all bands, without nodata and NaN.

    Args:
        image: (H, W, B).

    Returns:
        The two values; 0 and 0 if the image has no value.

    >>> usual_values(np.array([[[3.0], [3.0]], [[3.0], [np.nan]]]))
    (3.0, 3.0)
    """
    sampled = _sample_pixels(image)
    used = _is_used(sampled, _find_nodata(sampled))
    if not used.any():
        return 0.0, 0.0
    percentiles = _percentiles_of_used(sampled, used)
    return float(percentiles[0].min()), float(percentiles[-1].max())


def without_oddities(image: np.ndarray, found: Intensities) -> np.ndarray:
    """Replace nodata and NaN by the median, and clip the values to the outer percentiles.

    Args:
        image: (H, W, B).
        found: Its statistics.

    Returns:
        (H, W, B) float32, or the image itself if it has no nodata, NaN or outliers.
    """
    if found.counted.sum() == image.size and not found.outliers:
        return image
    lowest, median, highest = found.percentiles[[0, PERCENTILES.index(50.0), -1]]
    used = _is_used(image, found.nodata)
    return np.where(used, np.clip(image, lowest, highest), median).astype(np.float32)


def intensity_histogram(image: np.ndarray) -> np.ndarray:
    """Return the number of pixels at each of the 256 levels of each band.

    Args:
        image: (H, W, B) uint8; it may be empty.

    Returns:
        The counts, (B, 256) int64.

    >>> intensity_histogram(np.array([[[0], [2], [2]]], np.uint8))[0, :4]
    array([1, 0, 2, 0])
    """
    counts = np.zeros((image.shape[-1], 256), np.int64)
    if not image.size:
        return counts
    rows = max(1, BLOCK // image.shape[1])
    for start in range(0, image.shape[0], rows):
        for first in range(0, image.shape[-1], 4):  # OpenCV takes pictures of up to 4 bands
            part = image[start : start + rows, :, first : first + 4]
            for band in range(part.shape[-1]):
                found = cv2.calcHist([part], [band], None, [256], [0, 256])
                counts[first + band] += found.ravel().astype(np.int64)
    return counts


def _percentiles_from_counts(counts: np.ndarray) -> np.ndarray:
    """Return the percentiles of counts (B, 256), with NumPy's linear interpolation, (5, B)."""
    total = int(counts[0].sum())
    place = np.array(PERCENTILES) / 100 * (total - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, total - 1)
    cumulated = counts.cumsum(axis=1)
    lower = np.stack([np.searchsorted(band, below, side="right") for band in cumulated], axis=-1)
    upper = np.stack([np.searchsorted(band, above, side="right") for band in cumulated], axis=-1)
    return lower + (upper - lower) * (place - below)[:, None]


def _sums(image: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return sum and sum of squares of the used values of each band, (2, B) float64."""
    if not used.all():
        values = np.where(used, image, 0).astype(np.float64)
        return np.stack([values.sum(axis=(0, 1)), (values**2).sum(axis=(0, 1))])
    means = []
    deviations = []
    for first in range(0, image.shape[-1], 4):  # OpenCV is several times as fast as NumPy
        part = np.ascontiguousarray(image[..., first : first + 4])
        mean, deviation = cv2.meanStdDev(part)
        means.append(mean.ravel())
        deviations.append(deviation.ravel())
    mean_of_bands = np.concatenate(means)
    variance = np.concatenate(deviations) ** 2
    pixels = image.shape[0] * image.shape[1]
    return np.stack([mean_of_bands * pixels, (variance + mean_of_bands**2) * pixels])


def _is_used(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Return a boolean array: which values are finite and not nodata."""
    used = np.isfinite(values)
    if nodata is not None:
        used &= values != nodata
    return used


def _extremes(image: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest used value of each band, (B,) each; infinite without one."""
    if used.all():
        return image.min(axis=(0, 1)), image.max(axis=(0, 1))
    lowest = np.where(used, image, np.inf).min(axis=(0, 1))
    highest = np.where(used, image, -np.inf).max(axis=(0, 1))
    return lowest, highest


def _percentiles_of_used(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the percentiles of the used values (N, B); a band without one gets those of all."""
    if used.all():
        return np.percentile(values, PERCENTILES, axis=0)
    bands = []
    for band in range(values.shape[-1]):
        known = values[used[:, band], band]
        if not known.size:
            known = values[used]
        bands.append(np.percentile(known, PERCENTILES))
    return np.stack(bands, axis=-1)


def _find_nodata(values: np.ndarray) -> float | None:
    """Return the lowest or highest value if many pixels have it, far from all others."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    for extreme in (known.min(), known.max()):
        others = known[known != extreme]
        is_many = known.size - others.size >= max(2, NODATA * known.size)
        # such as an opacity that is 65535 everywhere
        is_whole_band = (values == extreme).all(axis=0).any()
        if not is_many or is_whole_band or not others.size:
            continue
        low, high = np.percentile(others, (PERCENTILES[0], PERCENTILES[-1]))
        gap = np.abs(others.astype(np.float64) - float(extreme)).min()
        if high > low and gap > APART * (high - low):
            return float(extreme)
    return None


def _without_values(bands: int) -> Intensities:
    """Return the statistics of an image without a used value: zeros."""
    zeros = np.zeros((len(PERCENTILES), bands))
    return Intensities(np.zeros(bands, np.int64), zeros[:2], zeros, 0.0, 0.0)


def _sample_pixels(image: np.ndarray) -> np.ndarray:
    """Return about `SAMPLED` pixels on a regular grid, (N, B)."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // SAMPLED))
    return image[::step, ::step].reshape(-1, image.shape[-1])
