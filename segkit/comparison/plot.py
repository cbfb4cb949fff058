"""The plot of a comparison: scores with intervals, and differences to the best setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segkit.comparison.report import interval_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLEAR = (0, 110, 180)
"""RGB colour of a difference that is more than chance."""
UNCLEAR = (125, 130, 145)
"""RGB colour of a difference that may be chance."""
INK = (30, 30, 30)
DOTS_PER_INCH = 130
SHORT_NAME = 20
"""Names of up to this many characters fit into the figure's usual width."""
CHANCE_LABELS = {True: "more than chance", False: "may be chance", None: "too few images"}


def plot(results: dict[str, Any]) -> np.ndarray:
    """Return the plot of a comparison as a picture.

    Args:
        results: The content of results.json.

    Returns:
        The picture, (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(draw_comparison(results))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_comparison(results: dict[str, Any]) -> Figure:
    """Draw one row per setting that has a score, the best first.

    The left axes show the foreground Dice of all seeds together with its interval, and that of
    each seed as a small dot. The right axes show how far each setting is behind the best one.

    Args:
        results: The content of results.json.

    Returns:
        The figure, without a canvas.
    """
    from matplotlib.figure import Figure

    rows = [row for row in results["settings"] if _has_score(row)]
    rows.sort(key=lambda row: row["dice_foreground"]["value"], reverse=True)
    longest_name = max([SHORT_NAME, *(len(row["name"]) for row in rows)])
    width = 11 + 0.09 * (longest_name - SHORT_NAME)
    height = 1.5 + 0.6 * max(1, len(rows))
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    score_axes, difference_axes = figure.subplots(1, 2, sharey=True)
    _draw_scores(score_axes, rows, interval_units(results))
    _draw_differences(difference_axes, rows, results["comparisons"])
    _name_rows(score_axes, [row["name"] for row in rows])
    if not rows:
        figure.text(0.5, 0.5, "no setting has a score", horizontalalignment="center")
    return figure


def _has_score(row: dict[str, Any]) -> bool:
    return bool(row["seeds"]) and row["dice_foreground"]["value"] is not None


def _draw_scores(axes: Axes, rows: list[dict[str, Any]], over: tuple[int, str]) -> None:
    number, units = over
    axes.set_title(f"Score, 95 % interval over {number} {units} (small dots: seeds)", fontsize=10)
    axes.set_xlabel("foreground Dice")
    axes.grid(axis="x", color="0.9")
    for place, row in enumerate(rows):
        dice = row["dice_foreground"]
        _draw_interval(axes, place, dice["value"], dice["low"], dice["high"], INK)
        for value in dice["by_seed"]:
            if value is not None:
                axes.plot(value, place + 0.22, "o", markersize=3, color=_unit(UNCLEAR))


def _draw_differences(
    axes: Axes, rows: list[dict[str, Any]], comparisons: list[dict[str, Any]]
) -> None:
    axes.set_title("Difference to the best setting, 95 % interval", fontsize=10)
    axes.set_xlabel("foreground Dice behind the best")
    axes.grid(axis="x", color="0.9")
    axes.axvline(0, color=_unit(INK), linewidth=1)
    pairs = {pair["other"]: pair for pair in comparisons}
    for place, row in enumerate(rows):
        pair = pairs.get(row["name"])
        if pair is None:
            _write(axes, 0.0, place, "the best", (6, 0), "left")
            continue
        colour = UNCLEAR
        if pair["more_than_chance"]:
            colour = CLEAR
        _draw_interval(axes, place, pair["difference"], pair["low"], pair["high"], colour)
        label = CHANCE_LABELS[pair["more_than_chance"]]
        _write(axes, pair["difference"], place, label, (0, -13), "center")


def _draw_interval(
    axes: Axes,
    place: int,
    value: float,
    low: float | None,
    high: float | None,
    colour: tuple[int, int, int],
) -> None:
    """Draw a dot, and a line with end marks where the interval is defined."""
    axes.plot(value, place, "o", markersize=7, color=_unit(colour))
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], "|-", markersize=9, color=_unit(colour), linewidth=2)


def _write(
    axes: Axes, x: float, place: int, text: str, offset: tuple[float, float], alignment: str
) -> None:
    """Write beside a point; `offset` is in typographic points."""
    axes.annotate(
        text,
        (x, place),
        xytext=offset,
        textcoords="offset points",
        horizontalalignment=alignment,
        verticalalignment="center",
        fontsize=8,
    )


def _name_rows(axes: Axes, names: list[str]) -> None:
    """Write the settings' names on the shared vertical axis, the first row at the top."""
    axes.set_ylabel("setting")
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a dollar sign in a name does not begin a formula
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)


def _unit(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return an RGB colour of 0 to 255 as matplotlib's 0 to 1."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
