"""Depth, channels and statistics of the training images, which the model scales by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import Config, InputConfig
from segkit.errors import ConfigError
from segkit.inspection.fingerprint import Facts


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


def measure(train: Sequence[Facts], everything: Sequence[Facts]) -> InputConfig:
    """Return depth, channels and statistics of the training images; grey ones among RGB count as RGB."""
    channels = max(fact.bands for fact in everything)
    train = [fact for fact in train if fact.measured] or train
    pixels = sum(max(1, fact.measured) for fact in train)
    total, squares = np.sum([np.broadcast_to(fact.sums, (2, channels)) for fact in train], axis=0)
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return InputConfig.model_validate(
        {
            "channels": channels,
            "dtype": train[0].dtype,
            "mean": [round(float(v), 4) for v in mean],
            "std": [round(float(v), 4) if v > 1e-6 else 1.0 for v in std],
            "low": min(fact.low for fact in train),
            "high": max(fact.high for fact in train),
        }
    )
