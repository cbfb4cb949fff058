"""One session of a training: from where it stands to its end, or to what interrupts it."""

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
from segkit.io.atomic import write_text
from segkit.run import Run
from segkit.run.checkpoint import Position, check_disk_space
from segkit.run.folder import Row
from segkit.system.progress import Progress
from segkit.system.replicas import ALONE, Replicas
from segkit.training import callbacks as own
from segkit.training.best_epoch import choice_for
from segkit.training.checkpointing import KeepCheckpoints, restore, state_bytes
from segkit.training.ema import ValidateAverages, averaged
from segkit.training.mirrored import batches_of
from segkit.training.network import build_network
from segkit.training.progress import Report, TrainingClock
from segkit.training.step_counter import Course

_WITHOUT_END = 10**6
"""Epochs of a training that its minutes end."""


class Fitting:
    """Fits a compiled view of `model` into its run folder, beginning where the last checkpoint stands."""

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
        self.callbacks = callbacks
        self.config, self.settings, self.run = config, config.train, run
        self.model, self.trainer, self.steps, self.replicas = model, trainer, steps, replicas
        begun = run.saved()
        self.history = run.cut_history(begun.epoch)
        self.done = begun.steps_done(steps)
        self.course = Course(begun, steps, self.settings.total_steps(steps))
        self.part, held, self.kept = parts["train"], parts["validation"], run.cache
        self.validation = (
            ValidationBatches(held, config, config.input, cache_folder=self.kept, replicas=replicas)
            if len(held)
            else None
        )
        choice = choice_for(config, self.validation.mask_summary if self.validation else None)
        _check_history(run, self.history, begun, ("seconds", choice.score, choice.loss))
        self.used = _seconds(self.history) + begun.seconds
        self.best = own.SaveBest(model, run, choice, self.history)

    def fit(self, progress: Progress) -> None:
        """Fit what is left, and leave last.keras and model.keras. Raises `RunError` if the disk is full."""
        saved = self.run.checkpoints.load()
        restore(self.trainer, saved)
        try:
            if not self._is_over():
                with _naming_the_disk(self.run):
                    self._fit(progress, saved.get("metrics", []))
        except BaseException:
            if self.replicas.processes == 1:  # others would wait for this one to go on
                with suppress(Exception):  # what led here is to be told, and not what it led to
                    self._keep_last()
            raise
        self._keep_last()
        warning = self.best.choice.warning(self.best.best)
        if warning:
            progress.warning(warning)
        shutil.rmtree(
            self.kept, ignore_errors=True
        )  # after an interruption it stays for the resumed run

    def _keep_last(self) -> None:
        with _naming_the_disk(self.run), averaged(self.trainer):
            own.save(self.model, self.run, last=True)
            if not self.run.model.exists():
                own.save(self.model, self.run)

    def _is_over(self) -> bool:
        """Return whether nothing is left to fit: a kill may come between the last epoch and the scoring."""
        settings, total = self.settings, self.settings.total_steps(self.steps)
        if settings.patience and len(self.history) - self.best.best_epoch >= settings.patience:
            return True
        if settings.minutes is None:
            return total is not None and self.done >= total
        return self.run.fitted.is_file()

    def _fit(self, progress: Progress, running: Sequence[np.ndarray]) -> None:
        clock = TrainingClock(self.settings, self.steps, self.done, self.used)
        begin = partial(
            training_batches,
            self.part,
            self.config,
            self.config.input,
            self.done,
            cache_folder=self.kept,
            replicas=self.replicas,
        )
        with (
            batches_of(begin) as batches,
            progress.training() as report,
            own.heard_interrupts() as interrupts,
        ):
            self.trainer.fit(
                batches,
                steps_per_epoch=self.steps,
                initial_epoch=self.course.epoch,
                epochs=self.settings.last_epoch(self.steps) or _WITHOUT_END,
                validation_data=self.validation,
                callbacks=[
                    interrupts,
                    *self._callbacks(Report(report, clock, self.best, self.course), running),
                ],
                shuffle=False,  # the order is the pipeline's business
                verbose=0,
            )
        write_text(self.run.fitted, "the training is over\n")

    def _callbacks(
        self, report: Report, running: Sequence[np.ndarray]
    ) -> list[keras.callbacks.Callback]:
        settings, run = self.settings, self.run
        schedule = losses.Schedule(
            settings.last_epoch(self.steps) or 1, settings.minutes, self.used, self.replicas.agreed
        )
        beside = [self.course, own.StopOnNaN(settings, self.course), ValidateAverages(), schedule]
        if settings.minutes is not None:
            beside.append(
                own.TimeBudget(settings, settings.minutes, self.used, self.replicas.agreed)
            )
        beside.append(self.best)
        if settings.patience:
            beside.append(own.EarlyStopping(self.best, settings.patience))
        beside.append(report)
        if settings.tensorboard:
            beside.append(keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False))
        if settings.pictures and self.validation:
            seen = self.validation
            beside.append(own.Pictures(self.model, self.config, run, seen.samples, seen.names))
        beside.append(keras.callbacks.CSVLogger(str(run.history), append=True))
        beside += self.callbacks
        return [*beside, KeepCheckpoints(run, self.course, settings.checkpoint_minutes, running)]


def _check_history(
    run: Run, history: Sequence[Row], begun: Position, columns: Sequence[str | None]
) -> None:
    """Raise `RunError` if epochs of the checkpoint are missing: which one was the best would not be known."""
    if len(history) < begun.epoch:
        raise RunError(
            f"{run.history}: holds {len(history)} epochs, and the checkpoint {begun.epoch}; the file is damaged. Begin a "
            f"new run",
            "damaged-file",
        )
    missing = [name for name in columns if name and history and name not in history[0]]
    if missing:
        raise RunError(
            f"{run.history}: has no column {', '.join(missing)}; begin a new run", "damaged-file"
        )


@contextmanager
def _naming_the_disk(run: Run) -> Iterator[None]:
    """Turn what a full disk raises into a `RunError` that says what is kept."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        at = run.saved()
        raise RunError(
            f"{run.path}: cannot be written to ({problem.strerror}). The checkpoint after {at.epoch} epochs and {at.step} "
            f"steps is kept; make room and go on with --resume",
            "no-space",
        ) from problem


def _seconds(history: Sequence[Row]) -> float:
    return sum(row["seconds"] for row in history)


def fit_network(
    config: RunConfig,
    parts: Mapping[str, Subset],
    run: Run,
    replicas: Replicas,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: Progress,
) -> None:
    """Build the config's network and fit it into the run folder, from where the last checkpoint stands.

    Nothing is fitted if the run was scored already. Precision and devices have been chosen before.
    """
    samples = len(parts["train"].names)
    steps = config.train.steps_per_epoch or -(-samples // config.train.batch_size)
    model, trainer = build_network(config, steps)
    if run.keeps_models:
        check_disk_space(run.path, *state_bytes(trainer))
    progress.message(f"{model.count_params():,} parameters, {steps} steps an epoch")
    begun = run.saved()
    if begun != Position():
        progress.message(f"going on at epoch {begun.epoch + 1}, step {begun.step + 1}")
    if not run.scores.is_file():
        Fitting(config, parts, run, model, trainer, steps, replicas, callbacks).fit(progress)
