"""The network of a config, compiled for training."""

from __future__ import annotations

import keras

from segkit.config import RunConfig
from segkit.metrics import Scores
from segkit.models.build import build_for, compile, encoder_layers
from segkit.models.unlabelled import TermWeights, UnlabelledTrainer
from segkit.training.checkpointing import build_optimizer
from segkit.training.mirrored import train_as_one
from segkit.training.optimizer import make_optimizer


def build_network(config: RunConfig, steps_per_epoch: int) -> tuple[keras.Model, keras.Model]:
    """Build the network of a config, and compile it for training.

    Args:
        config: The config of the training.
        steps_per_epoch: Number of batches in an epoch.

    Returns:
        Two models that share their weights: one maps images to probabilities and is saved, the
        other one maps images to logits and is compiled and fitted.
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
    # `prepare_data` has checked the data. The trainer's own check would use up a training batch.
    trainer.checks_data = False
    weights = TermWeights(config.train.consistency, config.train.smoothness)
    if any(weights):
        scores = Scores(config.task, from_logits=True)
        trainer = UnlabelledTrainer(trainer, config.task, weights, [scores])
    build_optimizer(trainer)
    train_as_one(model, optimizer)
    return model, trainer
