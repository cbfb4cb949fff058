"""What a training reports: how much of it is done, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import keras
import numpy as np

from segkit.config import TrainConfig
from segkit.system.progress import TrainingStatus
from segkit.training.callbacks import SaveBest
from segkit.training.step_counter import Course, Logs


class TrainingClock:
    """Knows the share of a training that is done, from its steps or, with a budget of minutes, from the time.

    Args:
        settings: The section `train`.
        steps: Steps of an epoch.
        done: Steps that earlier sessions of a resumed run have made.
        used: Seconds that they have used.
    """

    def __init__(self, settings: TrainConfig, steps: int, done: int, used: float) -> None:
        self.steps = steps
        self.total = settings.total_steps(steps)
        self.epochs = settings.last_epoch(steps)
        self.budget = 60 * (settings.minutes or 0)
        self.done = done
        self.done_before = done
        self.used = used
        self.began = time.monotonic()

    def status(self, epoch: int, step: int, loss: float) -> TrainingStatus:
        """Return the status after `step` steps of an epoch, which is counted from 0."""
        self.done = epoch * self.steps + step
        return TrainingStatus(
            epoch=epoch + 1,
            epochs=self.epochs,
            step=step,
            steps=self.steps,
            loss=loss,
            share=self.share(),
            seconds_left=self.seconds_left(),
        )

    def share(self) -> float:
        """Return how much is done, from 0 to 1."""
        if self.total is None:
            return min(1.0, (self.used + time.monotonic() - self.began) / self.budget)
        return self.done / self.total

    def seconds_left(self) -> float:
        """Return the rest of the budget, or what the mean of this session's steps lets expect."""
        elapsed = time.monotonic() - self.began
        if self.total is None:
            return max(0.0, self.budget - self.used - elapsed)
        return elapsed / max(1, self.done - self.done_before) * (self.total - self.done)


class Report(keras.callbacks.Callback):
    """Reports each step and each epoch."""

    def __init__(
        self,
        report: Callable[[TrainingStatus], None],
        clock: TrainingClock,
        best: SaveBest,
        course: Course,
    ) -> None:
        super().__init__()
        self.report = report
        self.clock = clock
        self.best = best
        self.course = course

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Report a step."""
        loss = float(np.asarray((logs or {})["loss"]))
        self.report(self.clock.status(self.course.epoch, self.course.step, loss))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Report the end of an epoch."""
        found: Mapping[str, float] = logs or {}
        status = self.clock.status(epoch, self.clock.steps, found["loss"])
        self.report(status._replace(logs=found, best_epoch=self.best.best_epoch))
