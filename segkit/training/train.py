"""Training, as one story: build, compile, fit, score the best epoch."""

from __future__ import annotations

import json
from typing import Any

import keras
from rich.console import Console

from segkit.config import Config
from segkit.data.parts import held_out
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.evaluation.evaluate import evaluate
from segkit.inference.runtimes.keras import open_keras
from segkit.io.atomic import write_text
from segkit.models.build import build_for, compile, encoder_layers
from segkit.run import Run
from segkit.run.checkpoint import Position, check_room
from segkit.system.progress import counting
from segkit.system.replicas import Replicas
from segkit.training.checkpointing import build_optimizer, state_bytes
from segkit.training.devices import prepare, spread
from segkit.training.distributed import leave
from segkit.training.fit import Fitting
from segkit.training.mirrored import train_as_one
from segkit.training.optimizer import make_optimizer
from segkit.training.precision import settle

Parts = dict[str, Subset]


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
    steps = config.train.steps_per_epoch or -(-len(parts["train"].names) // config.train.batch_size)
    model, trainer = _build(config, steps)
    if run.keeps_models:
        check_room(run.path, *state_bytes(trainer))
    told = f"{model.count_params():,} parameters, {steps} steps an epoch"
    console.print(told + (f"; {precision}: {why}" if why else ""), highlight=False)
    at = run.saved()
    if at != Position():
        console.print(f"going on at epoch {at.epoch + 1}, step {at.step + 1}", highlight=False)
    if not run.scores.is_file():
        Fitting(config, parts, run, model, trainer, steps, replicas).fit(console)


def _build(config: Config, steps: int) -> tuple[keras.Model, keras.Model]:
    """Return the network and its compiled view, whose optimizer has its variables."""
    if config.input is None:
        raise ConfigError("input: is missing; `data.check.check` measures it")
    model = build_for(config.task, config.model, config.input)
    encoder = [variable for layer in encoder_layers(model) for variable in layer.trainable_variables]
    optimizer = make_optimizer(config.train, steps, encoder)
    trainer = compile(model, config.task, loss=config.loss, class_weights=config.class_weights, optimizer=optimizer)
    build_optimizer(trainer)
    train_as_one(model, optimizer)
    return model, trainer


def _score(config: Config, parts: Parts, run: Run, console: Console) -> dict[str, Any] | None:
    try:
        part = "validation" if config.data.fold else held_out(parts)
    except ConfigError:
        return None
    with counting(f"scoring the best epoch on the {part} part", len(parts[part]), console) as done:
        report = {"part": part, **evaluate(open_keras(run), config, parts[part], done)}
    write_text(run.scores, json.dumps(report, indent=2) + "\n")
    return report
