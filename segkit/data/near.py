"""Images that are the same, or nearly so: copies that were saved anew, resized, or made brighter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.data.survey import Facts

ALIKE = 0.995
"""Correlation of two small copies from which images count as near duplicates.

Photographs saved anew as JPEG, at half the size, or brighter by a fifth correlate to 0.997 and more.
"""
BLOCK = 2048
"""Images compared with all others at a time: bounds the memory."""


def same_images(facts: Sequence[Facts]) -> list[list[Facts]]:
    """Return groups of two or more samples with bit-equal images."""
    groups: dict[bytes, list[Facts]] = {}
    for fact in facts:
        groups.setdefault(fact.digest, []).append(fact)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(facts: Sequence[Facts]) -> Iterator[tuple[Facts, Facts]]:
    """Yield pairs of samples whose small copies correlate, and whose images are not the same.

    Images without contrast look like nothing, and are left out.
    """
    seen = [fact for fact in facts if fact.thumbnail.std() > 1e-3 * max(1.0, abs(fact.high))]
    if not seen:
        return
    small = np.stack([_standardised(fact.thumbnail) for fact in seen])
    for start in range(0, len(seen), BLOCK):
        alike = small[start : start + BLOCK] @ small.T >= ALIKE
        for row, column in np.argwhere(alike):
            one, other = seen[start + row], seen[column]
            if start + row < column and one.digest != other.digest:
                yield one, other


def _standardised(thumbnail: np.ndarray) -> np.ndarray:
    """Return it as a vector of mean 0 and length 1, so that the product of two is their correlation."""
    flat = thumbnail.ravel() - thumbnail.mean()
    return flat / np.linalg.norm(flat)
