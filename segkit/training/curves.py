"""curves.png in a run folder: losses, scores and learning rate of each epoch."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import keras

from segkit.io.images import write_picture
from segkit.reporting.learning_curves import plot_curves
from segkit.run import Run

SECONDS = 30.0
"""Shortest time between two drawings, so that short epochs do not wait for them."""


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
