"""A short training at rising learning rates, to see which of them this network and these data can take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

import keras

from segkit.config import RunConfig
from segkit.data.batches.training import training_batches
from segkit.data.sources.source import Subset
from segkit.models.build import build_for, compile
from segkit.training.devices import prepare
from segkit.training.lr_suggestion import has_diverged
from segkit.training.optimizer import make_optimizer


def losses_at(
    rates: list[float],
    config: RunConfig,
    parts: Mapping[str, Subset],
    progress: Callable[[], None] = lambda: None,
) -> list[float]:
    """Return the loss of a step at each rate, in turn, of one fresh network; fewer if it diverges before the end.

    The optimizer is the config's, with all weights at one rate and every batch an update.
    """
    plain = {"schedule": "constant", "accumulate": 1, "ema": 0.0}
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
    trainer: keras.Model, batches: object, rates: list[float], progress: Callable[[], None]
) -> list[float]:
    losses: list[float] = []
    with closing(batches) as stream:  # type: ignore[type-var]
        for rate, (images, targets) in zip(rates, stream, strict=False):  # type: ignore[call-overload]
            trainer.optimizer.learning_rate = rate
            losses.append(float(trainer.train_on_batch(images, targets, return_dict=True)["loss"]))
            progress()
            if has_diverged(losses):
                break
    return losses
