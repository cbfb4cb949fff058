"""Losses of Dice by cause as bars of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from segkit.evaluation.error_causes import CONFUSED

COLOURS = {
    "boundary": "#56b4e9",
    "missed": "#0072b2",
    "invented": "#d55e00",
    "confused": "#f0e442",
    "rest": "#999999",
}
"""Colour of each cause (Okabe and Ito)."""


class Piece(NamedTuple):
    """A part of a bar."""

    cause: str
    loss: float
    width: float
    """Percent of the width of the longest bar."""
    colour: str


class LossBar(NamedTuple):
    """The losses of one class."""

    name: str
    total: float
    """1 - Dice."""
    pieces: list[Piece]
    confusions: list[tuple[str, float]]
    """The classes with which it is confused most, with the loss; at most three."""
    ceiling: float | None
    """Dice of the true masks against themselves moved by one pixel."""


def loss_bars(lost: Mapping[str, Mapping[str, float]], ceiling: Mapping[str, Any]) -> list[LossBar]:
    """Return a bar for each class that has a loss.

    Args:
        lost: "lost" of a report.
        ceiling: "ceiling" of a report.
    """
    totals = [sum(losses.values()) for losses in lost.values()]
    longest = max(totals, default=0.0) or 1.0
    bars = []
    for name, losses in lost.items():
        if not losses:
            continue
        confusions = []
        for cause, loss in losses.items():
            if cause.startswith(CONFUSED) and loss > 0:
                confusions.append((cause.removeprefix(CONFUSED), loss))
        confusions.sort(key=lambda each: -each[1])
        by_cause = {cause: losses.get(cause, 0.0) for cause in COLOURS}
        by_cause["confused"] = sum(loss for _, loss in confusions)
        pieces = []
        for cause, loss in by_cause.items():
            width = round(100 * loss / longest, 3)
            pieces.append(Piece(cause, loss, width, COLOURS[cause]))
        moved = ceiling.get("moved", {}).get("classes", {}).get(name, {}).get("dice")
        total = sum(losses.values())
        bars.append(LossBar(name, total, pieces, confusions[:3], moved))
    return bars
