"""Images that are the same, or nearly so: copies that were saved anew, resized, or made brighter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint

ALIKE = 0.995
"""Correlation of two small copies from which images count as near duplicates.

Measured on photograph-like fields like those of `tests/light/inspection/test_near.py`, of 5 degrees of smoothness:
100 copies of each saved as JPEG of quality 60 correlate to 0.9998 and more, those of half the size to 0.9999, and 99
% of those made brighter by a fifth, where white clips, to 0.995. Of 179,400 pairs of independent ones none comes
above 0.985; of 64,750 pairs of images that are little more than one gradient (slope 3) one does, with 0.995.
"""
BLOCK = 2**24
"""Correlations computed at a time: bounds the memory."""
MOST = 1000
"""Pairs told of, across parts and as many within one: all frames of a film resemble each other."""


def same_images(facts: Sequence[SampleFingerprint]) -> list[list[SampleFingerprint]]:
    """Return groups of two or more samples with bit-equal images."""
    groups: dict[bytes, list[SampleFingerprint]] = {}
    for fact in facts:
        groups.setdefault(fact.digest, []).append(fact)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(
    facts: Sequence[SampleFingerprint],
) -> Iterator[tuple[SampleFingerprint, SampleFingerprint]]:
    """Yield pairs of samples whose small copies correlate, and whose images are not the same; at most `MOST` of a sort.

    Images without contrast look like nothing, and are left out.
    """
    seen = [
        fact for fact in facts if fact.thumbnail.std() > 1e-3 * max(abs(fact.low), abs(fact.high))
    ]
    if not seen:
        return
    small = np.stack([_standardised(fact.thumbnail) for fact in seen])
    kinds = {key: number for number, key in enumerate(dict.fromkeys(fact.part for fact in seen))}
    parts = np.array([kinds[fact.part] for fact in seen])
    left = {True: MOST, False: MOST}
    rows = max(1, BLOCK // len(seen))
    for start in range(0, len(seen), rows):
        alike = np.triu(small[start : start + rows] @ small[start:].T >= ALIKE, k=1)
        across = parts[start : start + rows, None] != parts[start:]
        for sort in (True, False):
            for row, column in np.argwhere(alike & (across == sort)):
                one, other = seen[start + row], seen[start + column]
                if left[sort] and one.digest != other.digest:
                    left[sort] -= 1
                    yield one, other


def _standardised(thumbnail: np.ndarray) -> np.ndarray:
    """Return it as a vector of mean 0 and length 1, so that the product of two is their correlation."""
    flat = thumbnail.ravel() - thumbnail.mean()
    return flat / np.linalg.norm(flat)
