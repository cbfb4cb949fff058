"""The `input` section of the config: depth, channels and statistics of the training images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import Config, InputConfig
from segkit.errors import ConfigError, SegkitWarning
from segkit.inspection.fingerprint import SampleFingerprint

DARKER = 12.0
"""Ratio of the range of `input` to the images' values from which these have another scale.

12 bits in a range of 16 bits have a ratio of 16.
"""
TAIL = 0.05
"""Share of the images at either end whose values may lie outside the range of `input`.

One of twenty may be overexposed.
"""


def fitting_input(config: Config, found: InputConfig) -> InputConfig:
    """Return the config's own `input` section, or `found` if it has none.

    Raises:
        ConfigError: The section has another depth or number of channels than the images.
    """
    stated = config.input
    if stated is None:
        return found
    if (stated.channels, stated.dtype) != (found.channels, found.dtype):
        raise ConfigError(
            f"the section has {stated.channels} channel(s) of {stated.dtype}, the images have "
            f"{found.channels} of {found.dtype}. Remove the section: it is then measured",
            "mismatch",
            setting="input",
        )
    return stated


def is_outside(input_config: InputConfig, low: float, high: float) -> bool:
    """Return whether values from `low` to `high` exceed the limits at which a model clips."""
    lowest, highest = input_config.limits
    return low < lowest or high > highest


def is_dark(input_config: InputConfig, high: float) -> bool:
    """Return whether values up to `high` fill less than 1/`DARKER` of the range of `input`.

    It is False for 8 bits, which have a natural range.
    """
    if input_config.dtype == "uint8":
        return False
    return (high - input_config.low) * DARKER < input_config.high - input_config.low


def other_scale(stated: InputConfig, found: InputConfig) -> SegkitWarning | None:
    """Return a warning if the images have another scale than the config's own `input` section.

    Args:
        stated: The config's section.
        found: The measured one.
    """
    if not is_outside(stated, found.low, found.high) and not is_dark(stated, found.high):
        return None
    return SegkitWarning(
        f"input.low and input.high are {stated.low:g} and {stated.high:g}, but the usual values "
        f"of the training images are {found.low:g} to {found.high:g}. Remove the section `input`: "
        f"it is then measured. Or bring the images to the scale of the section",
        "other-scale",
    )


def measure_input(
    train: Sequence[SampleFingerprint], everything: Sequence[SampleFingerprint]
) -> InputConfig:
    """Return depth, channels and statistics of the training images.

    Args:
        train: The training samples, at least one.
        everything: The samples of all parts. If some are RGB, grey images count as RGB.
    """
    channels = max(fact.bands for fact in everything)
    measured = with_measurements(train)
    counted = np.sum([np.broadcast_to(fact.counted, channels) for fact in measured], axis=0)
    sums = [np.broadcast_to(fact.sums, (2, channels)) for fact in measured]
    total, squares = np.sum(sums, axis=0)
    mean = total / np.maximum(counted, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(counted, 1) - mean**2, 0))
    deviation[deviation <= 1e-6] = 1.0
    low, high = usual_range(measured)
    return InputConfig.model_validate(
        {
            "channels": channels,
            "dtype": train[0].dtype,
            "mean": [round(float(value), 4) for value in mean],
            "std": [round(float(value), 4) for value in deviation],
            "low": low,
            "high": high,
        }
    )


def with_measurements(facts: Sequence[SampleFingerprint]) -> Sequence[SampleFingerprint]:
    """Return the images that have a measured pixel, or all images if none has.

    An image that consists of another image's nodata value has none.
    """
    nodata = {fact.nodata for fact in facts} - {None}
    measured = []
    for fact in facts:
        is_nodata = fact.low == fact.high and fact.low in nodata
        if fact.measured and not is_nodata:
            measured.append(fact)
    return measured or facts


def usual_range(facts: Sequence[SampleFingerprint]) -> tuple[float, float]:
    """Return the lowest and the highest usual value of images of one depth.

    For 8 bits these are the extremes. For more bits, the range covers the outer percentiles of
    all images but a share of `TAIL` at either end.

    Args:
        facts: The images, at least one.
    """
    extremes = (min(fact.low for fact in facts), max(fact.high for fact in facts))
    if facts[0].dtype == "uint8":
        return extremes
    lows = [fact.percentiles[0].min() for fact in facts]
    highs = [fact.percentiles[-1].max() for fact in facts]
    low = float(np.quantile(lows, TAIL, method="higher"))
    high = float(np.quantile(highs, 1 - TAIL, method="lower"))
    if low >= high:
        return extremes
    return float(f"{low:.6g}"), float(f"{high:.6g}")
