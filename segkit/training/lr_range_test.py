"""The learning-rate range test: a short training at rising rates, and the rate that it suggests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segkit.config import ConfigLike, as_config
from segkit.errors import ConfigError
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from segkit.training.lr_suggestion import draw_losses, rates, smoothed, suggest

_MIN_STEPS = 20


class RateRange(NamedTuple):
    """The result of a learning-rate range test."""

    rates: list[float]
    """Learning rates of the steps, ascending."""
    losses: list[float]
    """Loss of each step, in the order of the rates."""
    smoothed: list[float]
    """Moving average of the losses."""
    suggestion: float
    """The suggested learning rate."""

    def picture(self) -> np.ndarray:
        """Return a plot of the loss over the learning rate, (H, W, 3) uint8."""
        return draw_losses(self.rates, self.losses, self.suggestion)


def find_learning_rate(
    config: ConfigLike,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    progress: Progress | None = None,
) -> RateRange:
    """Suggest a learning rate, by one training step at each of many rising rates.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        low: The first rate.
        high: The last rate.
        steps: Number of rates, 20 or more. Each is larger than the one before by the same factor.
        progress: Receives messages about the data, and the number of steps done.

    Returns:
        Rates, losses and the suggestion. The test ends early if the loss diverges.

    Raises:
        ConfigError: If rates or steps are out of range.
        DataError: If `segkit inspect` finds an error in the data.
        RunError: If the loss is least at either end of the range.

    Source: Smith, Cyclical learning rates for training neural networks, 2017
    (https://arxiv.org/abs/1506.01186).
    """
    _check(low, high, steps)
    progress = progress or Progress()
    settings, parts = prepare_data(as_config(config), progress)
    progress.message(load_keras())
    from segkit.training.lr_losses import losses_at

    tried = rates(low, high, steps)
    with progress.counting("steps at rising rates", len(tried)) as counter:
        losses = losses_at(tried, settings, parts, counter)
    return RateRange(tried[: len(losses)], losses, smoothed(losses), suggest(tried, losses))


def _check(low: float, high: float, steps: int) -> None:
    if not (0 < low < high and steps >= _MIN_STEPS):
        raise ConfigError(
            f"--low, --high, --steps: 0 < low < high and {_MIN_STEPS} steps or more; "
            f"found {low:g}, {high:g}, {steps}"
        )
