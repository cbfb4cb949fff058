"""Equal and nearly equal images: copies that were compressed, resized or made brighter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint

ALIKE = 0.995
"""Smallest correlation of the thumbnails of near duplicates.

It was measured on smooth random fields like photographs (tests/light/inspection/test_near.py).
100 copies saved as JPEG of quality 60 correlate to at least 0.9998, copies of half the size to
0.9999, and 99 % of the copies made brighter by a fifth, with clipped white, to 0.995. None of
179,400 pairs of independent images exceeds 0.985. Of 64,750 pairs of images that are hardly more
than one gradient (slope 3), one pair reaches 0.995.
"""
BLOCK = 2**24
"""Correlations computed at a time; it limits the memory."""
MOST = 1000
"""Largest number of reported pairs across parts, and within parts.

All frames of a film are alike.
"""


def same_images(facts: Sequence[SampleFingerprint]) -> list[list[SampleFingerprint]]:
    """Return groups of two or more samples with equal pixels."""
    groups: dict[bytes, list[SampleFingerprint]] = {}
    for fact in facts:
        groups.setdefault(fact.digest, []).append(fact)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(
    facts: Sequence[SampleFingerprint],
) -> Iterator[tuple[SampleFingerprint, SampleFingerprint]]:
    """Yield pairs of samples whose images are nearly, but not exactly, the same.

    Images without contrast are left out. At most `MOST` pairs across parts and `MOST` pairs
    within parts are yielded.
    """
    usable = [fact for fact in facts if _has_contrast(fact)]
    if not usable:
        return
    thumbnails = np.stack([_standardised(fact.thumbnail) for fact in usable])
    parts = np.unique([fact.part for fact in usable], return_inverse=True)[1]
    remaining = {True: MOST, False: MOST}
    rows = max(1, BLOCK // len(usable))
    for start in range(0, len(usable), rows):
        correlation = thumbnails[start : start + rows] @ thumbnails[start:].T
        alike = np.triu(correlation >= ALIKE, k=1)
        across = parts[start : start + rows, None] != parts[start:]
        for is_across in (True, False):
            for row, column in np.argwhere(alike & (across == is_across)):
                one = usable[start + row]
                other = usable[start + column]
                if remaining[is_across] and one.digest != other.digest:
                    remaining[is_across] -= 1
                    yield one, other


def near_groups(facts: Sequence[SampleFingerprint]) -> list[list[str]]:
    """Return the names of samples that are connected by nearly equal images, two or more in each.

    Neighbours in a series are nearly equal, so a whole series is one list, even if its ends differ.
    Images without contrast are left out.
    """
    usable = [fact for fact in facts if _has_contrast(fact)]
    if not usable:
        return []
    thumbnails = np.stack([_standardised(fact.thumbnail) for fact in usable])
    labels = np.arange(len(usable))
    rows = max(1, BLOCK // len(usable))
    for start in range(0, len(usable), rows):
        alike = thumbnails[start : start + rows] @ thumbnails.T >= ALIKE
        for row in alike:
            connected = np.unique(labels[row])
            if len(connected) > 1:
                labels[np.isin(labels, connected)] = connected[0]
    groups: dict[int, list[str]] = {}
    for fact, label in zip(usable, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(fact.name)
    return [group for group in groups.values() if len(group) > 1]


def _has_contrast(fact: SampleFingerprint) -> bool:
    return bool(fact.thumbnail.std() > 1e-3 * max(abs(fact.low), abs(fact.high)))


def _standardised(thumbnail: np.ndarray) -> np.ndarray:
    """Return it as a vector of mean 0 and length 1; products of these are correlations."""
    flat = thumbnail.ravel() - thumbnail.mean()
    return flat / np.linalg.norm(flat)
