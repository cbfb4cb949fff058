"""Training, as one story: build, compile, feed, fit, keep the best, score it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import keras
import numpy as np
from rich.console import Console

from segkit import callbacks
from segkit.callbacks import Logs
from segkit.config import Config, InputConfig, TrainConfig
from segkit.data.parts import held_out
from segkit.data.pipeline import ValidationBatches, training_batches
from segkit.data.source import Subset
from segkit.devices import prepare
from segkit.errors import ConfigError
from segkit.evaluation import evaluate
from segkit.models.build import build_for, compile
from segkit.progress import FitProgress, counting
from segkit.run import Row, Run, write_text
from segkit.runtimes.keras import open_keras

Parts = dict[str, Subset]
_WITHOUT_END = 10**6
"""Epochs of a training that its minutes end."""


def train(config: Config, parts: Parts, run: Run, console: Console) -> dict[str, Any] | None:
    """Fit the config's network on the training part into a run folder that exists; return the report of scores.json.

    A run that was interrupted goes on from its last whole epoch. Without validation and test part nothing is scored
    and None is returned.
    """
    prepare(config.train)
    given = _input_of(config)
    model = build_for(config.task, config.model, given)
    steps = config.train.steps_per_epoch or -(-len(parts["train"].names) // config.train.batch_size)
    trainer = compile(
        model,
        config.task,
        loss=config.loss,
        class_weights=config.class_weights,
        optimizer=make_optimizer(config.train, steps),
    )
    history = run.cut_history(run.saved_epochs())
    console.print(f"{model.count_params():,} parameters, {steps} steps an epoch", highlight=False)
    if not _is_over(config.train, history, run):
        _fit(config, parts, run, console, model, trainer, history, steps)
    return _score(config, parts, run, console)


def make_optimizer(settings: TrainConfig, steps: int) -> keras.optimizers.Optimizer:
    """Return AdamW with the settings' schedule; biases and normalisation are not decayed."""
    total = settings.epochs * steps
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine" and settings.minutes is None:
        warm = round(settings.warmup * total)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warm else rate, max(1, total - warm), warmup_target=rate if warm else None, warmup_steps=warm
        )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=settings.weight_decay, global_clipnorm=settings.clip_norm or None
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _fit(
    config: Config, parts: Parts, run: Run, console: Console, model: Any, trainer: Any, history: list[Row], steps: int
) -> None:
    given = _input_of(config)
    held_back = parts["validation"]
    validation = ValidationBatches(held_back, config, given, cache_folder=run.cache) if len(held_back) else None
    monitor = ("val_" if validation else "") + config.train.monitor
    best = callbacks.SaveBest(model, run, monitor, history)
    progress = FitProgress(console, config.train, steps, history)
    beside = [
        callbacks.Extras(),
        callbacks.StopOnNaN(config),
        best,
        keras.callbacks.CSVLogger(str(run.history), append=bool(history)),
        keras.callbacks.BackupAndRestore(str(run.backup), double_checkpoint=True, delete_checkpoint=False),
        _Shown(progress, best),
    ]
    if config.train.minutes is not None:
        beside.append(callbacks.TimeBudget(config.train, config.train.minutes, _seconds(history)))
    if config.train.tensorboard:
        beside.append(keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False))
    if config.train.pictures and validation:
        beside.append(callbacks.Pictures(model, config, run, validation.samples, validation.names))
    if config.train.patience:
        mode = "min" if monitor.endswith("loss") else "max"
        settings = {"monitor": monitor, "mode": mode, "patience": config.train.patience}
        beside.append(callbacks.EarlyStopping(history, **settings))
    batches = training_batches(parts["train"], config, given, first_step=len(history) * steps, cache_folder=run.cache)
    try:
        with progress.bars:
            trainer.fit(
                batches,
                steps_per_epoch=steps,
                epochs=config.train.epochs if config.train.minutes is None else _WITHOUT_END,
                validation_data=validation,
                callbacks=beside,
                shuffle=False,  # the order is the pipeline's business
                verbose=0,
            )
    finally:
        batches.close()
        callbacks.save(model, run, last=True)
        if not run.model.exists():
            callbacks.save(model, run)
    shutil.rmtree(run.cache, ignore_errors=True)  # after an interruption it stays for the resumed run


def _is_over(settings: TrainConfig, history: list[Row], run: Run) -> bool:
    if settings.minutes is None:
        return len(history) >= settings.epochs
    # the last epoch leaves time for a validation as long as the longest, so a budget is never used to its last second
    return run.scores.is_file() or _seconds(history) >= 0.9 * settings.minutes * 60


def _seconds(history: list[Row]) -> float:
    return sum(row["seconds"] for row in history)


class _Shown(keras.callbacks.Callback):
    """Tells the display what happens."""

    def __init__(self, progress: FitProgress, best: callbacks.SaveBest) -> None:
        super().__init__()
        self.progress, self.best, self.epoch = progress, best, 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.progress.step(self.epoch, batch, float(np.asarray((logs or {})["loss"])))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.progress.epoch_end(epoch, logs or {}, self.best.best_epoch)


def _score(config: Config, parts: Parts, run: Run, console: Console) -> dict[str, Any] | None:
    try:
        part = held_out(parts)
    except ConfigError:
        return None
    with counting(f"scoring the best epoch on the {part} part", len(parts[part]), console) as done:
        report = {"part": part, **evaluate(open_keras(run), config, parts[part], done)}
    write_text(run.scores, json.dumps(report, indent=2) + "\n")
    return report


def _input_of(config: Config) -> InputConfig:
    if config.input is None:
        raise ConfigError("input: is missing; `data.check.check` measures it")
    return config.input
