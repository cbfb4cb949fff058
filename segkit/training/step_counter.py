"""Where a training stands, when its epochs end, and how its state comes to the disk and back."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from segkit.run.checkpoint import Position

Logs = dict[str, Any]


class Course(keras.callbacks.Callback):
    """Counts steps, ends an epoch that was resumed in its middle and the last one, and logs steps, learning rate and seconds.

    `fit` makes the same number of steps in each epoch, so one that has some behind it is ended by `stop_training`, which is
    taken back before the next. Stands first among the callbacks: what others decide at the end of an epoch holds.
    """

    def __init__(self, begun: Position, steps_per_epoch: int, total: int | None) -> None:
        super().__init__()
        self.epoch, self.step, self.seconds = begun.epoch, begun.step, begun.seconds
        self.steps_per_epoch, self.total = steps_per_epoch, total

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.began = time.monotonic() - self.seconds

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.step += 1
        if self.step == self.steps_per_epoch or self._is_over():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.model.stop_training = self._is_over()
        now = time.monotonic()
        if logs is not None:
            logs["steps"] = self.step
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
            logs["seconds"] = round(now - self.began, 3)
        self.epoch, self.step, self.began = epoch + 1, 0, now  # no second between epochs is lost

    def position(self) -> Position:
        """Return where the training stands."""
        return Position(self.epoch, self.step, time.monotonic() - self.began)

    def _is_over(self) -> bool:
        return (
            self.total is not None
            and self.position().steps_done(self.steps_per_epoch) >= self.total
        )
