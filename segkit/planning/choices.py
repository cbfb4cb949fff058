"""The types of planning: a plan, the choice of one setting, and the measurements of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from segkit.config import RunConfig

Reasons = Mapping[str, str]
"""The reason for each setting, as whole sentences, by its name such as "train.batch_size"."""


class Choice(NamedTuple):
    """The value of one setting and the reason for it."""

    value: Any
    reason: str
    """Whole sentences; they become the comment above the value in the config file."""


class Machine(NamedTuple):
    """Measurements of this machine for one network and one patch size."""

    seconds_per_step: float
    """Seconds of one training step."""
    seconds_to_start: float
    """Seconds of the first step and the first validation batch, including compilation."""
    bytes_per_sample: float
    """Memory in bytes that one more sample in a batch takes."""
    seconds_to_validate: float = 0.0
    """Seconds to validate one sample."""


class Plan(NamedTuple):
    """A config and the reason for each of its values."""

    config: RunConfig
    reasons: Reasons
