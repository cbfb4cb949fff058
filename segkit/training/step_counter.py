"""Counts the epochs and steps of a training, across interruptions."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from segkit.run.checkpoint import Position

Logs = dict[str, Any]


class StepCounter(keras.callbacks.Callback):
    """Counts steps, ends epochs, and adds steps, learning rate and seconds to the logs of an epoch.

    `fit` makes the same number of steps in each epoch. An epoch that is resumed in its middle must
    end earlier: `stop_training` is set at its last step, and reset at the end of the epoch. This
    callback must be the first one, so that the others can set `stop_training` after it.

    Args:
        begun: Where the training starts.
        steps_per_epoch: Number of steps in a whole epoch.
        total: Number of steps in the whole training; None if it ends by the clock.
    """

    def __init__(self, begun: Position, steps_per_epoch: int, total: int | None) -> None:
        super().__init__()
        self.epoch = begun.epoch
        self.step = begun.step
        self.seconds = begun.seconds
        self.steps_per_epoch = steps_per_epoch
        self.total = total

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock of the epoch."""
        self.began = time.monotonic() - self.seconds

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count a step, and end the epoch or the training after its last step."""
        self.step += 1
        if self.step == self.steps_per_epoch or self._is_over():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Complete the logs, and start to count the next epoch."""
        self.model.stop_training = self._is_over()
        now = time.monotonic()
        if logs is not None:
            logs["steps"] = self.step
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
            logs["seconds"] = round(now - self.began, 3)
        self.epoch = epoch + 1
        self.step = 0
        self.began = now  # the seconds between two epochs belong to the next one

    def position(self) -> Position:
        """Return the epochs and steps that are complete, and the seconds of the current epoch."""
        return Position(self.epoch, self.step, time.monotonic() - self.began)

    def _is_over(self) -> bool:
        if self.total is None:
            return False
        return self.position().steps_done(self.steps_per_epoch) >= self.total
