"""How bright the pixels of an image are: counts, sums, percentiles, extremes."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from segkit.config.config import FAR

PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)
SAMPLED = 8192
"""Pixels that the percentiles of images of more than 8 bits are taken from."""
BLOCK = 2**24
"""Pixels counted at a time: OpenCV gives counts as float32, which are exact up to here."""
LEVELS = np.arange(256.0)


NODATA = 0.001
"""Share of the values from which one value that lies apart from all others is taken for nodata."""
APART = 1.0
"""Times the distance between the outer percentiles of the others that it lies from the nearest of them."""


class Intensities(NamedTuple):
    """Of each of B bands."""

    counted: np.ndarray
    """Number of the values in `sums`, (B,) int64."""
    sums: np.ndarray
    """Sum and sum of squares, (2, B) float64."""
    percentiles: np.ndarray
    """`PERCENTILES`, (5, B) float64; of 8-bit images exact, of others those of a regular grid of pixels."""
    low: float
    """The lowest value, `nodata` left out."""
    high: float
    nodata: float | None = None
    """The value that stands where nothing was measured, as far as its distance to all others shows it."""
    outliers: int = 0
    """Number of outliers, `nodata` left out."""


def intensities(image: np.ndarray) -> Intensities:
    """Return the intensities of an image; of 8 bits all come from one count.

    Of more bits, a single defective pixel can be a thousand times as bright as all others. There, values that are not
    finite and `nodata` are left out of everything, and outliers count in the sums as the nearest value that is none.

    Args:
        image: (H, W, B) of one pixel or more.
    """
    if image.dtype != np.uint8:
        return _of_more_bits(image)
    counts = intensity_histogram(image)
    found = np.flatnonzero(counts.any(axis=0))
    sums = np.stack([counts @ LEVELS, counts @ LEVELS**2])
    return Intensities(
        counts.sum(axis=1), sums, _percentiles(counts), float(found[0]), float(found[-1])
    )


def _of_more_bits(image: np.ndarray) -> Intensities:
    some = _some(image)
    nodata = _nodata(some)
    used = _used(image, nodata)
    if not used.any():
        return _nothing(image.shape[-1])
    percentiles = _percentiles_of(some, _some(used))
    limits = far_limits(percentiles)
    lowest, highest = _extremes(image, used)
    outliers = 0
    if (lowest < limits[0]).any() or (highest > limits[1]).any():
        outliers = int(np.count_nonzero(used & ((image < limits[0]) | (image > limits[1]))))
        image = np.clip(image, *limits)
    return Intensities(
        counted=used.sum(axis=(0, 1)),
        sums=_sums(image) if used.all() else _sums_of(image, used),
        percentiles=percentiles,
        low=float(lowest.min()),
        high=float(highest.max()),
        nodata=nodata,
        outliers=outliers,
    )


def far_limits(percentiles: np.ndarray) -> np.ndarray:
    """Return between which values a band has no outliers: up to `FAR` times their distance from the outer percentiles.

    Args:
        percentiles: `PERCENTILES` of each band, (5, B). Where the outer ones are equal there are no outliers: a band in
            which 99 % of the pixels have one value consists of the others.

    Returns:
        The lower and the upper limit of each band, (2, B).

    >>> far_limits(np.array([[10.0], [11], [12], [13], [14]])).ravel().tolist()
    [-30.0, 54.0]
    """
    lowest, highest = percentiles[0], percentiles[-1]
    room = np.where(highest > lowest, FAR * (highest - lowest), np.inf)
    return np.stack([lowest - room, highest + room])


def usual_values(image: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest outer percentile of the bands of an image (H, W, B), without nodata and NaN.

    >>> usual_values(np.array([[[3.0], [3.0]], [[3.0], [np.nan]]]))
    (3.0, 3.0)
    """
    some = _some(image)
    used = _used(some, _nodata(some))
    if not used.any():
        return 0.0, 0.0
    percentiles = _percentiles_of(some, used)
    return float(percentiles[0].min()), float(percentiles[-1].max())


def without_oddities(image: np.ndarray, found: Intensities) -> np.ndarray:
    """Return the image with the median in place of nodata and NaN, and without outliers; itself if it has none.

    Args:
        image: (H, W, B).
        found: Its intensities.

    Returns:
        (H, W, B) float32, or the image itself.
    """
    if found.counted.sum() == image.size and not found.outliers:
        return image
    lowest, median, highest = found.percentiles[[0, PERCENTILES.index(50.0), -1]]
    return np.where(_used(image, found.nodata), np.clip(image, lowest, highest), median).astype(
        np.float32
    )


def intensity_histogram(image: np.ndarray) -> np.ndarray:
    """Return how many pixels of an image (H, W, B) uint8 have each of the 256 levels, (B, 256) int64.

    >>> intensity_histogram(np.array([[[0], [2], [2]]], np.uint8))[0, :4]
    array([1, 0, 2, 0])
    """
    counts = np.zeros((image.shape[-1], 256), np.int64)
    rows = max(1, BLOCK // max(1, image.shape[1]))
    for start in range(0, image.shape[0] if image.size else 0, rows):
        for first in range(0, image.shape[-1], 4):  # OpenCV takes pictures of up to 4 bands
            part = image[start : start + rows, :, first : first + 4]
            for band in range(part.shape[-1]):
                counts[first + band] += (
                    cv2.calcHist([part], [band], None, [256], [0, 256]).ravel().astype(np.int64)
                )
    return counts


def _percentiles(counts: np.ndarray) -> np.ndarray:
    """Return the percentiles that NumPy's linear interpolation gives, from counts (B, 256)."""
    total = int(counts[0].sum())
    place = np.array(PERCENTILES) / 100 * (total - 1)
    below = np.floor(place).astype(np.int64)
    both = np.stack([below, np.minimum(below + 1, total - 1)])
    one, other = np.stack(
        [np.searchsorted(band, both, side="right") for band in counts.cumsum(axis=1)], axis=-1
    )
    return one + (other - one) * (place - below)[:, None]


def _sums(image: np.ndarray) -> np.ndarray:
    """Return sum and sum of squares; mean and deviation are OpenCV's, several times as fast as NumPy's."""
    pixels = image.shape[0] * image.shape[1]
    moments = [
        cv2.meanStdDev(np.ascontiguousarray(image[..., i : i + 4]))
        for i in range(0, image.shape[-1], 4)
    ]
    mean = np.concatenate([m.ravel() for m, _ in moments])
    deviation = np.concatenate([d.ravel() for _, d in moments])
    return np.stack([mean * pixels, (deviation**2 + mean**2) * pixels])


def _used(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Return which values belong to the statistics."""
    finite = np.isfinite(values)
    return finite if nodata is None else finite & (values != nodata)


def _extremes(image: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each band among those that are used, (B,) each; infinite without one."""
    if used.all():
        return image.min(axis=(0, 1)), image.max(axis=(0, 1))
    lowest = np.where(used, image, np.inf).min(axis=(0, 1))
    highest = np.where(used, image, -np.inf).max(axis=(0, 1))
    return lowest, highest


def _sums_of(image: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return sum and sum of squares of the values that are used."""
    values = np.where(used, image, 0).astype(np.float64)
    return np.stack([values.sum(axis=(0, 1)), (values**2).sum(axis=(0, 1))])


def _percentiles_of(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the percentiles of the values (N, B) that are used; a band without one has those of all bands."""
    if used.all():
        return np.percentile(values, PERCENTILES, axis=0)
    bands = []
    for band in range(values.shape[-1]):
        known = values[used[:, band], band]
        bands.append(np.percentile(known if known.size else values[used], PERCENTILES))
    return np.stack(bands, axis=-1)


def _nodata(values: np.ndarray) -> float | None:
    """Return the lowest or the highest value if many pixels have it and it lies apart from all others, else None."""
    known = values[np.isfinite(values)]
    for extreme in (known.min(), known.max()) if known.size else ():
        others = known[known != extreme]
        is_many = known.size - others.size >= max(2, NODATA * known.size)
        is_whole_band = (
            (values == extreme).all(axis=0).any()
        )  # such as an opacity that is 65535 everywhere
        if not is_many or is_whole_band or not others.size:
            continue
        low, high = np.percentile(others, (PERCENTILES[0], PERCENTILES[-1]))
        gap = np.abs(others.astype(np.float64) - float(extreme)).min()
        if high > low and gap > APART * (high - low):
            return float(extreme)
    return None


def _nothing(bands: int) -> Intensities:
    """Return the intensities of an image without a value that counts."""
    zeros = np.zeros((len(PERCENTILES), bands))
    return Intensities(np.zeros(bands, np.int64), zeros[:2], zeros, 0.0, 0.0)


def _some(image: np.ndarray) -> np.ndarray:
    """Return pixels on a regular grid, (N, B)."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // SAMPLED))
    return image[::step, ::step].reshape(-1, image.shape[-1])
