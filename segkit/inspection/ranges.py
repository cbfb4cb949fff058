"""Warnings about pixel values: defective pixels, nodata, and images of two scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.problem import Problem, problem_of

GAP = 8.0
"""Ratio of brightness between the brightest image of one scale and the darkest of another."""
SIMILAR = 4.0
"""Ratio that the darker percentiles of two scales need, too.

An image with few bright objects has the background of the other images.
"""
FEW_DARK = 0.05
"""Smallest share of dark images, two at least, that are another scale; fewer are underexposed."""


def odd_ranges(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield warnings about the values of images of more than 8 bits."""
    deep = [fact for fact in facts if fact.dtype != "uint8"]
    yield from _outliers(deep)
    yield from _nodata(deep)
    yield from _scales(deep)


def _names(facts: Sequence[SampleFingerprint]) -> list[str]:
    return [fact.name for fact in facts]


def _outliers(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    found = [fact for fact in facts if fact.outliers]
    if not found:
        return
    extreme = max(found, key=lambda fact: max(abs(fact.low), abs(fact.high)))
    low = extreme.percentiles[0].min()
    high = extreme.percentiles[-1].max()
    message = (
        f"some values are far outside those of all other pixels, as defective pixels are: "
        f"{extreme.name} has {extreme.outliers} and ranges from {extreme.low:g} to "
        f"{extreme.high:g}, but 99 % of its values lie between {low:g} and {high:g}. They do not "
        f"change the range of values, and the model clips them. If these pixels are your objects, "
        f"set input.low and input.high"
    )
    yield problem_of("warning", "outliers", message, _names(found))


def _nodata(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    found = [fact for fact in facts if fact.nodata is not None]
    if not found:
        return
    different = sorted({fact.nodata for fact in found if fact.nodata is not None})
    values = ", ".join(f"{value:g}" for value in different)
    message = (
        f"many pixels have the value {values}, far from all other values, as pixels without a "
        f"measurement have (nodata). They are left out of all statistics. If they are nodata, mark "
        f"them as unlabelled (255) in the masks; if they are saturated, change nothing"
    )
    yield problem_of("warning", "nodata", message, _names(found))


def _scales(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a warning if one group of images is at least `GAP` times as bright as the others."""
    lit = [fact for fact in facts if _levels(fact)[-1] > 0 and fact.low < fact.high]
    lit.sort(key=lambda fact: float(_levels(fact)[-1]))
    levels = np.array([_levels(fact) for fact in lit]).reshape(len(lit), len(PERCENTILES))
    for place in np.flatnonzero(levels[1:, -1] >= GAP * levels[:-1, -1]):
        first_bright = int(place) + 1
        dark = np.median(levels[:first_bright], axis=0)
        bright = np.median(levels[first_bright:], axis=0)
        enough = first_bright >= max(2, FEW_DARK * len(lit))
        if enough and _is_another_scale(dark, bright):
            smaller = lit[first_bright:]
            if first_bright <= len(lit) / 2:
                smaller = lit[:first_bright]
            message = _two_scales(first_bright, dark[-1], len(lit) - first_bright, bright[-1])
            yield problem_of("warning", "mixed-scale", message, _names(smaller))
            return


def _two_scales(dark_images: int, dark: float, bright_images: int, bright: float) -> str:
    return (
        f"the images have two scales: {dark_images} have values up to about {dark:g}, and "
        f"{bright_images} up to about {bright:g}, which is {bright / dark:.0f} times as bright. "
        f"The model scales all images by one range. If they come from different programs or "
        f"cameras, bring them to one scale"
    )


def _levels(fact: SampleFingerprint) -> np.ndarray:
    """Return the largest distance from 0 of each percentile over the bands, (5,)."""
    return np.asarray(np.abs(fact.percentiles).max(axis=1))


def _is_another_scale(dark: np.ndarray, bright: np.ndarray) -> bool:
    """Return whether the darker percentiles of two groups differ, too, unless they are near 0."""
    middle = PERCENTILES.index(50.0)
    upper = PERCENTILES.index(95.0)
    if bright[upper] < SIMILAR * dark[upper]:
        return False
    is_near_zero = max(dark[middle] / dark[-1], bright[middle] / bright[-1]) < 0.01
    return is_near_zero or bool(bright[middle] >= SIMILAR * dark[middle])
