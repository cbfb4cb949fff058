"""Training, as one story: build, compile, feed, fit, keep the best, score it."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import keras
import numpy as np
from rich.console import Console

from segkit import callbacks
from segkit.averages import ValidateAverages, averaged
from segkit.checkpoint import Position, check_room
from segkit.config import Config, InputConfig
from segkit.course import Course, KeepCheckpoints, Logs, build_optimizer, restore, state_bytes
from segkit.data.parts import held_out
from segkit.data.pipeline import ValidationBatches, training_batches
from segkit.data.source import Subset
from segkit.devices import prepare, spread, synchronize
from segkit.errors import ConfigError, RunError
from segkit.evaluation import evaluate
from segkit.models.build import build_for, compile, encoder_layers
from segkit.optimizers import make_optimizer
from segkit.precision import settle
from segkit.processes import leave
from segkit.progress import FitProgress, counting
from segkit.replicas import Replicas
from segkit.run import Row, Run, write_text
from segkit.runtimes.keras import open_keras
from segkit.train_config import TrainConfig

Parts = dict[str, Subset]
_WITHOUT_END = 10**6
"""Epochs of a training that its minutes end."""


def train(config: Config, parts: Parts, run: Run, console: Console) -> dict[str, Any] | None:
    """Fit the config's network on the training part into a run folder that exists; return the report of scores.json.

    A run that was interrupted goes on from its last checkpoint. Without validation and test part nothing is scored
    and None is returned.
    """
    precision, why = settle(config, run)
    with spread(config.train) as replicas:
        _fit(config, parts, run, console, replicas, precision, why)
    leave()
    return _score(config, parts, run, console) if replicas.leads else None


def _fit(
    config: Config, parts: Parts, run: Run, console: Console, replicas: Replicas, precision: str, why: str
) -> None:
    prepare(config.train, precision)
    model = build_for(config.task, config.model, _input_of(config))
    synchronize(model, replicas)
    steps = config.train.steps_per_epoch or -(-len(parts["train"].names) // config.train.batch_size)
    trainer = compile(
        model,
        config.task,
        loss=config.loss,
        class_weights=config.class_weights,
        optimizer=make_optimizer(config.train, steps, _encoder_of(model)),
    )
    build_optimizer(trainer)
    if run.keeps_models:
        check_room(run.path, *state_bytes(trainer))
    begun = run.saved()
    history = run.cut_history(begun.epoch)
    console.print(f"{model.count_params():,} parameters, {steps} steps an epoch", highlight=False)
    if config.train.precision == "auto":
        console.print(f"precision {precision}: {why}", highlight=False)
    if begun != Position():
        console.print(f"going on at epoch {begun.epoch + 1}, step {begun.step + 1}", highlight=False)
    if not _is_over(config.train, history, run, begun.steps_done(steps), steps):
        _Fitting(config, parts, run, console, model, trainer, history, begun, steps, replicas).fit()


class _Fitting:
    """One session of a training: from where it stands to its end, or to what interrupts it."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        run: Run,
        console: Console,
        model: keras.Model,
        trainer: keras.Model,
        history: list[Row],
        begun: Position,
        steps: int,
        replicas: Replicas,
    ) -> None:
        self.config, self.settings, self.run, self.model, self.trainer = config, config.train, run, model, trainer
        self.history, self.steps, self.done = history, steps, begun.steps_done(steps)
        self.used = _seconds(history) + begun.seconds
        self.course = Course(begun, steps, self.settings.total_steps(steps))
        self.progress = FitProgress(console, self.settings, steps, self.done, self.used)
        given, self.replicas = _input_of(config), replicas
        self.batches = training_batches(parts["train"], config, given, first_step=self.done, replicas=replicas)
        part = parts["validation"]
        self.validation = ValidationBatches(part, config, given, replicas=replicas) if len(part) else None

    def fit(self) -> None:
        """Fit, and leave last.keras and model.keras. Raises `RunError` if the disk is full."""
        saved = self.run.checkpoints.load()
        restore(self.trainer, saved)
        try:
            with _naming_the_disk(self.run), closing(self.batches), self.progress.bars:
                self._fit(saved.get("metrics", []))
        finally:
            with _naming_the_disk(self.run), averaged(self.trainer):
                callbacks.save(self.model, self.run, last=True)
                if not self.run.model.exists():
                    callbacks.save(self.model, self.run)

    def _fit(self, running: list[np.ndarray]) -> None:
        self.trainer.fit(
            self.batches,
            steps_per_epoch=self.steps,
            initial_epoch=self.course.epoch,
            epochs=self.settings.last_epoch(self.steps) or _WITHOUT_END,
            validation_data=self.validation,
            callbacks=self._callbacks(running),
            shuffle=False,  # the order is the pipeline's business
            verbose=0,
        )

    def _callbacks(self, running: list[np.ndarray]) -> list[keras.callbacks.Callback]:
        settings, run = self.settings, self.run
        monitor = ("val_" if self.validation else "") + settings.monitor
        best = callbacks.SaveBest(self.model, run, monitor, self.history)
        beside = [self.course, callbacks.StopOnNaN(settings, self.course), ValidateAverages()]
        if settings.minutes is not None:
            beside.append(callbacks.TimeBudget(settings, settings.minutes, self.used, self.replicas.agreed))
        if settings.patience:
            mode = "min" if monitor.endswith("loss") else "max"
            stop = {"monitor": monitor, "mode": mode, "patience": settings.patience}
            beside.append(callbacks.EarlyStopping(self.history, **stop))
        beside += [best, _Shown(self.progress, best, self.course)]
        if settings.tensorboard:
            beside.append(keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False))
        if settings.pictures and self.validation:
            beside.append(
                callbacks.Pictures(self.model, self.config, run, self.validation.samples, self.validation.names)
            )
        beside.append(keras.callbacks.CSVLogger(str(run.history), append=True))
        return [*beside, KeepCheckpoints(run.checkpoints, self.course, settings.checkpoint_minutes, running)]


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


def _is_over(settings: TrainConfig, history: list[Row], run: Run, done: int, steps: int) -> bool:
    if run.scores.is_file():
        return True
    total = settings.total_steps(steps)
    if total is not None and done >= total:
        return True
    # the last epoch leaves time for a validation as long as the longest, so a budget is never used to its last second
    return settings.minutes is not None and _seconds(history) >= 0.9 * settings.minutes * 60


def _seconds(history: list[Row]) -> float:
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


def _score(config: Config, parts: Parts, run: Run, console: Console) -> dict[str, Any] | None:
    try:
        part = "validation" if config.data.fold else held_out(parts)
    except ConfigError:
        return None
    with counting(f"scoring the best epoch on the {part} part", len(parts[part]), console) as done:
        report = {"part": part, **evaluate(open_keras(run), config, parts[part], done)}
    write_text(run.scores, json.dumps(report, indent=2) + "\n")
    return report


def _encoder_of(model: keras.Model) -> list[Any]:
    return [variable for layer in encoder_layers(model) for variable in layer.trainable_variables]


def _input_of(config: Config) -> InputConfig:
    if config.input is None:
        raise ConfigError("input: is missing; `data.check.check` measures it")
    return config.input
