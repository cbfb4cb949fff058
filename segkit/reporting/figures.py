"""Curves as SVG that is part of a page. Their text and axes have the colour of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segkit.reporting.learning_curves import TRAINING, VALIDATION, draw_pair, draw_rate, draw_time
from segkit.run.folder import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the text colour of the page, which CSS knows."""
SIZE = (4.6, 3.0)
"""Width and height of a figure in inches."""
CHOSEN = "#cc79a7"
STYLES = {
    "precision": (TRAINING, "--"),
    "recall": ("#009e73", ":"),
    "dice": (VALIDATION, "-"),
}
"""Colour and line style of each score; the line styles differ for readers who see no colours."""
_UNUSED = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>"
    r"| xmlns(:\w+)?=\"[^\"]*\"",
    re.DOTALL,
)
_IDENTIFIER = re.compile(r"( id=\"|href=\"#|url\(#)")


def learning_figures(rows: Sequence[Row], name: str) -> dict[str, str]:
    """Return the curves of a training: losses, Dice, learning rate and seconds of each epoch.

    Args:
        rows: The history, one row per epoch, at least one.
        name: Begins the identifiers in the SVG, and must differ from those of other figures.

    Returns:
        SVG by the title of the figure.
    """
    return {
        "Loss": _learning_figure(f"{name}-loss", rows, "loss"),
        "Foreground Dice": _learning_figure(f"{name}-dice", rows, "dice_foreground"),
        "Learning rate": _learning_figure(f"{name}-rate", rows, None),
        "Seconds per epoch": _learning_figure(f"{name}-time", rows, "seconds"),
    }


def _learning_figure(name: str, rows: Sequence[Row], column: str | None) -> str:
    figure, axes = _new_figure()
    if column is None:
        draw_rate(axes, rows)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    elif column == "seconds":
        draw_time(axes, rows)
    else:
        draw_pair(axes, rows, column)
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    return _as_svg(figure, axes, name)


def reliability_figure(diagram: Mapping[str, Any], name: str) -> str:
    """Draw the reliability diagram of a class as SVG.

    Args:
        diagram: One class of "reliability" in a report.
        name: Begins the identifiers in the SVG.
    """
    figure, axes = _new_figure()
    bins = [each for each in diagram["bins"] if each["count"]]
    total = max(1, sum(each["count"] for each in bins))
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1, alpha=0.6)
    places = np.arange(len(diagram["bins"])) / len(diagram["bins"])
    shares = [each["count"] / total for each in diagram["bins"]]
    width = 1 / len(diagram["bins"])
    axes.bar(places, shares, width * 0.92, align="edge", color=INK, alpha=0.18)
    probabilities = [each["probability"] for each in bins]
    axes.plot(probabilities, [each["true"] for each in bins], "o-", color=TRAINING, markersize=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability")
    axes.set_ylabel("share of true pixels")
    return _as_svg(figure, axes, name)


def threshold_figure(curve: Mapping[str, Any], name: str) -> str:
    """Draw precision, recall and Dice of a class over thresholds, and mark the chosen one.

    Args:
        curve: One class of "thresholds" in a report.
        name: Begins the identifiers in the SVG.
    """
    figure, axes = _new_figure()
    for score, (colour, style) in STYLES.items():
        values = np.array(curve[score], dtype=float)
        label = "Dice" if score == "dice" else score
        axes.plot(curve["thresholds"], values, style, color=colour, label=label)
    axes.axvline(curve["chosen"], color=CHOSEN, linewidth=2)
    label = f" {curve['chosen']:.3g}"
    axes.annotate(label, (curve["chosen"], 0.02), color=INK, fontsize=9)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("threshold")
    return _as_svg(figure, axes, name)


def _new_figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    figure.subplots_adjust(left=0.14, right=0.98, bottom=0.17, top=0.93)
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.grid(color=INK, alpha=0.15)
    return figure, axes


def _as_svg(figure: Figure, axes: Axes, name: str) -> str:
    """Return a figure as an SVG element for a page."""
    import matplotlib

    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", framealpha=0, labelcolor=INK, fontsize=9)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    stream = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name}
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(settings):
        figure.savefig(stream, format="svg", metadata=nothing)
    text = _UNUSED.sub("", stream.getvalue())
    text = _IDENTIFIER.sub(rf"\1{name}-", text).replace(INK, "currentColor")
    return text.strip().replace("<svg ", '<svg class="curve" aria-hidden="true" ', 1)
