"""The state of a training: collected, saved at the end of epochs and in between, and restored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from segkit.errors import RunError
from segkit.run import Run
from segkit.run.checkpoint import Groups, to_disk
from segkit.training.mirrored import add_to_sum
from segkit.training.step_counter import Logs, StepCounter

_BYTES = 4
"""Bytes of a saved number: float32 or int32."""


class KeepCheckpoints(keras.callbacks.Callback):
    """Saves the training state at the end of each epoch, and every so many minutes within an epoch.

    Keras' BackupAndRestore repeats an interrupted epoch, writes in place, and does not save the
    random state of dropout (docs/decisions/0008). This callback must be the last one, because it
    saves the state that all others leave.

    Args:
        run: The run folder.
        counter: Knows the position of the training.
        minutes: Time between two checkpoints within an epoch; 0 for none.
        running: The metrics' sums over the steps of the epoch before the interruption.
    """

    def __init__(
        self, run: Run, counter: StepCounter, minutes: float, running: Sequence[np.ndarray]
    ) -> None:
        super().__init__()
        self.run = run
        self.counter = counter
        self.seconds = minutes * 60
        self.running = running

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Restore the metrics' sums after the first step, and save a checkpoint when one is due."""
        if self.running:  # the metrics exist from the first step on, and all of them are sums
            for variable, before in zip(self.model.metrics_variables, self.running, strict=True):
                add_to_sum(variable, before)
            self.running = []
        is_due = self.seconds and time.monotonic() - self.saved >= self.seconds
        # `stop_training` marks the last step of an epoch. Its checkpoint is saved after validation.
        if is_due and not self.model.stop_training:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save a checkpoint."""
        if self.run.history.is_file():
            # The epoch's row must survive a power failure if the checkpoint does.
            to_disk(self.run.history)
        self._save()

    def _save(self) -> None:
        self.run.check_not_removed()
        position = self.counter.position()
        self.run.checkpoints.save(position, state_of(self.model, with_metrics=position.step > 0))
        self.saved = time.monotonic()


def state_of(trainer: keras.Model, with_metrics: bool = False) -> dict[str, list[np.ndarray]]:
    """Return the values of all variables of a compiled model.

    Args:
        trainer: A compiled model whose optimizer is built.
        with_metrics: Whether to include the metrics' sums.

    Returns:
        Values by kind: "weights" (with batch statistics and the random state of dropout),
        "optimizer", and "metrics" if they are included.
    """
    groups = _variables(trainer)
    if with_metrics:
        groups["metrics"] = trainer.metrics_variables
    state = {}
    for kind, variables in groups.items():
        state[kind] = [ops.convert_to_numpy(variable) for variable in variables]
    return state


def _variables(trainer: keras.Model) -> dict[str, list[Any]]:
    return {"weights": trainer.variables, "optimizer": trainer.optimizer.variables}


def restore(trainer: keras.Model, groups: Groups) -> None:
    """Set the variables of a compiled model to saved values.

    Args:
        trainer: A compiled model.
        groups: Values as `state_of` returns them; nothing is changed if it is empty.

    Raises:
        RunError: If the values belong to another network or optimizer.
    """
    build_optimizer(trainer)
    if not groups:
        return
    for kind, variables in _variables(trainer).items():
        saved = groups.get(kind, [])
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [array.shape for array in saved]:
            raise RunError(
                f"the checkpoint's {kind} do not fit this network; another version of segkit or "
                f"Keras wrote the checkpoint. Start a new run",
                "mismatch",
            )
        for variable, array in zip(variables, saved, strict=True):
            variable.assign(array)


def build_optimizer(trainer: keras.Model) -> None:
    """Create the optimizer's variables, which `fit` would create in its first step."""
    if not trainer.optimizer.built:
        trainer.optimizer.build(trainer.trainable_variables)


def state_bytes(trainer: keras.Model) -> tuple[int, int]:
    """Return the bytes of a checkpoint, and the bytes of the weights alone."""
    variables = _variables(trainer)
    weights = _bytes_of(variables["weights"])
    return weights + _bytes_of(variables["optimizer"]), weights


def _bytes_of(variables: Sequence[Any]) -> int:
    return sum(int(np.prod(variable.shape)) * _BYTES for variable in variables)
