"""Reads the losses of a learning-rate range test: when to stop, the suggested rate, and a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segkit.errors import RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMORY = 0.8
"""Decay of the moving average of the loss: about the last five steps count."""
DIVERGED = 4.0
"""The test ends when the smoothed loss is this many times its minimum."""
_WARM_UP = 10
"""Number of first steps whose smoothed loss is too noisy to end the test."""


def rates(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` rates from `low` to `high`; neighbours differ by the same factor.

    >>> [round(rate, 6) for rate in rates(0.001, 1.0, 4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    return [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving average of losses, corrected for its start at 0."""
    averages = []
    average = 0.0
    for i, loss in enumerate(losses, start=1):
        average = MEMORY * average + (1 - MEMORY) * loss
        averages.append(average / (1 - MEMORY**i))
    return averages


def has_diverged(losses: Sequence[float]) -> bool:
    """Return whether the last loss is not finite, or the smoothed loss is far above its minimum."""
    if not losses:
        return False
    if not math.isfinite(losses[-1]):
        return True
    smooth = smoothed(losses)
    return len(smooth) > _WARM_UP and smooth[-1] > DIVERGED * min(smooth)


def suggest(tried: Sequence[float], losses: Sequence[float]) -> float:
    """Return a tenth of the rate with the least smoothed loss.

    At a tenth the loss still falls fast, and is far from diverging.

    Args:
        tried: Learning rates, ascending.
        losses: Loss of a step at each rate; fewer than rates if the test ended early.

    Returns:
        The suggested learning rate.

    Raises:
        RunError: If the loss is least at either end of the range, where its true minimum is
            unknown.

    Source: Smith, Cyclical learning rates for training neural networks, 2017, section 3.3
    (https://arxiv.org/abs/1506.01186); a tenth is fastai's rule.
    """
    smooth = np.array(smoothed(losses))
    smooth[~np.isfinite(smooth)] = np.inf
    best = int(np.argmin(smooth))
    if best < 2:
        raise RunError(
            f"the loss did not fall at any of {len(tried)} rates from {tried[0]:.1e} on; "
            f"start at a lower rate with --low",
            "not-measurable",
        )
    if best >= len(tried) - 2:
        raise RunError(
            f"the loss is least at the end of the range, at {tried[best]:.1e}, and may be less at "
            f"higher rates; test higher rates with --high, or make more steps with --steps",
            "not-measurable",
        )
    return tried[best] / 10


def draw_losses(tried: Sequence[float], losses: Sequence[float], suggestion: float) -> np.ndarray:
    """Return a plot of the loss over the learning rate.

    The upper limit of the loss is where the test ends, so that one huge loss does not hide the
    others.

    Args:
        tried: Learning rates, ascending.
        losses: Loss of a step at each rate; values that are not finite are not drawn.
        suggestion: The suggested learning rate.

    Returns:
        The plot, (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib has no types for it
    _plot(figure, tried, losses, suggestion)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _plot(
    figure: Figure, tried: Sequence[float], losses: Sequence[float], suggestion: float
) -> None:
    smooth = smoothed([loss for loss in losses if math.isfinite(loss)])
    axes = figure.add_subplot()
    axes.set_title("Learning-rate range test: one training step at each rate")
    axes.set_xlabel("learning rate (no unit, logarithmic scale)")
    axes.set_ylabel("training loss (no unit)")
    axes.set_xscale("log")
    axes.grid(color="#dddddd")
    axes.plot(tried[: len(losses)], losses, color="#999999", label="loss of one step")
    axes.plot(tried[: len(smooth)], smooth, color="#2060c0", label="moving average")
    axes.axvline(suggestion, color="#d03030", label=f"suggested rate: {suggestion:.1e}")
    lowest = min(smooth)
    highest = max(smooth)
    if lowest > 0:
        highest = min(highest, DIVERGED * lowest)
    margin = 0.05 * (highest - lowest) or 0.05
    axes.set_ylim(lowest - margin, highest + margin)
    axes.legend()
