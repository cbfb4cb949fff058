"""Curves of losses, scores, learning rate and time over the epochs of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segkit.run.folder import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING = "#0072b2"
VALIDATION = "#d55e00"


def plot_curves(rows: Sequence[Row]) -> np.ndarray:
    """Return the curves as a picture.

    Args:
        rows: The history, one row per epoch, at least one.

    Returns:
        The picture, (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(draw_curves(rows))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_curves(rows: Sequence[Row]) -> Figure:
    """Draw losses, Dice and learning rate over the epochs, one below the other.

    Args:
        rows: The history, one row per epoch, at least one.

    Returns:
        The figure, without a canvas.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 8), dpi=100, layout="constrained")
    loss_axes, dice_axes, rate_axes = figure.subplots(3, 1, sharex=True)
    draw_pair(loss_axes, rows, "loss")
    loss_axes.set_ylabel("loss")
    draw_pair(dice_axes, rows, "dice_foreground")
    dice_axes.set_ylabel("foreground Dice")
    mark_best(dice_axes, rows)
    draw_rate(rate_axes, rows)
    rate_axes.set_ylabel("learning rate")
    minutes = sum(row["seconds"] for row in rows) / 60
    rate_axes.set_xlabel(f"epoch ({len(rows)} in {minutes:.1f} minutes)")
    for axes in (loss_axes, dice_axes):
        if axes.lines:
            axes.legend(loc="best")
    for axes in (loss_axes, dice_axes, rate_axes):
        axes.grid(color="0.9")
    return figure


def draw_pair(axes: Axes, rows: Sequence[Row], name: str) -> None:
    """Draw a value of the training and of the validation part.

    Args:
        axes: The axes.
        rows: The history, one row per epoch, at least one.
        name: The column of the training part, such as "loss".
    """
    _draw_line(axes, rows, name, TRAINING, "--", "training")
    _draw_line(axes, rows, f"val_{name}", VALIDATION, "-", "validation")


def draw_rate(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the learning rate of each epoch."""
    _draw_line(axes, rows, "learning_rate", TRAINING, "-", "")


def draw_time(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the seconds that each epoch took."""
    _draw_line(axes, rows, "seconds", TRAINING, "-", "")
    axes.set_ylim(bottom=0)


def mark_best(axes: Axes, rows: Sequence[Row]) -> None:
    """Mark the epoch with the highest Dice of the validation part."""
    scores = np.array([row.get("val_dice_foreground", np.nan) for row in rows])
    if np.isnan(scores).all():
        return
    best = int(np.nanargmax(scores))
    axes.plot(rows[best]["epoch"] + 1, scores[best], "o", color=VALIDATION, markersize=9)
    axes.set_title(f"highest validation Dice: {scores[best]:.3f}, epoch {best + 1}", fontsize=10)


def _draw_line(
    axes: Axes, rows: Sequence[Row], name: str, colour: str, style: str, label: str
) -> None:
    if name not in rows[0]:
        return
    epochs = [row["epoch"] + 1 for row in rows]
    values = [row[name] for row in rows]
    axes.plot(epochs, values, style, color=colour, label=label, marker=".")
