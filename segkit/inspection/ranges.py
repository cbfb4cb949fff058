"""What is odd about the values of images: defective pixels, nodata, and images of another scale than the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.problem import SHOWN, Problem

GAP = 8.0
"""Times that images of one scale are brighter than all images of another scale."""
SIMILAR = 4.0
"""Times that this holds of the darker percentiles, too: an image with few bright objects has the background of the others."""
FEW_DARK = 0.05
"""Share of the images from which dark ones, two at least, are a scale of their own; fewer may be underexposed."""


def odd_ranges(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a warning for each thing that is odd about the values of some images.

    Nothing is said of 8-bit images, which end at 255.
    """
    deep = [fact for fact in facts if fact.dtype != "uint8"]
    yield from _outliers(deep)
    yield from _nodata(deep)
    yield from _scales(deep)


def _named(facts: Sequence[SampleFingerprint]) -> tuple[tuple[str, ...], int]:
    """Return the names that are shown, and the number of all."""
    return tuple(fact.name for fact in facts[:SHOWN]), len(facts)


def _outliers(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    found = [fact for fact in facts if fact.outliers]
    if not found:
        return
    most = max(found, key=lambda fact: max(abs(fact.low), abs(fact.high)))
    message = (
        f"values far outside those of all other pixels, as defective pixels have; {most.name} has "
        f"{most.outliers} and goes from {most.low:g} to {most.high:g}, while 99 % of its values lie between "
        f"{most.percentiles[0].min():g} and {most.percentiles[-1].max():g}. They do not set the scale, and the model cuts "
        f"them off. If they are what is to be found, give the section `input` with `low` and `high` of your own"
    )
    yield Problem("outliers", "warning", message, *_named(found))


def _nodata(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    found = [fact for fact in facts if fact.nodata is not None]
    if not found:
        return
    values = ", ".join(
        f"{value:g}" for value in sorted({fact.nodata for fact in found if fact.nodata is not None})
    )
    message = (
        f"many pixels have the value {values}, far from all others, as where nothing was measured (nodata). They are in no "
        f"statistic. If they are nodata, mark them as unlabelled (255) in the masks; if they are saturated, nothing is to do"
    )
    yield Problem("nodata", "warning", message, *_named(found))


def _scales(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Images come in two groups, one of which is `GAP` times as bright as the other."""
    lit = [fact for fact in facts if _levels(fact)[-1] > 0 and fact.low < fact.high]
    lit.sort(key=lambda fact: float(_levels(fact)[-1]))
    levels = np.array([_levels(fact) for fact in lit]).reshape(len(lit), len(PERCENTILES))
    for first in np.flatnonzero(levels[1:, -1] >= GAP * levels[:-1, -1]) + 1:
        dark, bright = np.median(levels[:first], axis=0), np.median(levels[first:], axis=0)
        if first >= max(2, FEW_DARK * len(lit)) and _is_another_scale(dark, bright):
            smaller = lit[:first] if first <= len(lit) / 2 else lit[first:]
            message = _told_scales(int(first), dark, len(lit) - int(first), bright)
            yield Problem("mixed-scale", "warning", message, *_named(smaller))
            return


def _told_scales(dark_images: int, dark: np.ndarray, bright_images: int, bright: np.ndarray) -> str:
    return (
        f"images of two scales: {dark_images} have values up to about {dark[-1]:g}, {bright_images} up to about "
        f"{bright[-1]:g}, so they are {bright[-1] / dark[-1]:.0f} times as bright. One model scales all by one range; bring "
        f"them to one scale if they come from different programs or cameras"
    )


def _levels(fact: SampleFingerprint) -> np.ndarray:
    """Return the distance from 0 of each percentile, in the band where it is largest, (5,)."""
    return np.asarray(np.abs(fact.percentiles).max(axis=1))


def _is_another_scale(dark: np.ndarray, bright: np.ndarray) -> bool:
    """Return whether the darker percentiles of two groups differ like the brightest, as far as they are not near 0."""
    middle, upper = PERCENTILES.index(50.0), PERCENTILES.index(95.0)
    if bright[upper] < SIMILAR * dark[upper]:
        return False
    is_near_zero = max(dark[middle] / dark[-1], bright[middle] / bright[-1]) < 0.01
    return is_near_zero or bool(bright[middle] >= SIMILAR * dark[middle])
