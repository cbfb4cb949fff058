"""The learning-rate range test: what the loss of rising rates says, as a number and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from segkit.errors import RunError

MEMORY = 0.8
"""Of the smoothed loss: about the last five steps count."""
DIVERGED = 4.0
"""The test ends when the smoothed loss is this many times its best."""


def rates(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` rates from `low` to `high`, each the same factor above the one before.

    >>> [round(rate, 6) for rate in rates(0.001, 1.0, 4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    return [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the losses averaged over the last steps, without the bias to 0 at the beginning (as Adam's moments)."""
    found, average = [], 0.0
    for i, loss in enumerate(losses, start=1):
        average = MEMORY * average + (1 - MEMORY) * loss
        found.append(average / (1 - MEMORY**i))
    return found


def has_diverged(losses: Sequence[float]) -> bool:
    """Return whether the loss is no number any more, or far above its best."""
    if not losses:
        return False
    smooth = smoothed(losses)
    return not math.isfinite(losses[-1]) or (
        len(smooth) > 10 and smooth[-1] > DIVERGED * min(smooth)
    )


def suggest(tried: Sequence[float], losses: Sequence[float]) -> float:
    """Return a tenth of the rate at which the smoothed loss is least: it still falls fast there, and far from diverging.

    Source: Smith, Cyclical learning rates for training neural networks, 2017, section 3.3; the tenth is fastai's rule.
    Raises `RunError` if the loss never fell, or was still falling at the last rate: then nobody knows where it is least.
    """
    smooth = [value if math.isfinite(value) else math.inf for value in smoothed(losses)]
    best = int(np.argmin(smooth))
    if best < 2:
        raise RunError(
            f"the loss did not fall at any of {len(tried)} rates from {tried[0]:.1e} on; begin lower with --low",
            "not-measurable",
        )
    if best >= len(tried) - 2:
        raise RunError(
            f"the loss is least at the end of the range, at {tried[best]:.1e}, so it may be less at higher rates; go on to "
            f"higher ones with --high, or take more steps with --steps",
            "not-measurable",
        )
    return tried[best] / 10


def draw(tried: Sequence[float], losses: Sequence[float], suggestion: float) -> np.ndarray:
    """Return loss (grey), smoothed loss (blue) and the suggestion (red) over the logarithm of the rate, (H, W, 3) uint8."""
    width, height, edge = 720, 400, 50
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    known = [loss for loss in losses if math.isfinite(loss)]
    low, high = min(known), max(known) or 1.0
    first, last = math.log10(tried[0]), math.log10(tried[-1])

    def place(rate: float, loss: float) -> tuple[float, float]:
        x = edge + (math.log10(rate) - first) / max(last - first, 1e-9) * (width - 2 * edge)
        return x, height - edge - (loss - low) / max(high - low, 1e-9) * (height - 2 * edge)

    for power in range(math.ceil(first), math.floor(last) + 1):
        x = place(10.0**power, low)[0]
        pen.line([(x, edge), (x, height - edge)], fill="#dddddd")
        pen.text((x - 15, height - edge + 8), f"1e{power}", fill="black")
    for values, colour in ((known, "#aaaaaa"), (smoothed(known), "#2060c0")):
        pen.line(
            [place(rate, loss) for rate, loss in zip(tried, values, strict=False)],
            fill=colour,
            width=2,
        )
    x = place(suggestion, low)[0]
    pen.line([(x, edge), (x, height - edge)], fill="#d03030", width=2)
    pen.text((x + 5, edge), f"{suggestion:.1e}", fill="#d03030")
    for loss in (low, high):
        pen.text((5, place(tried[0], loss)[1] - 6), f"{loss:.3f}", fill="black")
    return np.asarray(picture)
