"""Fits the network of a run, from the last checkpoint to the end or an interruption."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import keras
import numpy as np

from segkit import losses
from segkit.config import RunConfig
from segkit.data.batches.training import training_batches
from segkit.data.batches.validation import ValidationBatches
from segkit.data.sources.source import Subset
from segkit.errors import RunError
from segkit.inspection.unlabelled_check import PART as UNLABELLED
from segkit.io.atomic import write_text
from segkit.models.unlabelled import RampUp
from segkit.run import Run
from segkit.run.checkpoint import Position, check_disk_space
from segkit.run.folder import Row
from segkit.system.progress import Progress
from segkit.system.replicas import ALONE, Replicas
from segkit.training import callbacks as own
from segkit.training.best_epoch import choice_for
from segkit.training.checkpointing import KeepCheckpoints, restore, state_bytes
from segkit.training.curves import Curves
from segkit.training.ema import ValidateAverages, averaged
from segkit.training.feeding import training_data, validation_data
from segkit.training.network import build_network
from segkit.training.progress import Report, TrainingClock
from segkit.training.step_counter import StepCounter

_UNLIMITED = 10**6
"""Epoch limit for `fit` when `train.minutes` ends the training."""


class Fitting:
    """One session of fitting, from the last checkpoint on.

    Args:
        config: The config of the training.
        parts: The parts "train" and "validation" of the data; the second may be empty. The part
            "unlabelled", if any, contains images without masks.
        run: The run folder.
        model: The model of probabilities, which is saved.
        trainer: The compiled model of logits, which shares the weights of `model`.
        steps: Number of steps in an epoch.
        replicas: The copies of the network.
        callbacks: Keras callbacks of the user.
    """

    def __init__(
        self,
        config: RunConfig,
        parts: Mapping[str, Subset],
        run: Run,
        model: keras.Model,
        trainer: keras.Model,
        steps: int,
        replicas: Replicas = ALONE,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self.config = config
        self.settings = config.train
        self.run = run
        self.model = model
        self.trainer = trainer
        self.steps = steps
        self.replicas = replicas
        self.callbacks = callbacks
        self.training_part = parts["train"]
        self.unlabelled = parts.get(UNLABELLED)
        self.validation = self._open_validation(parts["validation"])
        begun = run.saved()
        self.history = run.cut_history(begun.epoch)
        shown = self.validation.mask_summary if self.validation else None
        choice = choice_for(config, shown, self.history)
        _check_history(run, self.history, begun, ("seconds", choice.score, choice.loss))
        self.steps_done = begun.steps_done(steps)
        self.used = sum(row["seconds"] for row in self.history) + begun.seconds
        self.counter = StepCounter(begun, steps, self.settings.total_steps(steps))
        self.best = own.SaveBest(model, run, choice, self.history)

    def _open_validation(self, part: Subset) -> ValidationBatches | None:
        if not len(part):
            return None
        return ValidationBatches(
            part,
            self.config,
            self.config.input,
            cache_folder=self.run.cache,
            replicas=self.replicas,
        )

    def fit(self, progress: Progress) -> None:
        """Fit the remaining steps, and write last.keras and model.keras.

        Args:
            progress: Receives the status of the training and the warnings.

        Raises:
            RunError: If the checkpoint does not fit, the loss is not finite, or the disk is full.
        """
        choice = self.best.choice
        if choice.present is not None:
            names = ", ".join(self.config.task.classes[index] for index in choice.present)
            progress.message(f"the best epoch is chosen by {choice.score}, the mean of: {names}")
        saved = self.run.checkpoints.load()
        restore(self.trainer, saved)
        try:
            if not self._is_over():
                with _full_disk_as_run_error(self.run):
                    self._fit(progress, saved.get("metrics", []))
        except BaseException:
            # Other processes would wait for this one to continue, so only a single process saves.
            if self.replicas.processes == 1:
                with suppress(Exception):  # the first exception explains the failure
                    self._save_last()
            raise
        self._save_last()
        if self.run.keeps_models:
            Curves(self.run).draw()
        warning = choice.warning(self.best.best)
        if warning:
            progress.warning(warning)
        # After an interruption the cache stays for the resumed run.
        shutil.rmtree(self.run.cache, ignore_errors=True)

    def _save_last(self) -> None:
        with _full_disk_as_run_error(self.run), averaged(self.trainer):
            own.save(self.model, self.run, last=True)
            if not self.run.model.exists():
                own.save(self.model, self.run)

    def _is_over(self) -> bool:
        """Return whether all steps are done, as after a kill between last epoch and scoring."""
        epochs_without_better = len(self.history) - self.best.best_epoch
        if self.settings.patience and epochs_without_better >= self.settings.patience:
            return True
        total = self.settings.total_steps(self.steps)
        if self.settings.minutes is None:
            return total is not None and self.steps_done >= total
        return self.run.fitted.is_file()

    def _fit(self, progress: Progress, running: Sequence[np.ndarray]) -> None:
        clock = TrainingClock(self.settings, self.steps, self.steps_done, self.used)
        begin = partial(
            training_batches,
            self.training_part,
            self.config,
            self.config.input,
            self.steps_done,
            cache_folder=self.run.cache,
            replicas=self.replicas,
            unlabelled=self.unlabelled,
        )
        with (
            training_data(begin) as batches,
            progress.training() as show_status,
            own.heard_interrupts() as interrupts,
        ):
            report = Report(show_status, clock, self.best, self.counter)
            self.trainer.fit(
                batches,
                steps_per_epoch=self.steps,
                initial_epoch=self.counter.epoch,
                epochs=self.settings.last_epoch(self.steps) or _UNLIMITED,
                validation_data=validation_data(self.validation),
                callbacks=[interrupts, *self._callbacks(report, running)],
                shuffle=False,  # the batches are in random order already
                verbose=0,
            )
        write_text(self.run.fitted, "the training is over\n")

    def _callbacks(
        self, report: Report, running: Sequence[np.ndarray]
    ) -> list[keras.callbacks.Callback]:
        """Return the callbacks, in an order in which each depends only on those before it."""
        settings = self.settings
        run = self.run
        agreed = self.replicas.agreed
        epochs = settings.last_epoch(self.steps) or 1
        callbacks = [
            self.counter,
            own.StopOnNaN(settings, self.counter),
            ValidateAverages(),
            losses.Schedule(epochs, settings.minutes, self.used, agreed),
        ]
        if settings.consistency:
            length = settings.consistency_ramp_up
            callbacks.append(RampUp(length, epochs, settings.minutes, self.used, agreed))
        if settings.minutes is not None:
            callbacks.append(own.TimeBudget(settings, settings.minutes, self.used, agreed))
        callbacks.append(self.best)
        if settings.patience:
            callbacks.append(own.EarlyStopping(self.best, settings.patience))
        callbacks.append(report)
        if settings.tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False))
        if settings.pictures and self.validation:
            samples = self.validation.samples
            names = self.validation.names
            callbacks.append(own.Pictures(self.model, self.config, run, samples, names))
        callbacks.append(keras.callbacks.CSVLogger(str(run.history), append=True))
        if run.keeps_models:
            callbacks.append(Curves(run))
        callbacks += self.callbacks
        minutes = settings.checkpoint_minutes
        callbacks.append(KeepCheckpoints(run, self.counter, minutes, running))
        return callbacks


def _check_history(
    run: Run, history: Sequence[Row], begun: Position, columns: Sequence[str | None]
) -> None:
    """Raise `RunError` if epochs or columns that the best epoch depends on are missing."""
    if len(history) < begun.epoch:
        raise RunError(
            f"{run.history}: contains {len(history)} epochs, and the checkpoint {begun.epoch}; the "
            f"file is damaged. Start a new run",
            "damaged-file",
        )
    missing = [name for name in columns if name and history and name not in history[0]]
    if missing:
        raise RunError(
            f"{run.history}: has no column {', '.join(missing)}; start a new run", "damaged-file"
        )


@contextmanager
def _full_disk_as_run_error(run: Run) -> Iterator[None]:
    """Raise `RunError`, with the last checkpoint's position, when the disk is full."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        saved = run.saved()
        raise RunError(
            f"{run.path}: cannot be written to ({problem.strerror}). The checkpoint after "
            f"{saved.epoch} epochs and {saved.step} steps is kept; free some space and "
            f"continue with --resume",
            "no-space",
        ) from problem


def fit_network(
    config: RunConfig,
    parts: Mapping[str, Subset],
    run: Run,
    replicas: Replicas,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: Progress,
) -> None:
    """Build the config's network and fit it, from the last checkpoint on.

    Precision and devices must be set before. A run that has scores is not fitted.

    Args:
        config: The config of the training.
        parts: The parts "train" and "validation" of the data; the second may be empty.
        run: The run folder.
        replicas: The copies of the network.
        callbacks: Keras callbacks of the user.
        progress: Receives messages, the status of the training and warnings.

    Raises:
        RunError: If the checkpoint does not fit, the loss is not finite, or the disk is full.
    """
    samples = len(parts["train"].names)
    steps = config.train.steps_per_epoch or -(-samples // config.train.batch_size)
    model, trainer = build_network(config, steps)
    if run.keeps_models:
        check_disk_space(run.path, *state_bytes(trainer))
    progress.message(f"{model.count_params():,} parameters, {steps} steps per epoch")
    begun = run.saved()
    if begun != Position():
        progress.message(f"continuing at epoch {begun.epoch + 1}, step {begun.step + 1}")
    if not run.scores.is_file():
        Fitting(config, parts, run, model, trainer, steps, replicas, callbacks).fit(progress)
