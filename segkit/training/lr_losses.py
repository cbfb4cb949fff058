"""A short training at rising learning rates, to measure the loss at each rate."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing

import keras

from segkit.config import RunConfig
from segkit.data.batches.training import training_batches
from segkit.data.batches.views import AnyBatch
from segkit.data.sources.source import Subset
from segkit.models.build import build_for, compile
from segkit.training.devices import prepare
from segkit.training.lr_suggestion import has_diverged
from segkit.training.optimizer import make_optimizer


def losses_at(
    rates: Sequence[float],
    config: RunConfig,
    parts: Mapping[str, Subset],
    progress: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train a new network with one step at each rate.

    The optimizer is the config's. All weights have the same rate, and every batch is an update.

    Args:
        rates: Learning rates, in the order of the steps.
        config: The config of the training.
        parts: The parts of the data; only "train" is read.
        progress: Called after each step.

    Returns:
        The loss of each step; fewer than there are rates if the loss diverges.
    """
    plain = {
        "schedule": "constant",
        "accumulate": 1,
        "ema": 0.0,
        "consistency": 0.0,
        "smoothness": 0.0,
    }
    config = config.model_copy(update={"train": config.train.model_copy(update=plain)})
    prepare(config.train)
    model = build_for(config.task, config.model, config.input)
    optimizer = make_optimizer(config.train, len(rates))
    trainer = compile(
        model,
        config.task,
        loss=config.loss,
        class_weights=config.class_weights,
        optimizer=optimizer,
    )
    return _fit(trainer, training_batches(parts["train"], config, config.input), rates, progress)


def _fit(
    trainer: keras.Model,
    batches: Generator[AnyBatch],
    rates: Sequence[float],
    progress: Callable[[], None],
) -> list[float]:
    losses: list[float] = []
    with closing(batches):
        for rate, batch in zip(rates, batches, strict=False):
            images, targets = batch
            trainer.optimizer.learning_rate = rate
            logs = trainer.train_on_batch(images, targets, return_dict=True)
            losses.append(float(logs["loss"]))
            progress()
            if has_diverged(losses):
                break
    return losses
