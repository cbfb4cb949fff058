"""The sum of losses that a config's `loss` section names, with weights that may change during the training."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from segkit import catalog
from segkit.config.loss import checked_weight, parse_terms, term_settings, weight_at
from segkit.errors import ConfigError
from segkit.losses.checks import named_arguments
from segkit.losses.segmentation import (
    REDUCTION,
    SegmentationLoss,
    as_array,
    checked_target,
    refuse_pixel_weights,
)
from segkit.losses.targets import Tensor
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class WeightedSum(keras.losses.Loss):
    """The sum of losses, each times its weight, for each image.

    A weight may be a list: weights at equally spaced moments of the training, first and last included, with straight lines
    between. Those now valid are in the variable `now`, which `Schedule` sets; until then they are the first ones.
    """

    @named_arguments
    def __init__(
        self,
        losses: Sequence[Any],
        weights: Sequence[float | Sequence[float]],
        name: str = "loss",
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.losses = [_made(loss) for loss in losses]
        if not self.losses or len(self.losses) != len(weights):
            raise ConfigError(
                f"one for each of {len(self.losses)} losses; found {weights!r}", setting="weights"
            )
        self.weights = [_weight(weight) for weight in weights]
        self.now: Any = None
        if any(isinstance(weight, list) for weight in self.weights):
            self.now = keras.Variable(
                self.weights_at(0.0), trainable=False, dtype="float32", name="loss_weights"
            )

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        refuse_pixel_weights(sample_weight)
        for loss in self.losses:
            if isinstance(loss, SegmentationLoss):
                y_true = checked_target(loss.task, y_true)
        return super().__call__(as_array(y_true), as_array(y_pred), as_array(sample_weight))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        weights = (
            self.weights if self.now is None else [self.now[i] for i in range(len(self.losses))]
        )
        terms = [
            w * loss.call(y_true, y_pred) for w, loss in zip(weights, self.losses, strict=True)
        ]
        return sum(terms[1:], start=terms[0])

    def weights_at(self, share: float) -> list[float]:
        """Return the weights when `share` (0 to 1) of the training is over."""
        return [weight_at(weight, share) for weight in self.weights]

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {
            "name": self.name,
            "reduction": self.reduction,
            "losses": losses,
            "weights": self.weights,
        }


def _made(loss: Any) -> Any:
    """Return a loss, also one that was saved as a dictionary."""
    made = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
    if not isinstance(made, keras.losses.Loss):
        raise ConfigError(f"a list of Keras losses; found {made!r} among them", setting="losses")
    return made


def _weight(weight: Any) -> float | list[float]:
    try:
        return checked_weight(weight)
    except ValueError as problem:
        raise ConfigError(f"{problem}; found {weight!r}", setting="weights") from problem


class Schedule(keras.callbacks.Callback):
    """Sets the weights of a `WeightedSum` at the beginning of each epoch, by epochs or by minutes.

    The first epoch has the first weights and the last epoch the last ones. With `minutes` the clock decides, which counts
    the seconds `used` by earlier sessions of a resumed training; nothing else needs to be remembered. Several processes go
    by the one clock on which they have `agreed`.
    """

    def __init__(
        self,
        epochs: int,
        minutes: float | None = None,
        used: float = 0.0,
        agreed: Callable[[float], float] = float,
    ) -> None:
        super().__init__()
        self.epochs, self.minutes, self.used, self.agreed = epochs, minutes, used, agreed

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.minutes is None:
            share = epoch / max(1, self.epochs - 1)
        else:
            share = self.agreed(self.used + time.monotonic() - self.began) / (60 * self.minutes)
        for loss in _scheduled(self.model.loss):
            loss.now.assign(loss.weights_at(min(1.0, share)))


def track(model: keras.Model, loss: Any) -> None:
    """Let the compiled steps of a model that `segkit.compile` did not make see the changing weights of its loss.

    They are part of the model's state, but not of its file: the model that Keras makes of a file has no place for them.
    """
    others: dict[str, Any] = {}
    model.save_own_variables(others)
    attach(model, loss)
    if not others:
        model.save_own_variables = _ignore
        model.load_own_variables = _ignore


def attach(model: keras.Model, loss: Any) -> None:
    """Make the changing weights of a loss part of a model's state: compiled steps see a change only then (JAX)."""
    for i, scheduled in enumerate(_scheduled(loss)):
        setattr(model, f"loss_weights_{i}", scheduled.now)


def _ignore(store: Any) -> None:
    """Neither save nor load a variable."""


def make(
    task: Task,
    terms: Mapping[str, Any] | None = None,
    class_weights: Mapping[str, float] | None = None,
    from_logits: bool = True,
) -> WeightedSum:
    """Return the loss of a config's `loss` section; by default cross-entropy + Dice.

    `terms` gives each loss its weight, or its settings: {"dice": 1, "focal": {"weight": 0.5, "gamma": 3}}. A weight may be a
    list, as `WeightedSum` says.
    """
    terms = terms or {"cross_entropy": 1.0, "dice": 1.0}
    if not isinstance(terms, Mapping):
        raise ConfigError(
            f"names with weights, as in {{'dice': 1}}; found {terms!r}", setting="loss"
        )
    losses: list[keras.losses.Loss] = []
    weights: list[Any] = []
    for name, term in parse_terms(terms).items():
        settings = term_settings(term)
        weights.append(settings.pop("weight"))
        kind = catalog.load_part(catalog.LOSSES, name)
        try:
            losses.append(
                kind(task, from_logits=from_logits, class_weights=class_weights, **settings)
            )
        except TypeError as problem:
            raise ConfigError(str(problem), "unknown-setting", setting=f"loss.{name}") from problem
    return WeightedSum(losses, weights)


def check_on_logits(
    loss: Any, task: Task, class_weights: Mapping[str, float] | None = None
) -> None:
    """Raise `ConfigError` for a loss made elsewhere that is on probabilities or for another task, or misses class weights."""
    if class_weights is not None:
        raise ConfigError(
            "go with losses by name, as in loss={'dice': 1}; give them to a loss that you make yourself",
            "contradiction",
            setting="class_weights",
        )
    if isinstance(loss, str | type) or not callable(loss):
        raise ConfigError(
            f"names with weights, as in {{'dice': 1}}, or a Keras loss on logits; found {loss!r}",
            setting="loss",
        )
    for one in getattr(loss, "losses", [loss]):
        name = getattr(one, "__name__", type(one).__name__)
        if _is_on_probabilities(one):
            raise ConfigError(
                f"{name} expects probabilities, and training is on logits; make it with from_logits=True, or take one "
                f"of segkit.losses",
                "contradiction",
                setting="loss",
            )
        made_for = getattr(one, "task", task)
        if isinstance(made_for, Task) and not made_for.trains_like(task):
            raise ConfigError(
                f"{name} was made for another task, {made_for!r}; this one is {task!r}",
                "mismatch",
                setting="loss",
            )


def check_metrics(metrics: Any, task: Task) -> None:
    """Raise `ConfigError` for metrics beside a training on logits that are on probabilities or for another task."""
    if isinstance(metrics, str | Mapping) or not isinstance(metrics, Sequence):
        raise ConfigError(f"a list of metrics; found {metrics!r}", setting="metrics")
    for metric in metrics:
        name = getattr(metric, "__name__", type(metric).__name__)
        if isinstance(metric, str) or _is_on_probabilities(metric):
            raise ConfigError(
                f"{name if not isinstance(metric, str) else repr(metric)} expects probabilities, and training is on "
                f"logits; take one of segkit.metrics with from_logits=True",
                "contradiction",
                setting="metrics",
            )
        made_for = getattr(metric, "task", task)
        if isinstance(made_for, Task) and not made_for.trains_like(task):
            raise ConfigError(
                f"{name} was made for another task, {made_for!r}; this one is {task!r}",
                "mismatch",
                setting="metrics",
            )


def _is_on_probabilities(loss: Any) -> bool:
    """Return whether a loss takes predictions for probabilities, as far as it says so; Keras' own do unless asked."""
    known = inspect.signature(loss).parameters if inspect.isroutine(loss) else {}
    by_default = known["from_logits"].default if "from_logits" in known else None
    on_logits = getattr(loss, "from_logits", by_default)
    if on_logits is None:
        module = getattr(loss, "__module__", None) or ""
        return module.partition(".")[0] == "keras"
    return on_logits is False


def _scheduled(loss: Any) -> list[WeightedSum]:
    found = keras.tree.flatten(loss)
    return [one for one in found if isinstance(one, WeightedSum) and one.now is not None]
