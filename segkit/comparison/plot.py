"""A comparison as a picture: scores with their intervals on the left, differences to the best on the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PALE, CLEAR, UNCLEAR = (30, 30, 30), (215, 215, 215), (0, 110, 180), (150, 150, 150)
ROW, TOP, BOTTOM, GAP, WIDTH = 44, 40, 44, 24, 420
"""Pixels: a setting's row, above and below all rows, between columns, and the width of an axis."""
FONT = ImageFont.load_default(15)
SMALL = ImageFont.load_default(12)


class Axis(NamedTuple):
    """Where values lie in the picture: `low` at the pixel `left`, `high` WIDTH further."""

    low: float
    high: float
    left: int

    def x(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.left + (value - self.low) / (self.high - self.low) * WIDTH


def plot(results: dict[str, Any]) -> np.ndarray:
    """Return (H, W, 3) uint8: a row a setting that has scores, best first; dots are single seeds."""
    rows = [
        row
        for row in results["settings"]
        if row["seeds"] and row["dice_foreground"]["value"] is not None
    ]
    rows.sort(key=lambda row: -row["dice_foreground"]["value"])
    pairs = {pair["other"]: pair for pair in results["comparisons"]}
    names = GAP + max([0, *(math.ceil(FONT.getlength(row["name"])) for row in rows)]) + GAP
    scores = _axis([_values(row["dice_foreground"]) for row in rows], names)
    gaps = _axis(
        [[pair["low"], pair["high"], 0.0] for pair in pairs.values()], names + WIDTH + 3 * GAP
    )
    height = TOP + ROW * len(rows) + BOTTOM
    sheet = Image.new("RGB", (gaps.left + WIDTH + 2 * GAP, height), "white")
    draw = ImageDraw.Draw(sheet)
    _frame(
        draw,
        scores,
        height,
        f"foreground Dice, {results['images']} images; small dots: single seeds",
    )
    _frame(draw, gaps, height, "behind the best: difference, 95 % interval")
    draw.line((gaps.x(0), TOP, gaps.x(0), height - BOTTOM), fill=INK)
    for number, row in enumerate(rows):
        y, dice, pair = (
            TOP + ROW * number + ROW // 2,
            row["dice_foreground"],
            pairs.get(row["name"]),
        )
        draw.text((GAP, y), row["name"], fill=INK, font=FONT, anchor="lm")
        _whisker(draw, scores, y, dice, INK)
        for value in dice["by_seed"]:
            _dot(draw, scores.x(value), y + 11, 2, UNCLEAR)
        if pair:
            behind = {"value": pair["difference"], "low": pair["low"], "high": pair["high"]}
            _whisker(draw, gaps, y, behind, CLEAR if pair["more_than_chance"] else UNCLEAR)
            words = {True: "more than chance", False: "may be chance", None: "too few images"}[
                pair["more_than_chance"]
            ]
            draw.text(
                (gaps.x(pair["difference"]), y + 13), words, fill=INK, font=SMALL, anchor="mm"
            )
        else:
            draw.text((gaps.x(0) + 6, y), "the best", fill=INK, font=SMALL, anchor="lm")
    return np.asarray(sheet)


def _values(score: dict[str, Any]) -> list[float | None]:
    return [score["value"], score["low"], score["high"], *score["by_seed"]]


def _axis(values: Sequence[Sequence[float | None]], left: int) -> Axis:
    """Return an axis that holds all values, with some room at both ends."""
    known = [value for some in values for value in some if value is not None] or [0.0]
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or 0.01
    return Axis(low - room, high + room, left)


def ticks(low: float, high: float) -> list[float]:
    """Return three to eight round numbers from `low` to `high`.

    >>> ticks(0.03, 0.52)
    [0.1, 0.2, 0.3, 0.4, 0.5]
    """
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    return [
        float(f"{i * step:.10g}") for i in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _frame(draw: ImageDraw.ImageDraw, axis: Axis, height: int, title: str) -> None:
    draw.text((axis.left, TOP - 22), title, fill=INK, font=FONT, anchor="lm")
    for value in ticks(axis.low, axis.high):
        draw.line((axis.x(value), TOP, axis.x(value), height - BOTTOM + 4), fill=PALE)
        draw.text(
            (axis.x(value), height - BOTTOM + 14), f"{value:g}", fill=INK, font=SMALL, anchor="mm"
        )


def _whisker(
    draw: ImageDraw.ImageDraw, axis: Axis, y: float, score: dict[str, Any], colour: tuple[int, ...]
) -> None:
    if score["low"] is not None and score["high"] is not None:
        low, high = axis.x(score["low"]), axis.x(score["high"])
        draw.line((low, y, high, y), fill=colour, width=3)
        for end in (low, high):
            draw.line((end, y - 5, end, y + 5), fill=colour, width=2)
    _dot(draw, axis.x(score["value"]), y, 5, colour)


def _dot(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: int, colour: tuple[int, ...]
) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
