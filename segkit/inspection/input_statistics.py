"""Depth, channels and statistics of the training images, which the model scales by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import Config, InputConfig
from segkit.errors import ConfigError, SegkitWarning
from segkit.inspection.fingerprint import SampleFingerprint


def fitting_input(config: Config, found: InputConfig) -> InputConfig:
    """Return the config's own `input` section if it has one and it fits the images, else what was found.

    Raises `ConfigError` if it says another depth or number of channels.
    """
    given = config.input
    if given is None:
        return found
    if (given.channels, given.dtype) != (found.channels, found.dtype):
        raise ConfigError(
            f"says {given.channels} channel(s) of {given.dtype}; the images have {found.channels} "
            f"of {found.dtype}. Leave the section out, and it is measured",
            "mismatch",
            setting="input",
        )
    return given


DARKER = 12.0
"""Times that a range is wider than the values in it, from which their scale is another; 16 lie between 16 bits and 12."""
BUT = 0.05
"""Share of the images whose range may lie outside that of all: one of twenty may be overexposed."""


def is_outside(given: InputConfig, low: float, high: float) -> bool:
    """Return whether values from `low` to `high` go beyond what a model for such input tells apart."""
    lowest, highest = given.limits
    return low < lowest or high > highest


def is_dark(given: InputConfig, high: float) -> bool:
    """Return whether values that are not above `high` fill so little of the range of such input (`DARKER`)."""
    return given.dtype != "uint8" and (high - given.low) * DARKER < given.high - given.low


def other_scale(given: InputConfig, found: InputConfig) -> SegkitWarning | None:
    """Return what to say of a config's own `input` if the images have another scale; None if they have not."""
    if not is_outside(given, found.low, found.high) and not is_dark(given, found.high):
        return None
    return SegkitWarning(
        f"input.low and input.high are {given.low:g} and {given.high:g}, and the usual values of the training "
        f"images go from {found.low:g} to {found.high:g}. Leave the section `input` out, and it is measured; or bring the "
        f"images to the scale that it was made for",
        "other-scale",
    )


def measure_input(
    train: Sequence[SampleFingerprint], everything: Sequence[SampleFingerprint]
) -> InputConfig:
    """Return depth, channels and statistics of the training images; grey ones among RGB count as RGB."""
    channels = max(fact.bands for fact in everything)
    measured = _measured(train)
    counted = np.sum([np.broadcast_to(fact.counted, (channels,)) for fact in measured], axis=0)
    total, squares = np.sum(
        [np.broadcast_to(fact.sums, (2, channels)) for fact in measured], axis=0
    )
    mean = total / np.maximum(counted, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(counted, 1) - mean**2, 0))
    low, high = usual_range(measured)
    return InputConfig.model_validate(
        {
            "channels": channels,
            "dtype": train[0].dtype,
            "mean": [round(float(v), 4) for v in mean],
            "std": [round(float(v), 4) if v > 1e-6 else 1.0 for v in std],
            "low": low,
            "high": high,
        }
    )


def _measured(facts: Sequence[SampleFingerprint]) -> Sequence[SampleFingerprint]:
    """Return the images that hold a measurement; all if there is none.

    One that holds nothing but the nodata value of another holds none.
    """
    nodata = {fact.nodata for fact in facts} - {None}
    measured = []
    for fact in facts:
        is_nodata = fact.low == fact.high and fact.low in nodata
        if fact.measured and not is_nodata:
            measured.append(fact)
    return measured or facts


def usual_range(facts: Sequence[SampleFingerprint]) -> tuple[float, float]:
    """Return the lowest and the highest value that are usual in some images of one depth.

    Of 8 bits these are the extremes. Of more bits, each image gives its outer percentiles, and the range is that of all
    images but a few (`BUT`) at either end.
    """
    extremes = min(fact.low for fact in facts), max(fact.high for fact in facts)
    if facts[0].dtype == "uint8":
        return extremes
    low = float(np.quantile([fact.percentiles[0].min() for fact in facts], BUT, method="higher"))
    high = float(
        np.quantile([fact.percentiles[-1].max() for fact in facts], 1 - BUT, method="lower")
    )
    return (float(f"{low:.6g}"), float(f"{high:.6g}")) if low < high else extremes
