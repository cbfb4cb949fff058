"""The learning-rate range test: a short training at rising rates, and the rate that it suggests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segkit.config import ConfigLike, as_config
from segkit.errors import ConfigError
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from segkit.training.lr_suggestion import draw, rates, smoothed, suggest


class RateRange(NamedTuple):
    """What a learning-rate range test found."""

    rates: list[float]
    """Rates that were tried, ascending; as many as there are losses."""
    losses: list[float]
    smoothed: list[float]
    suggestion: float

    def picture(self) -> np.ndarray:
        """Return the loss over the rate as a picture, (H, W, 3) uint8."""
        return draw(self.rates, self.losses, self.suggestion)


def find_learning_rate(
    config: ConfigLike,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    progress: Progress | None = None,
) -> RateRange:
    """Suggest a learning rate, by one step at each of many rising rates.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        low: The first rate.
        high: The last rate.
        steps: Number of rates, 20 or more; neighbours differ by the same factor.
        progress: Receives what is read, and the number of steps that are done.

    Returns:
        Rates, losses and the suggestion.

    Raises:
        ConfigError: For rates or steps out of range.
        DataError: If training would be wrong.

    Source: Smith, Cyclical learning rates for training neural networks, 2017.
    """
    if not (0 < low < high and steps >= 20):
        raise ConfigError(
            f"--low, --high, --steps: 0 < low < high and 20 steps or more; found {low:g}, {high:g}, {steps}"
        )
    progress = progress or Progress()
    settings, parts = prepare_data(as_config(config), progress)
    progress.message(load_keras())
    from segkit.training.lr_losses import losses_at

    tried = rates(low, high, steps)
    with progress.counting("steps at rising rates", len(tried)) as done:
        losses = losses_at(tried, settings, parts, done)
    return RateRange(tried[: len(losses)], losses, smoothed(losses), suggest(tried, losses))
