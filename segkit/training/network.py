"""The network of a config, compiled for training."""

from __future__ import annotations

import keras

from segkit.config import RunConfig
from segkit.models.build import build_for, compile, encoder_layers
from segkit.training.checkpointing import build_optimizer
from segkit.training.mirrored import train_as_one
from segkit.training.optimizer import make_optimizer


def build_network(config: RunConfig, steps_per_epoch: int) -> tuple[keras.Model, keras.Model]:
    """Return the network, and its compiled view at the logits, whose optimizer has its variables.

    Both share their weights: the first maps images to probabilities and is saved, the second is fitted.
    """
    model = build_for(config.task, config.model, config.input)
    encoder_variables = []
    for layer in encoder_layers(model):
        encoder_variables += layer.trainable_variables
    optimizer = make_optimizer(config.train, steps_per_epoch, encoder_variables)
    trainer = compile(
        model,
        config.task,
        loss=config.loss,
        class_weights=config.class_weights,
        optimizer=optimizer,
    )
    trainer.checks_data = (
        False  # reading has checked them, and a batch that is asked for would be lost
    )
    build_optimizer(trainer)
    train_as_one(model, optimizer)
    return model, trainer
