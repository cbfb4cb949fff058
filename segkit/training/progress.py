"""Reports the steps and epochs of a training, and estimates the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import keras
import numpy as np

from segkit.config import TrainConfig
from segkit.system.progress import TrainingStatus
from segkit.training.callbacks import SaveBest
from segkit.training.step_counter import Logs, StepCounter


class TrainingClock:
    """Knows how much of a training is done, by its steps or, with `train.minutes`, by the time.

    The first step of a session compiles the network, so its time does not count for the speed of
    the steps that remain.

    Args:
        settings: Section `train` of the config.
        steps: Number of steps in an epoch.
        steps_done: Steps that earlier sessions of a resumed run have made.
        seconds_used: Seconds that earlier sessions have used.
    """

    def __init__(
        self, settings: TrainConfig, steps: int, steps_done: int, seconds_used: float
    ) -> None:
        self.steps = steps
        self.total = settings.total_steps(steps)
        self.epochs = settings.last_epoch(steps)
        self.budget = 60 * (settings.minutes or 0)
        self.steps_done = steps_done
        self.seconds_used = seconds_used
        self.began = time.monotonic()
        self.compiled: tuple[int, float] | None = None
        """Steps done and time at the end of this session's first step."""

    def status(self, epoch: int, step: int, loss: float) -> TrainingStatus:
        """Return the status after a step.

        Args:
            epoch: Number of the epoch, from 0.
            step: Number of steps that are done in the epoch.
            loss: Mean loss of these steps.

        Returns:
            The status, without the logs of an epoch.
        """
        self.steps_done = epoch * self.steps + step
        if self.compiled is None:
            self.compiled = (self.steps_done, time.monotonic())
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
        """Return the part of the training that is done, from 0 to 1."""
        if self.total is None:
            return min(1.0, (self.seconds_used + time.monotonic() - self.began) / self.budget)
        return self.steps_done / self.total

    def seconds_left(self) -> float | None:
        """Return the seconds until the training ends; None until this session has made two steps.

        It is the rest of `train.minutes`, or the remaining steps times the mean time of this
        session's steps after the first one, validation included.
        """
        now = time.monotonic()
        if self.total is None:
            return max(0.0, self.budget - self.seconds_used - (now - self.began))
        if self.steps_done >= self.total:
            return 0.0
        if self.compiled is None:
            return None
        first_steps, first_time = self.compiled
        if self.steps_done <= first_steps:
            return None
        return (now - first_time) / (self.steps_done - first_steps) * (self.total - self.steps_done)


class Report(keras.callbacks.Callback):
    """Reports each step and each epoch.

    Args:
        report: Called with the status.
        clock: Makes the status.
        best: Knows the best epoch so far.
        counter: Knows epoch and step.
    """

    def __init__(
        self,
        report: Callable[[TrainingStatus], None],
        clock: TrainingClock,
        best: SaveBest,
        counter: StepCounter,
    ) -> None:
        super().__init__()
        self.report = report
        self.clock = clock
        self.best = best
        self.counter = counter

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Report a step."""
        loss = float(np.asarray((logs or {})["loss"]))
        self.report(self.clock.status(self.counter.epoch, self.counter.step, loss))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Report the end of an epoch."""
        scores: Mapping[str, float] = logs or {}
        status = self.clock.status(epoch, self.clock.steps, scores["loss"])
        self.report(status._replace(logs=scores, best_epoch=self.best.best_epoch))
