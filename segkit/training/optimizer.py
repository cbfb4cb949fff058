"""The optimizer: AdamW or SGD, a learning-rate schedule, and a rate for the encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from segkit.config import TrainConfig

UNDECAYED = ("bias", "gamma", "beta")
"""Variables whose names contain one of these have no weight decay."""
POWER = 0.9
"""Exponent of the polynomial decay, as in DeepLab and nnU-Net."""


def make_optimizer(
    settings: TrainConfig, steps: int, encoder: Iterable[Any] = ()
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a training.

    Args:
        settings: Section `train` of the config.
        steps: Number of batches in an epoch. The schedule counts updates, which may each take
            several batches (`train.accumulate`).
        encoder: Trainable variables of the encoder.

    Returns:
        The optimizer; its variables are not built yet.
    """
    total = settings.total_steps(steps)
    rate: Any = settings.learning_rate
    if total is not None and settings.schedule != "constant":
        rate = Falling(settings, total)
    arguments = _arguments(settings)
    is_sgd = settings.optimizer == "sgd"
    frozen = settings.freeze_encoder_epochs * steps // settings.accumulate
    encoder = list(encoder)
    if encoder and (frozen or settings.encoder_learning_rate != 1):
        two_rates: Any = TwoRateSGD if is_sgd else TwoRateAdamW
        factor = settings.encoder_learning_rate
        return two_rates(rate, **arguments, encoder=encoder, factor=factor, frozen=frozen)
    one_rate = keras.optimizers.SGD if is_sgd else keras.optimizers.AdamW
    optimizer = one_rate(rate, **arguments)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def _arguments(settings: TrainConfig) -> dict[str, Any]:
    """Return the arguments of the Keras optimizer, except for the learning rate."""
    arguments: dict[str, Any] = {
        "weight_decay": settings.weight_decay,
        "global_clipnorm": settings.clip_norm or None,
        "gradient_accumulation_steps": None,
        "use_ema": settings.ema > 0,
        # Keras averages after every batch; the setting is per update.
        "ema_momentum": settings.ema ** (1 / settings.accumulate),
    }
    if settings.accumulate > 1:
        arguments["gradient_accumulation_steps"] = settings.accumulate
    if settings.optimizer == "sgd":
        arguments["momentum"] = settings.momentum
        arguments["nesterov"] = True
    return arguments


def rate_at(settings: TrainConfig, share: float) -> float:
    """Return the learning rate at a point of the training.

    Args:
        settings: Section `train` of the config.
        share: Part of the training that is over, from 0 to 1.

    Returns:
        The learning rate.

    >>> settings = TrainConfig(learning_rate=0.1, warmup=0.5)
    >>> [round(rate_at(settings, share), 6) for share in (0.25, 0.5, 1.0)]
    [0.05, 0.1, 0.0]
    """
    return float(_rate(settings, ops.convert_to_tensor(share, "float32")))


def _rate(settings: TrainConfig, share: Any) -> Any:
    if settings.schedule == "constant":
        return settings.learning_rate
    warmup = settings.warmup
    remaining = ops.clip((1.0 - share) / (1.0 - warmup), 0.0, 1.0)
    if settings.schedule == "cosine":
        falling = (1 - ops.cos(math.pi * remaining)) / 2
    else:
        falling = ops.power(remaining, POWER)
    rising = share / warmup if warmup else 1.0
    return settings.learning_rate * ops.where(share < warmup, rising, falling)


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule: linear warm-up, then cosine or polynomial decay to 0.

    Args:
        settings: Section `train` of the config.
        total: Number of batches in the whole training.

    Source: Loshchilov and Hutter, SGDR, 2017 (https://arxiv.org/abs/1608.03983) for the cosine.
    """

    def __init__(self, settings: TrainConfig, total: int) -> None:
        super().__init__()
        self.settings = settings
        self.updates = max(1, total // settings.accumulate)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of the batch number `step`, from 0."""
        update = ops.floor_divide(step, self.settings.accumulate)
        return _rate(self.settings, ops.cast(update, "float32") / self.updates)

    def get_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"settings": self.settings.model_dump(mode="json"), "updates": self.updates}


class _TwoRates:
    """Mixin: `factor` scales the encoder's learning rate and decay; the first updates freeze it.

    While it is frozen its rate is 0. Setting `trainable = False` would need a second compilation.
    """

    def __init__(
        self, rate: Any, *, encoder: list[Any], factor: float, frozen: int, **settings: Any
    ) -> None:
        super().__init__(rate, **settings)  # type: ignore[call-arg]
        self._encoder = {id(variable) for variable in encoder}
        self._factor = factor
        self._frozen = frozen
        # Keras' own decay has one rate only, so `update_step` decays the encoder's variables.
        self.exclude_from_weight_decay(var_list=encoder, var_names=list(UNDECAYED))  # type: ignore[attr-defined]

    def build(self, variables: list[Any]) -> None:
        super().build(variables)  # type: ignore[misc]
        self._decayed = {}  # whether weight decay applies, by the index of an encoder variable
        for i, variable in enumerate(variables):
            if id(variable) in self._encoder:
                self._decayed[i] = not any(part in variable.name for part in UNDECAYED)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        this: Any = self
        decayed = self._decayed.get(this._get_variable_index(variable))
        if decayed is not None:
            factor = ops.where(this.iterations < self._frozen, 0.0, self._factor)
            factor = ops.cast(factor, variable.dtype)
            learning_rate = ops.cast(learning_rate, variable.dtype) * factor
            if decayed:
                this.assign_sub(variable, variable * (learning_rate * this.weight_decay))
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class TwoRateAdamW(_TwoRates, keras.optimizers.AdamW):
    """AdamW with a separate learning rate for the encoder."""


class TwoRateSGD(_TwoRates, keras.optimizers.SGD):
    """SGD with a separate learning rate for the encoder."""
