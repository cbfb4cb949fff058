"""The optimizer that the settings ask for: Keras' AdamW or SGD, its learning rate over time, a rate for the encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from segkit.config import TrainConfig

UNDECAYED = ("bias", "gamma", "beta")
"""Parts of the names of variables that weight decay leaves alone."""
POWER = 0.9
"""Of the polynomial decay, as in DeepLab and nnU-Net."""


def make_optimizer(
    settings: TrainConfig, steps: int, encoder: Iterable[Any] = ()
) -> keras.optimizers.Optimizer:
    """Return the optimizer for epochs of `steps` steps; `encoder` are the encoder's trainable variables.

    Keras counts batches where it accumulates gradients; the learning rate here counts updates.
    """
    total = settings.total_steps(steps)
    rate: Any = settings.learning_rate
    if total is not None and settings.schedule != "constant":
        rate = Falling(settings, total)
    own = {"momentum": settings.momentum, "nesterov": True} if settings.optimizer == "sgd" else {}
    given = {
        "weight_decay": settings.weight_decay,
        "global_clipnorm": settings.clip_norm or None,
        "gradient_accumulation_steps": settings.accumulate if settings.accumulate > 1 else None,
        "use_ema": settings.ema > 0,
        "ema_momentum": settings.ema
        ** (1 / settings.accumulate),  # Keras averages after every batch
        **own,
    }
    frozen = settings.freeze_encoder_epochs * steps // settings.accumulate
    encoder = list(encoder)
    if encoder and (frozen or settings.encoder_learning_rate != 1):
        kind: Any = TwoRateSGD if own else TwoRateAdamW
        return kind(
            rate, **given, encoder=encoder, factor=settings.encoder_learning_rate, frozen=frozen
        )
    kind = keras.optimizers.SGD if own else keras.optimizers.AdamW
    optimizer = kind(rate, **given)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def rate_at(settings: TrainConfig, share: float) -> float:
    """Return the learning rate when `share` (0 to 1) of the training is over.

    >>> [round(rate_at(TrainConfig(learning_rate=0.1, warmup=0.5), share), 6) for share in (0.25, 0.5, 1.0)]
    [0.05, 0.1, 0.0]
    """
    return float(_rate(settings, ops.convert_to_tensor(share, "float32")))


def _rate(settings: TrainConfig, share: Any) -> Any:
    if settings.schedule == "constant":
        return settings.learning_rate
    warm = settings.warmup
    left = ops.clip((1.0 - share) / (1.0 - warm), 0.0, 1.0)
    falling = (
        (1 - ops.cos(math.pi * left)) / 2
        if settings.schedule == "cosine"
        else ops.power(left, POWER)
    )
    rising = share / warm if warm else 1.0
    return settings.learning_rate * ops.where(share < warm, rising, falling)


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up, then cosine (Loshchilov and Hutter, SGDR, 2017) or polynomial decay, by the share of all updates made."""

    def __init__(self, settings: TrainConfig, total: int) -> None:
        super().__init__()
        self.settings, self.updates = settings, max(1, total // settings.accumulate)

    def __call__(self, step: Any) -> Any:
        update = ops.floor_divide(step, self.settings.accumulate)
        return _rate(self.settings, ops.cast(update, "float32") / self.updates)

    def get_config(self) -> dict[str, Any]:
        return {"settings": self.settings.model_dump(mode="json"), "updates": self.updates}


class _TwoRates:
    """The encoder's variables learn, and decay, at `factor` times the rate, and not at all in the first `frozen` updates.

    A rate of 0 instead of `trainable = False`, which would have to compile the training anew in its middle.
    """

    def __init__(
        self, rate: Any, *, encoder: list[Any], factor: float, frozen: int, **settings: Any
    ) -> None:
        super().__init__(rate, **settings)  # type: ignore[call-arg]
        self._encoder = {id(variable) for variable in encoder}
        self._factor, self._frozen = factor, frozen
        # Keras' own decay knows one rate only, so the encoder's is done here
        self.exclude_from_weight_decay(var_list=encoder, var_names=list(UNDECAYED))  # type: ignore[attr-defined]

    def build(self, variables: list[Any]) -> None:
        super().build(variables)  # type: ignore[misc]
        theirs = {
            i: variable.name
            for i, variable in enumerate(variables)
            if id(variable) in self._encoder
        }
        self._decayed = {
            i: not any(part in name for part in UNDECAYED) for i, name in theirs.items()
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        this: Any = self
        decayed = self._decayed.get(this._get_variable_index(variable))
        if decayed is not None:
            factor = ops.where(this.iterations < self._frozen, 0.0, self._factor)
            learning_rate = ops.cast(learning_rate, variable.dtype) * ops.cast(
                factor, variable.dtype
            )
            if decayed:
                this.assign_sub(variable, variable * (learning_rate * this.weight_decay))
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class TwoRateAdamW(_TwoRates, keras.optimizers.AdamW):
    """AdamW with a rate of its own for the encoder."""


class TwoRateSGD(_TwoRates, keras.optimizers.SGD):
    """SGD with a rate of its own for the encoder."""
