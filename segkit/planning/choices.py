"""What a plan is: a config with the reason of each value, and what was measured of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from segkit.config import RunConfig

Reasons = Mapping[str, str]


class Machine(NamedTuple):
    """What was measured of this machine for one network and crop."""

    seconds: float
    """Of a training step."""
    first: float
    """Seconds of the first step and the first validation batch, in which the network is compiled."""
    bytes_a_sample: float
    """Memory that one more sample in a batch takes."""
    seconds_to_check: float = 0.0
    """Of a validation sample."""


class Plan(NamedTuple):
    """A config, and why each of its values is what it is ("train.batch_size": "...")."""

    config: RunConfig
    reasons: Reasons
