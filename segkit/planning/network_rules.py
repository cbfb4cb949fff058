"""Rules that choose the size of the training patches and the network from the data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.input_statistics import with_measurements
from segkit.planning.choices import Choice

LARGEST_CROP = 512
"""Upper limit of a patch's side in pixels; classes of larger objects may double it."""
CROP_STEP = 32
"""A limit above `LARGEST_CROP` is a multiple of this, in pixels."""
SMALLEST_FEATURES = 8
"""Fewest rows and columns of the deepest features."""
SMALLEST_FEATURES_BELOW_STEM = 4
"""The same below a stem, where further levels are cheap; nnU-Net uses 4 everywhere."""
DEEPEST = 6
"""Upper limit of `model.depth`."""
VARIED = 0.33
"""Share of the variance between images from which small batches are normalized image by image.

docs/decisions/0018 has the measurements.
"""


def choose_network(
    facts: Sequence[SampleFingerprint], object_areas: Sequence[np.ndarray], small_batches: bool
) -> dict[str, Choice]:
    """Choose the patch and the network.

    Args:
        facts: The fingerprint of each sample.
        object_areas: The areas of the objects of each foreground class, in pixels.
        small_batches: Whether a batch has two images.

    Returns:
        The choice of each setting by its name.
    """
    median_size = np.median([fact.size for fact in facts], axis=0)
    limit = largest_crop(object_areas)
    crop = [int(min(limit, size)) for size in median_size]
    return {
        "train.crop": Choice(crop, _explain_crop(median_size, limit)),
        "model.depth": _choose_depth(crop),
        "model.width": Choice(
            32, "Channels at full resolution. They are doubled at each level, as in nnU-Net."
        ),
        "model.widest": Choice(512, "This is nnU-Net's limit in 2D."),
        "model.normalization": _choose_normalization(share_between_images(facts), small_batches),
    }


def share_between_images(facts: Sequence[SampleFingerprint]) -> float:
    """Return which share of the variance of pixel values is the variance of the images' means.

    Args:
        facts: The fingerprint of each sample.

    Returns:
        The median over the bands, from 0 to 1; 0 if all pixels are equal. Grey images count as RGB
        if others are RGB.
    """
    channels = max(fact.bands for fact in facts)
    measured = with_measurements(facts)
    counted = np.array([np.broadcast_to(fact.counted, channels) for fact in measured], float)
    sums = np.array([np.broadcast_to(fact.sums[0], channels) for fact in measured])
    squares = np.array([np.broadcast_to(fact.sums[1], channels) for fact in measured])
    pixels = np.maximum(counted.sum(0), 1)
    mean = sums.sum(0) / pixels
    total = squares.sum(0) / pixels - mean**2
    deviations = sums / np.maximum(counted, 1) - mean
    between = (counted * deviations**2).sum(0) / pixels
    shares = np.divide(between, total, out=np.zeros(channels), where=total > 1e-9 * mean**2)
    return float(np.clip(np.median(shares), 0, 1))


def _choose_normalization(share: float, small_batches: bool) -> Choice:
    """Choose by the share of the variance of pixel values that lies between images."""
    faster = (
        "In prediction, batch normalization becomes part of the convolutions. Prediction is then "
        "up to twice as fast as with nnU-Net's instance normalization."
    )
    if not small_batches:
        return Choice("batch", faster)
    found = f"{100 * share:.0f} % of the variance of pixel values lies between images"
    if share < VARIED:
        return Choice(
            "batch",
            f"{faster} Both reach about the same scores where images are alike: here {found}.",
        )
    return Choice(
        "instance",
        f"Images differ in brightness or colour: {found}. From {100 * VARIED:.0f} % on, each image "
        f"is normalized by itself, as in nnU-Net. Networks with batch normalization and batches of "
        f"2 were then worse on new images. Prediction takes up to twice as long as with it.",
    )


def largest_crop(object_areas: Sequence[np.ndarray]) -> int:
    """Return the upper limit of a patch's side: twice the side of large objects.

    Args:
        object_areas: The areas of the objects of each foreground class, in pixels.

    Returns:
        Twice the side of the median object of the class with the largest objects, in pixels, as a
        multiple of `CROP_STEP`. It is at least `LARGEST_CROP` and at most twice that.
    """
    limit: float = LARGEST_CROP
    for areas in object_areas:
        if areas.size:
            limit = max(limit, 2 * math.sqrt(np.median(areas)))
    limit = min(limit, 2 * LARGEST_CROP)
    return CROP_STEP * math.ceil(limit / CROP_STEP)


def _explain_crop(median_size: np.ndarray, limit: int) -> str:
    patch = "A patch has the size of the median image"
    if max(median_size) > limit:
        patch += f", at most {limit} pixels per side"
        if limit > LARGEST_CROP:
            patch += ", which holds the median object of the largest class twice"
    return (
        f"{patch}. More context improves the masks, and memory limits it. nnU-Net starts from the "
        f"median image, too."
    )


def smallest_features(stem: int) -> int:
    """Return the fewest rows and columns of the deepest features after a stem."""
    return SMALLEST_FEATURES if stem == 1 else SMALLEST_FEATURES_BELOW_STEM


def depth_for(crop: Sequence[int], stem: int) -> int:
    """Return how often the features of a patch are halved after a stem.

    Args:
        crop: Height and width of the patch in pixels.
        stem: The factor by which the stem reduces the resolution: 1, 2 or 4.

    Returns:
        The largest depth from 1 to `DEEPEST` that leaves `smallest_features(stem)` rows and
        columns; 1 for patches that are too small for it.

    >>> depth_for((512, 512), 1), depth_for((217, 181), 4)
    (6, 3)
    """
    ratio = min(crop) / stem / smallest_features(stem)
    halvings = int(math.log2(max(1.0, ratio)))
    return max(1, min(DEEPEST, halvings))


def _choose_depth(crop: Sequence[int]) -> Choice:
    depth = depth_for(crop, 1)
    return Choice(
        depth,
        f"The resolution is halved while {SMALLEST_FEATURES} rows and columns or more are left; "
        f"here {min(crop) // 2**depth} are. nnU-Net stops at 4, but at full resolution the last "
        f"level is slow and improves little.",
    )
