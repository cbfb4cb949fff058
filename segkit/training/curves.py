"""curves.png in a run folder: losses, scores and learning rate of each epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from segkit.io.images import write_picture
from segkit.run import Run
from segkit.run.folder import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SECONDS = 30.0
"""Shortest time between two drawings, so that short epochs do not wait for them."""
TRAINING = "#0072b2"
VALIDATION = "#d55e00"


class Curves(keras.callbacks.Callback):
    """Draws curves.png during the training and at its end. It must come after the history.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.drawn = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.drawn = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw the curves, unless they were drawn a short time ago."""
        if time.monotonic() - self.drawn >= SECONDS:
            self.draw()
            self.drawn = time.monotonic()

    def draw(self) -> None:
        """Write curves.png; a disk that is full does not end the training."""
        with suppress(OSError):
            rows = self.run.rows()
            if rows:
                write_picture(self.run.curves, plot_curves(rows))


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
    _draw_pair(loss_axes, rows, "loss", "loss")
    _draw_pair(dice_axes, rows, "dice_foreground", "foreground Dice")
    _mark_best(dice_axes, rows)
    _draw_line(rate_axes, rows, "learning_rate", TRAINING, "-", "")
    rate_axes.set_ylabel("learning rate")
    minutes = sum(row["seconds"] for row in rows) / 60
    rate_axes.set_xlabel(f"epoch ({len(rows)} in {minutes:.1f} minutes)")
    for axes in (loss_axes, dice_axes, rate_axes):
        axes.grid(color="0.9")
    return figure


def _draw_pair(axes: Axes, rows: Sequence[Row], name: str, label: str) -> None:
    """Draw a value of the training and of the validation part."""
    _draw_line(axes, rows, name, TRAINING, "--", "training")
    _draw_line(axes, rows, f"val_{name}", VALIDATION, "-", "validation")
    axes.set_ylabel(label)
    if axes.lines:
        axes.legend(loc="best")


def _draw_line(
    axes: Axes, rows: Sequence[Row], name: str, colour: str, style: str, label: str
) -> None:
    if name not in rows[0]:
        return
    epochs = [row["epoch"] + 1 for row in rows]
    values = [row[name] for row in rows]
    axes.plot(epochs, values, style, color=colour, label=label, marker=".")


def _mark_best(axes: Axes, rows: Sequence[Row]) -> None:
    """Mark the epoch with the highest Dice of the validation part."""
    scores = np.array([row.get("val_dice_foreground", np.nan) for row in rows])
    if np.isnan(scores).all():
        return
    best = int(np.nanargmax(scores))
    axes.plot(rows[best]["epoch"] + 1, scores[best], "o", color=VALIDATION, markersize=9)
    axes.set_title(f"highest validation Dice: {scores[best]:.3f}, epoch {best + 1}", fontsize=10)
