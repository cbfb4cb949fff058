"""The state of a training: collected, saved at the end of epochs and in between, and restored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from segkit.errors import RunError
from segkit.run import Run
from segkit.run.checkpoint import Groups, to_disk
from segkit.training.mirrored import add_to_sum
from segkit.training.step_counter import Course, Logs


class KeepCheckpoints(keras.callbacks.Callback):
    """Saves the training's state at the end of each epoch, and every so many minutes within one.

    Keras' BackupAndRestore knows the batch it stopped at but begins the epoch again, writes in place, and leaves out the
    state of dropout (docs/decisions/0008). Stands last among the callbacks: what it saves is what all others have left.
    """

    def __init__(
        self, run: Run, course: Course, minutes: float, running: Sequence[np.ndarray]
    ) -> None:
        super().__init__()
        self.run, self.course, self.seconds = run, course, minutes * 60
        self.running = running
        """Sums behind the epoch's loss and scores, of the steps before the interruption."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.running:  # the metrics exist from the first step on; all of them are sums
            for variable, before in zip(self.model.metrics_variables, self.running, strict=True):
                add_to_sum(variable, before)
            self.running = []
        due = self.seconds and time.monotonic() - self.saved >= self.seconds
        if (
            due and not self.model.stop_training
        ):  # at the end of an epoch its validation is still to come
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.run.history.is_file():
            to_disk(self.run.history)  # no epoch may be saved whose row a power cut takes
        self._save()

    def _save(self) -> None:
        self.run.check_not_removed()
        position = self.course.position()
        self.run.checkpoints.save(position, state_of(self.model, with_metrics=position.step > 0))
        self.saved = time.monotonic()


def state_of(trainer: keras.Model, with_metrics: bool = False) -> dict[str, list[np.ndarray]]:
    """Return every variable of a compiled model: weights, batch statistics, dropout's random state, the optimizer's."""
    groups = {"weights": trainer.variables, "optimizer": trainer.optimizer.variables}
    if with_metrics:
        groups["metrics"] = trainer.metrics_variables
    return {
        kind: [ops.convert_to_numpy(variable) for variable in group]
        for kind, group in groups.items()
    }


def restore(trainer: keras.Model, groups: Groups) -> None:
    """Set the variables of a compiled model to those that `state_of` returned; nothing if there are none.

    Raises `RunError` if they belong to another network or optimizer.
    """
    build_optimizer(trainer)
    ours: Mapping[str, Any] = {
        "weights": trainer.variables,
        "optimizer": trainer.optimizer.variables,
    }
    for kind, variables in ours.items() if groups else ():
        saved = groups.get(kind, [])
        if [tuple(variable.shape) for variable in variables] != [array.shape for array in saved]:
            raise RunError(
                f"the checkpoint's {kind} do not fit this network; it was written by another version of segkit or Keras. "
                f"Begin a new run",
                "mismatch",
            )
        for variable, array in zip(variables, saved, strict=True):
            variable.assign(array)


def build_optimizer(trainer: keras.Model) -> None:
    """Make the optimizer's variables, which `fit` would make in its first step only."""
    if not trainer.optimizer.built:
        trainer.optimizer.build(trainer.trainable_variables)


def state_bytes(trainer: keras.Model) -> tuple[int, int]:
    """Return the bytes of a checkpoint and of the weights alone."""
    sizes = {
        kind: sum(int(np.prod(variable.shape)) * 4 for variable in group)
        for kind, group in (
            ("weights", trainer.variables),
            ("optimizer", trainer.optimizer.variables),
        )
    }
    return sum(sizes.values()), sizes["weights"]
