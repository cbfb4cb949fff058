"""One session of a training: from where it stands to its end, or to what interrupts it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import keras
import numpy as np
from rich.console import Console

from segkit import losses
from segkit.config import Config
from segkit.data.batches.validation import ValidationBatches, training_batches
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, RunError
from segkit.io.atomic import write_text
from segkit.run import Run
from segkit.run.folder import Row
from segkit.system.replicas import ALONE, Replicas
from segkit.training import callbacks
from segkit.training.checkpointing import KeepCheckpoints, restore
from segkit.training.ema import ValidateAverages, averaged
from segkit.training.mirrored import batches_of
from segkit.training.progress import FitProgress
from segkit.training.step_counter import Course, Logs

_WITHOUT_END = 10**6
"""Epochs of a training that its minutes end."""


class Fitting:
    """Fits a compiled view of `model` into its run folder, beginning where the last checkpoint stands."""

    def __init__(
        self,
        config: Config,
        parts: Mapping[str, Subset],
        run: Run,
        model: keras.Model,
        trainer: keras.Model,
        steps: int,
        replicas: Replicas = ALONE,
    ) -> None:
        if config.input is None:
            raise ConfigError("input: is missing; `data.check.check` measures it")
        self.config, self.settings, self.run = config, config.train, run
        self.model, self.trainer, self.steps, self.replicas = model, trainer, steps, replicas
        begun = run.saved()
        self.history = run.cut_history(begun.epoch)
        self.done = begun.steps_done(steps)
        self.used = _seconds(self.history) + begun.seconds
        self.course = Course(begun, steps, self.settings.total_steps(steps))
        self.part, held, self.kept = parts["train"], parts["validation"], run.cache
        self.validation = (
            ValidationBatches(held, config, config.input, cache_folder=self.kept, replicas=replicas)
            if len(held)
            else None
        )
        self.monitor = ("val_" if self.validation else "") + self.settings.monitor
        self.best = callbacks.SaveBest(model, run, self.monitor, self.history)

    def fit(self, console: Console) -> None:
        """Fit what is left, and leave last.keras and model.keras. Raises `RunError` if the disk is full."""
        saved = self.run.checkpoints.load()
        restore(self.trainer, saved)
        try:
            if not self._is_over():
                with _naming_the_disk(self.run):
                    self._fit(console, saved.get("metrics", []))
        except BaseException:
            if self.replicas.processes == 1:  # others would wait for this one to go on
                with suppress(Exception):  # what led here is to be told, and not what it led to
                    self._keep_last()
            raise
        self._keep_last()
        shutil.rmtree(self.kept, ignore_errors=True)  # after an interruption it stays for the resumed run

    def _keep_last(self) -> None:
        with _naming_the_disk(self.run), averaged(self.trainer):
            callbacks.save(self.model, self.run, last=True)
            if not self.run.model.exists():
                callbacks.save(self.model, self.run)

    def _is_over(self) -> bool:
        """Return whether nothing is left to fit: a kill may come between the last epoch and the scoring."""
        settings, total = self.settings, self.settings.total_steps(self.steps)
        if settings.patience and len(self.history) - self.best.best_epoch >= settings.patience:
            return True
        if settings.minutes is None:
            return total is not None and self.done >= total
        return self.run.fitted.is_file()

    def _fit(self, console: Console, running: Sequence[np.ndarray]) -> None:
        assert self.config.input is not None
        progress = FitProgress(console, self.settings, self.steps, self.done, self.used)
        begin = partial(
            training_batches,
            self.part,
            self.config,
            self.config.input,
            self.done,
            cache_folder=self.kept,
            replicas=self.replicas,
        )
        with batches_of(begin) as batches, progress.bars, callbacks.heard_interrupts() as interrupts:
            self.trainer.fit(
                batches,
                steps_per_epoch=self.steps,
                initial_epoch=self.course.epoch,
                epochs=self.settings.last_epoch(self.steps) or _WITHOUT_END,
                validation_data=self.validation,
                callbacks=[interrupts, *self._callbacks(progress, running)],
                shuffle=False,  # the order is the pipeline's business
                verbose=0,
            )
        write_text(self.run.fitted, "the training is over\n")

    def _callbacks(self, progress: FitProgress, running: Sequence[np.ndarray]) -> list[keras.callbacks.Callback]:
        settings, run = self.settings, self.run
        schedule = losses.Schedule(
            settings.last_epoch(self.steps) or 1, settings.minutes, self.used, self.replicas.agreed
        )
        beside = [self.course, callbacks.StopOnNaN(settings, self.course), ValidateAverages(), schedule]
        if settings.minutes is not None:
            beside.append(callbacks.TimeBudget(settings, settings.minutes, self.used, self.replicas.agreed))
        if settings.patience:
            mode = "min" if self.monitor.endswith("loss") else "max"
            stop = {"monitor": self.monitor, "mode": mode, "patience": settings.patience}
            beside.append(callbacks.EarlyStopping(self.history, **stop))
        beside += [self.best, _Shown(progress, self.best, self.course)]
        if settings.tensorboard:
            beside.append(keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False))
        if settings.pictures and self.validation:
            seen = self.validation
            beside.append(callbacks.Pictures(self.model, self.config, run, seen.samples, seen.names))
        beside.append(keras.callbacks.CSVLogger(str(run.history), append=True))
        return [*beside, KeepCheckpoints(run, self.course, settings.checkpoint_minutes, running)]


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
            f"steps is kept; make room and go on with --resume"
        ) from problem


def _seconds(history: Sequence[Row]) -> float:
    return sum(row["seconds"] for row in history)


class _Shown(keras.callbacks.Callback):
    """Tells the display what happens."""

    def __init__(self, progress: FitProgress, best: callbacks.SaveBest, course: Course) -> None:
        super().__init__()
        self.progress, self.best, self.course = progress, best, course

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.progress.step(self.course.epoch, self.course.step, float(np.asarray((logs or {})["loss"])))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.progress.epoch_end(epoch, logs or {}, self.best.best_epoch)
